"""`CallLog`: what the `Totals` of a recorder grew by in each block of time, for a canary."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from driftline._runtime.call_keys import Bucket
from driftline._windows.blocks import MAX_BLOCKS, BlockCounts, BlockTable
from driftline._windows.call_tables import CallTables
from driftline._windows.totals import Totals
from driftline.typing import Counts

__all__ = ["BIN_BLOCKS", "CallLog", "Logging", "WarmUp"]

BIN_BLOCKS = 16
"""Blocks of the counts per bin, which are the widest table: a thousand features with 20 bins take 2.5 MB."""


class WarmUp:
    """
    The first calls of a process, which may be slow: a number of calls that return, or the seconds since the first call.

    Args:
        calls: calls that return and belong to the warm-up.
        seconds: seconds since the first call that belong to the warm-up.
        clock: returns seconds, as `time.monotonic`.
    """

    __slots__ = ("_clock", "_ends", "calls", "seconds")

    def __init__(self, calls: int, seconds: float, clock: Callable[[], float]) -> None:
        self.calls, self.seconds, self._clock = calls, seconds, clock
        self._ends: float | None = None

    def fresh(self) -> WarmUp:
        """Return the warm-up of another process, such as the child of a fork."""
        return WarmUp(self.calls, self.seconds, self._clock)

    def has_ended(self, returned: int) -> bool:
        """Return whether the seconds are over, or have never begun although *returned* calls have returned."""
        return bool(returned) if self._ends is None else self.is_time_over()

    def start(self) -> None:
        """Let the seconds begin, if they have not begun."""
        if self.seconds and self._ends is None:
            self._ends = self._clock() + self.seconds

    def is_time_over(self) -> bool:
        """
        Return whether the seconds are over.

        The first calls, and all others, are drained up to a second after they return. Calls that are drained when the
        seconds are over have therefore begun after the warm-up.
        """
        return not self.seconds or (self._ends is not None and self._clock() >= self._ends)


class _Growth:
    """
    The growth of cumulative counts by block of time.

    Args:
        counts: the cumulative counts at the start. They are not changed later.
        now: Unix time in seconds.
        most: largest number of blocks.

    Attributes:
        last: the cumulative counts when `book` was last called.
        start: Unix time at which the present block starts.
        end: Unix time at which it ends.
    """

    __slots__ = ("_at", "_table", "end", "last", "start")

    def __init__(self, counts: Counts, now: float, most: int) -> None:
        self._table = BlockTable(len(counts), most=most)
        self.last = counts
        self.advance(now)

    def book(self, counts: Counts) -> None:
        """Add what *counts*, which are not changed later, have grown by to the present block."""
        grown = counts - self.last
        row = self._table.row(self._at)
        # Without a call from here on, so that no interrupt comes between.
        row += grown
        self.last = counts

    def advance(self, now: float) -> None:
        """Let the block of this time be the present one."""
        self._at = now
        self.start, self.end = self._table.borders(now)

    def read(self) -> BlockCounts:
        """Return what was booked."""
        return self._table.read()


@dataclass(frozen=True, slots=True)
class Logging:
    """
    What a canary asks of a monitor: to count calls by time and key.

    Attributes:
        wall_clock: returns the Unix time in seconds.
        warm_up: the warm-up of this process.
        returned: returns how many calls have returned in this process, in all recorders of the monitor.
        call_bucket: holds the bucket of the key of the calls that follow.
    """

    wall_clock: Callable[[], float]
    warm_up: WarmUp
    returned: Callable[[], int]
    call_bucket: Bucket

    def fresh(self) -> Logging:
        """Return the same for another process, such as the child of a fork."""
        return Logging(self.wall_clock, self.warm_up.fresh(), self.returned, self.call_bucket)


class CallLog:
    """
    What the `Totals` of a recorder grew by in each block of time.

    Totals are cumulative. So a table does not count: it takes the difference at the borders of blocks, and a call is in
    the tables exactly if it is in the totals, whatever interrupts it. A call counts at the time at which it is drained.

    The caller holds the lock of the totals in all methods.

    Args:
        totals: the totals at the start.
        logging: the clock and the warm-up.

    Attributes:
        logging: as above.
    """

    __slots__ = (
        "_bins",
        "_calls",
        "_durations",
        "_end",
        "_first",
        "_keys",
        "_row_keys",
        "_start",
        "_totals",
        "logging",
    )

    def __init__(self, totals: Totals, logging: Logging) -> None:
        now = logging.wall_clock()
        self._totals, self.logging = totals, logging
        self._keys, self._row_keys = totals.keys.copy(), totals.row_keys.copy()
        self._durations = _Growth(totals.durations.copy(), now, MAX_BLOCKS)
        self._calls = _Growth(totals.calls(), now, MAX_BLOCKS)
        self._bins = _Growth(totals.counts.copy(), now, BIN_BLOCKS)
        self._start = self._end = -math.inf
        self._first = totals.durations.copy()
        # A warm-up in seconds is over if calls have returned before a canary asked for it.
        if not self.warm_up_calls() and (not logging.warm_up.seconds or logging.warm_up.has_ended(logging.returned())):
            totals.warm_up = self._first

    def warm_up_calls(self) -> int:
        """Return how many calls are left of the warm-up, if it is a number of calls."""
        return max(0, self.logging.warm_up.calls - self.logging.returned())

    def is_over(self) -> bool:
        """Return whether the present block has ended, so that calls that wait are due before the one that asks."""
        self.logging.warm_up.start()
        return not self._start <= self.logging.wall_clock() < self._end

    def advance(self) -> None:
        """Let calls that are counted from now on count at the present time."""
        totals, warm_up = self._totals, self.logging.warm_up
        if totals.warm_up is None and warm_up.seconds:
            if self.logging.returned():
                warm_up.start()
            if warm_up.is_time_over():
                totals.warm_up = totals.durations.copy()
        now = self.logging.wall_clock()
        if self._start <= now < self._end:
            return
        parts = self._parts()
        for growth, counts in parts:
            if not growth.start <= now < growth.end:
                growth.book(counts())
                growth.advance(now)
        self._start = max(growth.start for growth, _ in parts)
        self._end = min(growth.end for growth, _ in parts)

    def _parts(self) -> tuple[tuple[_Growth, Callable[[], Counts]], ...]:
        totals = self._totals
        return (
            (self._calls, totals.calls),
            (self._durations, lambda: totals.durations - self._warm_up()),
            (self._bins, totals.counts.copy),
        )

    def _warm_up(self) -> Counts:
        """Return the durations of the warm-up so far."""
        totals = self._totals
        durations: Counts = (totals.durations if totals.warm_up is None else totals.warm_up) - self._first
        return durations

    def read(self) -> tuple[CallTables, BlockCounts]:
        """Return the tables without bins, and the counts per bin of all features, shape (blocks, bins)."""
        for growth, counts in self._parts():
            growth.book(counts())
        calls, durations, bins = (growth.read() for growth, _ in self._parts())
        keys = self._totals.keys - self._keys
        rows = self._totals.row_keys - self._row_keys
        tables = CallTables(calls, durations, self._warm_up(), keys[:, :2], {}, keys[:, 2:], rows)
        return tables, bins
