"""Tests of rates: errors, accuracy, other rates of the outcomes, guardrails of the kind "rate", disagreement."""

from __future__ import annotations

import numpy as np

from driftline.canary._evalues.rates import log_e_one_rate, log_e_two_rates, rate_difference, rate_difference_bounds
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._tests import CriterionTest, empty_test, format_points, share_bounds
from driftline.typing import Floats

__all__ = ["disagreement_test", "rate_test"]

MIN_SLOPE = 1e-6
"""Smallest slope of the null hypothesis. A relative margin of 1 would make it 0, where its edge has no inverse."""


def rate_test(
    name: str, label: str, unit: str, counts: Floats, guardrail: Guardrail, design_effect: float
) -> CriterionTest:
    """
    Return a test of whether the candidate's rate is worse than allowed.

    Args:
        name: name of the criterion.
        label: name of the criterion in the reason of a verdict.
        unit: the plural noun for trials, such as ``"calls"``.
        counts: shape (strata, 2, 2): stratum, variant (baseline, candidate), and kind (events, trials).
        guardrail: has the margin, and whether a higher or a lower rate is better.
        design_effect: variance inflation by which all counts are divided.
    """
    margin = guardrail.margin
    totals = counts.sum(axis=0)
    trials = int(totals[:, 1].min())
    rates = np.divide(totals[:, 0], totals[:, 1], out=np.zeros(2), where=totals[:, 1] > 0)
    effective = counts / design_effect
    baseline, candidate = effective[:, 0, 1], effective[:, 1, 1]
    bad_baseline, bad_candidate = effective[:, 0, 0], effective[:, 1, 0]
    if guardrail.better == "higher":
        # With bad = 1 - good, the limit good_c >= good_b (1 - relative) - absolute is bad_c <= slope · bad_b + offset.
        bad_baseline, bad_candidate = baseline - bad_baseline, candidate - bad_candidate
        slope, offset = max(1.0 - margin.relative, MIN_SLOPE), margin.relative + margin.absolute
    else:
        slope, offset = 1.0 + margin.relative, margin.absolute
    harm_edge = (1.0, 0.0) if margin.any_harm else (slope, offset)

    def log_e(scale: float, edge: tuple[float, float], side: int) -> float:
        return float(
            log_e_two_rates(
                scale * bad_baseline,
                scale * baseline,
                scale * bad_candidate,
                scale * candidate,
                slope=edge[0],
                offset=edge[1],
                side=side,
            )
        )

    return CriterionTest(
        name,
        f"{label} {rates[1]:.2%} against {rates[0]:.2%}",
        rate_difference(bad_baseline, baseline, bad_candidate, candidate),
        margin.allowed(float(rates[0])),
        trials,
        unit,
        margin.any_harm,
        margin.weight,
        lambda scale, _: log_e(scale, harm_edge, 1) if trials else 0.0,
        lambda scale, _: log_e(scale, (slope, offset), -1) if trials else 0.0,
        lambda lower, upper: rate_difference_bounds(
            bad_baseline, baseline, bad_candidate, candidate, lower=lower, upper=upper
        ),
        format_points,
    )


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
        bounds=lambda lower, upper: share_bounds(log_e, disagreed / rows, lower, upper),
        format_harm=format_points,
        measure="a share of",
    )
