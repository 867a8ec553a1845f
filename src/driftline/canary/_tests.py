"""`CriterionTest`: the statistical test of one criterion, and `decide_criterion`, which applies it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from driftline.canary._evalues.bounds import search_bound
from driftline.canary._margins import Margin
from driftline.canary._verdict import Criterion
from driftline.results import CanaryState

__all__ = [
    "OTHER_BINS",
    "CriterionTest",
    "decide_criterion",
    "e_value",
    "empty_test",
    "format_points",
    "share_bounds",
]

MAX_E_VALUE = 1e300
"""Largest e-value that is reported, so that no float overflows."""

MAX_LOG_E_VALUE = 700.0
"""Largest logarithm of an e-value that is exponentiated; exp(710) overflows a float."""

OTHER_BINS = "predictions over different bins, the reference of one variant was replaced: not compared"

MAX_LOOK_AHEAD = 2.0**14
"""Largest multiple of the present trials that the search for the number of trials still needed considers."""

MAX_STEPS = 12
"""Most steps of the search for the number of trials still needed; four are usual."""

SCALE_PRECISION = 1.1
"""Ratio of the ends of an interval at which this search ends."""


@dataclass(frozen=True, slots=True, eq=False)
class CriterionTest:
    """
    A test of whether a candidate is worse than allowed under one criterion.

    Harm is the candidate's value minus the baseline's, or the opposite if higher values are better. A level is the
    probability of a wrong decision, in (0, 1).

    Attributes:
        name: name of the criterion.
        observed: the values of both variants as a string, such as ``"error rate 3.1% against 2.0%"``.
        harm: the observed harm; None without trials of both variants.
        limit: the allowed harm, in the unit of *harm*.
        trials: trials of the variant that has fewer.
        unit: the plural noun for trials, such as ``"calls"``.
        any_harm: see `Margin`.
        weight: see `Margin`.
        log_e_harm: called with (factor on all counts, level), returns the logarithm of the e-value for harm.
        log_e_safe: called with the same arguments, returns the logarithm of the e-value against harm beyond the limit.
        bounds: called with (level of the lower bound, level of the upper bound), returns both bounds of the harm; None
            if there are too few trials.
        format_harm: formats a harm with its unit.
        measure: the words before a harm in a reason, such as ``"worse by"``.
        obstacle: why the test cannot decide, or cannot promote, however many trials there are; empty if it can.
    """

    name: str
    observed: str
    harm: float | None
    limit: float
    trials: int
    unit: str
    any_harm: bool
    weight: float
    log_e_harm: Callable[[float, float], float]
    log_e_safe: Callable[[float, float], float]
    bounds: Callable[[float, float], tuple[float, float] | None]
    format_harm: Callable[[float], str]
    measure: str = "worse by"
    obstacle: str = ""


def decide_criterion(test: CriterionTest, harm_level: float, safe_level: float) -> Criterion:
    """
    Apply a test, and return its result: a criterion with its state, reason and bounds.

    Args:
        test: the test.
        harm_level: the criterion's part of alpha. It rolls back if the e-value for harm reaches 1 / *harm_level*.
        safe_level: alpha. It promotes if the e-value against harm reaches 1 / *safe_level*.
    """
    harm_needed, safe_needed = -math.log(harm_level), -math.log(safe_level)
    harm, safe = test.log_e_harm(1.0, harm_level), test.log_e_safe(1.0, safe_level)
    bounds = test.bounds(harm_level, safe_level) if test.harm is not None else None
    lower, upper = bounds if bounds is not None else (-math.inf, math.inf)
    if math.isinf(lower) and math.isinf(upper):
        bounds = None
    more_rows: int | None = 0
    state: CanaryState = "inconclusive"
    allowed = f"allowed {test.format_harm(test.limit)}"
    if harm >= harm_needed:
        state = "rollback"
        least = f"{test.measure} at least {test.format_harm(lower)}" if 0.0 < lower < math.inf else "certainly worse"
        reason = f"{test.observed}: {least}, {'none allowed' if test.any_harm else allowed}"
    elif safe >= safe_needed:
        state = "promote"
        most = "" if not math.isfinite(upper) else f"{test.measure} at most {test.format_harm(max(upper, 0.0))}, "
        reason = f"{test.observed}: {most}{allowed}"
    elif test.harm is None:
        more_rows = None
        reason = test.obstacle or f"{test.name}: no {test.unit} of both variants yet"
    else:
        more_rows = None if test.obstacle else _trials_needed(test, (harm, harm_level), (safe, safe_level))
        within = "" if bounds is None else f", {test.measure} {_format_range(test, lower, upper)}"
        outlook = test.obstacle or (
            "no end in sight"
            if more_rows is None
            else f"about {more_rows:,} more {test.unit} of the smaller variant needed"
        )
        reason = f"{test.observed}{within}, {allowed}: {outlook}"
    return Criterion(
        test.name,
        state,
        test.harm,
        test.limit,
        test.trials,
        f"{reason}, on {test.trials:,} {test.unit}" if state != "inconclusive" else reason,
        lower if math.isfinite(lower) else None,
        upper if math.isfinite(upper) else None,
        e_value(harm),
        e_value(safe),
        1.0 / harm_level,
        1.0 / safe_level,
        more_rows,
    )


def _format_range(test: CriterionTest, lower: float, upper: float) -> str:
    """Return both bounds as ``"<lower> to <upper>"``; only one of them if the other is infinite."""
    if math.isfinite(lower) and math.isfinite(upper):
        return f"{test.format_harm(lower)} to {test.format_harm(upper)}"
    if math.isfinite(lower) or math.isfinite(upper):
        side, bound = ("at most", upper) if math.isfinite(upper) else ("at least", lower)
        return f"{side} {test.format_harm(bound)}"
    return "an unknown amount"


def _trials_needed(test: CriterionTest, harm: tuple[float, float], safe: tuple[float, float]) -> int | None:
    """
    Estimate how many more trials the test needs for a decision if the rates do not change.

    Args:
        test: the test.
        harm: (logarithm of the present e-value for harm, its level).
        safe: (logarithm of the present e-value against harm, its level).

    Returns:
        Further trials of the variant that has fewer. None if the test needs more than `MAX_LOOK_AHEAD` times the
        present trials.
    """
    both = (test.log_e_harm, *harm), (test.log_e_safe, *safe)
    scale: float | None = None
    # The decision that is nearer comes first. The other one then only matters if it comes sooner.
    for log_e, present, level in sorted(both, key=lambda each: each[1] / math.log(each[2])):
        sooner = _scale_needed(log_e, present, level, scale or MAX_LOOK_AHEAD)
        scale = scale if sooner is None else sooner
    return None if scale is None else math.ceil((scale - 1.0) * test.trials)


def _scale_needed(log_e: Callable[[float, float], float], present: float, level: float, most: float) -> float | None:
    """
    Return the factor on all counts at which an e-value reaches 1 / *level*, or slightly more; None if there is none.

    The logarithm of an e-value is about a straight line in the factor, which the search follows.

    Args:
        log_e: called with (factor on all counts, level), returns the logarithm of the e-value.
        present: the logarithm of the present e-value.
        level: probability of a wrong decision, in (0, 1).
        most: the largest factor that is tried.
    """
    needed = -math.log(level)
    low, high = 1.0, most
    low_value, high_value = present, log_e(high, level)
    if high_value < needed:
        return None
    for _ in range(MAX_STEPS):
        if high <= SCALE_PRECISION * low:
            break
        part = (needed - low_value) / (high_value - low_value) if high_value > low_value else 0.5
        # Slightly beyond the line, so that both ends of the interval move; in a wide interval at most to its middle.
        middle = low + min(max(1.05 * part, 0.0), 0.5) * (high - low) + 0.01 * low
        middle = min(max(middle, math.sqrt(SCALE_PRECISION) * low), max(math.sqrt(low * high), high / SCALE_PRECISION))
        value = log_e(middle, level)
        if value >= needed:
            high, high_value = middle, value
        else:
            low, low_value = middle, value
    return high


def e_value(logarithm: float) -> float:
    """Return the e-value with this natural logarithm, at most `MAX_E_VALUE`."""
    return min(math.exp(min(logarithm, MAX_LOG_E_VALUE)), MAX_E_VALUE)


def format_points(share: float) -> str:
    """Return a share in percentage points, such as ``"2.5 points"``."""
    return f"{100 * share:.2g} points"


def empty_test(name: str, unit: str, margin: Margin, parts: int = 1, obstacle: str = "") -> CriterionTest:
    """
    Return a test of a criterion without evidence, which is inconclusive.

    Args:
        name: name of the criterion.
        unit: the plural noun for trials.
        margin: the allowed harm.
        parts: number of criteria among which the margin's weight is divided.
        obstacle: why the values cannot be compared; empty if trials are missing.
    """
    return CriterionTest(
        name,
        name,
        None,
        margin.absolute,
        0,
        unit,
        margin.any_harm,
        margin.weight / parts,
        lambda _, __: 0.0,
        lambda _, __: 0.0,
        lambda _, __: None,
        format_points,
        obstacle=obstacle,
    )


def share_bounds(
    log_e: Callable[[float, float, int], float], observed: float, lower: float, upper: float, error: float
) -> tuple[float, float]:
    """
    Return (lower bound, upper bound) of a share or of a difference of shares, in [0, 1].

    Args:
        log_e: called with (factor on all counts, edge, side), returns the logarithm of the e-value for a share above
            (*side* 1) or below (-1) the edge.
        observed: the observed share or difference.
        lower: probability that the lower bound is wrong, in (0, 1).
        upper: probability that the upper bound is wrong, in (0, 1).
        error: estimated standard error of *observed*, for a first guess.
    """
    low, high = (
        search_bound(lambda edge, side=side: log_e(1.0, edge, side), observed, outside, -math.log(level), error)  # type: ignore[misc]
        for side, level, outside in ((1, lower, 0.0), (-1, upper, 1.0))
    )
    return low, high
