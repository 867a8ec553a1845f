"""The replacement of a reference while calls are under way: each call is counted once, and no row is misread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from driftline._capture.captured import Captured, Unread
from driftline._pipeline.active_reference import ActiveReference
from driftline._pipeline.learning import Learner
from driftline._recording.buffer import ROWS, Entry
from driftline._recording.recorder import Recorder
from driftline._runtime.call_keys import Bucket
from driftline._windows.blocks import BlockCounts
from driftline._windows.call_log import Logging, WarmUp
from driftline._windows.call_tables import CallTables
from driftline._windows.totals import Totals
from driftline.typing import Counts

__all__ = ["LateCalls", "RetiredRecorder", "RetiredRecorders", "Serving", "ServingCounts"]

MAX_RETIRED = 8
"""Retired recorders that are still drained. A call ends in the recorder in which it began."""


class LateCalls:
    """
    The sink of calls that end when their recorder is no longer drained.

    The recorder at work counts them as served or failed, and their rows as dropped.

    Args:
        current: returns the recorder at work.
    """

    __slots__ = ("_current",)

    def __init__(self, current: Callable[[], Recorder]) -> None:
        self._current = current

    def append(self, entry: Entry) -> None:
        """Count one successful call of the fast path, and drop its row."""
        row, output, seconds, context = entry
        self.record(row, output, seconds, context)

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """Count one successful call, and drop its rows."""
        del output
        recorder = self._current()
        recorder.record_without_features(_drop_rows(captured, recorder), seconds, context)

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Count a call that raised, and drop its rows."""
        recorder = self._current()
        recorder.record_without_features(_drop_rows(captured, recorder), seconds, context, error)

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """Count rows without a call as served, and drop them."""
        del outputs
        recorder = self._current()
        recorder.record_without_features(_drop_rows(captured, recorder), None, None)


def _drop_rows(captured: Captured, recorder: Recorder) -> int:
    """Count the rows of a call as dropped, and return their number. If it is not known, it is 1."""
    if isinstance(captured, Unread):
        rows = 1 if captured.rows is None else captured.rows
        recorder.panes.drop(captured.reason, rows)
        return rows
    rows = 1 if captured.__class__ in ROWS else len(captured)
    recorder.panes.drop("replaced", rows)
    return rows


def _read(recorder: Recorder, active: ActiveReference | None, *, tables: bool) -> tuple[Totals, CallTables | None]:
    """
    Return a copy of the totals of a recorder and, if *tables*, its calls by time and key at the same instant.

    The latter are None if no canary has asked for them. Bins have the name ``"fingerprint name"`` of their feature.
    """
    with recorder.panes.lock:
        totals, log = recorder.panes.read(), recorder.panes.read_log() if tables else None
    if log is None:
        return totals, None
    named = {} if active is None else active.blocks_by_feature(log[1])
    bins = {f"{fingerprint} {name}": blocks for (fingerprint, name), blocks in named.items()}
    return totals, replace(log[0], bins=bins)


@dataclass(frozen=True, slots=True)
class RetiredRecorder:
    """
    A recorder that another one has replaced, and its reference.

    Attributes:
        recorder: the recorder.
        active: the objects that were built for its reference. If None, a learner used the recorder.
    """

    recorder: Recorder
    active: ActiveReference | None

    def exported_counts(self, totals: Totals) -> dict[tuple[str, str], Counts]:
        """Return what `ActiveReference.exported_counts` returns for *totals*; empty without a reference."""
        return {} if self.active is None else self.active.exported_counts(totals)

    def counts_by_feature(self, totals: Totals) -> dict[tuple[str, str], Counts]:
        """Return what `ActiveReference.counts_by_feature` returns for *totals*; empty without a reference."""
        return {} if self.active is None else self.active.counts_by_feature(totals)

    def read(self, *, tables: bool = False) -> tuple[Totals, CallTables | None]:
        """Return a copy of the totals and, if *tables*, the calls by time and key, as `_read`."""
        return _read(self.recorder, self.active, tables=tables)


class RetiredRecorders:
    """
    The recorders that were replaced. Calls that began in one of them still add to its counts.

    The last `MAX_RETIRED` recorders are kept and drained. Of older ones only the sums of counts remain. These sums
    grow by one number per bin for each new set of bins.

    Args:
        current: returns the recorder at work. It counts a call that ends when its recorder is no longer kept.
    """

    def __init__(self, current: Callable[[], Recorder]) -> None:
        self._late_calls = LateCalls(current)
        self._current = current
        self._kept: deque[RetiredRecorder] = deque()
        self._totals: list[Totals] = []
        self._exported_counts: dict[tuple[str, str], Counts] = {}
        self._counts_by_feature: dict[tuple[str, str], Counts] = {}
        self._tables: CallTables | None = None

    def __len__(self) -> int:
        """Return the number of recorders that are still drained."""
        return len(self._kept)

    def retire(self, replaced: RetiredRecorder) -> RetiredRecorders:
        """
        Detach a recorder from the worker thread and from evaluation.

        Recorders beyond `MAX_RETIRED` are drained for the last time, and their late calls go to the recorder at work.

        Returns:
            a new object, which holds these recorders and the replaced one.
        """
        replaced.recorder.backpressure.retire()
        retired = RetiredRecorders(self._current)
        retired._kept = deque([*self._kept, replaced])
        retired._totals, retired._tables = list(self._totals), self._tables
        retired._exported_counts, retired._counts_by_feature = (
            dict(self._exported_counts),
            dict(self._counts_by_feature),
        )
        while len(retired._kept) > MAX_RETIRED:
            oldest = retired._kept.popleft()
            oldest.recorder.buffer.redirect(self._late_calls, self._late_calls.append)
            oldest.recorder.drain()
            totals, tables = oldest.read(tables=True)
            _add(retired._exported_counts, oldest.exported_counts(totals))
            _add(retired._counts_by_feature, oldest.counts_by_feature(totals))
            retired._totals = [_sum([*retired._totals, totals])]
            retired._tables = _sum_tables([retired._tables, tables])
        return retired

    def start_log(self, logging: Logging) -> None:
        """Let each recorder count calls by time and key, as `Recorder.start_log`."""
        for retired in self._kept:
            retired.recorder.start_log(logging)

    def returned(self) -> int:
        """Return how many calls have returned, without a lock."""
        totals = [*self._totals, *(retired.recorder.panes.totals for retired in self._kept)]
        return sum(int(each.durations.sum()) for each in totals)

    def tables(self, kept: Sequence[CallTables | None]) -> CallTables | None:
        """Return the calls by time and key of the recorders that are no longer drained and those of *kept*."""
        return _sum_tables([self._tables, *kept])

    def drain(self, pause: Callable[[], bool] | None = None, *, without_user_functions: bool = False) -> None:
        """Drain each recorder, as `Recorder.drain`. Its completed windows are dropped and not evaluated."""
        for retired in self._kept:
            retired.recorder.drain(pause, without_user_functions=without_user_functions)
            retired.recorder.panes.pending.clear()

    def reset(self) -> None:
        """Set all counts to zero, as the child of a fork must."""
        for retired in self._kept:
            retired.recorder.reset()
        self._totals, self._exported_counts, self._counts_by_feature, self._tables = [], {}, {}, None

    def read(self) -> list[Totals]:
        """Return a copy of the totals of each recorder that is still drained: the argument *kept* of other methods."""
        return [totals for totals, _ in self.read_all()]

    def read_all(self, *, tables: bool = False) -> list[tuple[Totals, CallTables | None]]:
        """Return what `RetiredRecorder.read` returns, for each recorder that is still drained."""
        return [retired.read(tables=tables) for retired in self._kept]

    def plus(self, current: Totals, kept: Sequence[Totals]) -> Totals:
        """
        Return the totals of all recorders. Only ``counts`` and ``rows`` are those of *current* alone.

        Args:
            current: the totals of the recorder at work.
            kept: the result of `read`.
        """
        return _sum([current, *self._totals, *kept])

    def exported_counts(
        self, current: Mapping[tuple[str, str], Counts], kept: Sequence[Totals]
    ) -> dict[tuple[str, str], Counts]:
        """
        Return the exported counts per bin of all recorders.

        Args:
            current: the exported counts of the recorder at work, by (fingerprint of the reference, feature).
            kept: the result of `read`.
        """
        total = dict(current)
        _add(total, self._exported_counts)
        for retired, totals in zip(self._kept, kept, strict=True):
            _add(total, retired.exported_counts(totals))
        return total

    def counts_by_feature(
        self, current: Mapping[tuple[str, str], Counts], kept: Sequence[Totals]
    ) -> dict[tuple[str, str], Counts]:
        """
        Return the counts per bin of the present features, plus the earlier counts of features with equal bins.

        Args:
            current: the counts of the recorder at work, by (fingerprint of the feature's bins, feature).
            kept: the result of `read`.
        """
        total = dict(current)
        _add(total, self._counts_by_feature)
        for retired, totals in zip(self._kept, kept, strict=True):
            _add(total, retired.counts_by_feature(totals))
        return {key: total[key] for key in current}


class ServingCounts(NamedTuple):
    """
    The counts of one monitor at one instant.

    Attributes:
        active: the reference at work with its objects, or None while one is learned.
        current: the totals of the recorder at work.
        totals: the totals of all recorders; ``counts`` and ``rows`` are those of the recorder at work.
        retired: the recorders that were replaced.
        kept: the totals of each recorder that is still drained.
        tables: the calls of all recorders by time and key, with the bins of the present features. None if they were not
            asked for.
    """

    active: ActiveReference | None
    current: Totals
    totals: Totals
    retired: RetiredRecorders
    kept: Sequence[Totals]
    tables: CallTables | None = None

    def exported_counts(self) -> dict[tuple[str, str], Counts]:
        """
        Return the counts per bin of the features whose bins are exported.

        Keys are (fingerprint of the reference, name of the feature).
        """
        return (
            {}
            if self.active is None
            else self.retired.exported_counts(self.active.exported_counts(self.current), self.kept)
        )

    def counts_by_feature(self) -> dict[tuple[str, str], Counts]:
        """
        Return the counts per bin of all features.

        Keys are (fingerprint of the feature's bins, name of the feature).
        """
        return (
            {}
            if self.active is None
            else self.retired.counts_by_feature(self.active.counts_by_feature(self.current), self.kept)
        )


class Serving:
    """
    The recorder at work, and those that were replaced.

    Args:
        start: the objects built for the first reference, or its learner.

    Attributes:
        recorder: the recorder that counts calls.
        active: the reference at work with its objects, or None while one is learned.
        learner: the learner, or None once there is a reference.
        retired: the recorders that were replaced.
        call_bucket: holds the bucket of the key of the calls that follow.
    """

    def __init__(self, start: ActiveReference | Learner) -> None:
        self._renew_lock()
        self.call_bucket: Bucket = ContextVar("driftline.call_bucket", default=None)
        self.recorder = start.recorder
        self.learner: Learner | None = start if isinstance(start, Learner) else None
        self.active: ActiveReference | None = None if isinstance(start, Learner) else start
        self.retired = RetiredRecorders(lambda: self.recorder)
        self._logging: Logging | None = None

    def _renew_lock(self) -> None:
        # Re-entrant: the garbage collector may run a finalizer of the host here, and that may predict.
        self.lock = threading.RLock()

    def switch(self, active: ActiveReference) -> None:
        """Replace the recorder at work by the recorder of *active*. Calls end in the recorder in which they began."""
        with self.lock:
            self.retired = self.retired.retire(RetiredRecorder(self.recorder, self.active))
            self.active, self.learner, self.recorder = active, None, active.recorder
            if self._logging is not None:
                self.recorder.start_log(self._logging)

    def start_log(self, wall_clock: Callable[[], float], warm_up: WarmUp) -> None:
        """Count calls by time and key from now on, for a canary. If they are counted already, do nothing."""
        with self.lock:
            if self._logging is None:
                self._logging = Logging(wall_clock, warm_up, self._returned, self.call_bucket)
                self.recorder.start_log(self._logging)
                self.retired.start_log(self._logging)

    def _returned(self) -> int:
        """Return how many calls have returned in this process. It takes no lock, and is exact between two drains."""
        return int(self.recorder.panes.totals.durations.sum()) + self.retired.returned()

    def drain(self, pause: Callable[[], bool] | None = None, *, without_user_functions: bool = False) -> None:
        """Drain the retired recorders and the one at work, or its learner, as `Recorder.drain`."""
        self.retired.drain(pause, without_user_functions=without_user_functions)
        (self.learner or self.recorder).drain(pause, without_user_functions=without_user_functions)

    def read(self, *, tables: bool = False) -> ServingCounts:
        """Return the counts of all recorders at this instant. If *tables*, with calls by time and key."""
        with self.lock:
            active, retired = self.active, self.retired
            current, own = _read(self.recorder, active, tables=tables)
            kept = retired.read_all(tables=tables)
        calls = _sum_tables([own, retired.tables([each for _, each in kept])]) if tables else None
        if calls is not None:
            calls = replace(calls, bins=_present_bins(calls, active))
        totals = [each for each, _ in kept]
        return ServingCounts(active, current, retired.plus(current, totals), retired, totals, calls)

    def reset(self) -> None:
        """Reset counts, scores and states, and renew the locks, as the child of a fork must."""
        self._renew_lock()
        self.retired.reset()
        (self.learner or self.recorder).reset()
        if self.active is not None:
            self.active.turns.reset()


def _sum(totals: Sequence[Totals]) -> Totals:
    """Return the sum of *totals*. Only ``counts`` and ``rows`` are those of the first alone."""
    result = totals[0].copy()
    for each in totals[1:]:
        result.add_calls(each)
    return result


def _add(total: dict[tuple[str, str], Counts], more: Mapping[tuple[str, str], Counts]) -> None:
    """Add the counts of *more* to those of *total*, in place."""
    for key, counts in more.items():
        total[key] = total[key] + counts if key in total else counts


def _sum_tables(tables: Sequence[CallTables | None]) -> CallTables | None:
    """Return the sum of the tables that are there, or None if none is."""
    known = [each for each in tables if each is not None]
    return sum(known[1:], start=known[0]) if known else None


def _present_bins(tables: CallTables, active: ActiveReference | None) -> dict[str, BlockCounts]:
    """Return the bins of the features of a reference, by name. Those of other bins of a replaced one are dropped."""
    if active is None:
        return {}
    return {name: tables.bins[f"{fingerprint} {name}"] for name, fingerprint in active.fingerprints.items()}
