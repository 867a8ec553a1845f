"""Grades pairs of a prediction and its outcome, and counts them in a vector that adds up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import CategoricalBins, Feature
from driftline._binning.label_scheme import LabelScheme
from driftline._binning.layout import binner
from driftline._binning.prediction_kind import ROUNDING, Kind
from driftline._runtime.guard import UnreadableError, is_contained
from driftline.outcomes._exact_sums import ERRORS_SIZE, count_errors
from driftline.outcomes._pairs import PairReader, ParsedPair, is_absent
from driftline.outcomes._score_bins import SCORE_BINS, count_scores
from driftline.outcomes._snapshot import MAX_CLASSES, OTHER, ClassCounts, OutcomeSnapshot
from driftline.typing import Correct, Counts, Floats, Label

__all__ = ["Grader", "GradingResult"]

GRADED, CORRECT, UNGRADED, UNREADABLE = range(4)
"""
Indices of the first counts in a count vector: graded pairs, correct ones, pairs joined without a grade, and the part of
those without a grade that could not be read.
"""

HEADER_SIZE = 4
"""Number of counts at the start of a count vector, before those of bins."""

SCORES_SIZE = SCORE_BINS * 2 * 3
"""Number of counts of probabilities: see `count_scores`."""


@dataclass(frozen=True, slots=True)
class GradingResult:
    """
    The counts that some pairs add, in the layout of their grader.

    Attributes:
        grader: the grader that counted.
        counts: the count vector, shape (grader.size,).
        results: number of pairs by result: ``correct``, ``incorrect`` or ``matched`` (joined without a grade).
        errors: exceptions that values or the user function raised.
        parsed: (prediction, outcome, whether it was right) of each readable pair. The last is None for an ungraded
            pair, such as a quantity without a user function.
        grades: for each pair given, in order, whether the prediction was right; None if it has no grade. It is aligned
            with the pairs.
        classes: for each pair given, in order, the predicted class and the actual one, each None if it has no counts.
            None for a pair without classes.
    """

    grader: Grader
    counts: Counts
    results: Mapping[str, int]
    errors: Sequence[BaseException] = ()
    parsed: Sequence[tuple[object, object, bool | None]] = ()
    grades: Sequence[bool | None] = ()
    classes: Sequence[tuple[Label | None, Label | None] | None] = ()


class Grader:
    """
    Grades pairs of a prediction and its outcome, and counts them.

    Args:
        kind: the kind of the predictions. If None, the first pairs decide.
        correct: user function that returns whether a prediction was right. By default a probability of at least the
            threshold predicts the positive label, labels are compared, and a quantity gets no grade.
        prediction: the prediction feature of the reference. Its categories become classes, and the grader counts its
            bins too. If None, there are no bins.
        named: classes that get separate counts before all others. In total, at most `MAX_CLASSES` classes get one.
        labels: how outcomes are read. Its kind is not used.
    """

    __slots__ = ("_assign_bins", "_bins", "_reader", "_scores_size", "_slots")

    def __init__(
        self,
        kind: Kind | None,
        correct: Correct | None,
        prediction: Feature | None,
        named: Sequence[Label] = (),
        labels: LabelScheme | None = None,
    ) -> None:
        scheme = LabelScheme() if labels is None else labels
        # The layout is fixed here. If the kind is still unknown, it has room for every kind.
        self._scores_size = 0 if kind == "quantity" else SCORES_SIZE
        self._bins = 0 if prediction is None else prediction.bins.size
        self._assign_bins: Callable[[Any], NDArray[np.intp]] | None = None
        self._slots: dict[Label, int] = {}
        categories: tuple[Label, ...] = ()
        if prediction is not None:
            self._assign_bins = binner(prediction.bins)
            if isinstance(prediction.bins, CategoricalBins):
                categories = prediction.bins.categories
        self._reader = PairReader(
            LabelScheme(kind, scheme.classes, scheme.positive, scheme.threshold), correct, categories
        )
        for label in (*named, *categories):
            self._class_slot(label)

    @property
    def kind(self) -> Kind | None:
        """The kind of the predictions; None until the first pairs decide."""
        return self._reader.kind

    # --- the layout of the vector ------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Length of a count vector. It has room for each kind that was possible when the grader was created."""
        return int(self._errors_start + ERRORS_SIZE)

    @property
    def _classes_start(self) -> int:
        return HEADER_SIZE + 2 * self._bins

    @property
    def _scores_start(self) -> int:
        return self._classes_start + 3 * (MAX_CLASSES + 1)

    @property
    def _errors_start(self) -> int:
        return self._scores_start + self._scores_size

    def graded(self, counts: Counts) -> tuple[int, int]:
        """Return the numbers of graded and of correct pairs in a count vector. Quantities may have no grades."""
        if not self._reader.grades:
            # The first outcomes looked like labels.
            return 0, 0
        return int(counts[GRADED]), int(counts[CORRECT])

    def snapshot(self, counts: Counts, results: Mapping[str, int] | None = None) -> OutcomeSnapshot:
        """
        Convert a count vector to a snapshot, which does not depend on the layout of this grader.

        Args:
            counts: the count vector, shape (size,).
            results: outcomes by result, for `OutcomeSnapshot.results`. If None, there are none.
        """
        known, correct = self.graded(counts)
        parts: dict[str, Any] = {}
        if self.kind == "quantity":
            parts["errors"] = counts[self._errors_start :].copy()
        else:
            parts["scores"] = counts[self._scores_start : self._errors_start].reshape(SCORE_BINS, 2, 3).copy()
            parts["score_errors"] = counts[self._errors_start :].copy()
        return OutcomeSnapshot(
            {} if results is None else dict(results),
            known,
            correct,
            {} if not known else self._classes(counts),
            bins=counts[HEADER_SIZE : self._classes_start].reshape(-1, 2).copy(),
            unreadable=int(counts[UNREADABLE]),
            **parts,
        )

    def _classes(self, counts: Counts) -> dict[Label, ClassCounts]:
        triples = counts[self._classes_start : self._scores_start].reshape(-1, 3).tolist()
        labels: dict[int, Label] = {slot: label for label, slot in self._slots.copy().items()}
        labels[MAX_CLASSES] = OTHER
        return {labels[slot]: ClassCounts(*triple) for slot, triple in enumerate(triples) if any(triple)}

    # --- counting ----------------------------------------------------------------------------------------------------

    def grade(self, pairs: Sequence[tuple[object, object]]) -> GradingResult:
        """
        Grade (prediction, outcome) pairs and return their counts.

        A missing value means no grade. A value that cannot be read means no grade too, and counts as unreadable.
        """
        self._reader.decide(pairs)
        errors: list[BaseException] = []
        parsed: list[ParsedPair | None] = []
        for output, actual in pairs:
            try:
                pair = None if is_absent(output) or is_absent(actual) else self._reader.read(output, actual)
            except BaseException as error:
                if not is_contained(error):
                    raise
                # values and the user function may raise anything
                errors.append(error)
                pair = None
            parsed.append(pair)
        readable = [pair for pair in parsed if pair is not None]
        triples = [
            (output, actual, pair.is_correct)
            for (output, actual), pair in zip(pairs, parsed, strict=True)
            if pair is not None
        ]
        grades = [None if pair is None else pair.is_correct for pair in parsed]
        counts = self._count(readable, len(pairs), len(errors))
        if self.kind == "probability" and any(
            pair.value is not None and not _is_score(pair.value) for pair in readable
        ):
            msg = (
                "a prediction is no number from 0 to 1, so that there is no Brier score, calibration error and AUC: "
                'expected probabilities, or OutcomePolicy(kind="quantity")'
            )
            errors.append(UnreadableError(msg))
        graded, correct = int(counts[GRADED]), int(counts[CORRECT])
        results = {"correct": correct, "incorrect": graded - correct, "matched": len(pairs) - graded}
        classes = [self._classes_of(pair) for pair in parsed]
        known = {result: n for result, n in results.items() if n}
        return GradingResult(self, counts, known, errors, triples, grades, classes)

    def _classes_of(self, pair: ParsedPair | None) -> tuple[Label | None, Label | None] | None:
        """Return the predicted and the actual class of a pair, as `_classes` names them."""
        if pair is None or pair.value is None or self.kind == "quantity":
            return None
        if self.kind == "probability":
            if pair.actual is None:
                return None
            return True if pair.value >= self._reader.threshold else None, True if pair.actual else None
        return self._class_name(pair.value), self._class_name(pair.actual)

    def _class_name(self, label: Label) -> Label:
        return label if self._class_slot(label) < MAX_CLASSES else OTHER

    def _count(self, parsed: Sequence[ParsedPair], pairs: int, unreadable: int) -> Counts:
        """Return the count vector of readable pairs, of *pairs* pairs of which *unreadable* could not be read."""
        counts = np.zeros(self.size, dtype=np.int64)
        graded = [(pair.value, pair.is_correct) for pair in parsed if pair.is_correct is not None]
        counts[GRADED], counts[CORRECT] = len(graded), sum(is_correct for _, is_correct in graded)
        counts[UNGRADED], counts[UNREADABLE] = pairs - len(graded), unreadable
        self._count_bins(counts, graded)
        if self.kind == "label":
            self._count_labels(counts, parsed)
        elif self.kind == "probability":
            self._count_probabilities(counts, parsed)
        elif self.kind == "quantity":
            self._count_quantities(counts, parsed)
        return counts

    def _count_bins(self, counts: Counts, graded: Sequence[tuple[object, bool]]) -> None:
        if self._assign_bins is None or not graded:
            return
        indexes = self._assign_bins([value for value, _ in graded])
        is_correct = np.array([is_correct for _, is_correct in graded])
        bins = counts[HEADER_SIZE : self._classes_start].reshape(-1, 2)
        bins[:, 0] += np.bincount(indexes, minlength=self._bins)
        bins[:, 1] += np.bincount(indexes[is_correct], minlength=self._bins)

    def _count_labels(self, counts: Counts, parsed: Sequence[ParsedPair]) -> None:
        classes = counts[self._classes_start : self._scores_start].reshape(-1, 3)
        for value, _, actual, _ in parsed:
            if value is None:
                continue
            predicted = self._class_slot(value)
            if value == actual:
                classes[predicted, 0] += 1
            else:
                classes[predicted, 1] += 1
                classes[self._class_slot(actual), 2] += 1
        self._count_scores(
            counts,
            [(pair.probability, pair.value == pair.actual) for pair in parsed if pair.probability is not None],
        )

    def _count_probabilities(self, counts: Counts, parsed: Sequence[ParsedPair]) -> None:
        scores: list[tuple[float, bool]] = [
            (value, bool(actual)) for value, _, actual, _ in parsed if value is not None and actual is not None
        ]
        self._count_scores(counts, scores)
        threshold = self._reader.threshold
        positive = counts[self._classes_start : self._scores_start].reshape(-1, 3)[self._class_slot(label=True)]
        for value, actual in scores:
            if value >= threshold:
                positive[0 if actual else 1] += 1
            elif actual:
                positive[2] += 1

    def _count_scores(self, counts: Counts, scores: Sequence[tuple[float, bool]]) -> None:
        if not scores:
            return
        values, outcomes = (np.array(column, dtype=np.float64) for column in zip(*scores, strict=True))
        # A score out of range has no error, which counts it as unusable.
        usable = (values >= -ROUNDING) & (values <= 1.0 + ROUNDING)
        values = np.where(usable, np.clip(values, 0.0, 1.0), np.nan)
        counts[self._errors_start :] += count_errors(values, outcomes)
        if self._scores_size:
            binned = count_scores(values[usable], outcomes[usable].astype(np.int64))
            counts[self._scores_start : self._errors_start] += binned.ravel()

    def _count_quantities(self, counts: Counts, parsed: Sequence[ParsedPair]) -> None:
        pairs = [(value, actual) for value, _, actual, _ in parsed if value is not None and actual is not None]
        if pairs:
            predictions, actuals = zip(*map(_comparable, pairs), strict=True)
            counts[self._errors_start :] += count_errors(_floats(predictions), _floats(actuals))

    def _class_slot(self, label: Label) -> int:
        """
        Return the row of a class in the counts of all classes.

        A new class gets the next free row. If there are `MAX_CLASSES` others, it gets the shared row after them.
        """
        slot = self._slots.get(label)
        if slot is None:
            if len(self._slots) >= MAX_CLASSES:
                return MAX_CLASSES
            slot = self._slots[label] = len(self._slots)
        return slot


def _is_score(value: float) -> bool:
    return -ROUNDING <= value <= 1.0 + ROUNDING


def _comparable(pair: tuple[float, float]) -> tuple[float, float]:
    """Return two numbers with the same difference: of two integers, which may be above 2^53, that and 0."""
    value, actual = pair
    return (value - actual, 0) if type(value) is int and type(actual) is int else pair


def _floats(values: Sequence[float]) -> Floats:
    """Return numbers as float64. An integer that is too large for it becomes infinite, and is then unusable."""
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        return np.array([_as_float(value) for value in values])


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")
