"""Tests of rates: errors, accuracy, other rates of the outcomes, guardrails of the kind "rate", disagreement."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from driftline.canary._evalues.bounds import rate_difference_bound
from driftline.canary._evalues.design_effect import MIN_KEYS
from driftline.canary._evalues.rates import RateEvidence, log_e_one_rate, stratified_rates
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._rate_counts import RateCounts
from driftline.canary._tests import CriterionTest, empty_test, format_points, share_bounds
from driftline.typing import Floats

__all__ = ["disagreement_test", "rate_test"]

MISLEADING = 0.25
"""
Distance between the overall difference of rates and the tested one, from which a reason has the tested rates too: a
part of the margin, or of the tested difference if that is larger. A random split usually gives smaller distances.
"""

MIN_SLOPE = 1e-6
"""Smallest slope of the null hypothesis. A relative margin of 1 would make it 0, where its edge has no inverse."""


def rate_test(
    name: str,
    label: str,
    unit: str,
    counts: RateCounts,
    guardrail: Guardrail,
    *,
    promoting: RateCounts | None = None,
    describe: Callable[[float, float], str] | None = None,
    obstacle: str = "",
) -> CriterionTest:
    """
    Return a test of whether the candidate's rate is worse than allowed.

    A test of trials with keys is inconclusive while a variant has fewer than `MIN_KEYS` keys in effect.

    Args:
        name: name of the criterion.
        label: name of the criterion in the reason of a verdict.
        unit: the plural noun for trials, such as ``"calls"``.
        counts: events and trials, for evidence of harm.
        guardrail: has the margin, and whether a higher or a lower rate is better.
        promoting: events and trials for evidence of safety; by default *counts*.
        describe: called with the baseline's and the candidate's rate of bad events, each averaged over blocks of time,
            returns them as a string. By default: the label, and the rates of all events.
        obstacle: why the test cannot promote yet; empty if it can.
    """
    margin = guardrail.margin
    totals = counts.counts.sum(axis=0)
    trials = int(totals[:, 1].min())
    rates = np.divide(totals[:, 0], totals[:, 1], out=np.zeros(2), where=totals[:, 1] > 0)
    if guardrail.better == "higher":
        # With bad = 1 - good, the limit good_c >= good_b (1 - relative) - absolute is bad_c <= slope · bad_b + offset.
        slope, offset = max(1.0 - margin.relative, MIN_SLOPE), margin.relative + margin.absolute
    else:
        slope, offset = 1.0 + margin.relative, margin.absolute
    harm = _Comparison(counts, higher=guardrail.better == "higher")
    safe = harm if promoting is None else _Comparison(promoting, higher=guardrail.better == "higher")
    keys = min(counts.keys, safe.keys)
    if harm.difference is None:
        obstacle = obstacle and f"{name}: {obstacle}"
    elif keys < MIN_KEYS:
        obstacle = f"{math.floor(keys):,} keys in effect, a variant needs {MIN_KEYS:.0f}"
    edges = ((1.0, 0.0) if margin.any_harm else (slope, offset)), (slope, offset)
    return CriterionTest(
        name,
        _describe_rates(label, rates, harm, guardrail) if describe is None else describe(*(harm.rates or (0.0, 0.0))),
        harm.difference,
        margin.allowed(float(rates[0])),
        trials,
        unit,
        margin.any_harm,
        margin.weight,
        lambda scale, _: harm.log_e(edges[0], 1, scale),
        lambda scale, _: safe.log_e(edges[1], -1, scale),
        lambda lower, upper: (harm.bound(1, lower), safe.bound(-1, upper)),
        format_points,
        obstacle=obstacle,
    )


def _describe_rates(label: str, rates: Floats, comparison: _Comparison, guardrail: Guardrail) -> str:
    """
    Return the label and both rates as a string.

    Where the candidate's share changes together with the rates, the overall rates mislead (Simpson's paradox). The
    string then has the rates that are compared too.

    Args:
        label: name of the criterion.
        rates: overall rates of the events, baseline and candidate.
        comparison: has the rates of bad events, averaged over blocks of time.
        guardrail: has the margin, and whether events are good.
    """
    overall = f"{label} {rates[1]:.2%} against {rates[0]:.2%}"
    if comparison.rates is None or comparison.difference is None:
        return overall
    sign = -1.0 if guardrail.better == "higher" else 1.0
    distance = abs(sign * float(rates[1] - rates[0]) - comparison.difference)
    if distance <= MISLEADING * max(guardrail.margin.allowed(float(rates[0])), abs(comparison.difference)):
        return overall
    baseline, candidate = (1.0 - bad if guardrail.better == "higher" else bad for bad in comparison.rates)
    return f"{overall} ({candidate:.2%} against {baseline:.2%} at equal times)"


class _Comparison:
    """
    Evidence about a difference of rates.

    Args:
        counts: events and trials.
        higher: whether events are good. If False, they are bad.

    Attributes:
        keys: keys in effect of the variant that has fewer.
        rates: rates of bad events of baseline and candidate; see `stratified_rates`. None without trials of both.
        difference: the candidate's rate - the baseline's; None as above.
    """

    __slots__ = ("_counts", "_evidence", "difference", "keys", "rates")

    def __init__(self, counts: RateCounts, *, higher: bool) -> None:
        effective = counts.counts / counts.design_effect
        trials = effective[..., 1]
        bad = trials - effective[..., 0] if higher else effective[..., 0]
        self._counts: Floats = np.stack([bad[:, 0], trials[:, 0], bad[:, 1], trials[:, 1]])
        self._evidence: dict[tuple[tuple[float, float], int], RateEvidence] = {}
        self.keys = counts.keys
        self.rates = stratified_rates(*self._counts)
        self.difference = None if self.rates is None else self.rates[1] - self.rates[0]

    def log_e(self, edge: tuple[float, float], side: int, scale: float) -> float:
        """Return the log e-value for harm or safety, for *scale* times the counts; *edge* is (slope, offset)."""
        if self.difference is None:
            return 0.0
        if self.keys < MIN_KEYS:
            return -math.inf
        if (edge, side) not in self._evidence:
            self._evidence[edge, side] = RateEvidence(self._counts, slope=edge[0], offset=edge[1], side=side)
        return self._evidence[edge, side].log_e(scale)

    def bound(self, side: int, level: float) -> float:
        """Return the lower (*side* 1) or upper (-1) bound of the difference; infinite if there is none yet."""
        if self.difference is None or self.keys < MIN_KEYS:
            return -side * math.inf
        return rate_difference_bound(self._counts, side, level)


def disagreement_test(rows: int, agreed: int, margin: Margin, design_effect: float) -> CriterionTest:
    """
    Return a test of whether a shadow disagrees with the baseline on more rows than allowed.

    Args:
        rows: rows that both baseline and shadow have predicted. If 0, the test is inconclusive.
        agreed: rows on which their outputs agreed.
        margin: its *absolute* is the share of rows on which the outputs may disagree.
        design_effect: variance inflation by which all counts are divided.
    """
    limit, disagreed = margin.absolute, rows - agreed
    if not rows:
        return empty_test("disagreement", "rows", margin)
    trials, bad = [rows / design_effect], [disagreed / design_effect]
    error = math.sqrt(design_effect * (disagreed + 1.0) * (rows - disagreed + 1.0)) / (rows + 2.0) ** 1.5

    def log_e(scale: float, limit: float, side: int) -> float:
        return float(log_e_one_rate(scale * np.array(bad), scale * np.array(trials), limit=[limit], side=side))

    return CriterionTest(
        "disagreement",
        f"the shadow disagrees on {disagreed / rows:.2%}",
        disagreed / rows,
        limit,
        rows,
        "rows",
        any_harm=False,  # different models always disagree on some rows
        weight=margin.weight,
        log_e_harm=lambda scale, _: log_e(scale, limit, 1),
        log_e_safe=lambda scale, _: log_e(scale, limit, -1),
        bounds=lambda lower, upper: share_bounds(log_e, disagreed / rows, lower, upper, error),
        format_harm=format_points,
        measure="a share of",
    )
