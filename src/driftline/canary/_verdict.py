"""`Verdict` and `Criterion`, and how criteria combine into a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftline.results import CanaryState

__all__ = ["Criterion", "Verdict", "combine_criteria"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """
    One criterion of a canary: the observed harm, the allowed harm, and the state that results.

    Harm is the candidate's value minus the baseline's, signed so that larger is worse.

    Attributes:
        name: such as ``"error_rate"``.
        state: the state that results from this criterion alone.
        value: the observed harm; None before there is any.
        limit: the harm allowed.
        rows: trials of the variant that has fewer.
        reason: the state in words, with the figures behind it.
        lower: lower bound of the harm, at the criterion's part of alpha; None where it is unbounded.
        upper: upper bound of the harm, at alpha; None where it is unbounded.
        e_harm: e-value for harm beyond the limit, or for any harm with `Margin.any_harm`.
        e_safe: e-value against harm beyond the limit.
        e_harm_needed: value of *e_harm* at which the criterion rolls back.
        e_safe_needed: value of *e_safe* at which the criterion allows the promotion.
        more_rows: trials still needed if the rates stay as they are; None when that is not known.
    """

    name: str
    state: CanaryState
    value: float | None
    limit: float
    rows: int
    reason: str
    lower: float | None = None
    upper: float | None = None
    e_harm: float | None = None
    e_safe: float | None = None
    e_harm_needed: float | None = None
    e_safe_needed: float | None = None
    more_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    The decision about a candidate.

    Attributes:
        state: ``"promote"``, ``"rollback"`` or ``"inconclusive"``.
        reason: the state in words, with the figures behind it.
        criteria: the criteria behind it.
    """

    state: CanaryState
    reason: str
    criteria: tuple[Criterion, ...] = ()


def combine_criteria(criteria: Sequence[Criterion], rows: int, empty_reason: str) -> Verdict:
    """
    Return the verdict of several criteria: a rollback if any rolls back, else inconclusive if any is, else promote.

    Args:
        criteria: the criteria.
        rows: predictions of the candidate, for the reason.
        empty_reason: the reason when there is no criterion.
    """
    if not criteria:
        return Verdict("inconclusive", empty_reason, ())
    for state, head in (("rollback", ""), ("inconclusive", "too early to say: ")):
        decisive = [criterion for criterion in criteria if criterion.state == state]
        if decisive:
            reasons = "; ".join(criterion.reason for criterion in decisive)
            return Verdict(decisive[0].state, head + reasons, tuple(criteria))
    reasons = "; ".join(criterion.reason for criterion in criteria)
    return Verdict("promote", f"canary healthy on {rows} predictions: {reasons}", tuple(criteria))
