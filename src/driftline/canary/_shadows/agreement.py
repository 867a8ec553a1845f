"""`Agreement`: whether the outputs of two models agree, row by row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.prediction_kind import Kind
from driftline._capture.labels import is_missing
from driftline._runtime import validation as check
from driftline._runtime.guard import UnreadableError
from driftline.canary._shadows.outputs import NUMBERS, Scores, read_output

__all__ = ["Agree", "Agreement", "count_agreeing"]

Agree: TypeAlias = "Callable[[Any, Any], Any]"
"""A function of (baseline's output, candidate's output) that returns whether they agree, or one such value per row."""

BINARY = 2
"""Number of classes for which *threshold* applies to the probability of the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """
    The default comparison of two outputs; pass it as ``agree=`` of `Canary.shadow` with other settings.

    Labels agree when they are equal. Rows of probabilities, one per class, agree when the most probable class is the
    same: arrays of shape (rows, classes), frames, and dicts of label to probability. Single probabilities agree on the
    same side of the threshold. Other numbers agree when they differ by at most *tolerance* of the baseline's number, or
    by at most *absolute*. Two missing values agree.

    Args:
        tolerance: largest difference of two quantities, as a part of the baseline's; 0.01 is one per cent.
        absolute: largest difference of two quantities, in their unit.
        threshold: the probability in [0, 1] from which a prediction is positive. With two classes, the positive one is
            the second: column 1, or the last label.
        classes: labels of the columns of arrays of shape (rows, classes). With them, columns may be any scores.
        kind: of single numbers: ``"probability"``, ``"label"`` or ``"quantity"``. If None, `Canary.shadow` takes it
            from the predictions of the reference; without these, numbers are quantities.

    Raises:
        ConfigurationError: a value is out of bounds, or *classes* are fewer than two or not distinct.
    """

    tolerance: float = 0.01
    absolute: float = 0.0
    threshold: float = 0.5
    classes: Sequence[Hashable] | None = None
    kind: Kind | None = None

    def __post_init__(self) -> None:
        check.number("tolerance", self.tolerance, at_least=0)
        check.number("absolute", self.absolute, at_least=0)
        check.probability("threshold", self.threshold)
        check.optional(check.one_of, "kind", self.kind, choices=("probability", "label", "quantity"))
        if self.classes is not None:
            classes: tuple[Hashable, ...] = ()
            try:
                classes = () if isinstance(self.classes, (str, bytes)) else tuple(self.classes)
                distinct = len(set(classes))
            except TypeError:  # no iterable, or of labels without a hash
                distinct = 0
            if distinct < max(BINARY, len(classes)):
                check.reject("classes", self.classes, "at least two distinct labels")
            object.__setattr__(self, "classes", classes)

    def __call__(self, baseline: Any, candidate: Any, /) -> NDArray[np.bool_]:
        """
        Return for each row whether the outputs agree, shape (rows,).

        Raises:
            TypeError: the outputs have different numbers of rows, or a form that cannot be compared.
        """
        expected, actual = self._reduce(read_output(baseline)), self._reduce(read_output(candidate))
        if isinstance(expected, Scores) or isinstance(actual, Scores):
            expected, actual = self._top_or_positive(expected, actual)
        if len(expected) != len(actual):
            msg = f"outputs of shapes {expected.shape} and {actual.shape} cannot be compared"
            raise UnreadableError(msg)
        if expected.dtype.kind in NUMBERS and actual.dtype.kind in NUMBERS:
            return self._compare_numbers(expected, actual)
        return _compare_labels(_as_objects(expected), _as_objects(actual))

    # --- rows with several numbers -----------------------------------------------------------------------------------

    def _reduce(self, output: NDArray[Any] | Scores) -> NDArray[Any] | Scores:
        """Return an output with one value per row, or as `Scores` whose columns are classes."""
        if isinstance(output, Scores):
            if self.kind == "label" or self.classes is not None or output.are_probabilities:
                return output
            msg = (
                f"an output of {output.values.shape[1]} numbers per row that are no probabilities: pass "
                "agree=Agreement(classes=[...]) if they are scores of classes, or your own function"
            )
            raise UnreadableError(msg)
        # The probabilities of one row, as an array without a second dimension.
        is_row = self.kind == "label" if self.classes is None else len(output) == len(self.classes)
        if is_row and output.dtype.kind == "f" and len(output) >= BINARY:
            row = Scores(output.astype(np.float64).reshape(1, -1), None)
            return row if row.are_probabilities else output
        return output

    def _top_or_positive(
        self, expected: NDArray[Any] | Scores, actual: NDArray[Any] | Scores
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return both outputs as labels; as numbers if one has the probability of the positive class only."""
        for one_sided, scores in ((expected, actual), (actual, expected)):
            if (
                not isinstance(one_sided, Scores)
                and isinstance(scores, Scores)
                and scores.values.shape[1] == BINARY
                and one_sided.dtype.kind == "f"
                and self.kind != "label"
            ):
                positive = scores.values[:, 1]
                return (one_sided, positive) if one_sided is expected else (positive, one_sided)
        if isinstance(expected, Scores) and isinstance(actual, Scores):
            actual = actual.ordered_as(expected)
        names = self._names(expected, actual)
        return self._labels(expected, names), self._labels(actual, names)

    def _names(self, *outputs: NDArray[Any] | Scores) -> tuple[Hashable, ...] | None:
        """Return the labels of columns without names: *classes*, or the names that the other output has."""
        if self.classes is not None:
            return tuple(self.classes)
        named = [output.labels for output in outputs if isinstance(output, Scores) and output.labels is not None]
        return named[0] if named else None

    def _labels(self, output: NDArray[Any] | Scores, names: tuple[Hashable, ...] | None) -> NDArray[Any]:
        """Return the label of the most probable class of each row; None for a row with a missing number."""
        if not isinstance(output, Scores):
            return output
        values = output.values
        labels = output.labels or names or tuple(range(values.shape[1]))
        if len(labels) != values.shape[1]:
            msg = f"an output of {values.shape[1]} columns and {len(labels)} classes cannot be compared"
            raise UnreadableError(msg)
        missing = np.isnan(values).any(axis=1)
        if values.shape[1] == BINARY and output.are_probabilities:
            top = (values[:, 1] >= self.threshold).astype(np.int64)
            if self.threshold == 0.5:  # noqa: PLR2004 - the usual cut, at which a tie is the first class as in argmax
                top[values[:, 0] == values[:, 1]] = 0
        else:
            top = np.where(np.isnan(values), -np.inf, values).argmax(axis=1)
        table = np.empty(len(labels) + 1, dtype=object)
        table[:-1] = labels
        result: NDArray[Any] = table[np.where(missing, len(labels), top)]
        return result

    # --- one value per row -------------------------------------------------------------------------------------------

    def _compare_numbers(self, expected: NDArray[Any], actual: NDArray[Any]) -> NDArray[np.bool_]:
        e, a = expected.astype(np.float64), actual.astype(np.float64)
        lost = np.isnan(e), np.isnan(a)
        with np.errstate(invalid="ignore", over="ignore"):
            if self._are_probabilities(expected, actual):
                same = (e >= self.threshold) == (a >= self.threshold)
            elif self.kind in {"label", "probability"} or "b" in expected.dtype.kind + actual.dtype.kind:
                same = expected == actual
            else:
                near = np.abs(a - e) <= np.maximum(self.tolerance * np.abs(e), self.absolute)
                same = (e == a) | (near & np.isfinite(e) & np.isfinite(a))
        return np.where(lost[0] | lost[1], lost[0] & lost[1], same)

    def _are_probabilities(self, *outputs: NDArray[Any]) -> bool:
        """Return whether numbers are compared by their side of the threshold: fractions, at least in one output."""
        floats = any(output.dtype.kind == "f" for output in outputs)
        if self.kind == "probability" or not floats:
            return floats and self.kind == "probability"
        if self.kind != "label":
            return False
        # A model whose training data have labels may return the probability of the positive one.
        known = [output[~np.isnan(output)] if output.dtype.kind == "f" else output for output in outputs]
        within = all(bool(((values >= 0) & (values <= 1)).all()) for values in known)
        return within and any(bool((values % 1 != 0).any()) for values in known)


def count_agreeing(agrees: Any) -> tuple[int, int]:
    """
    Return (rows, rows that agree) from the result of a comparison: a boolean, or one per row.

    Raises:
        UnreadableError: the result is something else, such as None.
    """
    values = np.ravel(np.asarray(agrees))
    if values.dtype == object and all(isinstance(value, (bool, np.bool_)) for value in values):
        values = values.astype(bool)
    if values.dtype.kind not in "biu" and len(values):
        msg = f"agree= returned {type(agrees).__name__}: expected a boolean, or one per row"
        raise UnreadableError(msg)
    return len(values), int(np.count_nonzero(values))


def _as_objects(values: NDArray[Any]) -> NDArray[Any]:
    objects: NDArray[Any] = values.astype(object)
    return objects


def _compare_labels(expected: NDArray[Any], actual: NDArray[Any]) -> NDArray[np.bool_]:
    """Compare labels by their equality. Two missing ones agree."""
    kinds = [{_kind(value) for value in values if not is_missing(value)} for values in (expected, actual)]
    if kinds[0] and kinds[1] and not kinds[0] & kinds[1]:
        names = " and ".join(sorted(kinds[0])), " and ".join(sorted(kinds[1]))
        msg = f"outputs that are {names[0]} and {names[1]} are never equal: return one type of label, or pass agree="
        raise UnreadableError(msg)
    return np.fromiter(map(_is_equal, expected, actual), dtype=np.bool_, count=len(expected))


def _is_equal(expected: Any, actual: Any) -> bool:
    if is_missing(expected) or is_missing(actual):
        return is_missing(expected) and is_missing(actual)
    if vars(object)["__eq__"] is type(expected).__eq__:
        msg = f"outputs of the class {type(expected).__name__}, which has no equality, cannot be compared: pass agree="
        raise UnreadableError(msg)
    return bool(expected == actual)


def _kind(value: object) -> str:
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return "numbers"
    return "strings" if isinstance(value, str) else type(value).__name__
