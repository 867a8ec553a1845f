"""Pairs of labels, of which it is known which is positive, and outcomes that are read with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from driftline import ConfigurationError
from driftline._binning.label_scheme import LabelArguments, LabelScheme, TruthReader, find_pair
from driftline._runtime.guard import UnreadableError


@pytest.mark.parametrize(
    ("labels", "pair"),
    [
        ([True, False], (False, True)),
        ([0, 1], (0, 1)),
        ([1.0, 0.0], (0, 1)),
        ([1], (0, 1)),
        ([0], (0, 1)),
        ([-1, 1], (-1, 1)),
        ([2, 1], (1, 2)),
        ([40, 30], (30, 40)),
        (["yes", "no"], ("no", "yes")),
        (["No"], ("No", "yes")),
        (["TRUE", "FALSE"], ("FALSE", "TRUE")),
        (["0", "1"], ("0", "1")),
        (["neg", "pos"], ("neg", "pos")),
        (["good", "bad"], None),
        (["yes", 0], None),
        ([0.2, 0.7], None),
        ([0, 1, 2], None),
        ([7], None),
        ([], None),
    ],
)
def test_the_greater_number_and_the_positive_word_are_positive(labels, pair):
    assert find_pair(labels) == pair


@pytest.mark.parametrize(
    ("true", "false"),
    [
        (True, False),
        (1, 0),
        (1.0, -1.0),
        (np.bool_(True), np.bool_(False)),
        (np.int8(1), np.int64(0)),
        ("yes", "No "),
        (np.str_("1"), "0"),
        (b"true", b"false"),
        (pd.Series(["t"]).astype("category").iloc[0], "f"),
    ],
)
def test_the_first_outcomes_decide_without_labels(true, false):
    for first in (true, false):
        reader = TruthReader(LabelScheme())
        reader.read(first)
        assert (reader.read(true), reader.read(false)) == (True, False)


@pytest.mark.parametrize(
    ("earlier", "label"),
    [([1], 2), ([1, 0], -1), ([True], "True"), (["1"], 1), (["yes"], "maybe"), ([], "spam"), ([], 2), ([], 0.3)],
)
def test_other_outcomes_are_refused_without_naming_them(earlier, label):
    reader = TruthReader(LabelScheme())
    for known in earlier:
        reader.read(known)
    with pytest.raises(UnreadableError, match="positive=") as raised:
        reader.read(label)
    assert "spam" not in str(raised.value)
    assert "maybe" not in str(raised.value)


def test_named_labels_are_read_exactly():
    reader = TruthReader(LabelScheme("probability", ("ham", "spam"), "spam"))
    assert [reader.read(label) for label in ("spam", "ham", b"spam")] == [True, False, True]
    with pytest.raises(UnreadableError, match="none of the two labels"):
        reader.read("Spam")
    reader = TruthReader(LabelScheme("probability", (), "spam"))
    assert [reader.read(label) for label in ("ham", "spam", "ham")] == [False, True, False]
    with pytest.raises(UnreadableError, match="none of the two labels"):
        reader.read("egg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"positive": ["yes"]}, "positive=.*a label"),
        ({"positive": float("nan")}, "positive=.*a label"),
        ({"positive": "a", "classes": ["b", "c"]}, "positive='a': expected one of classes="),
        ({"threshold": 0}, "threshold=0: expected a number above 0 and at most 1"),
        ({"threshold": "0.5"}, "threshold='0.5': expected"),
        ({"classes": "ab"}, "classes='ab': expected a sequence"),
        ({"classes": ["a", "a"]}, "different labels"),
        ({"classes": [None]}, "strings, numbers or booleans"),
        ({"classes": list(range(60))}, "at most 50"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        LabelArguments.checked(**{"positive": None, "threshold": None, "classes": (), "most": 50, **arguments})


def test_labels_of_numpy_are_python_labels():
    arguments = LabelArguments.checked(np.str_("b"), np.float64(0.3), np.array(["a", "b"]), 50)
    assert arguments == LabelArguments("b", 0.3, ("a", "b"))
    assert LabelScheme("probability", ("b", "a"), "b").form.positive == 0
    assert LabelScheme("probability", (), "b").form.positive == 1
