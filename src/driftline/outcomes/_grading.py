"""Predictions with their outcomes to counts: read, judged, and put into bins."""

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
from driftline._binning.labels import (
    is_missing,
    label_of,
)
from driftline._binning.layout import binner
from driftline._binning.prediction_kind import Kind
from driftline._capture.outputs import SCALARS, as_output
from driftline.outcomes._snapshot import (
    ERROR_EDGES,
    ERROR_SIZES,
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
    "Graded",
    "Grader",
]

_HEAD = 3
"""The first places of a vector of counts: judged, right, joined without being judged."""


class _Read(NamedTuple):
    """A pair as it is counted: prediction, whether it was right, outcome, how probable the prediction said it was."""

    value: Any
    right: bool | None
    actual: Any
    probability: float | None


@dataclass(frozen=True, slots=True)
class Graded:
    """
    What some outcomes add: a vector of counts in the layout of their grader, results, and the errors met.

    ``told`` are the pairs that could be read, each with whether it was right (None: nothing says what right is).
    """

    grader: Grader
    counts: Counts
    results: Mapping[str, int]
    errors: Sequence[Exception] = ()
    told: Sequence[tuple[object, object, bool | None]] = ()


def _kind_told_by(output: object, actual: object) -> Kind:
    """What a prediction seems to be where nothing else says so."""
    if isinstance(output, Mapping) or not _is_number(output):
        return "label"
    if _is_whole(output) and (_is_whole(actual) or isinstance(actual, (bool, np.bool_))):
        return "label"
    truth = isinstance(actual, (bool, np.bool_)) or actual in {0, 1}
    return "probability" if truth and 0.0 <= float(output) <= 1.0 else "quantity"  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


class Grader:
    """
    Counts pairs of a prediction and its outcome.

    Args:
        kind: what predictions are; None: told by the first pair.
        correct: decides whether a prediction was right; by default a probability of at least 0.5 stands for true,
            labels are compared, and a quantity is neither right nor wrong.
        prediction: the prediction in the reference: its categories are the classes, and its bins are counted too.
        named: classes that are counted by name before others are.
    """

    __slots__ = ("_bins", "_correct", "_errors_size", "_numbers", "_scores_size", "_slots", "kind")

    def __init__(
        self, kind: Kind | None, correct: Correct | None, prediction: Feature | None, named: Sequence[Label] = ()
    ) -> None:
        self.kind = kind
        # The layout is settled now: a kind that the first pair will tell of has room for all.
        self._scores_size = 0 if kind == "quantity" else 2 * len(SCORE_MIDDLES)
        self._errors_size = 0 if kind in {"probability", "label"} else len(ERROR_SIZES)
        self._correct = correct
        self._bins = 0 if prediction is None else prediction.bins.size
        self._numbers: Callable[[Any], NDArray[np.intp]] | None = None
        self._slots: dict[Label, int] = {}
        known: tuple[Label, ...] = ()
        if prediction is not None:
            self._numbers = binner(prediction.bins)
            if isinstance(prediction.bins, CategoricalBins):
                known = prediction.bins.categories
        for label in (*named, *known):
            self._slot(label)

    # --- the layout of the vector ------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Length of the vector: what is counted of every kind, side by side."""
        return self._scores_at + self._scores_size + self._errors_size

    @property
    def _classes_at(self) -> int:
        return _HEAD + 2 * self._bins

    @property
    def _scores_at(self) -> int:
        return self._classes_at + 3 * (MAX_CLASSES + 1)

    def snapshot(self, counts: Counts, results: Mapping[str, int] | None = None) -> OutcomeSnapshot:
        """A vector as a value that means the same everywhere."""
        triples = counts[self._classes_at : self._scores_at].reshape(-1, 3).tolist()
        labels: dict[int, Label] = {slot: label for label, slot in self._slots.copy().items()}
        labels[MAX_CLASSES] = OTHER
        classes = {labels[slot]: ClassCounts(*triple) for slot, triple in enumerate(triples) if any(triple)}
        made = OutcomeSnapshot(
            {} if results is None else dict(results),
            int(counts[0]),
            int(counts[1]),
            classes,
            bins=counts[_HEAD : self._classes_at].reshape(-1, 2).copy(),
        )
        if self._scores_size:
            made = replace(made, scores=counts[self._scores_at :][: self._scores_size].reshape(-1, 2).copy())
        if self._errors_size:
            made = replace(made, errors=counts[self._scores_at + self._scores_size :].copy())
        return made

    # --- counting ----------------------------------------------------------------------------------------------------

    def grade(self, pairs: Sequence[tuple[object, object]]) -> Graded:
        """Count pairs of a prediction and its outcome; one that cannot be read is joined, and not judged."""
        if pairs and self.kind is None:
            self.kind = _kind_told_by(*pairs[0])
        counts = np.zeros(self.size, dtype=np.int64)
        errors: list[Exception] = []
        read, told = [], []
        for output, actual in pairs:
            try:
                one = None if _absent(output) or _absent(actual) else self._read(output, actual)
            except Exception as error:  # noqa: BLE001 - the values and the function that compares them are the host's
                errors.append(error)
                one = None
            if one is not None:
                read.append(one)
                told.append((output, actual, one[1]))
        judged = [(value, right) for value, right, _, _ in read if right is not None]
        right = sum(right for _, right in judged)
        counts[0], counts[1], counts[2] = len(judged), right, len(pairs) - len(judged)
        self._count_bins(counts, judged)
        if self.kind == "label":
            self._count_labels(counts, read)
        elif self.kind == "probability":
            self._count_probabilities(counts, read)
        elif self.kind == "quantity":
            self._count_errors(counts, read)
        found = {"correct": right, "incorrect": len(judged) - right, "matched": len(pairs) - len(judged)}
        return Graded(self, counts, {result: count for result, count in found.items() if count}, errors, told)

    def _read(self, output: object, actual: Any) -> _Read:
        probability = None
        right: bool | None = None
        value: Any
        if isinstance(output, Mapping):
            value = max(output, key=output.__getitem__)
            probability = float(output[value])
        elif self._correct is not None and not _plain(output):
            # Something that only the user's function understands.
            return _Read(None, bool(self._correct(output, actual)), None, None)
        else:
            value = as_output(output)
        if self.kind == "label":
            value, actual = label_of(value), label_of(actual)
            right = value == actual
        elif self.kind == "probability":
            value = float(value)
            truth = _truth(actual) if self._correct is None else _truth_or_none(actual)
            actual, right = truth, None if truth is None else (value >= 0.5) == truth  # noqa: PLR2004 - the usual cut
        else:
            value = float(value)
            actual = float(actual) if self._correct is None else _float_or_none(actual)
        if self._correct is not None:
            right = bool(self._correct(output, actual))
        return _Read(value, right, actual, probability)

    def _count_bins(self, counts: Counts, judged: Sequence[tuple[object, bool]]) -> None:
        if self._numbers is None or not judged:
            return
        numbers = self._numbers([value for value, _ in judged])
        right = np.array([right for _, right in judged])
        bins = counts[_HEAD : self._classes_at].reshape(-1, 2)
        bins[:, 0] += np.bincount(numbers, minlength=self._bins)
        bins[:, 1] += np.bincount(numbers[right], minlength=self._bins)

    def _count_labels(self, counts: Counts, read: Sequence[_Read]) -> None:
        classes = counts[self._classes_at : self._scores_at].reshape(-1, 3)
        for value, _, actual, _ in read:
            if value is None:
                continue
            predicted = self._slot(value)
            if value == actual:
                classes[predicted, 0] += 1
            else:
                classes[predicted, 1] += 1
                classes[self._slot(actual), 2] += 1
        sure = [(probability, value == actual) for value, _, actual, probability in read if probability is not None]
        self._count_scores(counts, sure)

    def _count_probabilities(self, counts: Counts, read: Sequence[_Read]) -> None:
        scores: list[tuple[float, bool]] = [
            (value, bool(actual)) for value, _, actual, _ in read if value is not None and actual is not None
        ]
        self._count_scores(counts, scores)
        positive = counts[self._classes_at : self._scores_at].reshape(-1, 3)[self._slot(label=True)]
        for value, actual in scores:
            if value >= 0.5:  # noqa: PLR2004 - the usual cut
                positive[0 if actual else 1] += 1
            elif actual:
                positive[2] += 1

    def _count_scores(self, counts: Counts, scores: Sequence[tuple[float, bool]]) -> None:
        usable = [(score, outcome) for score, outcome in scores if 0.0 <= score <= 1.0]
        if usable:
            values, outcomes = zip(*usable, strict=True)
            numbers = 2 * np.searchsorted(SCORE_EDGES, values, side="right") + np.array(outcomes)
            here = slice(self._scores_at, self._scores_at + self._scores_size)
            counts[here] += np.bincount(numbers, minlength=self._scores_size)

    def _count_errors(self, counts: Counts, read: Sequence[_Read]) -> None:
        errors = np.array(
            [value - actual for value, _, actual, _ in read if value is not None and actual is not None],
            dtype=np.float64,
        )
        errors = errors[np.isfinite(errors)]
        sizes = np.searchsorted(ERROR_EDGES, np.abs(errors), side="right")
        numbers = len(ERROR_EDGES) + np.where(errors < 0, -sizes, sizes)
        counts[self._scores_at + self._scores_size :] += np.bincount(numbers, minlength=self._errors_size)

    def _slot(self, label: Label) -> int:
        slot = self._slots.get(label)
        if slot is None:
            if len(self._slots) >= MAX_CLASSES:
                return MAX_CLASSES
            slot = self._slots[label] = len(self._slots)
        return slot


def _absent(value: object) -> bool:
    return value.__class__ in SCALARS and is_missing(value)


def _plain(output: object) -> bool:
    try:
        as_output(output)
    except Exception:  # noqa: BLE001 - the values are the host's and may raise anything
        return False
    return True


def _truth(actual: object) -> bool:
    truth = _truth_or_none(actual)
    if truth is None:
        # bool("no") is True: a text is not taken for what it is not.
        msg = f"the outcome of a probability is {str(actual)[:60]!r}: expected true or false, or 1 or 0"
        raise TypeError(msg)
    return truth


def _truth_or_none(actual: object) -> bool | None:
    value = actual.item() if isinstance(actual, np.generic) else as_output(actual)
    return bool(value) if isinstance(value, (bool, int, float)) and value in {0, 1} else None


def _float_or_none(actual: object) -> float | None:
    try:
        return float(actual)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
