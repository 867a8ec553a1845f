"""`LabelScheme`: how the outcomes of a model are read. It is the same at fit and while serving."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from driftline._binning.prediction_kind import Kind
from driftline._capture.class_scores import OutputForm
from driftline._capture.columns import as_objects
from driftline._capture.labels import is_missing, label_of
from driftline._capture.libraries import is_column, read_column
from driftline._runtime import validation as check
from driftline._runtime.guard import UnreadableError
from driftline.typing import Label

__all__ = [
    "DEFAULT_THRESHOLD",
    "PAIR",
    "LabelArguments",
    "LabelScheme",
    "TruthReader",
    "are_equal",
    "both_kinds",
    "find_pair",
    "is_text",
]

PAIR = 2
"""Number of labels of a probability: the negative and the positive one."""

LABELS = (str, bytes, int, float, np.bool_, np.number, Enum)
"""Types of the labels in arguments. `label_of` returns them as Python values."""

DEFAULT_THRESHOLD = 0.5
"""Smallest probability that predicts the positive label, unless ``threshold=`` says otherwise."""

WORDS = {
    "yes": "no",
    "y": "n",
    "true": "false",
    "t": "f",
    "1": "0",
    "1.0": "0.0",
    "positive": "negative",
    "pos": "neg",
    "on": "off",
}
"""Positive words and their negative ones, in lower case. Other strings need ``positive=``."""

_NEGATIVE_WORDS = {negative: positive for positive, negative in WORDS.items()}


@dataclass(frozen=True, slots=True)
class LabelArguments:
    """
    The arguments that say how outcomes are read, checked.

    Attributes:
        positive: the label whose probability is predicted; None if it was not given.
        threshold: smallest probability that predicts it; None if it was not given.
        classes: the labels in the order of the columns of ``predict_proba``; empty if they were not given.
    """

    positive: Label | None = None
    threshold: float | None = None
    classes: tuple[Label, ...] = ()

    @classmethod
    def checked(cls, positive: Any, threshold: Any, classes: Any, most: int) -> LabelArguments:
        """
        Check the arguments.

        Args:
            positive: a label, or None.
            threshold: a number above 0 and at most 1, or None.
            classes: a sequence or column of different labels.
            most: largest number of classes.

        Raises:
            ConfigurationError: an argument has the wrong type or is out of range.
        """
        if positive is not None and (not isinstance(positive, LABELS) or is_missing(positive)):
            check.reject("positive", positive, "a label: a string, number or boolean")
        if is_column(classes) and not isinstance(classes, (list, tuple)):
            classes = list(as_objects(read_column(classes)))
        if isinstance(classes, (str, bytes)) or not isinstance(classes, Sequence):
            check.reject("classes", classes, "a sequence of labels")
        if len(classes) > most or not all(isinstance(label, LABELS) and not is_missing(label) for label in classes):
            check.reject("classes", list(classes), f"at most {most} strings, numbers or booleans")
        check.encodable("classes", (label for label in classes if isinstance(label, str)))
        labels = tuple(label_of(label) for label in classes)
        if len(set(labels)) != len(labels):
            check.reject("classes", list(classes), "different labels")
        label = None if positive is None else label_of(positive)
        if label is not None and len(labels) == PAIR and label not in labels:
            check.reject("positive", positive, f"one of classes={list(labels)!r}")
        cut = None if threshold is None else check.number("threshold", threshold, above=0, at_most=1)
        return cls(label, cut, labels)

    @property
    def names_labels(self) -> bool:
        """Whether the predictions must be probabilities, because an argument is about those."""
        return self.positive is not None or self.threshold is not None or len(self.classes) == PAIR

    @property
    def words(self) -> str:
        """The arguments that were given, such as ``"positive='yes'"``."""
        arguments = {"positive": self.positive, "threshold": self.threshold, "classes": list(self.classes) or None}
        return ", ".join(f"{name}={value!r}" for name, value in arguments.items() if value is not None)


@dataclass(frozen=True, slots=True)
class LabelScheme:
    """
    How outcomes are compared with predictions.

    Attributes:
        kind: the kind of the predictions; None if neither the training data nor the user decides it.
        classes: the labels in the order of the columns of ``predict_proba``; empty if they are not known. Of a
            probability, they are the negative and the positive label.
        positive: the label whose probability is predicted; None if it is not known, and for other kinds.
        threshold: smallest probability that predicts the positive label.
    """

    kind: Kind | None = None
    classes: tuple[Label, ...] = ()
    positive: Label | None = None
    threshold: float = DEFAULT_THRESHOLD

    @property
    def negative(self) -> Label | None:
        """The label that is not positive; None if it is not known."""
        if self.positive is None or len(self.classes) != PAIR:
            return None
        return self.classes[0] if self.classes[1] == self.positive else self.classes[1]

    @property
    def form(self) -> OutputForm:
        """The form of outputs. The positive column of two is 1, unless `classes` says otherwise."""
        column = self.classes.index(self.positive) if self.positive in self.classes[:PAIR] else 1
        return OutputForm(classes=self.classes, positive=column)

    @property
    def is_usual(self) -> bool:
        """Whether releases before 0.3 read outcomes so: labels as they are, and 0 and 1 at the threshold of 0.5."""
        usual = self.positive is None or set(self.classes) <= {0, 1}
        return usual and self.positive in {None, 1} and self.threshold == DEFAULT_THRESHOLD

    @property
    def arguments(self) -> LabelArguments:
        """The arguments of `Reference.fit` that give this scheme."""
        threshold = None if self.threshold == DEFAULT_THRESHOLD else self.threshold
        return LabelArguments(self.positive, threshold, self.classes)


def is_text(label: object) -> bool:
    """Return whether a label is a string. Numbers and booleans are not, so that 1 and "1" are different labels."""
    return isinstance(label, str)


def both_kinds(labels: Collection[Label]) -> bool:
    """Return whether some labels are strings and others are numbers or booleans."""
    return len(set(map(is_text, labels))) > 1


def find_pair(labels: Collection[Label]) -> tuple[Label, Label] | None:
    """
    Return the negative and the positive label of a binary outcome. None if these labels do not say which is which.

    Of numbers, the greater is positive: 0 and 1, -1 and 1, 1 and 2. Of strings, `WORDS` decides. A single label has the
    other one of its pair.

    >>> find_pair(["yes", "no"]), find_pair([1, -1]), find_pair([True]), find_pair(["good", "bad"])
    (('no', 'yes'), (-1, 1), (False, True), None)
    """
    distinct = set(labels)
    if not distinct or both_kinds(distinct):
        return None
    if is_text(next(iter(distinct))):
        words = {str(label).strip().casefold() for label in distinct}
        for positive, negative in WORDS.items():
            if words <= {positive, negative}:
                exact = {str(label).strip().casefold(): label for label in distinct}
                return exact.get(negative, negative), exact.get(positive, positive)
        return None
    if len(distinct) > PAIR:
        return None
    if distinct <= {0, 1}:
        # False and True are these numbers.
        return (False, True) if all(isinstance(label, bool) for label in distinct) else (0, 1)
    if distinct <= {-1, 1}:
        return -1, 1
    if len(distinct) == 1 or any(label != int(label) for label in distinct):
        return None
    low, high = sorted(distinct)
    return low, high


class TruthReader:
    """
    Reads the outcomes of probabilities as true or false.

    If the scheme has no labels, the first outcomes decide: 0 and 1, -1 and 1, booleans, and the words of `WORDS`.

    Args:
        scheme: the labels, as far as they are known.
    """

    __slots__ = ("_guessed", "_negative", "_positive")

    def __init__(self, scheme: LabelScheme) -> None:
        self._positive, self._negative = scheme.positive, scheme.negative
        self._guessed = scheme.positive is None

    @property
    def positive(self) -> Label | None:
        """The positive label; None while it is not known."""
        return self._positive

    def read(self, actual: Any) -> bool:
        """
        Return whether an outcome is the positive label.

        Raises:
            UnreadableError: it is neither of the two labels, or it is not known which label is positive.
        """
        label = label_of(actual)
        if self._positive is None:
            self._guess(label)
        for known, truth in ((self._positive, True), (self._negative, False)):
            if known is not None and is_text(known) == is_text(label) and are_equal(known, label):
                return truth
        # Of a guessed 1, the other label may be 0 or -1. With 2 it would not be positive.
        is_possible = not self._guessed or label in {0, -1}
        if self._negative is None and is_possible and is_text(label) == is_text(self._positive):
            self._negative = label
            return False
        raise UnreadableError(self._problem(label))

    def _guess(self, label: Label) -> None:
        pair = find_pair([label])
        if pair is None:
            msg = (
                f"an outcome of a probability is a {type(label).__name__} that is neither true nor false: expected "
                f"positive= of OutcomePolicy or Reference.fit, the label that the probability is about, or "
                f'OutcomePolicy(kind="quantity") if predictions are quantities'
            )
            raise UnreadableError(msg)
        self._negative, self._positive = pair
        if label == 1 and not is_text(label) and not isinstance(label, bool):
            self._negative = None

    def _problem(self, label: Label) -> str:
        # Without the label, so that the message may be logged.
        expected = "" if self._positive is None else f" of type {type(self._positive).__name__}"
        return (
            f"an outcome of a probability is a {type(label).__name__} that is none of the two labels{expected}: "
            f"expected the labels of the training data; positive= and classes= of OutcomePolicy name others, and "
            f'kind="quantity" is for predictions that are no probabilities'
        )


def are_equal(known: Label, label: Label) -> bool:
    """Return whether two labels of one type are equal. Words of `WORDS` are equal in any case."""
    if known == label:
        return True
    if not isinstance(known, str) or not isinstance(label, str):
        return False
    word = known.strip().casefold()
    return (word in WORDS or word in _NEGATIVE_WORDS) and word == label.strip().casefold()
