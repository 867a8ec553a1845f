"""Shares of bins in the hours of a week from effects of the hour and of the day: a log-linear model of counts."""

from __future__ import annotations

import numpy as np

from driftline.typing import Counts, Floats

__all__ = ["fit_main_effects"]

MAX_STEPS = 50
"""Most steps of the fit. Balanced data need 2 or 3, and every step keeps the marginal counts."""

TOLERANCE = 1e-4
"""Change of an effect, which is about 1, below which the fit ends. It is far below the noise of a million rows."""


def fit_main_effects(hours: Counts, days: Counts, rows: Floats) -> tuple[Floats, Floats]:
    """
    Fit effects of the hour and of the day to the counts of features with equally many bins.

    The model is log-linear: the share of a bin in an hour of a day is overall share * hour effect * day effect, scaled
    to a sum of 1. It has no interaction of hour and day. It is exact for normal values whose mean is the sum of an
    hourly and a daily term, and for categories whose odds are multiplied. Iterative proportional fitting (Deming &
    Stephan 1940) finds the effects of maximum likelihood. They reproduce the counts of each hour and of each day. The
    product of marginal shares does not, because a marginal share mixes the other season.

    Args:
        hours: shape (features, 24, bins), counts by hour of the day.
        days: shape (features, days, bins), counts by day.
        rows: shape (days, 24), rows in each hour of each day.

    Returns:
        Hour effects of shape (features, 24, bins) and day effects of shape (features, days, bins). An hour or a day
        without rows has the effect 1.
    """
    whole = days.sum(axis=1, keepdims=True)
    overall = whole / np.maximum(whole.sum(axis=2, keepdims=True), 1.0)
    by_hour, by_day = np.ones(hours.shape), np.ones(days.shape)
    filled_hours, filled_days = (counts.sum(axis=2, keepdims=True) > 0 for counts in (hours, days))
    for _ in range(MAX_STEPS):
        weights = _weights(overall, by_hour, by_day, rows)
        by_hour = _ratio(hours, overall * (weights.transpose(0, 2, 1) @ by_day), filled_hours)
        weights = _weights(overall, by_hour, by_day, rows)
        before, by_day = by_day, _ratio(days, overall * (weights @ by_hour), filled_days)
        if np.abs(by_day - before).max() <= TOLERANCE:
            break
    return by_hour, by_day


def _weights(overall: Floats, by_hour: Floats, by_day: Floats, rows: Floats) -> Floats:
    """Return rows in each hour of each day per sum of its unscaled shares, shape (features, days, 24)."""
    sums = (overall * by_day) @ by_hour.transpose(0, 2, 1)
    weights: Floats = np.where(sums > 0, rows / np.where(sums > 0, sums, 1.0), 0.0)
    return weights


def _ratio(counts: Counts, fitted: Floats, filled: Floats) -> Floats:
    """Return counts / fitted counts; 0 where both are 0, and 1 for an hour or a day without rows."""
    ratio: Floats = np.where(filled, counts / np.where(fitted > 0, fitted, np.inf), 1.0)
    return ratio
