"""`Rejects`: counts the values that no bin can hold, because they are of another type than those of the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import PREDICTION, Feature, NumericBins
from driftline._capture.labels import DATES, label_of
from driftline._capture.placeholders import Unreadable, describe_type, is_absent, is_unreadable_number
from driftline._runtime.guard import is_contained
from driftline.typing import Column, Counts

__all__ = ["MAX_REJECTED_SHARE", "Rejects", "describe_rejected"]

MAX_REJECTED_SHARE = 0.01
"""
Largest share of the values of a feature that may be rejected while the feature is evaluated. More could be the whole of
a tail, so that the other values would be a biased sample.
"""

MISSING_NUMBERS = frozenset({float, int, bool, type(None), np.float64, np.float32, np.int64, np.bool_})
"""Types of which a value that is not a number is missing."""


class Rejects:
    """
    Counts the values of watched features that are of a wrong type, says which type came, and reports it.

    Such a value is in the bin of missing values, so that every row is in one bin of each feature. Evaluated there, it
    would be an alarm about the data, while the fault is in how the data are passed. So the evaluation subtracts it.

    Only one thread at a time may count rows.

    Args:
        features: the watched features, the prediction last if there is one.
        report: called with a place, a message, a number of values and the name of the feature.
        inputs: the names of the features that a derived feature combines, by its name.

    Attributes:
        prediction: the index of the prediction; -1 if there is none.
    """

    __slots__ = (
        "_came",
        "_counts",
        "_features",
        "_inputs",
        "_kinds",
        "_new",
        "_report",
        "_sees_outputs",
        "_unbinned",
        "prediction",
    )

    def __init__(
        self,
        features: Sequence[Feature],
        report: Callable[[str, str, int, str], None],
        inputs: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._features = tuple(features)
        self._report = report
        indices = {feature.name: index for index, feature in enumerate(features)}
        self._inputs = {
            indices[name]: tuple(indices[column] for column in columns if column in indices)
            for name, columns in (inputs or {}).items()
        }
        self._kinds = tuple(_kinds_of(feature) for feature in features)
        self.prediction = indices.get(PREDICTION, -1)
        self.reset()

    def reset(self) -> None:
        """Delete all counts, as the child of a fork must."""
        self._counts = np.zeros(len(self._features), dtype=np.int64)
        self._unbinned = 0
        self._new: dict[int, int] = {}
        self._came: dict[int, str] = {}
        # If the reference has missing predictions, None is one of them.
        self._sees_outputs = self.prediction < 0 or self._features[self.prediction].counts[-1] > 0

    # --- counting ----------------------------------------------------------------------------------------------------

    def count_numbers(self, index: int, column: Column, floats: NDArray[Any]) -> None:
        """
        Count the values of a numeric feature that are of a wrong type.

        Args:
            index: the index of the feature.
            column: the values.
            floats: the same values as numbers; nan if a value is missing or of a wrong type.
        """
        if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
            self._sees_outputs |= index == self.prediction
            return
        self._find(index, column, np.flatnonzero(np.isnan(floats)))

    def move(self, index: int, column: Column, numbers: NDArray[np.intp]) -> None:
        """
        Count the values of a feature that are of a wrong type, and move them to the bin of missing values.

        Args:
            index: the index of the feature.
            column: the values.
            numbers: the number of each value's bin, which is changed.
        """
        numbers[self._find(index, column, self._candidates(index, numbers))] = self._features[index].bins.missing

    def may_reject(self, index: int, numbers: NDArray[np.intp]) -> bool:
        """Return whether some values of a feature with these *numbers* of bins may be of a wrong type."""
        return len(self._candidates(index, numbers)) > 0

    def find_labels(
        self, index: int, labels: Sequence[object], rows: Counts, numbers: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """
        Count the values of a column of codes that are of a wrong type, and return which labels these are.

        Args:
            index: the index of the feature.
            labels: the labels.
            rows: number of rows with each label.
            numbers: the number of each label's bin.
        """
        rejected = np.zeros(len(numbers), dtype=bool)
        self._sees_outputs |= index == self.prediction
        for code in self._candidates(index, numbers).tolist():
            if rows[code] and self._is_rejected(index, labels[code]):
                rejected[code] = True
                self._add(index, int(rows[code]), describe_type(labels[code]))
        return rejected

    def _candidates(self, index: int, numbers: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the indices of the values that may be of a wrong type, because they are in the bins for the rest."""
        bins = self._features[index].bins
        if isinstance(bins, NumericBins):
            return np.flatnonzero(numbers == bins.missing)
        if index == self.prediction and not self._sees_outputs:
            return np.flatnonzero(numbers >= bins.other)
        return np.flatnonzero(numbers == (bins.other if bins.open else bins.unseen))

    def _find(self, index: int, column: Column, candidates: NDArray[np.intp]) -> NDArray[np.intp]:
        """Count the values that are of a wrong type, and return their indices. All of them are *candidates*."""
        if index == self.prediction and not self._sees_outputs and len(column):
            if len(candidates) == len(column) and all(value is None for value in column):
                # A function that never returned anything but None does not return its predictions. Once something else
                # has been returned, None is a missing prediction.
                self._add(index, len(column), "None")
                return candidates
            self._sees_outputs = True
        if not len(candidates):
            return candidates
        if isinstance(column, np.ndarray) and column.dtype.kind in "mMcV":
            empty = column[candidates]
            known = np.ones(len(empty), dtype=bool) if column.dtype.kind == "V" else empty == empty  # noqa: PLR0124
            rejected: NDArray[np.intp] = candidates[known]
            self._add(index, len(rejected), f"values of dtype {column.dtype}")
            return rejected
        values = _take(column, candidates)
        rejections = [self._is_rejected(index, value) for value in values]
        if not any(rejections):
            return candidates[:0]
        wrong = [value for value, each in zip(values, rejections, strict=True) if each]
        self._add(index, len(wrong), describe_type(wrong[-1]))
        indices: NDArray[np.intp] = candidates[np.flatnonzero(rejections)]
        return indices

    def _is_rejected(self, index: int, value: object) -> bool:
        """Return whether a value in one of the bins for the rest is of a wrong type."""
        bins = self._features[index].bins
        if isinstance(bins, NumericBins):
            return type(value) not in MISSING_NUMBERS and is_unreadable_number(value)
        return not (bins.open and _is_one_of(value, bins.categories)) and _is_rejected_label(value, self._kinds[index])

    def _add(self, index: int, rows: int, came: str) -> None:
        if rows:
            self._counts[index] += rows
            self._came[index] = came
            self._new[index] = self._new.get(index, 0) + rows

    def add_outputs(self, rows: int, came: str) -> None:
        """Count outputs of *rows* rows that are in no bin. The caller reports them, and holds the lock of `take`."""
        if self.prediction >= 0:
            self._unbinned += rows
            self._came[self.prediction] = came

    def take(self, counts: Counts, rows: int, slices: Sequence[slice]) -> Counts | None:
        """
        Return how many values of some rows were rejected; None if none were.

        Its shape is (features + 1,): the last number is that of outputs which are in no bin. Rows that are buffered may
        fall into several windows, so at most as many outputs are returned as these rows have no prediction.

        Args:
            counts: the counts of these rows, which were the last to be counted.
            rows: the number of these rows.
            slices: the slice of each feature's bins.
        """
        if not self._unbinned and not self._counts.any():
            return None
        unbinned = min(self._unbinned, rows - int(counts[slices[self.prediction]].sum())) if self._unbinned else 0
        rejected = np.append(self._counts, unbinned)
        self._counts[:] = 0
        self._unbinned -= unbinned
        return rejected if rejected.any() else None

    def usable(self, counts: Counts, rejected: Counts | None, slices: Sequence[slice]) -> tuple[Counts, dict[int, str]]:
        """
        Return the counts of a window that can be evaluated, and why others cannot, by the index of the feature.

        Rejected values are subtracted. A feature with too many of them has no counts at all, because its other values
        may be a biased sample.

        Args:
            counts: the counts of the window, shape (bins,).
            rejected: its rejected values, as `take` returns them.
            slices: the slice of each feature's bins.
        """
        if rejected is None:
            return counts, {}
        counts = counts.copy()
        wrong = rejected[:-1].copy()
        if self.prediction >= 0:
            wrong[self.prediction] += rejected[-1]
        reasons: dict[int, str] = {}
        for index in np.flatnonzero(wrong).tolist():
            bins = slices[index]
            counts[bins.stop - 1] -= rejected[index]
            rows = int(wrong[index] + counts[bins].sum())
            if wrong[index] > MAX_REJECTED_SHARE * rows:
                reasons[index] = f"{wrong[index]} of {rows} rows: {self.sentence(index)}"
        for index, inputs in self._inputs.items():
            reason = next((reasons[each] for each in inputs if each in reasons), None)
            if reason is not None:
                reasons[index] = reason
        for index in reasons:
            counts[slices[index]] = 0
        return counts, reasons

    # --- words -------------------------------------------------------------------------------------------------------

    def report(self) -> None:
        """Report the values that were rejected since the last call. Call this under no lock, because it logs."""
        while self._new:
            try:
                index, rows = self._new.popitem()
            except KeyError:  # another thread reports it
                return
            if index == self.prediction:
                self._report("output", self.sentence(index), rows, "")
            else:
                self._report("value", self.sentence(index), rows, self._features[index].name)

    def sentence(self, index: int) -> str:
        """Return what came in place of the values of a feature, what was expected, and how to mend it."""
        feature, came = self._features[index], self._came.get(index, "values of a wrong type")
        expected = self._expected(index)
        if index == self.prediction:
            return f"the output cannot be read: got {came}, expected {expected} (output= of instrument extracts them)"
        return (
            f"values of {feature.name!r} cannot be read: got {came}, expected {expected} (convert them before the call "
            f"or in features= of instrument, or fit the reference to such values with categorical=[{feature.name!r}])"
        )

    def latest(self, index: int) -> str:
        """Return which values of a wrong type came last, in place of which; an empty string if none came."""
        came = self._came.get(index)
        return "" if came is None else f"{came}, expected {self._expected(index)}"

    def _expected(self, index: int) -> str:
        if isinstance(self._features[index].bins, NumericBins):
            return "numbers"
        return " or ".join(sorted(self._kinds[index])) or "categories"


def describe_rejected(feature: Feature, column: Column, numbers: NDArray[np.intp]) -> str:
    """
    Return which values of a wrong type are in a column, in place of which; an empty string if none are.

    Args:
        feature: the feature whose values were expected.
        column: the values.
        numbers: the number of each value's bin.
    """
    # An output that is always None is rejected while serving only.
    rejects = Rejects([replace(feature, name="")], lambda *_: None)
    rejects.move(0, column, numbers.copy())
    return rejects.latest(0)


def _take(column: Column, indices: NDArray[np.intp]) -> list[object]:
    """Return the values at some indices as Python objects."""
    if isinstance(column, np.ndarray):
        return column[indices].tolist()  # type: ignore[no-any-return]
    return [column[index] for index in indices.tolist()]


def _is_one_of(value: object, categories: Sequence[object]) -> bool:
    try:
        return label_of(value) in categories
    except BaseException as error:
        if not is_contained(error):
            raise
        return False  # a list, or a value of the host


def _kinds_of(feature: Feature) -> frozenset[str]:
    """Return the kinds of the labels of a categorical feature: some of "strings", "numbers" and "booleans"."""
    if isinstance(feature.bins, NumericBins):
        return frozenset()
    return frozenset(map(_kind, (*feature.bins.categories, *feature.bins.others)))


def _kind(label: object) -> str:
    if isinstance(label, bool):
        return "booleans"
    return "numbers" if isinstance(label, (int, float)) else "strings"


def _is_rejected_label(value: Any, kinds: frozenset[str]) -> bool:
    """
    Return whether a value without a known label is of a type that cannot be a category of the feature.

    Args:
        value: the value. A missing one is not rejected.
        kinds: the kinds of the known labels.
    """
    if type(value) is str:
        return bool(kinds) and "strings" not in kinds and bool(value.strip())
    if is_absent(value):
        return False
    if isinstance(value, (Unreadable, list, tuple, dict, set, frozenset, complex, np.ndarray, *DATES)):
        return True
    try:
        label = label_of(value)
    except BaseException as error:
        if not is_contained(error):
            raise
        return True  # the method of a value may raise anything
    kind = _kind(label)
    if kind == "strings" and not isinstance(value, (str, bytes)) and _has_no_words(value):
        return True
    # True is 1 for Python, so a column of zeros and ones matches a boolean one.
    alike = {"booleans", "numbers"} if kind != "strings" or isinstance(value, Number) else {"strings"}
    return bool(kinds) and not (kinds & alike or kind in kinds)


def _has_no_words(value: object) -> bool:
    """Return whether the string of a value is the default of Python: its class and its address in memory."""
    return type(value).__str__ is object.__str__ and type(value).__repr__ is object.__repr__
