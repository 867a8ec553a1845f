"""Joined pairs with their gradings, as they are counted in a ledger and in the tables of canaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from driftline.outcomes._cohorts import CohortChanges
from driftline.outcomes._grading import GradingResult
from driftline.outcomes._join import Pair

__all__ = ["Countable", "GradedPairs", "RegradedPairs"]


class GradedPairs(NamedTuple):
    """Joined pairs of one source, and their grading."""

    grading: GradingResult
    pairs: Sequence[Pair]

    def add_to(self, changes: CohortChanges, offset: float) -> None:
        """Add the outcomes. *offset* is added to times for Unix time."""
        for pair, right, classes in zip(self.pairs, self.grading.grades, self.grading.classes, strict=True):
            delay = pair.at - pair.predicted
            changes.add_outcome(pair.predicted + offset, pair.bucket, delay, right=right, classes=classes, sign=1)


class RegradedPairs(NamedTuple):
    """A pair whose outcome has changed, its grading before, and its grading now."""

    before: GradingResult
    grading: GradingResult
    pair: Pair

    def add_to(self, changes: CohortChanges, offset: float) -> None:
        """Remove the former outcome and add the present one. *offset* is added to times for Unix time."""
        pair, delay = self.pair, self.pair.at - self.pair.predicted
        for grading, sign in ((self.before, -1), (self.grading, 1)):
            ((right,), (classes,)) = grading.grades, grading.classes
            changes.add_outcome(pair.predicted + offset, pair.bucket, delay, right=right, classes=classes, sign=sign)


Countable: TypeAlias = "Counter[str] | GradedPairs | RegradedPairs | CohortChanges"
"""What a ledger counts: numbers of outcomes by result, or pairs."""
