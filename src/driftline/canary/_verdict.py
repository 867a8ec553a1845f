"""A verdict, its criteria, and how criteria become a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftline.results import CanaryState

__all__ = ["Criterion", "Verdict", "combined"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """
    One criterion of a canary: what was seen, what is allowed, and what follows from it alone.

    Attributes:
        name: such as ``"error_rate"``.
        state: what follows from this criterion alone.
        value: the harm seen, candidate less baseline, larger being worse; None before there is any.
        limit: the harm allowed.
        rows: trials of the variant that has fewer.
        reason: in words.
        lower: least harm that is not excluded, at the criterion's part of alpha.
        upper: most harm that is not excluded, at alpha.
        e_harm: evidence for harm beyond what rolls back: an e-value.
        e_safe: evidence against harm beyond the limit: an e-value.
        e_harm_needed: at this the criterion rolls back.
        e_safe_needed: at this it agrees to promote.
        more_rows: trials still needed if things go on as they are; None when that is not known.
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
    """What to do with a candidate, the reason in words, and the criteria behind it."""

    state: CanaryState
    reason: str
    criteria: tuple[Criterion, ...] = ()


def combined(criteria: Sequence[Criterion], rows: int, nothing: str) -> Verdict:
    """
    Any criterion that rolls back does; any that is inconclusive is; else promote.

    Args:
        criteria: those judged.
        rows: predictions of the candidate, for the reason.
        nothing: the reason when there is no criterion.
    """
    if not criteria:
        return Verdict("inconclusive", nothing, ())
    for state, head in (("rollback", ""), ("inconclusive", "too early to say: ")):
        found = [criterion for criterion in criteria if criterion.state == state]
        if found:
            return Verdict(found[0].state, head + "; ".join(criterion.reason for criterion in found), tuple(criteria))
    reasons = "; ".join(criterion.reason for criterion in criteria)
    return Verdict("promote", f"canary healthy on {rows} predictions: {reasons}", tuple(criteria))
