"""Tests of guardrails of the kind "mean"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from driftline._windows.blocks import MAX_BLOCKS, align_strata
from driftline.canary._evalues.capped_means import CappedMeans, ValueSums
from driftline.canary._evalues.design_effect import MIN_KEYS
from driftline.canary._evalues.means import Moments, log_e_two_means, mean_difference_bounds
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._tests import CriterionTest
from driftline.canary._value_tables import ValueTables, value_edges

__all__ = ["capped_mean_test", "mean_test"]

SMALLEST_LOSS = 0.0005
"""Smallest share of the total beyond the caps that a reason names: the first that is not printed as 0.0%."""


def capped_mean_test(
    name: str, tables: tuple[ValueTables, ValueTables], guardrail: Guardrail, design_effect: float
) -> CriterionTest:
    """
    Return a test of whether the candidate's mean of a guardrail is worse than allowed, with capped numbers.

    The margin is that of all numbers. If all numbers change by the margin, the capped mean changes by less. So the
    margin of the test is smaller.

    Args:
        name: name of the guardrail.
        tables: (baseline's numbers, candidate's numbers).
        guardrail: has the margin, and whether higher or lower values are better.
        design_effect: the least variance inflation.
    """
    means = CappedMeans(_value_sums(tables), inflation=design_effect)
    baseline, candidate = means.means.tolist()
    margin = _tested_margin(guardrail.margin, means)
    sign = 1 if guardrail.better == "lower" else -1
    # The margin is relative to the size of the baseline's mean, whatever its sign.
    slope = 1.0 + sign * math.copysign(margin.relative, baseline)
    offset = sign * margin.absolute
    harm_edge = (1.0, 0.0) if margin.any_harm else (slope, offset)
    trials = int(means.count.min())

    def bounds(lower: float, upper: float) -> tuple[float, float]:
        # Lower and upper bound of the harm, which is the opposite of the difference if higher values are better.
        return sign * means.bound(sign, lower), sign * means.bound(-sign, upper)

    return CriterionTest(
        name,
        f"{name} {candidate:.4g} against {baseline:.4g}{_note_of_caps(means)}",
        sign * means.difference()[0] if trials else None,
        margin.allowed(baseline),
        trials,
        "observations",
        margin.any_harm,
        margin.weight,
        lambda scale, _: means.log_e(slope=harm_edge[0], offset=harm_edge[1], side=sign, scale=scale),
        lambda scale, _: means.log_e(slope=slope, offset=offset, side=-sign, scale=scale),
        bounds,
        _format_harm,
        obstacle=_obstacle(means) if trials else "",
    )


def _value_sums(tables: tuple[ValueTables, ValueTables]) -> ValueSums:
    bins = np.union1d(tables[0].bins, tables[1].bins)
    pair = [side.over(bins) for side in tables]
    blocks = align_strata((pair[0].blocks, pair[1].blocks), MAX_BLOCKS)
    buckets = max(len(side.keys) for side in pair)
    keys = [side.keys if len(side.keys) else np.zeros((buckets, len(bins), 2)) for side in pair]
    near, far = value_edges(bins)
    stacked = np.stack(blocks).astype(np.float64)
    return ValueSums(stacked, np.stack(keys), np.stack([side.squares for side in pair]), near, far)


def _tested_margin(margin: Margin, means: CappedMeans) -> Margin:
    """Return the margin of the capped means: it is either relative or absolute if the larger part counts."""
    relative, absolute = margin.relative * means.attenuation, margin.absolute * means.kept
    if margin.combine == "larger":
        if relative * abs(float(means.means[0])) > absolute:
            absolute = 0.0
        else:
            relative = 0.0
    return replace(margin, relative=relative, absolute=absolute, combine="sum")


def _note_of_caps(means: CappedMeans) -> str:
    """Return what a reason says of the caps; an empty string if they change little."""
    if means.lost < SMALLEST_LOSS:
        return ""
    caps = [f"{cap:.3g}" for cap in (means.caps.low, means.caps.high) if math.isfinite(cap)]
    return f" (capped at {' and '.join(caps)}, {means.lost:.1%} of the baseline's total is beyond)"


def _obstacle(means: CappedMeans) -> str:
    """Return what the test still needs; an empty string if it is ready."""
    for count, needed in zip(means.count.tolist(), means.needed.tolist(), strict=True):
        if count < needed:
            return f"a variant needs {needed:,.0f} observations of numbers as skewed as these, has {count:,.0f}"
    if means.keys < MIN_KEYS:
        return f"{math.floor(means.keys):,} keys in effect, a variant needs {MIN_KEYS:.0f}"
    return ""


def mean_test(
    name: str, pairs: Sequence[tuple[Moments, Moments]], guardrail: Guardrail, design_effect: float
) -> CriterionTest:
    """
    Return a test of whether the candidate's mean of a guardrail is worse than allowed, from moments alone.

    Args:
        name: name of the guardrail.
        pairs: (baseline's moments, candidate's moments) of each stratum.
        guardrail: has the margin, and whether higher or lower values are better.
        design_effect: variance inflation by which all counts are divided.
    """
    margin = guardrail.margin
    baseline = sum((pair[0] for pair in pairs), start=Moments())
    candidate = sum((pair[1] for pair in pairs), start=Moments())
    trials = min(baseline.count, candidate.count)
    sign = 1.0 if guardrail.better == "lower" else -1.0
    if margin.combine == "larger":
        relative = margin.relative * abs(baseline.mean) > margin.absolute
        parts = {"absolute": 0.0} if relative else {"relative": 0.0}
        margin = replace(margin, combine="sum", **parts)  # type: ignore[arg-type] # both are floats
    if guardrail.better == "higher":
        pairs = [(_negate(a), _negate(b)) for a, b in pairs]
    # The margin is relative to the size of the baseline's mean, whatever its sign.
    slope = 1.0 + (margin.relative if sign * baseline.mean >= 0.0 else -margin.relative)
    harm_edge = (1.0, 0.0) if margin.any_harm else (slope, margin.absolute)

    def log_e(scale: float, edge: tuple[float, float], side: int) -> float:
        return log_e_two_means(pairs, slope=edge[0], offset=edge[1], side=side, scale=scale / design_effect)

    return CriterionTest(
        name,
        f"{name} {candidate.mean:.4g} against {baseline.mean:.4g}",
        sign * (candidate.mean - baseline.mean) if trials else None,
        margin.allowed(baseline.mean),
        trials,
        "observations",
        margin.any_harm,
        margin.weight,
        lambda scale, _: log_e(scale, harm_edge, 1),
        lambda scale, _: log_e(scale, (slope, margin.absolute), -1),
        lambda lower, upper: mean_difference_bounds(pairs, lower=lower, upper=upper, scale=1.0 / design_effect),
        _format_harm,
    )


def _negate(moments: Moments) -> Moments:
    """Return the moments of the same numbers with opposite signs."""
    return Moments(moments.count, -moments.mean, moments.squares, -moments.cubes)


def _format_harm(harm: float) -> str:
    """Return a difference of means with three digits; zero without a sign."""
    return f"{harm + 0.0:.3g}"
