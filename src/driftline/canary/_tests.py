"""One question about a candidate, whatever its kind, and its answer: a criterion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from driftline.canary._verdict import Criterion
from driftline.results import CanaryState

__all__ = ["OTHER_BINS", "Question", "answer"]

MOST_E = 1e300
"""Larger e-values are cut off: a float has no place for them, and nobody a use."""

OTHER_BINS = "predictions over different bins, the reference of one variant was replaced: not compared"

FAR = 2.0**14
"""How many times what has been seen is looked ahead at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """
    Is the candidate worse than is allowed?

    Attributes:
        name: of the criterion.
        seen: both values in words, such as ``"error rate 3.1% against 2.0%"``.
        harm: the harm seen, larger being worse; None before there is any.
        limit: the harm allowed.
        trials: of the variant that has fewer.
        unit: what a trial is, in the plural.
        any_harm: whether less harm than the limit rolls back too, once it is certain.
        weight: the question's part of alpha.
        log_e_harm: evidence for harm at so many times the counts, to be read at a level.
        log_e_safe: evidence against harm beyond the limit.
        bounds: of the harm, at a level each; None before there are any.
        shown: a harm in words.
        measure: what stands before it.
        missing: why there is nothing to ask it of, where that is not for want of trials.
    """

    name: str
    seen: str
    harm: float | None
    limit: float
    trials: int
    unit: str
    any_harm: bool
    weight: float
    log_e_harm: Callable[[float, float], float]
    log_e_safe: Callable[[float, float], float]
    bounds: Callable[[float, float], tuple[float, float] | None]
    shown: Callable[[float], str]
    measure: str = "worse by"
    missing: str = ""


def answer(question: Question, harm_level: float, safe_level: float) -> Criterion:
    """
    What follows from the evidence so far.

    Args:
        question: the question.
        harm_level: its part of alpha.
        safe_level: alpha.
    """
    harm_needed, safe_needed = -math.log(harm_level), -math.log(safe_level)
    harm, safe = question.log_e_harm(1.0, harm_level), question.log_e_safe(1.0, safe_level)
    bounds = question.bounds(harm_level, safe_level) if question.harm is not None else None
    lower, upper = bounds if bounds is not None else (-math.inf, math.inf)
    more: int | None = 0
    state: CanaryState = "inconclusive"
    allowed = f"allowed {question.shown(question.limit)}"
    if harm >= harm_needed:
        state = "rollback"
        least = f"{question.measure} at least {question.shown(lower)}" if 0.0 < lower < math.inf else "certainly worse"
        words = f"{question.seen}: {least}, {'none allowed' if question.any_harm else allowed}"
    elif safe >= safe_needed:
        state = "promote"
        most = "" if not math.isfinite(upper) else f"{question.measure} at most {question.shown(max(upper, 0.0))}, "
        words = f"{question.seen}: {most}{allowed}"
    elif question.harm is None:
        more = None
        words = question.missing or f"{question.name}: no {question.unit} of both variants yet"
    else:
        more = _more(question, harm_level, safe_level)
        within = "" if bounds is None else f", {question.measure} {_between(question, lower, upper)}"
        left = (
            "no end in sight" if more is None else f"about {more:,} more {question.unit} of the smaller variant needed"
        )
        words = f"{question.seen}{within}, {allowed}: {left}"
    return Criterion(
        question.name,
        state,
        question.harm,
        question.limit,
        question.trials,
        f"{words}, on {question.trials:,} {question.unit}" if state != "inconclusive" else words,
        lower if math.isfinite(lower) else None,
        upper if math.isfinite(upper) else None,
        _e(harm),
        _e(safe),
        1.0 / harm_level,
        1.0 / safe_level,
        more,
    )


def _between(question: Question, lower: float, upper: float) -> str:
    if not math.isfinite(lower) or not math.isfinite(upper):
        return f"at most {question.shown(upper)}" if math.isfinite(upper) else "an unknown amount"
    return f"{question.shown(lower)} to {question.shown(upper)}"


def _more(question: Question, harm_level: float, safe_level: float) -> int | None:
    """Trials until one of the two tests is passed if the counts go on growing as they are."""

    def decided(scale: float) -> bool:
        return (
            question.log_e_harm(scale, harm_level) >= -math.log(harm_level)
            or question.log_e_safe(scale, safe_level) >= -math.log(safe_level)
        )  # fmt: skip

    high = 2.0
    while not decided(high):
        high *= 2.0
        if high > FAR:
            return None
    low = high / 2.0
    for _ in range(5):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if decided(middle) else (middle, high)
    return math.ceil((high - 1.0) * question.trials)


def _e(logarithm: float) -> float:
    return min(math.exp(min(logarithm, 700.0)), MOST_E)
