"""Makes the values of a canary: its verdict, and the intervals of its criteria over time."""

from __future__ import annotations

from collections.abc import Sequence

from driftline._report.values import CanaryPoint, CanaryValues, CriterionValues
from driftline.canary import Verdict

__all__ = ["History", "canary_values"]

History = Sequence[tuple[float, Verdict]]
"""Verdicts of a canary, each with the seconds since its start, the earliest first."""


def canary_values(verdict: Verdict, history: History) -> CanaryValues:
    """Return the values of a verdict. *history* has the verdicts before."""
    criteria = []
    for criterion in verdict.criteria:
        course = tuple(
            CanaryPoint(seconds, each.rows, each.value, each.lower, each.upper)
            for seconds, earlier in history
            for each in earlier.criteria
            if each.name == criterion.name
        )
        criteria.append(
            CriterionValues(
                *(criterion.name, criterion.state, criterion.value, criterion.limit, criterion.rows, criterion.reason),
                *(criterion.lower, criterion.upper, criterion.more_rows, course),
            )
        )
    order = {"rollback": 0, "inconclusive": 1, "promote": 2}
    return CanaryValues(verdict.state, verdict.reason, tuple(sorted(criteria, key=lambda each: order[each.state])))
