"""Outputs with a column per class: arrays, frames, lists, and outputs that are no probabilities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from driftline._capture.class_scores import OutputForm, as_rows, read_class_scores, to_column
from driftline._capture.outputs import as_output, as_outputs
from driftline._runtime.guard import UnreadableError

BINARY = np.array([[0.3, 0.7], [0.9, 0.1]])
SEVERAL = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [np.nan, 0.5, 0.5]])
FORM = OutputForm(classes=("a", "b", "c"))


@pytest.mark.parametrize(
    "values",
    [BINARY, BINARY.astype(np.float32), BINARY.tolist(), pd.DataFrame(BINARY), pl.DataFrame(BINARY), [*BINARY]],
    ids=["array", "float32", "lists", "pandas", "polars", "arrays"],
)
def test_two_columns_are_the_probability_of_the_second(values):
    assert np.asarray(as_outputs(values, 2)) == pytest.approx([0.7, 0.1])
    assert np.asarray(as_outputs(values, 2, OutputForm(positive=0))) == pytest.approx([0.3, 0.9])


@pytest.mark.parametrize(
    "values",
    [
        SEVERAL,
        pd.DataFrame(SEVERAL, columns=["a", "b", "c"]),
        pd.DataFrame(SEVERAL[:, [2, 0, 1]], columns=["c", "a", "b"]),
        pl.DataFrame(SEVERAL, schema=["a", "b", "c"]),
        pa.table(pd.DataFrame(SEVERAL, columns=["a", "b", "c"])),
    ],
    ids=["array", "pandas", "permuted", "polars", "pyarrow"],
)
def test_several_columns_are_the_most_probable_label(values):
    """A row with a missing probability has no prediction."""
    assert as_outputs(values, 3, FORM) == ["b", "c", None]
    assert as_outputs(values, 3) is None, "without the labels of the columns"


@pytest.mark.parametrize(
    ("values", "form", "expected"),
    [
        (np.array([[0.3, 0.7]]), OutputForm(), 0.7),
        (np.array([0.3, 0.7]), OutputForm(), 0.7),
        (np.array([[0.3, 0.7]]), OutputForm(labels=False, positive=0), 0.3),
        (np.array([[0.3, 0.7]], dtype=np.float16), OutputForm(), pytest.approx(0.7, abs=1e-3)),
        (pd.DataFrame([[0.3, 0.7]]), OutputForm(), 0.7),
        (np.array([0.2, 0.5, 0.3]), FORM, "b"),
        ([0.2, 0.5, 0.3], FORM, "b"),
        (np.array([[0.2, 0.5, 0.3]]), FORM, "b"),
        (np.array([[5.0]]), OutputForm(), 5.0),
    ],
)
def test_the_output_of_one_row(values, form, expected):
    assert as_output(values, form) == expected


@pytest.mark.parametrize(
    "values",
    [np.array([[3.0, 4.0]]), np.array([3.0, 4.0]), np.array([[0.4, 0.7]]), np.array([[1.5, -0.5]]), np.zeros((1, 3))],
)
def test_several_outputs_are_refused_with_a_sentence(values):
    with pytest.raises(UnreadableError, match="a model of several outputs needs a monitor for each"):
        as_output(values, OutputForm(classes=("a", "b", "c")))


def test_columns_of_shape_n_1_are_flattened_whatever_they_hold():
    assert list(as_outputs(np.array([["a"], ["b"]]), 2)) == ["a", "b"]
    assert list(as_outputs(pd.DataFrame({"y": ["a", "b"]}), 2)) == ["a", "b"]
    assert list(as_outputs(pl.DataFrame({"y": [1.0, 2.0]}), 2)) == [1.0, 2.0]


def test_rows_of_a_batch_keep_their_labels():
    """Without known classes, the rows of a frame with names are dicts."""
    frame = pd.DataFrame(SEVERAL[:1, [2, 0, 1]], columns=["c", "a", "b"])
    assert as_rows(frame, OutputForm()) == [{"c": 0.3, "a": 0.2, "b": 0.5}]
    assert np.asarray(as_rows(frame, FORM)).tolist() == [[0.2, 0.5, 0.3]]
    assert as_rows(["x", "y"], FORM) == ["x", "y"]


def test_ragged_lists_are_unreadable():
    with pytest.raises(UnreadableError, match="expected numbers"):
        read_class_scores([[0.1, 0.9], [0.2]])
    assert to_column(read_class_scores(np.zeros((2, 0))), FORM) is None
