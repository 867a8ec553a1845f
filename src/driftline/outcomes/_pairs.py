"""Reads pairs of a prediction and its outcome, and decides whether the prediction was right."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from driftline._binning.label_scheme import PAIR, LabelScheme, TruthReader, both_kinds, is_text
from driftline._binning.prediction_kind import ROUNDING, Kind
from driftline._capture.class_scores import OutputForm, are_distribution
from driftline._capture.labels import is_missing, label_of
from driftline._capture.outputs import SCALARS, as_output, is_probabilities, is_scalar
from driftline._capture.ownership import copy_value, is_small, own_value, shorten
from driftline._capture.placeholders import Unreadable
from driftline._runtime.guard import UnreadableError, returning_on_error
from driftline.typing import Correct, Label

__all__ = ["PairReader", "ParsedPair", "essence_of", "is_absent"]

_log = logging.getLogger("driftline")

BINARY_NUMBERS = frozenset({-1, 0, 1, 2})
"""Numbers that may be the labels of a binary outcome. First outcomes that are all others are quantities."""


NUMBERS = (int, float, np.integer, np.floating, Decimal, Fraction)
"""Types of predictions and outcomes that are numbers."""


MAX_BITS = 1_023
"""Most bits of an integer, so that a float can hold it."""


FEW_TYPES = frozenset({bool, int, float, str})
"""Types of outcomes whose reading is kept, because labels repeat."""

MOST_BEYOND = 1.0
"""By how much a probability may be out of range and still have a grade. Linear models exceed the range a little."""

MAX_TRUTHS = 16
"""Most outcomes whose reading is kept: two labels, each in some spellings."""


class ParsedPair(NamedTuple):
    """
    A prediction and its outcome, ready for counting.

    Attributes:
        value: the prediction as a label or number; None if only the user function understands it.
        is_correct: whether the prediction was right; None for an ungraded pair.
        actual: the outcome as a label, boolean or number; None if only the user function understands it.
        probability: the probability of a predicted label; None if the prediction has none.
    """

    value: Any
    is_correct: bool | None
    actual: Any
    probability: float | None


class PairReader:
    """
    Reads pairs of one kind of prediction.

    If the kind is not known, the first pairs decide it. A number from 0 to 1 may be a probability or a quantity, so an
    outcome that is a fraction decides it again later. A whole number, such as the code 99 for "unknown", does not.

    Args:
        scheme: how outcomes are read, as far as it is known.
        correct: user function that returns whether a prediction was right; None if there is none.
        known: the labels of the reference's predictions; empty if they are not known.

    Attributes:
        kind: the kind of the predictions; None until the first pairs decide it.
        threshold: smallest probability that predicts the positive label.
    """

    __slots__ = ("_correct", "_form", "_is_certain", "_mixes", "_truth", "_truths", "kind", "threshold")

    def __init__(self, scheme: LabelScheme, correct: Correct | None, known: Collection[Label] = ()) -> None:
        self.kind: Kind | None = scheme.kind
        self._is_certain = scheme.kind is not None
        self._correct = correct
        self._form = replace(scheme.form, labels=scheme.kind in {None, "label"})
        self.threshold = scheme.threshold
        if scheme.kind is None and scheme.positive is None and len(scheme.classes) == PAIR:
            # In case that the predictions turn out to be probabilities.
            scheme = replace(scheme, positive=scheme.classes[1])
        self._truth = TruthReader(scheme)
        self._truths: dict[object, bool] = {}
        # Labels of both types may be compared if the reference has both.
        self._mixes = both_kinds([*known, *scheme.classes])

    @property
    def grades(self) -> bool:
        """Whether pairs of this kind get a grade. A quantity gets none without a user function."""
        return self.kind != "quantity" or self._correct is not None

    def decide(self, pairs: Sequence[tuple[object, object]]) -> None:
        """Decide the kind from the first pairs, if it is not known. Pairs without an outcome do not decide."""
        if self.kind is None:
            present = [pair for pair in pairs if not is_absent(pair[0]) and not is_absent(pair[1])]
            if present:
                self.kind = _infer_kind(present)
                self._is_certain = self.kind not in {None, "probability"}
        elif not self._is_certain and any(_is_fraction(actual) for _, actual in pairs):
            self.kind, self._is_certain = "quantity", True
            _log.warning(
                "An outcome is a fraction: predictions from 0 to 1 are quantities from now on, and have no accuracy. "
                "OutcomePolicy(kind=...) says from the start whether they are quantities or probabilities."
            )

    def read(self, output: object, actual: Any) -> ParsedPair:
        """
        Return a pair ready for counting, with its grade.

        Raises:
            UnreadableError: *output* or *actual* is not what the kind of prediction needs.
            Exception: the user function, or a value, raised it.
        """
        for value in (output, actual):
            if type(value) is Unreadable:
                msg = f"got {value.came}: expected a number, string or boolean"
                raise UnreadableError(msg)
        if self.kind == "label":
            return self._read_label(output, actual)
        if self._correct is not None and type(output) not in SCALARS and not _is_plain(output, self._form):
            # Only the user function understands such an output, a list for example.
            return ParsedPair(None, bool(self._correct(output, actual)), None, None)
        return self._read_number(output, actual)

    def _read_label(self, output: object, actual: Any) -> ParsedPair:
        probability = None
        value: Any
        if isinstance(output, Mapping) and is_probabilities(output):
            value = max(output, key=output.__getitem__)
            probability = float(output[value])
        elif self._correct is not None and type(output) not in SCALARS and not _is_plain(output, self._form):
            return ParsedPair(None, bool(self._correct(output, actual)), None, None)
        else:
            value = as_output(output, self._form)
        if self._correct is not None:
            return ParsedPair(label_of(value), bool(self._correct(output, actual)), label_of(actual), probability)
        value, actual = label_of(value), _label_of_outcome(actual)
        if is_text(value) is not is_text(actual) and not self._mixes:
            msg = (
                f"an outcome is a {type(actual).__name__} and its prediction a {type(value).__name__}: such labels are "
                f"never equal, expected outcomes of the type of the predictions"
            )
            raise UnreadableError(msg)
        return ParsedPair(value, value == actual, actual, probability)

    def _read_number(self, output: Any, actual: Any) -> ParsedPair:
        value: Any = output
        if type(output) is not float:
            if isinstance(output, Mapping) and self._truth.positive in output and is_probabilities(output):
                value = output[self._truth.positive]
            value = as_output(value, self._form)
        value = _as_number(value, "the output")
        if self.kind == "quantity":
            if self._correct is None:
                return ParsedPair(value, None, _as_quantity(actual), None)
            return ParsedPair(value, bool(self._correct(output, actual)), _quantity_or_none(actual), None)
        value = float(value)
        if self._correct is None:
            if not -MOST_BEYOND <= value <= 1.0 + MOST_BEYOND:
                msg = (
                    "a prediction is far from the range of probabilities, such as a log-odds or a percentage: expected "
                    'a number from 0 to 1, or OutcomePolicy(kind="quantity")'
                )
                raise UnreadableError(msg)
            truth = self._truths.get(actual) if type(actual) in FEW_TYPES else None
            if truth is None:
                truth = self._read_truth(actual)
            return ParsedPair(value, (value >= self.threshold) == truth, truth, None)
        return ParsedPair(value, bool(self._correct(output, actual)), self._truth_or_none(actual), None)

    def _read_truth(self, actual: Any) -> bool:
        """Return whether an outcome is the positive label, and keep the answer for equal outcomes."""
        truth = self._truth.read(_label_of_outcome(actual))
        if type(actual) in FEW_TYPES and len(self._truths) < MAX_TRUTHS:
            self._truths[actual] = truth
        return truth

    def _truth_or_none(self, actual: Any) -> bool | None:
        try:
            return self._truth.read(_label_of_outcome(actual))
        except UnreadableError:
            return None


@returning_on_error(None)
def _infer_kind(pairs: Sequence[tuple[object, object]]) -> Kind | None:
    """Return the kind of the predictions, from the types and values of some pairs; None if one raises."""
    output = pairs[0][0]
    if isinstance(output, Mapping) or not _is_number(output):
        return "label" if not isinstance(output, np.ndarray) or output.size > 2 else "probability"  # noqa: PLR2004
    if all(_is_integer(value) and (_is_integer(truth) or _is_boolean(truth)) for value, truth in pairs):
        return "label"
    if any(not _is_number(value) or not -ROUNDING <= value <= 1.0 + ROUNDING for value, _ in pairs):  # type: ignore[operator]
        return "quantity"
    truths = [truth for _, truth in pairs]
    are_quantities = any(map(_is_fraction, truths)) or all(map(_is_quantity, truths))
    return "quantity" if are_quantities else "probability"


def _is_number(value: object) -> bool:
    return isinstance(value, NUMBERS) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_boolean(value: object) -> bool:
    return isinstance(value, (bool, np.bool_))


@returning_on_error(False)  # noqa: FBT003 - the default
def _is_fraction(actual: Any) -> bool:
    """Return whether an outcome is a number that is not whole, such as 0.37."""
    return _is_number(actual) and math.isfinite(actual) and actual != int(actual)


@returning_on_error(False)  # noqa: FBT003 - the default
def _is_quantity(actual: Any) -> bool:
    """Return whether an outcome is a finite number that is no label of a binary outcome."""
    return _is_number(actual) and math.isfinite(actual) and actual not in BINARY_NUMBERS


def is_absent(value: object) -> bool:
    """Return whether a value is a missing scalar, such as None or nan."""
    return type(value) in SCALARS and is_missing(value)


@returning_on_error(False)  # noqa: FBT003 - the default
def _is_plain(output: object, form: OutputForm) -> bool:
    """Return True if driftline can read an output without the user function, and False if reading it raises."""
    as_output(output, form)
    return True


def _label_of_outcome(actual: Any) -> Label:
    """
    Return an outcome as a label.

    Raises:
        UnreadableError: it is a container or an array of several items.
    """
    if is_scalar(actual):
        return label_of(actual)
    return label_of(as_output(actual))


def _as_number(value: Any, noun: str) -> float | int:
    """Return a prediction or an outcome as an integer or float. A string is no number, even if it looks like one."""
    if type(value) is float and -math.inf < value < math.inf:
        return value
    if isinstance(value, (str, bytes)) or value is None:
        msg = f"{noun} is a {type(value).__name__}: expected a number"
        raise UnreadableError(msg)
    if _is_integer(value) and int(value).bit_length() <= MAX_BITS:
        return int(value)
    number = float("inf") if _is_integer(value) else float(value)
    if math.isinf(number):
        msg = f"{noun} is infinite or too large: expected a finite number"
        raise UnreadableError(msg)
    return number


def _as_quantity(actual: Any) -> float | int:
    return _as_number(actual if type(actual) is float else as_output(actual), "the outcome of a quantity")


@returning_on_error(None)
def _quantity_or_none(actual: Any) -> float | int | None:
    return _as_quantity(actual)


def essence_of(value: Any, form: OutputForm) -> object:
    """
    Return the part of an output or outcome that its grade needs: a scalar, or a label with its probability.

    It takes little memory, while predictions wait for their outcomes by the hundred thousand. A long string becomes its
    label. A large container or array becomes an `Unreadable`, whose grade is an error.
    """
    if is_scalar(value):
        return shorten(value)
    try:
        if issubclass(type(value), Mapping) and is_probabilities(value):
            if len(value) == 2:  # noqa: PLR2004 - the probability of either label may be asked for
                return {shorten(label): float(score) for label, score in value.items()}
            best = max(value, key=value.__getitem__)
            return {shorten(best): float(value[best])}
        if form.classes and (scores := _class_scores(value, form)) is not None:
            best = max(range(len(scores)), key=scores.__getitem__)
            return {shorten(form.classes[best]): scores[best]}
        return shorten(as_output(value, form))
    except Exception:  # noqa: BLE001 - an output of another type, or a value of the host
        return copy_value(value) if is_small(value) else own_value(value)


def _class_scores(value: Any, form: OutputForm) -> list[float] | None:
    """Return the probabilities of the labels of one row; None if the value is no array of them."""
    if not issubclass(type(value), (np.ndarray, list, tuple)) or not form.labels:
        return None
    scores = np.asarray(value, dtype=np.float64).reshape(-1)
    if len(scores) != len(form.classes) or np.isnan(scores).any() or not are_distribution(scores.reshape(1, -1)):
        return None
    return scores.tolist()  # type: ignore[no-any-return]
