"""Outcomes at fit: one reading of labels for every type, kinds that predictions and outcomes decide, and refusals."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from driftline import ConfigurationError, Reference, ReferenceError
from driftline._binning.label_scheme import LabelScheme

ROWS = 2_000
RANDOM = np.random.default_rng(17)
SCORES = RANDOM.random(ROWS)
TRUTH = RANDOM.random(ROWS) < SCORES
FEATURES = {"x": RANDOM.normal(size=ROWS)}
PROBABILITIES = np.column_stack([1 - SCORES, SCORES])
THREE = RANDOM.dirichlet([1, 1, 1], ROWS)
CLASSES = np.array(["ant", "bee", "cow"])
CLASS = CLASSES[[RANDOM.choice(3, p=row) for row in THREE]]

LABELS = {
    "booleans": TRUTH,
    "0 and 1": TRUTH.astype(int),
    "floats": TRUTH.astype(float),
    "1 and 2": np.where(TRUTH, 2, 1),
    "-1 and 1": np.where(TRUTH, 1, -1),
    "words": np.where(TRUTH, "yes", "no"),
    "digits": np.where(TRUTH, "1", "0"),
    "names of booleans": TRUTH.astype(str),
    "scalars of numpy": list(np.where(TRUTH, 1, 0)),
    "categorical": pd.Series(np.where(TRUTH, "Yes", "No")).astype("category"),
    "nullable": pd.array(TRUTH, dtype="boolean"),
    "polars": pl.Series(np.where(TRUTH, "t", "f")),
    "a column": pd.DataFrame({"y": TRUTH}),
    "scalars of pyarrow": list(pa.array(TRUTH)),
    "objects of shape (n, 1)": np.where(TRUTH, "yes", "no").astype(object).reshape(-1, 1),
}


def accuracy(reference):
    return sum(reference.outcomes.correct) / sum(reference.outcomes.known)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_every_type_give_the_same_accuracy(labels):
    """The file keeps how they are read."""
    reference = Reference.fit(FEATURES, predictions=SCORES, outcomes=labels)
    assert accuracy(reference) == pytest.approx(((SCORES >= 0.5) == TRUTH).mean())
    assert reference.labels.kind == "probability"
    assert Reference.from_json(reference.to_json()).labels == reference.labels


@pytest.mark.parametrize(("labels", "version"), [("booleans", 1), ("floats", 1), ("words", 3), ("1 and 2", 3)])
def test_only_labels_that_older_code_would_misread_need_a_new_version(labels, version):
    reference = Reference.fit(FEATURES, predictions=SCORES, outcomes=LABELS[labels])
    assert json.loads(reference.to_json())["schema_version"] == version


def test_positive_and_threshold_are_used():
    bad = np.where(TRUTH, "bad", "good")
    reference = Reference.fit(FEATURES, predictions=SCORES, outcomes=bad, positive="bad", threshold=0.3)
    assert accuracy(reference) == pytest.approx(((SCORES >= 0.3) == TRUTH).mean())
    assert reference.labels == LabelScheme("probability", ("good", "bad"), "bad", 0.3)
    part = Reference.fit(FEATURES, predictions=SCORES, outcomes=bad, like=reference)
    assert part.labels == reference.labels
    assert part.merge(reference).labels == reference.labels
    other = Reference.fit(FEATURES, predictions=SCORES, outcomes=bad, positive="bad")
    with pytest.raises(ConfigurationError, match="merge: outcomes are read as"):
        reference.merge(other)


@pytest.mark.parametrize(
    ("outcomes", "arguments", "message"),
    [
        (np.where(TRUTH, "bad", "good"), {}, "of which none is known to be positive: expected positive="),
        (np.where(TRUTH, 1, 2), {}, "2 has lower predictions .* than 1 .*: expected positive="),
        (np.where(TRUTH, "bad", "good"), {"positive": "good"}, "'good' has lower predictions"),
        (np.where(RANDOM.random(ROWS) < 0.1, "maybe", np.where(TRUTH, "yes", "no")), {}, "3 labels such as"),
        (np.array(["yes" if true else 0 for true in TRUTH], dtype=object), {}, "expected labels of one type"),
        (np.where(TRUTH, "yes", "no"), {"positive": "maybe"}, "expected one of the two labels"),
        (["1"] * ROWS, {"positive": 1}, "positive=1: of type int, and outcomes such as '1' of type str"),
        (TRUTH.astype(str), {"positive": True}, "no outcome could be positive"),
        (SCORES + 0.01, {}, "a prediction that is a quantity: expected correct="),
        ([[1, 0]] * ROWS, {}, "outcomes: expected one value for each"),
        ([{"a": 1}] * ROWS, {}, "outcomes: "),
        (TRUTH, {"classes": ["a", "b", "c"]}, "expected two for predictions that are one probability per row"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(outcomes, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        Reference.fit(FEATURES, predictions=SCORES, outcomes=outcomes, **arguments)


@pytest.mark.parametrize(
    ("predictions", "outcomes", "message"),
    [
        (["1", "0"] * (ROWS // 2), [1, 0] * (ROWS // 2), "of type int, and predictions of type str"),
        ([1, 0, 2, 1] * (ROWS // 4), ["1", "0", "2", "1"] * (ROWS // 4), "of type str, and predictions of type int"),
        (["cat", "dog"] * (ROWS // 2), ["Cat", "Dog"] * (ROWS // 2), "none of which is a label of the predictions"),
        (SCORES * 100, np.where(TRUTH, "yes", "no"), "predictions that are numbers: expected two labels"),
    ],
)
def test_outcomes_of_another_type_than_the_predictions_are_refused(predictions, outcomes, message):
    with pytest.raises(ConfigurationError, match=message):
        Reference.fit(FEATURES, predictions=predictions, outcomes=outcomes)


@pytest.mark.parametrize("threshold", [0.3, None])
@pytest.mark.parametrize(
    ("predictions", "arguments"),
    [
        (PROBABILITIES, {}),
        (PROBABILITIES.tolist(), {}),
        (pd.DataFrame(PROBABILITIES), {}),
        (pd.DataFrame(PROBABILITIES, columns=["no", "yes"]), {}),
        (pd.DataFrame(PROBABILITIES[:, ::-1], columns=["yes", "no"]), {}),
        (pl.DataFrame(PROBABILITIES, schema=["no", "yes"]), {}),
        (pd.DataFrame(PROBABILITIES[:, ::-1], columns=[1, 0]), {}),
        (pl.DataFrame(PROBABILITIES[:, ::-1], schema=["1", "0"]), {}),
        (PROBABILITIES[:, ::-1], {"classes": ["yes", "no"], "positive": "yes"}),
        (PROBABILITIES, {"classes": pd.Index(["no", "yes"])}),
        (PROBABILITIES, {"classes": np.array([b"no", b"yes"])}),
        (PROBABILITIES, {"positive": "YES"}),
    ],
)
def test_the_positive_class_of_two_columns(predictions, arguments, threshold):
    """It is the second column, unless names say otherwise."""
    outcomes = np.where(TRUTH, "yes", "no")
    reference = Reference.fit(FEATURES, predictions=predictions, outcomes=outcomes, threshold=threshold, **arguments)
    assert accuracy(reference) == pytest.approx((((threshold or 0.5) <= SCORES) == TRUTH).mean())
    assert reference.prediction.moments.mean == pytest.approx(SCORES.mean())


@pytest.mark.parametrize(
    ("predictions", "outcomes", "arguments"),
    [
        (THREE, CLASS, {"classes": CLASSES}),
        (pd.DataFrame(THREE, columns=CLASSES), CLASS, {}),
        (pl.DataFrame(THREE, schema=CLASSES.tolist()), CLASS, {}),
        (THREE, np.searchsorted(CLASSES, CLASS), {}),
        (pl.DataFrame(THREE, schema=["0", "1", "2"]), np.searchsorted(CLASSES, CLASS), {}),
        ([dict(zip(CLASSES.tolist(), row, strict=True)) for row in THREE.tolist()], CLASS, {}),
    ],
    ids=["classes", "pandas", "polars", "numbers", "numbered columns", "dicts"],
)
def test_probabilities_of_several_classes_are_labels(predictions, outcomes, arguments):
    reference = Reference.fit(FEATURES, predictions=predictions, outcomes=outcomes, **arguments)
    assert accuracy(reference) == pytest.approx((CLASSES[THREE.argmax(axis=1)] == CLASS).mean())


@pytest.mark.parametrize(
    ("predictions", "arguments", "message"),
    [
        (THREE, {}, "expected classes=, the label of each column"),
        (THREE, {"classes": ["a", "b"]}, "expected classes=, the label of each column"),
        (RANDOM.normal(size=(ROWS, 2)), {}, "A model of several outputs needs a monitor for each"),
        (RANDOM.random((ROWS, 3)), {"classes": CLASSES}, "A model of several outputs needs a monitor for each"),
        (THREE, {"classes": CLASSES, "threshold": 0.4}, "threshold=0.4: expected predictions that are probabilities"),
        (SCORES * 5, {"threshold": 0.4}, "expected probabilities from 0 to 1, because of threshold=0.4"),
        (None, {"positive": "yes"}, "positive='yes' without predictions="),
    ],
)
def test_predictions_that_are_no_probabilities_are_refused(predictions, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        Reference.fit(FEATURES, predictions=predictions, **arguments)


def test_unknown_outcomes_decide_nothing():
    reference = Reference.fit(FEATURES, predictions=SCORES, outcomes=[None] * ROWS)
    assert reference.labels is None
    assert sum(reference.outcomes.known) == 0
    half = [None if index % 2 else bool(true) for index, true in enumerate(TRUTH)]
    reference = Reference.fit(FEATURES, predictions=SCORES, outcomes=half)
    assert sum(reference.outcomes.known) == ROWS // 2


def test_a_function_of_the_user_grades_any_outcome():
    """Numbers from 0 to 1 are then quantities if the outcomes are no labels."""
    reference = Reference.fit(
        FEATURES, predictions=SCORES, outcomes=SCORES + 0.05, correct=lambda output, actual: abs(output - actual) < 0.1
    )
    assert accuracy(reference) == 1.0
    assert reference.labels.kind == "quantity"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("kind", "score", "labels.kind is 'score'"),
        ("threshold", 2, "labels.threshold is 2"),
        ("classes", ["yes", "yes"], "labels.classes"),
        ("positive", None, "labels is"),
        ("positive", [1], "labels.positive"),
    ],
)
def test_damaged_labels_in_a_file_are_refused(key, value, message):
    document = json.loads(Reference.fit(FEATURES, predictions=SCORES, outcomes=LABELS["words"]).to_json())
    document["labels"][key] = value
    with pytest.raises(ReferenceError, match=re.escape(message)):
        Reference.from_json(json.dumps(document))


def test_numbers_of_classes_may_be_floats():
    """A column of integers becomes floats if labels are missing."""
    labels = [0.0, 1.0, 2.0, 1.0, np.nan, 2.0] * 50
    reference = Reference.fit({"x": np.arange(300.0)}, predictions=np.tile(np.eye(3), (100, 1)), outcomes=labels)
    assert (sum(reference.outcomes.correct), sum(reference.outcomes.known)) == (200, 250)


def test_two_labels_that_share_one_are_refused():
    """Outcomes 0 and 1 would make every prediction of -1 wrong."""
    with pytest.raises(ConfigurationError, match="one of each can never be equal"):
        Reference.fit({"x": np.arange(400.0)}, predictions=[-1, 1, 1, -1] * 100, outcomes=[0, 1, 1, 0] * 100)
