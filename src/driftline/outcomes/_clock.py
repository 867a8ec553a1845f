"""`WallClock`: the time that the processes of a file share, without its jumps."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["MONOTONIC_OFFSET", "WallClock", "store_clock_of", "unix_clock_of"]

MONOTONIC_OFFSET = time.time() - time.monotonic()
"""
Seconds from the monotonic clock to Unix time. It is one number for all monitors of a process, so that predictions of
one moment are in one block of time, whatever happens to the wall clock meanwhile.
"""

MAX_STEP = 60.0
"""Seconds by which the wall clock may be corrected in one step. Larger steps are jumps."""

CONFIRM_SECONDS = 3_600.0
"""Seconds for which a jump must last until it counts. A mistake of an administrator or of NTP is corrected before."""


class WallClock:
    """
    Returns Unix times of which one wrong setting of the wall clock lets no records expire.

    The monotonic clock says how much time has passed. While the wall clock disagrees with it, a record is as young as
    either clock says, and the present is as early as either clock says. A jump that lasts for `CONFIRM_SECONDS` counts,
    such as that after a machine was suspended.

    Args:
        wall: returns Unix seconds.
        monotonic: returns seconds that no setting changes.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._offset = wall() - monotonic()
        self._jump: tuple[float, float] | None = None

    def stamp(self) -> float:
        """Return the time of a new record. Threads may call this at any time."""
        return max(self._wall(), self._monotonic() + self._offset)

    def now(self) -> float:
        """Return the time by which records expire. One thread at a time may call this."""
        wall, monotonic = self._wall(), self._monotonic()
        offset = wall - monotonic
        if abs(offset - self._offset) <= MAX_STEP:
            self._offset, self._jump = offset, None
        elif self._jump is None or abs(offset - self._jump[1]) > MAX_STEP:
            self._jump = monotonic, offset
        elif monotonic >= self._jump[0] + CONFIRM_SECONDS:
            self._offset, self._jump = offset, None
        return min(wall, monotonic + self._offset)


def unix_clock_of(clock: Callable[[], float], wall_clock: Callable[[], float]) -> Callable[[], float]:
    """
    Return the clock whose times predictions have: the wall clock, or a clock of the user that replaces only the other.

    Args:
        clock: returns seconds.
        wall_clock: returns Unix seconds.
    """
    return clock if wall_clock is time.time and clock is not time.monotonic else wall_clock


def store_clock_of(clock: Callable[[], float], wall_clock: Callable[[], float]) -> Callable[[], float]:
    """
    Return the clock that stamps predictions and lets them expire.

    It is the clock of the user. If only the wall clock is the user's, it is that one: beside the monotonic clock of the
    system, which runs at another speed, the age of a prediction would be wrong.

    Args:
        clock: returns seconds.
        wall_clock: returns Unix seconds.
    """
    return wall_clock if clock is time.monotonic and wall_clock is not time.time else clock
