"""Agreement of two outputs: by the most probable class, by tolerance, by the side of a threshold."""

from __future__ import annotations

import dataclasses
import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from driftline import ConfigurationError
from driftline.canary import Agreement
from driftline.canary._shadows.agreement import count_agreeing

FIRST = [[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]]
SECOND = [[0.5, 0.3, 0.2], [0.5, 0.4, 0.1], [0.2, 0.1, 0.7]]
"""Probabilities of three rows and classes. The second row has another top label."""

NAMES = ("cat", "cow", "dog")


def columns(rows):
    """The rows as columns by label."""
    return dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))


FORMS = {
    "array": np.array,
    "half precision": lambda rows: np.array(rows, dtype=np.float16),
    "list": lambda rows: rows,
    "dict of columns": columns,
    "list of dicts": lambda rows: [dict(zip(NAMES, row, strict=True)) for row in rows],
    "pandas": lambda rows: pd.DataFrame(columns(rows)),
    "polars": lambda rows: pl.DataFrame(columns(rows)),
    "pyarrow": lambda rows: pa.table(columns(rows)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("other", FORMS)
def test_rows_of_probabilities_agree_by_their_top_label(form, other):
    """Whatever forms the two outputs have."""
    agreement = Agreement(classes=NAMES) if "array" in (form, other) else Agreement()
    assert agreement(FORMS[form](FIRST), FORMS[other](SECOND)).tolist() == [True, False, True]


def test_columns_are_compared_by_their_labels():
    """Not by their order."""
    other = pd.DataFrame(columns(FIRST))[["dog", "cat", "cow"]]
    assert Agreement()(pd.DataFrame(columns(FIRST)), other).all()


def test_one_row_is_a_dict_or_an_array_of_one_row():
    """A dict of label to probability, an array of shape (1, classes), or of shape (classes,) for labels."""
    first, second = dict(zip(NAMES, FIRST[1], strict=True)), dict(zip(NAMES, SECOND[1], strict=True))
    assert Agreement()(first, first).tolist() == [True]
    assert Agreement()(first, second).tolist() == [False]
    assert Agreement()(np.array(FIRST[:1]), np.array(SECOND[:1])).tolist() == [True]
    assert Agreement(kind="label")(np.array(FIRST[1]), np.array(SECOND[1])).tolist() == [False]
    assert Agreement(classes=NAMES)(np.array(FIRST[0]), np.array(SECOND[0])).tolist() == [True]


def test_labels_agree_with_the_probabilities_of_classes():
    """A model that returns labels, and one that returns their probabilities."""
    assert Agreement()(["cat", "cow", "cow"], pd.DataFrame(columns(FIRST))).tolist() == [True, True, False]
    assert Agreement(classes=NAMES)(np.array(FIRST), ["cat", "cow", "cow"]).tolist() == [True, True, False]
    assert Agreement(kind="label")(np.array([0, 1, 2]), np.array(FIRST)).all()


def test_scores_that_are_no_probabilities_need_classes():
    """Logits of classes, or several quantities: only the user knows."""
    logits = np.array([[2.0, -1.0, 5.0]])
    with pytest.raises(TypeError, match="3 numbers per row that are no probabilities"):
        Agreement()(logits, logits)
    with pytest.raises(TypeError, match="numbers per row"):
        Agreement(kind="quantity")({"low": 10.0, "high": 12.0}, {"low": 10.0, "high": 12.0})
    assert Agreement(classes=NAMES)(logits, logits * 2).tolist() == [True]
    assert Agreement(kind="label")(logits, -logits).tolist() == [False]


@pytest.mark.parametrize(("threshold", "agree"), [(0.5, [True, True]), (0.3, [False, True])])
def test_two_classes_have_a_threshold(threshold, agree):
    """The second is positive."""
    first, second = np.array([[0.8, 0.2], [0.1, 0.9]]), np.array([[0.6, 0.4], [0.4, 0.6]])
    agreement = Agreement(threshold=threshold, kind="probability")
    assert agreement(first, second).tolist() == agree
    assert agreement(first[:, 1], second[:, 1]).tolist() == agree
    assert agreement(first[:, 1], second).tolist() == agree
    assert agreement(first, second[:, 1]).tolist() == agree


@pytest.mark.parametrize(
    ("options", "first", "second", "agree"),
    [
        ({}, [100.0, 100.0, 0.0, 0.0], [100.9, 101.1, 0.0, 1e-9], [True, False, True, False]),
        ({"absolute": 0.5}, [100.0, 0.0], [101.4, 0.4], [False, True]),
        ({"tolerance": 0.05}, [100.0, -100.0], [104.0, -106.0], [True, False]),
        ({"tolerance": 0.0}, [1.0, 1.0], [1.0, 1.0000001], [True, False]),
        ({}, [np.nan, np.nan, np.inf, np.inf, -np.inf], [np.nan, 1.0, np.inf, 1e308, np.inf], [1, 0, 1, 0, 0]),
        ({"kind": "probability"}, [np.nan, np.nan, 0.2], [np.nan, 0.2, np.nan], [True, False, False]),
        ({"kind": "probability"}, [1, 0, 1], [0.9, 0.1, 0.2], [True, True, False]),
        ({"kind": "label"}, [2.0, 3.0], [2.0, 4.0], [True, False]),
        ({"kind": "label"}, [1, 0], [0.9, 0.7], [True, False]),
        ({"kind": "label"}, ["a", None, None], ["a", None, "b"], [True, True, False]),
        ({}, [2**62, 2**62], [2**62, 2**62 + 1], [True, True]),
        ({"kind": "label"}, [2**62, 2**62], [2**62, 2**62 + 1], [True, False]),
        ({}, [], [], []),
        ({}, [dt.date(2026, 1, 1)], [dt.date(2026, 1, 2)], [False]),
    ],
)
def test_single_values(options, first, second, agree):
    """One number or label per row."""
    assert Agreement(**options)(first, second).tolist() == [bool(value) for value in agree]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pd.Series([1.0, 2.0]), np.array([1.0, 2.0])),
        (pl.Series(["a", "b"]), ["a", "b"]),
        (pd.Categorical(["a", "b"]), np.array(["a", "b"])),
        (pd.array([1, None], dtype="Int64"), np.array([1.0, np.nan])),
        (np.ma.array([1.0, 2.0], mask=[False, True]), [1.0, np.nan]),
        (np.array([[1.0], [2.0]]), [1.0, 2.0]),
        (pd.DataFrame({"p": [1.0, 2.0]}), [1.0, 2.0]),
        (0.7, np.array([0.7])),
        ({"label": "late"}, {"label": "late"}),
        ([{"label": "late"}], [{"label": "late"}]),
    ],
)
def test_forms_of_columns(first, second):
    """Of different libraries."""
    assert Agreement()(first, second).all()
    assert Agreement()(second, first).all()


class Plain:
    """A class without an equality."""


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], r"shapes \(2,\) and \(3,\) cannot be compared"),
        (["1", "0"], [1, 0], "strings and numbers are never equal"),
        (Plain(), Plain(), "class Plain, which has no equality"),
        ({"label": "a", "score": 0.4}, {"label": "a", "score": 0.4}, "numbers and other values"),
        ([{"label": "a", "score": 0.4}] * 2, [], "numbers and other values"),
        (np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
        ([[1.0], [1.0, 2.0]], [1.0, 2.0], "differ in length"),
        (pd.DataFrame({"a": ["x"], "b": [1.0]}), [1.0], "2 columns that are not all numbers"),
        (np.array([[0.5, 0.5]]), {"a": 0.2, "b": 0.2, "c": 0.6}, "2 columns and 3 classes"),
    ],
)
def test_outputs_that_cannot_be_compared(first, second, message):
    """The message says what to pass."""
    with pytest.raises(TypeError, match=message):
        Agreement()(first, second)


@dataclasses.dataclass
class Answer:
    """A class with an equality."""

    label: str


def test_objects_with_an_equality():
    """Are labels."""
    assert Agreement()(Answer("a"), Answer("a")).tolist() == [True]
    assert Agreement()(Answer("a"), Answer("b")).tolist() == [False]


def test_tensors_that_require_a_gradient():
    """Are read without it, without an import of torch."""

    class Tensor:
        requires_grad = True

        def detach(self):
            return SimpleNamespace(cpu=lambda: np.array([1.0]))

    assert Agreement()(Tensor(), Tensor()).tolist() == [True]


@pytest.mark.parametrize(
    ("result", "counts"),
    [
        (True, (1, 1)),
        (np.array([True, False]), (2, 1)),
        ([], (0, 0)),
        (pd.Series([True, False], dtype="boolean"), (2, 1)),
        (1, (1, 1)),
    ],
)
def test_results_of_user_functions(result, counts):
    assert count_agreeing(result) == counts


@pytest.mark.parametrize("result", [None, "yes", 0.5, [None, True]])
def test_results_that_are_no_booleans(result):
    """Such as that of a function without a return statement."""
    with pytest.raises(TypeError, match="agree= returned"):
        count_agreeing(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": -0.1}, "tolerance=-0.1: expected a number of at least 0"),
        ({"absolute": float("nan")}, "absolute=nan"),
        ({"threshold": 1.5}, "threshold=1.5"),
        ({"classes": ["a"]}, "classes=.*at least two distinct labels"),
        ({"classes": "ab"}, "classes='ab'"),
        ({"classes": ["a", "a"]}, "distinct"),
        ({"kind": "rank"}, "kind='rank'"),
    ],
)
def test_invalid_settings_are_rejected(options, message):
    with pytest.raises(ConfigurationError, match=message):
        Agreement(**options)


@pytest.mark.parametrize("form", [pd.DataFrame, lambda columns: {name: column[0] for name, column in columns.items()}])
def test_the_threshold_is_of_one_label_in_any_order(form):
    """The second label of the baseline is positive, wherever the candidate has it."""
    first, second = {"no": [0.65], "yes": [0.35]}, {"yes": [0.36], "no": [0.64]}
    assert Agreement(threshold=0.3)(form(first), form(second)).tolist() == [True]
    assert Agreement(threshold=0.355)(form(first), form(second)).tolist() == [False]


def test_missing_values_of_pandas_agree_with_none():
    """A column of objects may hold either."""
    assert Agreement()(np.array(["a", pd.NA], dtype=object), ["a", None]).tolist() == [True, True]


@pytest.mark.parametrize("classes", [3, True, object(), len, np.array(1.5), pd.NA, [{}, {}], "ab", [1], [1, 1]])
def test_classes_of_a_wrong_type_are_refused(classes):
    with pytest.raises(ConfigurationError, match="classes"):
        Agreement(classes=classes)
