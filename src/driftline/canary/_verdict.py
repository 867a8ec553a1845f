"""`Verdict` and `Criterion`, and `combine_criteria`, which makes a verdict of criteria."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftline.results import CanaryState

__all__ = ["Criterion", "Verdict", "combine_criteria"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """
    The result of one test of a canary: the observed harm, the allowed harm, and the state that follows.

    Harm is the candidate's value minus the baseline's, or the opposite if higher values are better. For a check of the
    split, *value* is the size of the difference. For a criterion of a `ThresholdPolicy`, *value* is the number that
    the policy limits, and bounds and e-values are None.

    Attributes:
        name: name of the criterion, such as ``"error_rate"``.
        state: the verdict if this were the only criterion.
        value: the observed harm; None if there are too few trials to compute it.
        limit: the allowed harm, in the unit of *value*.
        rows: trials (calls, rows or outcomes) of the variant that has fewer.
        reason: a sentence that explains the state, with its figures.
        lower: lower bound of the harm, wrong with a probability of at most the criterion's part of
            `CanaryPolicy.alpha`. None if there is no bound yet.
        upper: upper bound of the harm, wrong with a probability of at most `CanaryPolicy.alpha`. None if there is no
            bound yet.
        e_harm: e-value for harm beyond the limit, or for any harm with `Margin.any_harm`.
        e_safe: e-value against harm beyond the limit.
        e_harm_needed: value of *e_harm* at which the criterion rolls back.
        e_safe_needed: value of *e_safe* at which the criterion allows the promotion.
        more_rows: estimated further trials until a decision, if the rates do not change. 0 after a decision; None if
            unknown.
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
    The decision of a canary about its candidate, with its reason.

    Attributes:
        state: ``"promote"``, ``"rollback"`` or ``"inconclusive"``.
        reason: a sentence that explains the state, with its figures.
        criteria: the criteria from which the state follows. Empty if another process read the verdict from a file or
            from Prometheus.
    """

    state: CanaryState
    reason: str
    criteria: tuple[Criterion, ...] = ()

    def __repr__(self) -> str:
        states = ", ".join(f"{each.name} {each.state}" for each in self.criteria)
        return f"Verdict({self.state!r}, {self.reason!r}, [{states}])"

    def _repr_html_(self) -> str:
        """Return the verdict as a card for notebooks."""
        from driftline._drawing.cards import draw_verdict  # noqa: PLC0415 - notebooks only
        from driftline._drawing.intervals import Interval  # noqa: PLC0415 - as above
        from driftline._drawing.text import number  # noqa: PLC0415 - as above

        drawn = [
            (
                Interval(
                    *(each.name.replace("_", " "), each.value, each.lower, each.upper, number(each.value)),
                    *(f"limit {number(each.limit)}", each.state),
                ),
                each.limit,
            )
            for each in self.criteria
        ]
        return draw_verdict(self.state, self.reason, drawn)


def combine_criteria(criteria: Sequence[Criterion], rows: int, empty_reason: str) -> Verdict:
    """
    Return the verdict of several criteria.

    It is a rollback if any criterion is a rollback. Else it is inconclusive if any is inconclusive. Else it is
    a promotion.

    Args:
        criteria: the criteria. If there are none, the verdict is inconclusive.
        rows: rows of the candidate, for the reason of a promotion.
        empty_reason: the reason if there are no criteria.
    """
    if not criteria:
        return Verdict("inconclusive", empty_reason, ())
    for state, head in (("rollback", ""), ("inconclusive", "too early to say: ")):
        decisive = [criterion for criterion in criteria if criterion.state == state]
        if decisive:
            reasons = "; ".join(criterion.reason for criterion in decisive)
            return Verdict(decisive[0].state, head + reasons, tuple(criteria))
    reasons = "; ".join(criterion.reason for criterion in criteria)
    return Verdict("promote", f"canary healthy on {rows:,} predictions: {reasons}", tuple(criteria))
