"""Hours of the week, which are the cells of a season."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Floats

__all__ = [
    "CELLS",
    "DAY",
    "EARLIEST",
    "HOUR",
    "HOURS",
    "LATEST",
    "WEEK",
    "WEEKDAYS",
    "cell_of",
]

HOURS, WEEKDAYS = 24, 7

CELLS = HOURS * WEEKDAYS
"""Number of hours of a week, which are also called its cells. Cell 0 starts on Monday 0:00."""

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 604_800.0
"""Seconds of an hour, a day and a week."""

EPOCH_WEEKDAY = 3
"""Weekday of 1970-01-01, a Thursday. Monday is 0."""

EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_800.0
"""Unix time in seconds at the start of the years 1 and 10000. A number outside of them has another unit."""


def cell_of(seconds: Floats) -> NDArray[np.intp]:
    """
    Return the hour of the week, weekday * 24 + hour, of times in seconds.

    The hours are in UTC for Unix times, and local for local times (see `TimeZone`).

    >>> cell_of(np.array([0.0, 4 * 86_400.0])).tolist()
    [72, 0]
    """
    return (np.floor(seconds / HOUR).astype(np.int64) + EPOCH_WEEKDAY * HOURS) % CELLS
