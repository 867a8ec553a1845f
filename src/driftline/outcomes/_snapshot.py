"""Outcomes in counts: the bins of probabilities and errors, the same everywhere, and the value that adds up."""

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
    "ERROR_SIZES",
    "MAX_CLASSES",
    "OTHER",
    "SCORE_EDGES",
    "SCORE_MIDDLES",
    "ClassCounts",
    "OutcomeSnapshot",
]

SCORE_EDGES = 1.0 / (1.0 + np.exp(-np.arange(-92, 93) / 10.0))
"""
Bins of probabilities, a tenth apart in log-odds from 0.0001 to 0.9999, 0.5 being an edge: fine where rare events have
their scores, at most 0.025 wide, and the same for every model and process, so that all of them add up.
"""

_ENDS = np.concatenate([[0.0], SCORE_EDGES, [1.0]])
SCORE_MIDDLES = (_ENDS[:-1] + _ENDS[1:]) / 2
"""What a probability in each bin is taken to be, shape (186,)."""

_STEPS = np.arange(-32 * 8, 32 * 8 + 1) / 8
ERROR_EDGES = 2.0**_STEPS
"""Bins of absolute errors, eight an octave from 2^-32 to 2^32 of the prediction's unit; smaller ones count as 0."""

_RATIO = 2.0 ** (1 / 8)
# The point whose relative distance from both ends of its bin is the same, at most 4.4 % (Masson, Rim & Lee 2019,
# DDSketch, section 2).
_MAGNITUDES = np.concatenate([[0.0], ERROR_EDGES * 2 * _RATIO / (1 + _RATIO)])
ERROR_SIZES = np.concatenate([-_MAGNITUDES[:0:-1], _MAGNITUDES])
"""What an error (prediction minus outcome) in each bin is taken to be, shape (1027,), negative ones first."""

MAX_CLASSES = 50
"""Classes counted by name, as categories of a feature are; the rest are counted together."""

OTHER = "other"
"""The name under which they are."""


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Of one class: rightly predicted, predicted where it was another, and missed."""

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def __add__(self, other: ClassCounts) -> ClassCounts:
        return self.plus(other, 1)

    def plus(self, other: ClassCounts, sign: int) -> ClassCounts:
        """Add (1) or take away (-1)."""
        return ClassCounts(
            self.true_positives + sign * other.true_positives,
            self.false_positives + sign * other.false_positives,
            self.false_negatives + sign * other.false_negatives,
        )


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeSnapshot:
    """
    Outcomes in counts, which add up over threads, processes, hosts and time.

    Attributes:
        results: outcomes by result, as in the attribute ``ml.outcome.result``.
        known: outcomes by which a prediction could be called right or wrong …
        correct: … and those where it was right.
        classes: by class. Of a probability the one class is True, predicted at 0.5 and above.
        scores: shape (186, 2), by bin of the probability: how many turned out false, and true. Of a label that comes
            with its probability: how many of these labels were wrong, and right.
        errors: shape (1027,), prediction minus outcome, by bin.
        bins: shape (bins of the reference's prediction, 2): judged, and right. Shape (0, 2) without a reference, and
            once it was replaced by one of other bins.
    """

    results: Mapping[str, int] = field(default_factory=dict)
    known: int = 0
    correct: int = 0
    classes: Mapping[Label, ClassCounts] = field(default_factory=dict)
    scores: Counts = field(default_factory=lambda: np.zeros((len(SCORE_MIDDLES), 2), dtype=np.int64))
    errors: Counts = field(default_factory=lambda: np.zeros(len(ERROR_SIZES), dtype=np.int64))
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
            # Over the bins of another reference there is no sum; the other counts have one all the same.
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
        """Share of the predictions that were right; None before the first outcome."""
        return self.correct / self.known if self.known else None
