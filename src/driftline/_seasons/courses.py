"""Chooses the course of the day of each feature: whether a course of single days repeats from week to week."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Bins, NumericBins
from driftline._seasons.calendar import HOURS, WEEK, WEEKDAYS
from driftline._seasons.models import course_shares
from driftline._seasons.seasons import COURSES, sum_by_kind
from driftline.typing import Counts, Floats

__all__ = ["choose_course", "weeks_of"]

MIN_WEEKS = 1.9
"""Fewest weeks of data in which a course of single days can repeat. With less, it is that of workdays and weekends."""

MAX_WEEKS = 8
"""Most groups of weeks that are compared. More would take memory, and eight are enough to see what repeats."""

SPANS = (1, 2, 4, 8, 12)
"""Hours that are summed before weeks are compared. A small departure that lasts for hours is seen in their sum."""

REPEATS = 2.0
"""
Sum of products between weeks, in standard deviations, above which a departure counts as repeated. It is low, because an
overlooked departure costs false alarms, and a needless one a part of the effective rows: of data without departures,
10 to 40 % exceed it (simulated: references of 2 and 4 weeks, 100 and 1,000 rows an hour, the largest of 15 sums).
"""

STANDS_OUT = 25.0
"""
Product between weeks in a single span, in medians of all spans, above which it counts as repeated. Of products of two
standard normal numbers, whose median size is 0.4, one in 20,000 exceeds it. A single hour cannot exceed `REPEATS`.
"""

MAX_STANDING_OUT = 4
"""Longest span in hours in which a single product is looked at. Of longer spans there are too few for a median."""

FLOOR = 0.1
"""Smallest expected share by which variances are standardised, as a part of the bin's share of all rows."""


def weeks_of(seconds: Floats) -> NDArray[np.intp] | None:
    """
    Assign each row to one of at most `MAX_WEEKS` groups of weeks, counted from the first row.

    Args:
        seconds: local time of each row in seconds, shape (rows,).

    Returns:
        The number of each row's group, shape (rows,); None if there are fewer weeks than `MIN_WEEKS`.
    """
    first = seconds.min()
    if seconds.max() - first < MIN_WEEKS * WEEK:
        return None
    weeks: NDArray[np.intp] = np.floor((seconds - first) / WEEK).astype(np.intp) % MAX_WEEKS
    return weeks


def choose_course(counts: Counts, bins: Bins) -> str:
    """
    Return the least flexible course of `COURSES` from which the hours of the week do not depart in the same way weekly.

    Departures of different weeks are multiplied and summed. Rows of one week may depend on each other, but chance
    departures of two weeks have products with the mean 0.

    Args:
        counts: counts by group of weeks and hour of the week, shape (weeks, `CELLS`, bins).
        bins: the bins.
    """
    week = counts.sum(axis=0)
    rows = week.sum(axis=1).reshape(WEEKDAYS, HOURS).astype(np.float64)
    hours, days = (sum_by_kind(kind, week, axis=0)[:, None] for kind in ("hour", "weekday"))
    *restricted, own = COURSES.items()
    for name, groups in restricted:
        shares = course_shares(groups, rows, hours, days, week[:, None])[:, 0]
        departures = counts - counts.sum(axis=2, keepdims=True) * shares
        if not any(_repeats(part, len(groups)) for part in _parts(departures, shares, week, bins)):
            return name
    return own[0]


def _parts(departures: Floats, shares: Floats, week: Counts, bins: Bins) -> list[Floats]:
    """
    Return the departures of each hour of each week along several directions.

    They are all bins, missing values, and for ordered bins the mean rank and its square.

    Args:
        departures: observed less expected counts, shape (weeks, `CELLS`, bins).
        shares: the expected shares, shape (`CELLS`, bins).
        week: counts by hour of the week, shape (`CELLS`, bins).
        bins: the bins.

    Returns:
        Arrays of shape (weeks, `CELLS`, directions).
    """
    overall = week.sum(axis=0) / max(int(week.sum()), 1)
    least = np.maximum(shares, FLOOR * overall)
    parts = [departures / np.sqrt(np.where(least > 0, least, 1.0)), departures[..., -1:]]
    if isinstance(bins, NumericBins):
        rank = np.cumsum(overall[:-1]) - overall[:-1] / 2
        location = rank - overall[:-1] @ rank
        square = location**2
        parts += [(departures[..., :-1] @ score)[..., None] for score in (location, square - overall[:-1] @ square)]
    return parts


def _repeats(departures: Floats, groups: int) -> bool:
    """
    Return whether departures along some directions repeat from week to week, in any of `SPANS`.

    Args:
        departures: shape (weeks, `CELLS`, directions).
        groups: number of groups of days with a course of their own, which the expectation was fitted to.
    """
    weeks = len(departures)
    for span in SPANS:
        spans = HOURS // span
        sums = departures.reshape(weeks, WEEKDAYS * spans, span, -1).sum(axis=2)
        # The fit takes a share of the departures' sum over weeks away. Without repetition the products then have the
        # mean 0 again.
        fitted = (groups * spans + WEEKDAYS - groups) / (WEEKDAYS * spans)
        if fitted >= 1.0:
            continue
        scale = (weeks - fitted) / (weeks * (1.0 - fitted))
        products = (sums.sum(axis=0) ** 2 * scale - (sums**2).sum(axis=0)).sum(axis=-1)
        norm = math.sqrt(float((products**2).sum()))
        if norm > 0 and products.sum() > REPEATS * norm:
            return True
        usual = float(np.median(np.abs(products)))
        if span <= MAX_STANDING_OUT and usual > 0 and products.max() > STANDS_OUT * usual:
            return True
    return False
