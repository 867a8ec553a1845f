"""Grades pairs of a prediction and its outcome, and counts them in bins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import (
    CategoricalBins,
    Feature,
)
from driftline._binning.layout import binner
from driftline._binning.prediction_kind import Kind
from driftline._capture.labels import (
    is_missing,
    label_of,
)
from driftline._capture.outputs import SCALARS, as_output, is_probabilities, is_scalar
from driftline._capture.ownership import copy_value, is_small, own_value, shorten
from driftline._capture.placeholders import Unreadable
from driftline._runtime.guard import UnreadableError, is_contained, returning_on_error
from driftline.outcomes._snapshot import (
    ERROR_EDGES,
    ERROR_VALUES,
    MAX_CLASSES,
    OTHER,
    SCORE_EDGES,
    SCORE_MIDDLES,
    ClassCounts,
    OutcomeSnapshot,
)
from driftline.typing import (
    Correct,
    Counts,
    Label,
)

__all__ = [
    "Grader",
    "GradingResult",
    "essence_of",
]

GRADED, CORRECT, UNGRADED = 0, 1, 2
"""Indices of the first counts in a count vector: graded pairs, correct ones, and pairs joined without a grade."""

HEADER_SIZE = 3
"""Number of counts at the start of a count vector, before those of bins."""

PROBABILITY_CUT = 0.5
"""Smallest probability that predicts true."""


class _ParsedPair(NamedTuple):
    """
    A prediction and its outcome, ready for counting.

    Attributes:
        value: the prediction as a label or number; None if only the user function understands it.
        is_correct: whether the prediction was right; None for an ungraded pair.
        actual: the outcome as a label, boolean or number; None if it is unreadable.
        probability: the probability of a predicted label; None if the prediction has none.
    """

    value: Any
    is_correct: bool | None
    actual: Any
    probability: float | None


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
    """

    grader: Grader
    counts: Counts
    results: Mapping[str, int]
    errors: Sequence[BaseException] = ()
    parsed: Sequence[tuple[object, object, bool | None]] = ()


def _infer_kind(output: object, actual: object) -> Kind:
    """Return the kind of the predictions, inferred from the classes and values of a first pair."""
    if isinstance(output, Mapping) or not _is_number(output):
        return "label"
    if _is_whole(output) and (_is_whole(actual) or isinstance(actual, (bool, np.bool_))):
        return "label"
    is_binary = isinstance(actual, (bool, np.bool_)) or actual in {0, 1}
    return "probability" if is_binary and 0.0 <= float(output) <= 1.0 else "quantity"  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


class Grader:
    """
    Grades pairs of a prediction and its outcome, and counts them.

    Args:
        kind: the kind of the predictions. If None, the first pair decides.
        correct: user function that returns whether a prediction was right. By default a probability of at least 0.5
            predicts true, labels are compared, and a quantity gets no grade.
        prediction: the prediction feature of the reference. Its categories become classes, and the grader counts its
            bins too. If None, there are no bins.
        named: classes that get separate counts before all others. In total, at most `MAX_CLASSES` classes get one.

    Attributes:
        kind: the kind of the predictions; None until the first pair decides.
    """

    __slots__ = ("_assign_bins", "_bins", "_correct", "_errors_size", "_scores_size", "_slots", "kind")

    def __init__(
        self, kind: Kind | None, correct: Correct | None, prediction: Feature | None, named: Sequence[Label] = ()
    ) -> None:
        self.kind = kind
        # The layout is fixed here. If the kind is still unknown, it has room for every kind.
        self._scores_size = 0 if kind == "quantity" else 2 * len(SCORE_MIDDLES)
        self._errors_size = 0 if kind in {"probability", "label"} else len(ERROR_VALUES)
        self._correct = correct
        self._bins = 0 if prediction is None else prediction.bins.size
        self._assign_bins: Callable[[Any], NDArray[np.intp]] | None = None
        self._slots: dict[Label, int] = {}
        categories: tuple[Label, ...] = ()
        if prediction is not None:
            self._assign_bins = binner(prediction.bins)
            if isinstance(prediction.bins, CategoricalBins):
                categories = prediction.bins.categories
        for label in (*named, *categories):
            self._class_slot(label)

    # --- the layout of the vector ------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Length of a count vector. It has room for each kind that was possible when the grader was created."""
        return self._scores_start + self._scores_size + self._errors_size

    @property
    def _classes_start(self) -> int:
        return HEADER_SIZE + 2 * self._bins

    @property
    def _scores_start(self) -> int:
        return self._classes_start + 3 * (MAX_CLASSES + 1)

    def snapshot(self, counts: Counts, results: Mapping[str, int] | None = None) -> OutcomeSnapshot:
        """
        Convert a count vector to a snapshot, which does not depend on the layout of this grader.

        Args:
            counts: the count vector, shape (size,).
            results: outcomes by result, for `OutcomeSnapshot.results`. If None, there are none.
        """
        triples = counts[self._classes_start : self._scores_start].reshape(-1, 3).tolist()
        labels: dict[int, Label] = {slot: label for label, slot in self._slots.copy().items()}
        labels[MAX_CLASSES] = OTHER
        classes = {labels[slot]: ClassCounts(*triple) for slot, triple in enumerate(triples) if any(triple)}
        snapshot = OutcomeSnapshot(
            {} if results is None else dict(results),
            int(counts[GRADED]),
            int(counts[CORRECT]),
            classes,
            bins=counts[HEADER_SIZE : self._classes_start].reshape(-1, 2).copy(),
        )
        if self._scores_size:
            snapshot = replace(snapshot, scores=counts[self._scores_start :][: self._scores_size].reshape(-1, 2).copy())
        if self._errors_size:
            snapshot = replace(snapshot, errors=counts[self._scores_start + self._scores_size :].copy())
        return snapshot

    # --- counting ----------------------------------------------------------------------------------------------------

    def grade(self, pairs: Sequence[tuple[object, object]]) -> GradingResult:
        """Grade (prediction, outcome) pairs and return their counts. A missing or unreadable value means no grade."""
        if pairs and self.kind is None:
            self.kind = _infer_kind(*pairs[0])
        counts = np.zeros(self.size, dtype=np.int64)
        errors: list[BaseException] = []
        parsed: list[_ParsedPair] = []
        triples = []
        for output, actual in pairs:
            try:
                pair = None if _is_absent(output) or _is_absent(actual) else self._parse(output, actual)
            except BaseException as error:
                if not is_contained(error):
                    raise
                # values and the user function may raise anything
                errors.append(error)
                pair = None
            if pair is not None:
                parsed.append(pair)
                triples.append((output, actual, pair.is_correct))
        graded = [(value, is_correct) for value, is_correct, _, _ in parsed if is_correct is not None]
        correct = sum(is_correct for _, is_correct in graded)
        counts[GRADED], counts[CORRECT], counts[UNGRADED] = len(graded), correct, len(pairs) - len(graded)
        self._count_bins(counts, graded)
        if self.kind == "label":
            self._count_labels(counts, parsed)
        elif self.kind == "probability":
            self._count_probabilities(counts, parsed)
        elif self.kind == "quantity":
            self._count_errors(counts, parsed)
        results = {"correct": correct, "incorrect": len(graded) - correct, "matched": len(pairs) - len(graded)}
        return GradingResult(self, counts, {result: n for result, n in results.items() if n}, errors, triples)

    def _parse(self, output: object, actual: Any) -> _ParsedPair:
        """
        Return a pair ready for counting, with its grade. Parts that cannot be read or graded are None.

        Raises:
            Exception: *output* or *actual* is not what the kind of prediction needs, or the user function raised.
        """
        value: Any
        for value in (output, actual):
            if type(value) is Unreadable:
                msg = f"got {value.came}: expected a number, string or boolean"
                raise UnreadableError(msg)
        probability = None
        is_correct: bool | None = None
        labels = self.kind == "label"
        if labels and isinstance(output, Mapping) and is_probabilities(output):
            value = max(output, key=output.__getitem__)
            probability = float(output[value])
        elif self._correct is not None and type(output) not in SCALARS and not _is_plain(output, labels):
            # Only the user function understands such an output, a list for example.
            return _ParsedPair(None, bool(self._correct(output, actual)), None, None)
        else:
            value = as_output(output, labels=labels)
        if self.kind == "label":
            value, actual = label_of(value), label_of(actual)
            is_correct = value == actual
        elif self.kind == "probability":
            value = float(value)
            truth = _parse_truth(actual) if self._correct is None else _parse_truth_or_none(actual)
            actual, is_correct = truth, None if truth is None else (value >= PROBABILITY_CUT) == truth
        else:
            value = float(value)
            actual = float(actual) if self._correct is None else _float_or_none(actual)
        if self._correct is not None:
            is_correct = bool(self._correct(output, actual))
        return _ParsedPair(value, is_correct, actual, probability)

    def _count_bins(self, counts: Counts, graded: Sequence[tuple[object, bool]]) -> None:
        if self._assign_bins is None or not graded:
            return
        indexes = self._assign_bins([value for value, _ in graded])
        is_correct = np.array([is_correct for _, is_correct in graded])
        bins = counts[HEADER_SIZE : self._classes_start].reshape(-1, 2)
        bins[:, 0] += np.bincount(indexes, minlength=self._bins)
        bins[:, 1] += np.bincount(indexes[is_correct], minlength=self._bins)

    def _count_labels(self, counts: Counts, parsed: Sequence[_ParsedPair]) -> None:
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
            [(probability, value == actual) for value, _, actual, probability in parsed if probability is not None],
        )

    def _count_probabilities(self, counts: Counts, parsed: Sequence[_ParsedPair]) -> None:
        scores: list[tuple[float, bool]] = [
            (value, bool(actual)) for value, _, actual, _ in parsed if value is not None and actual is not None
        ]
        self._count_scores(counts, scores)
        positive = counts[self._classes_start : self._scores_start].reshape(-1, 3)[self._class_slot(label=True)]
        for value, actual in scores:
            if value >= PROBABILITY_CUT:
                positive[0 if actual else 1] += 1
            elif actual:
                positive[2] += 1

    def _count_scores(self, counts: Counts, scores: Sequence[tuple[float, bool]]) -> None:
        usable = [(score, outcome) for score, outcome in scores if 0.0 <= score <= 1.0]
        if usable:
            values, outcomes = zip(*usable, strict=True)
            indexes = 2 * np.searchsorted(SCORE_EDGES, values, side="right") + np.array(outcomes)
            part = slice(self._scores_start, self._scores_start + self._scores_size)
            counts[part] += np.bincount(indexes, minlength=self._scores_size)

    def _count_errors(self, counts: Counts, parsed: Sequence[_ParsedPair]) -> None:
        errors = np.array(
            [value - actual for value, _, actual, _ in parsed if value is not None and actual is not None],
            dtype=np.float64,
        )
        errors = errors[np.isfinite(errors)]
        sizes = np.searchsorted(ERROR_EDGES, np.abs(errors), side="right")
        indexes = len(ERROR_EDGES) + np.where(errors < 0, -sizes, sizes)
        counts[self._scores_start + self._scores_size :] += np.bincount(indexes, minlength=self._errors_size)

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


def essence_of(value: Any) -> object:
    """
    Return the part of an output or outcome that its grade needs: a scalar, or a label with its probability.

    It takes little memory, while predictions wait for their outcomes by the hundred thousand. A long string becomes its
    label. A large container or array becomes an `Unreadable`, whose grade is an error.
    """
    if is_scalar(value):
        return shorten(value)
    try:
        if issubclass(type(value), Mapping) and is_probabilities(value):
            best = max(value, key=value.__getitem__)
            return {shorten(best): float(value[best])}
        return shorten(as_output(value))
    except Exception:  # noqa: BLE001 - an output of another type, or a value of the host
        return copy_value(value) if is_small(value) else own_value(value)


def _is_absent(value: object) -> bool:
    """Return whether a value is a missing scalar, such as None or nan."""
    return type(value) in SCALARS and is_missing(value)


@returning_on_error(False)  # noqa: FBT003 - the default
def _is_plain(output: object, labels: bool) -> bool:  # noqa: FBT001 - as above
    """Return True if driftline can read an output without the user function, and False if reading it raises."""
    as_output(output, labels=labels)
    return True


def _parse_truth(actual: object) -> bool:
    truth = _parse_truth_or_none(actual)
    if truth is None:
        # bool("no") is True, so a string is never converted.
        # Without the value, so that the message may be logged.
        msg = f"the outcome of a probability is a {type(actual).__name__}: expected true or false, or 1 or 0"
        raise UnreadableError(msg)
    return truth


def _parse_truth_or_none(actual: object) -> bool | None:
    value = actual.item() if isinstance(actual, np.generic) else as_output(actual)
    return bool(value) if isinstance(value, (bool, int, float)) and value in {0, 1} else None


def _float_or_none(actual: object) -> float | None:
    try:
        return float(actual)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
