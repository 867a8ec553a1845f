"""The test of a rate: events such as missing values, in a window and in its baseline."""

from __future__ import annotations

import numpy as np

from driftline._significance.components import Numbers
from driftline.typing import Floats

__all__ = ["MAX_FREEDOM", "compare_rates", "rate_deviation"]

MAX_FREEDOM = 1e7
"""Degrees of freedom that replace infinitely many. The tails are the same."""


def compare_rates(
    events: Numbers,
    reference_events: Numbers,
    rows: Numbers,
    reference_rows: Numbers,
    factor: Floats,
    freedom: Floats,
    latent: Numbers | None,
) -> tuple[Floats, Floats]:
    """
    Return the p-values and directions of the difference between two rates, shape (features,) each.

    A p-value is nan where there are no events or no rows. A direction is 1 for a higher rate in the window, else
    -1. The test is exact given the sum of the events of both sides, so that it is valid for few events. Given that
    sum, the events of the window are binomial with the window's share of the rows (Przyborowski & Wilenski 1940).
    Dividing by 1 - rate gives the smaller variance of a frequent event (hypergeometric). Dividing by *factor* gives
    the variance of dependent rows. The tail is then that of Student's t.

    Args:
        events: shape (features,), events of the window.
        reference_events: shape (features,), events of the reference.
        rows: shape (features,), rows of the window.
        reference_rows: shape (features,), rows of the reference.
        factor: shape (features,), variance inflation.
        freedom: shape (features,), degrees of freedom of *factor*; inf for independent rows.
        latent: shape (features,), further events that the reference would have if its range came from other rows.
            With them, only an increase counts. If None, both directions count.
    """
    from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

    if not events.any() and not reference_events.any():
        # The usual case: no value is missing anywhere.
        return np.full(len(events), np.nan), np.full(len(events), -1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = events + reference_events
        rate = total / (rows + reference_rows)
        share = rows / (rows + reference_rows)
        # One row less than all is the nearest rate to 1 that rows can show.
        weight = 1.0 / (factor * np.maximum(1.0 - rate, 1.0 / (rows + reference_rows)))
        here, there = events * weight, reference_events * weight + (0 if latent is None else latent)
        upper = np.ones(len(events))
        some = np.flatnonzero(here > 0)
        upper[some] = special.betainc(np.maximum(here[some], 1e-12), there[some] + 1.0, share[some])
        more = events >= share * total
        p = upper
        if latent is None:
            lower = np.ones(len(events))
            some = np.flatnonzero(there > 0)
            lower[some] = special.betaincc(here[some] + 1.0, np.maximum(there[some], 1e-12), share[some])
            p = np.minimum(2.0 * np.minimum(upper, lower), 1.0)
        dependent = np.flatnonzero(np.isfinite(freedom) & (p < 1.0))
        tail = special.ndtri(np.maximum(p[dependent], 1e-300))
        student = special.stdtr(np.minimum(freedom[dependent], MAX_FREEDOM), tail)
        p[dependent] = np.maximum(student, p[dependent])
    # All rows of an identifier are unseen on both sides, which is no difference. Missing ones tell nothing.
    all_may_be = np.zeros(len(events), dtype=np.bool_) if latent is None else latent == 0
    applies = (total > 0) & (rows > 0) & (reference_rows > 0) & ((rate < 1.0) | all_may_be)
    return np.where(applies, p, np.nan), np.where(more, 1.0, -1.0)


def rate_deviation(events: Numbers, reference_events: Numbers, rows: Numbers, reference_rows: Numbers) -> Floats:
    """Return the absolute difference of two rates in standard deviations of one row, shape (features,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = (events + reference_events) / (rows + reference_rows)
        gap = np.abs(events / rows - reference_events / reference_rows)
        deviation: Floats = gap / np.sqrt(np.maximum(pooled * (1.0 - pooled), 1.0 / (rows + reference_rows)))
    return deviation
