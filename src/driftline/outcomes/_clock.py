"""`WallClock`: the time that the processes of a file share, without its jumps."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["WallClock"]

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
