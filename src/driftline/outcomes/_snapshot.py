"""Outcome counts that add up over processes, because their bins of probabilities and errors are fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from driftline.typing import (
    Counts,
    Label,
)

__all__ = [
    "ERROR_EDGES",
    "ERROR_VALUES",
    "MAX_CLASSES",
    "OTHER",
    "SCORE_EDGES",
    "SCORE_MIDDLES",
    "ClassCounts",
    "OutcomeSnapshot",
]

SCORE_EDGES = 1.0 / (1.0 + np.exp(-np.arange(-92, 93) / 10.0))
"""
Edges of the probability bins, shape (185,): a tenth apart in log-odds, from 0.0001 to 0.9999. One of them is 0.5.

Bins are at most 0.025 wide, and narrower near 0 and 1, where rare events have their scores. They are the same for all
models and processes, so that all counts add up.
"""

_ENDS = np.concatenate([[0.0], SCORE_EDGES, [1.0]])
SCORE_MIDDLES = (_ENDS[:-1] + _ENDS[1:]) / 2
"""The middle of each probability bin, shape (186,). It replaces the probabilities of the bin in metrics."""

_STEPS = np.arange(-32 * 8, 32 * 8 + 1) / 8
ERROR_EDGES = 2.0**_STEPS
"""
Edges of the bins of absolute errors, in the prediction's unit: eight per factor of two, from 2^-32 to 2^32.

Smaller errors count as 0.
"""

_RATIO = 2.0 ** (1 / 8)
# The middle of a bin has the same relative distance to both of its ends, at most 4.4 % (Masson, Rim & Lee 2019,
# DDSketch, section 2).
_MAGNITUDES = np.concatenate([[0.0], ERROR_EDGES * 2 * _RATIO / (1 + _RATIO)])
ERROR_VALUES = np.concatenate([-_MAGNITUDES[:0:-1], _MAGNITUDES])
"""
The middle of each bin of errors (prediction minus outcome), shape (1027,), ascending. It replaces the errors of the bin
in metrics.
"""

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
        classes: counts by class. A probability has one class, True, predicted at 0.5 and above.
        scores: shape (186, 2), outcomes that were false, and true, by bin of the probability. For labels with a
            probability: labels that were wrong, and right.
        errors: shape (1027,), outcomes by bin of the error, prediction minus outcome.
        bins: shape (bins, 2), graded predictions, and right ones, by bin of the reference's prediction. Shape (0, 2)
            without a reference, and after a new reference with other bins.
    """

    results: Mapping[str, int] = field(default_factory=dict)
    known: int = 0
    correct: int = 0
    classes: Mapping[Label, ClassCounts] = field(default_factory=dict)
    scores: Counts = field(default_factory=lambda: np.zeros((len(SCORE_MIDDLES), 2), dtype=np.int64))
    errors: Counts = field(default_factory=lambda: np.zeros(len(ERROR_VALUES), dtype=np.int64))
    bins: Counts = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

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
        )

    @property
    def accuracy(self) -> float | None:
        """The share of graded predictions that were right, from 0 to 1; None before the first."""
        return self.correct / self.known if self.known else None
