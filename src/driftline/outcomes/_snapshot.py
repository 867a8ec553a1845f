"""Outcome counts that add up over processes, because their bins and sums are the same for all models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from driftline.outcomes._exact_sums import ERRORS_SIZE
from driftline.outcomes._score_bins import SCORE_BINS
from driftline.typing import (
    Counts,
    Label,
)

__all__ = ["MAX_CLASSES", "OTHER", "ClassCounts", "OutcomeSnapshot"]

MAX_CLASSES = 50
"""Largest number of classes with separate counts, as for the categories of a feature. All others share one count."""

OTHER = "other"
"""The name of the shared count of the classes beyond `MAX_CLASSES`."""


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Counts of one class: predicted rightly, predicted wrongly, and not predicted although it was the outcome."""

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def __add__(self, other: ClassCounts) -> ClassCounts:
        return self.plus(other, 1)

    def plus(self, other: ClassCounts, sign: int) -> ClassCounts:
        """Return the sum with *other* if *sign* is 1, or the difference if it is -1."""
        return ClassCounts(
            self.true_positives + sign * other.true_positives,
            self.false_positives + sign * other.false_positives,
            self.false_negatives + sign * other.false_negatives,
        )


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeSnapshot:
    """
    Outcome counts, which add up over threads, processes, hosts and time.

    Attributes:
        results: number of outcomes by result, as in the attribute ``ml.outcome.result``.
        known: outcomes that graded a prediction as right or wrong.
        correct: the part of *known* where the prediction was right.
        classes: counts by class. A probability has one class, True, which stands for the positive label. It is
            predicted at the threshold and above.
        scores: shape (bins, 2, 3), for outcomes that were false, and true, by bin of the probability: their number, and
            the sums of their positions within the bin and of the squares. For labels with a probability: labels that
            were wrong, and right.
        errors: shape (725,), exact sums of the errors of quantities, prediction minus outcome, and of their powers.
        bins: shape (bins, 2), graded predictions, and right ones, by bin of the reference's prediction. Shape (0, 2)
            without a reference, and after a new reference with other bins.
        score_errors: shape (725,), such sums of probabilities minus their outcomes, which are 0 or 1.
        unreadable: pairs that could not be read or compared. If there are any, the other counts are a biased part of
            the outcomes, and no metric is made of them.
    """

    results: Mapping[str, int] = field(default_factory=dict)
    known: int = 0
    correct: int = 0
    classes: Mapping[Label, ClassCounts] = field(default_factory=dict)
    scores: Counts = field(default_factory=lambda: np.zeros((SCORE_BINS, 2, 3), dtype=np.int64))
    errors: Counts = field(default_factory=lambda: np.zeros(ERRORS_SIZE, dtype=np.int64))
    bins: Counts = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    score_errors: Counts = field(default_factory=lambda: np.zeros(ERRORS_SIZE, dtype=np.int64))
    unreadable: int = 0

    def __repr__(self) -> str:
        return f"OutcomeSnapshot(known={self.known}, correct={self.correct}, results={dict(self.results)})"

    def _repr_html_(self) -> str:
        """Return the counts as a card for notebooks. Classes are named only in the process."""
        from driftline._drawing.cards import draw_outcomes  # noqa: PLC0415 - notebooks only

        classes = [
            (str(label), each.true_positives, each.false_positives, each.false_negatives)
            for label, each in self.classes.items()
        ]
        return draw_outcomes(self.results, self.accuracy, self.known, classes)

    def __add__(self, other: OutcomeSnapshot) -> OutcomeSnapshot:
        if not isinstance(other, OutcomeSnapshot):
            return NotImplemented
        return self._plus(other, 1)

    def __sub__(self, earlier: OutcomeSnapshot) -> OutcomeSnapshot:
        if not isinstance(earlier, OutcomeSnapshot):
            return NotImplemented
        return self._plus(earlier, -1)

    def _plus(self, other: OutcomeSnapshot, sign: int) -> OutcomeSnapshot:
        none = ClassCounts()
        classes = {
            label: self.classes.get(label, none).plus(other.classes.get(label, none), sign)
            for label in (*self.classes, *other.classes)
        }
        results = {
            result: self.results.get(result, 0) + sign * other.results.get(result, 0)
            for result in (*self.results, *other.results)
        }
        if self.bins.shape == other.bins.shape:
            bins = self.bins + sign * other.bins
        elif not self.known or not other.known:
            bins = self.bins if not other.known else sign * other.bins
        else:
            # Counts over the bins of two references have no sum. All other counts do.
            bins = np.zeros((0, 2), np.int64)
        return OutcomeSnapshot(
            results,
            self.known + sign * other.known,
            self.correct + sign * other.correct,
            classes,
            self.scores + sign * other.scores,
            self.errors + sign * other.errors,
            bins,
            self.score_errors + sign * other.score_errors,
            self.unreadable + sign * other.unreadable,
        )

    @property
    def accuracy(self) -> float | None:
        """The share of right predictions, from 0 to 1. None before the first, and if some pairs are unreadable."""
        return self.correct / self.known if self.known and not self.unreadable else None
