"""
E-values for rates, as pure functions of counts.

An *e-value* is a number of at least 0 whose expectation is at most 1 under the null hypothesis. A sequence of e-values
stays below 1/alpha for ever with a probability of at least 1 - alpha (Ville 1939). It may therefore be read at any time
and as often as you like. All functions return natural logarithms of e-values.

The last axis of counts has one entry per *stratum*, which is a time in which the candidate had one share of the calls.
Other axes broadcast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from driftline.canary._evalues.projections import EFFECTS, TINY, LogRatios, effect_weights, log_ratios
from driftline.typing import Floats

__all__ = [
    "TINY",
    "LogRatios",
    "RateEvidence",
    "candidate_share",
    "log_e_one_rate",
    "log_e_two_rates",
    "log_mean_exp",
    "log_ratios",
    "log_sum_exp",
    "rate_difference",
    "stratified_rates",
]


def candidate_share(baseline: Floats, candidate: Floats) -> Floats:
    """
    Return the candidate's share of the trials in each stratum, 0 without trials.

    Strata have the last axis. If all other axes have one entry, the result has the shape (strata,).
    """
    share = candidate / np.maximum(baseline + candidate, TINY)
    return share.reshape(-1) if share.size == share.shape[-1] else share


def log_e_two_rates(
    bad_baseline: ArrayLike,
    baseline: ArrayLike,
    bad_candidate: ArrayLike,
    candidate: ArrayLike,
    *,
    slope: float = 1.0,
    offset: float = 0.0,
    side: int = 1,
) -> Any:
    """
    Return the log e-value for a candidate's rate above, or below, slope · the baseline's rate + offset.

    The e-value is a mixture over alternatives. Each part is the likelihood ratio of an alternative to its reverse
    information projection onto the null hypothesis: Turner, Ly & Grünwald (2024), *Generic e-variables for exact
    sequential k-sample tests that allow for optional stopping*. For a slope other than 1 or an offset other than 0:
    Turner & Grünwald (2023), *Exact anytime-valid confidence intervals for contingency tables and beyond*.

    The alternatives are fixed instead of learned, so the product over rows depends on the counts alone. Counts of
    several processes may therefore be added. The rates may change from row to row, as long as they change
    for both variants.

    Args:
        bad_baseline: bad events of the baseline, shape (..., strata).
        baseline: trials of the baseline, same shape.
        bad_candidate: bad events of the candidate, same shape.
        candidate: trials of the candidate, same shape.
        slope: factor on the baseline's rate.
        offset: number that is added to slope · the baseline's rate.
        side: 1 for evidence that the candidate's rate is higher (harm), -1 for lower (safety).

    Returns:
        The natural logarithm of the e-value, shape (...).

    >>> round(float(log_e_two_rates([20], [1000], [60], [1000])), 2)
    8.46
    """
    n, m = np.asarray(baseline, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    k, j = np.asarray(bad_baseline, dtype=np.float64), np.asarray(bad_candidate, dtype=np.float64)
    ratios = log_ratios(candidate_share(n, m), slope=slope, offset=offset, side=side)
    if not len(ratios.weights):
        return np.zeros(np.broadcast_shapes(n.shape, m.shape, k.shape, j.shape)[:-1])
    return log_sum_exp(ratios.of(k, n, j, m) + ratios.weights)


class RateEvidence:
    """
    Evidence of `log_e_two_rates` about present counts, and about more of the same.

    Args:
        counts: (bad events of the baseline, its trials, bad events of the candidate, its trials), shape (4, strata).
        slope: see `log_e_two_rates`.
        offset: see `log_e_two_rates`.
        side: see `log_e_two_rates`.
    """

    __slots__ = ("_terms", "_weights")

    def __init__(self, counts: Floats, *, slope: float = 1.0, offset: float = 0.0, side: int = 1) -> None:
        k, n, j, m = counts[:, (counts[1] > 0.0) & (counts[3] > 0.0)]
        ratios = log_ratios(candidate_share(n, m), slope=slope, offset=offset, side=side)
        self._terms, self._weights = ratios.of(k, n, j, m), ratios.weights

    def log_e(self, scale: float = 1.0) -> float:
        """Return the natural logarithm of the e-value, as if all counts were *scale* times the present ones."""
        return float(log_sum_exp(scale * self._terms + self._weights)) if len(self._weights) else 0.0


def log_e_one_rate(bad: ArrayLike, trials: ArrayLike, *, limit: ArrayLike, side: int = 1) -> Any:
    """
    Return the log e-value for a rate above, below, or different from a known limit.

    The e-value is a discrete mixture of likelihood ratios: Robbins (1970), *Statistical methods related to the law of
    the iterated logarithm*; Howard, Ramdas, McAuliffe & Sekhon (2021). All strata have the same effect in log odds.

    Args:
        bad: bad events, shape (..., strata).
        trials: trials, same shape.
        limit: the limit of each stratum, in (0, 1).
        side: 1 for evidence that the rate is above the limit, -1 for below, 0 for either.

    Returns:
        The natural logarithm of the e-value, shape (...).

    >>> round(float(log_e_one_rate([80], [1000], limit=0.05)), 2)
    6.81
    """
    k, n = np.asarray(bad, dtype=np.float64)[..., None], np.asarray(trials, dtype=np.float64)[..., None]
    edge = np.clip(np.asarray(limit, dtype=np.float64)[..., None], TINY, 1.0 - TINY)
    effects = {1: EFFECTS, -1: -EFFECTS, 0: np.concatenate([EFFECTS, -EFFECTS])}[side]
    weights = np.tile(effect_weights(1 if side >= 0 else -1), len(effects) // len(EFFECTS))
    odds = edge / (1.0 - edge) * np.exp(effects)
    rates = np.clip(odds / (1.0 + odds), TINY, 1.0 - TINY)
    terms = k * np.log(rates / edge) + (n - k) * np.log((1.0 - rates) / (1.0 - edge))
    return log_sum_exp(terms.sum(axis=-2) + np.log(weights / weights.sum()))


def log_sum_exp(terms: Floats) -> Any:
    """Return ln(sum(exp(terms))) over the last axis, without overflow."""
    top = terms.max(axis=-1, keepdims=True)
    return (top + np.log(np.exp(terms - top).sum(axis=-1, keepdims=True)))[..., 0]


def log_mean_exp(terms: Floats) -> float:
    """
    Return the logarithm of the mean of e-values; *terms* are the logarithms of the e-values.

    The mean is an e-value against the hypothesis that all null hypotheses hold (Vovk & Wang 2021).
    """
    return float(log_sum_exp(np.ravel(terms)) - np.log(np.size(terms)))


def rate_difference(
    bad_baseline: ArrayLike, baseline: ArrayLike, bad_candidate: ArrayLike, candidate: ArrayLike
) -> float | None:
    """Return candidate's rate - baseline's rate of `stratified_rates`; None if no stratum has trials of both."""
    rates = stratified_rates(bad_baseline, baseline, bad_candidate, candidate)
    return None if rates is None else rates[1] - rates[0]


def stratified_rates(
    bad_baseline: ArrayLike, baseline: ArrayLike, bad_candidate: ArrayLike, candidate: ArrayLike
) -> tuple[float, float] | None:
    """
    Return (baseline's rate, candidate's rate), averaged over strata; None if no stratum has trials of both.

    Strata have the weights n·m/(n + m) of Cochran (1954) and Mantel & Haenszel (1959); n and m are their trials. Strata
    are compared separately, because the baseline's rate and the candidate's share may change together.

    Args:
        bad_baseline: bad events of the baseline, shape (strata,).
        baseline: trials of the baseline, same shape.
        bad_candidate: bad events of the candidate, same shape.
        candidate: trials of the candidate, same shape.
    """
    n, m = np.asarray(baseline, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    used = (n > 0) & (m > 0)
    if not used.any():
        return None
    n, m, k, j = n[used], m[used], np.asarray(bad_baseline)[used], np.asarray(bad_candidate)[used]
    weights = n * m / (n + m)
    weights /= weights.sum()
    return float((weights * (k / n)).sum()), float((weights * (j / m)).sum())
