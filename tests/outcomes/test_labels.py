"""Labels while serving: one reading for every type, and no metric where some labels cannot be read."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from driftline import ConfigurationError, OutcomePolicy, Reference
from driftline.testing import Probe, in_memory_monitor

ROWS = 600
RANDOM = np.random.default_rng(23)
SCORES = RANDOM.random(ROWS)
TRUTH = RANDOM.random(ROWS) < SCORES
FEATURES = {"x": RANDOM.normal(size=ROWS)}
IDS = [str(number) for number in range(ROWS)]
WITHOUT_OUTCOMES = Reference.fit(FEATURES, predictions=SCORES)
PROBABILITIES = np.column_stack([1 - SCORES, SCORES])


def served(reference, outputs, actuals, policy=None, ids=IDS):
    monitor = in_memory_monitor(reference=reference, outcomes=policy or OutcomePolicy(), on_error="log")
    monitor.observe({"x": FEATURES["x"][: len(ids)]}, outputs, prediction_ids=ids)
    if len(actuals):
        monitor.outcomes(ids, actuals)
    return monitor


def metrics(monitor):
    return {metric.metric: metric.value for metric in monitor.performance()}


LABELS = {
    "booleans": TRUTH,
    "0 and 1": TRUTH.astype(int),
    "-1 and 1": np.where(TRUTH, 1.0, -1.0),
    "words": np.where(TRUTH, "yes", "no"),
    "digits": np.where(TRUTH, "1", "0"),
    "names of booleans": TRUTH.astype(str),
    "categorical": pd.Series(np.where(TRUTH, "Yes", "No")).astype("category"),
    "polars": pl.Series(TRUTH),
    "scalars of pyarrow": list(pa.array(TRUTH)),
}


OUTPUTS = {
    "array of pyarrow": pa.array(SCORES),
    "chunks of pyarrow": pa.chunked_array([SCORES[:100], SCORES[100:]]),
    "lists of pyarrow": pa.array(PROBABILITIES.tolist()),
    "series over pyarrow": pd.Series(SCORES, dtype="float64[pyarrow]"),
    "series that may have missing values": pd.Series(SCORES, dtype="Float64"),
    "scalars of pyarrow": list(pa.array(SCORES)),
}


@pytest.mark.parametrize("outputs", OUTPUTS.values(), ids=OUTPUTS)
def test_a_column_of_outputs_of_every_library_is_joined(outputs):
    monitor = served(Reference.fit(FEATURES, predictions=SCORES, outcomes=TRUTH), outputs, TRUTH)
    assert monitor.accuracy() == ((SCORES >= 0.5) == TRUTH).mean()


@pytest.mark.parametrize(
    "form",
    [
        lambda labels: labels.reshape(-1, 1),
        lambda labels: labels.astype(object).reshape(-1, 1),
        lambda labels: pd.DataFrame({"label": labels}),
        lambda labels: pl.DataFrame({"label": labels}),
        pa.array,
    ],
    ids=["(n, 1)", "objects of shape (n, 1)", "pandas", "polars", "pyarrow"],
)
def test_labels_in_one_column_of_any_shape_are_joined(form):
    """CatBoost predicts arrays of shape (n, 1)."""
    labels = np.where(TRUTH, "yes", "no")
    predicted = np.where(SCORES >= 0.5, "yes", "no")
    monitor = served(Reference.fit(FEATURES, predictions=form(predicted), outcomes=labels), form(predicted), labels)
    assert monitor.accuracy() == (labels == predicted).mean()


@pytest.mark.parametrize("path", [None, "outcomes.sqlite"])
@pytest.mark.parametrize("known", [True, False], ids=["outcomes in the reference", "none"])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_every_type_give_the_same_metrics(labels, known, path, tmp_path):
    reference = Reference.fit(FEATURES, predictions=SCORES, outcomes=labels) if known else WITHOUT_OUTCOMES
    policy = OutcomePolicy(path=path and tmp_path / path)
    monitor = served(reference, SCORES, list(labels), policy)
    assert monitor.accuracy() == ((SCORES >= 0.5) == TRUTH).mean()
    values = metrics(monitor)
    assert values["recall"] == recall_score(TRUTH, SCORES >= 0.5)
    assert values["auc"] == pytest.approx(roc_auc_score(TRUTH, SCORES), abs=2e-3)
    if known:
        assert monitor.status()["prediction.accuracy"].state == "stable"


def test_positive_names_the_label_that_the_first_outcomes_do_not():
    labels = np.where(TRUTH, 2, 1)
    assert served(WITHOUT_OUTCOMES, SCORES, labels, OutcomePolicy(positive=2)).accuracy() is not None
    reference = Reference.fit(FEATURES, predictions=SCORES, outcomes=labels)
    assert served(reference, SCORES, labels).accuracy() == ((SCORES >= 0.5) == TRUTH).mean()
    reverse = OutcomePolicy(classes=["cat", "dog"], positive="cat")
    assert served(WITHOUT_OUTCOMES, SCORES, np.where(TRUTH, "cat", "dog"), reverse).accuracy() is not None


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.85])
def test_the_threshold_is_used_by_every_metric(threshold, known):
    """It comes from the reference, or from the policy."""
    policy = OutcomePolicy(threshold=threshold)
    reference = WITHOUT_OUTCOMES
    if known:
        reference = Reference.fit(FEATURES, predictions=SCORES, outcomes=TRUTH, threshold=threshold)
        policy = OutcomePolicy()
    monitor = served(reference, SCORES, TRUTH, policy)
    predicted, values = threshold <= SCORES, metrics(monitor)
    assert values["accuracy"] == monitor.accuracy() == (predicted == TRUTH).mean()
    assert values["precision"] == precision_score(TRUTH, predicted)
    assert values["recall"] == recall_score(TRUTH, predicted)
    assert values["f1"] == pytest.approx(f1_score(TRUTH, predicted))
    if known:
        assert monitor.estimated_accuracy().value == pytest.approx((predicted == TRUTH).mean(), abs=0.02)


@pytest.mark.parametrize(
    ("outputs", "actuals", "words"),
    [
        (SCORES, [*TRUTH[:-1].tolist(), "maybe"], "none of the two labels"),
        (SCORES, np.where(TRUTH, 2, 1), "none of the two labels"),
        (SCORES, ["spam"] * ROWS, "positive="),
        (SCORES, [[1, 0]] * ROWS, "expected a number, string or boolean"),
    ],
)
def test_no_metric_is_made_of_the_labels_that_can_be_read(outputs, actuals, words, caplog):
    """The state says why, also without a limit, and the log says what to do."""
    monitor = served(WITHOUT_OUTCOMES, outputs, actuals)
    assert monitor.accuracy() is None
    assert monitor.performance() == ()
    assert monitor.outcome_counts().accuracy is None
    assert monitor.outcome_counts().unreadable > 0
    status = monitor.status()["prediction.accuracy"]
    assert status.state == "insufficient_data"
    assert "could not be read" in status.reason
    assert "positive=" in status.reason
    assert words in caplog.text
    assert "maybe" not in caplog.text


def test_metrics_return_when_the_unreadable_label_leaves_the_window():
    policy = OutcomePolicy(window=None, limits={"accuracy": 0.3})
    monitor = in_memory_monitor(reference=WITHOUT_OUTCOMES, outcomes=policy, on_error="log")
    for start in range(20):
        ids = [f"{start}-{number}" for number in IDS]
        monitor.observe(FEATURES, SCORES, prediction_ids=ids)
        monitor.outcomes(ids, ["never", *TRUTH[1:].tolist()] if start == 0 else TRUTH.tolist())
        if start == 1:
            assert monitor.status()["prediction.accuracy"].state == "insufficient_data"
    assert monitor.accuracy() == pytest.approx(((SCORES >= 0.5) == TRUTH).mean(), abs=0.02)
    assert monitor.status()["prediction.accuracy"].state == "stable"


@pytest.mark.parametrize(
    ("predicted", "actuals"),
    [([0, 1, 2], ["0", "1", "2"]), (["0", "1", "2"], [0, 1, 2]), ([True, False], ["True", "False"])],
)
def test_labels_of_another_type_than_the_predictions_are_not_wrong_but_unreadable(predicted, actuals, caplog):
    outputs, outcomes = [(values * ROWS)[:ROWS] for values in (predicted, actuals)]
    monitor = served(Reference.fit(FEATURES, predictions=outputs), outputs, outcomes)
    assert monitor.accuracy() is None
    assert "expected outcomes of the type of the predictions" in caplog.text


def test_labels_of_both_types_are_compared_if_the_reference_has_both():
    outputs = ["other", 1, 2] * (ROWS // 3)
    monitor = served(Reference.fit(FEATURES, predictions=outputs), outputs, [1, 1, "other"] * (ROWS // 3))
    assert monitor.accuracy() == pytest.approx(1 / 3)


@pytest.mark.parametrize("convert", [float, np.float32, Decimal])
def test_numbers_from_0_to_1_are_quantities_if_the_outcomes_are(convert):
    """Also if the first outcomes are 0 and 1."""
    actuals = np.concatenate([[0.0, 1.0, 1.0], SCORES[3:] + 0.01])
    monitor = in_memory_monitor(reference=WITHOUT_OUTCOMES, on_error="log")
    monitor.observe(FEATURES, SCORES, prediction_ids=IDS)
    for prediction_id, actual in zip(IDS, actuals.tolist(), strict=True):
        monitor.outcome(prediction_id, convert(actual))
        if prediction_id in {"2", "5"}:
            monitor.status()
    values = metrics(monitor)
    assert set(values) == {"mae", "rmse", "bias"}
    assert values["mae"] == pytest.approx(np.abs(SCORES - actuals).mean())
    assert monitor.accuracy() is None
    assert monitor.outcome_counts().known == 0


@pytest.mark.parametrize("code", [99, 2, -9, float("inf")])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_code_among_the_labels_of_probabilities_makes_no_quantities(code, at_once):
    """Such as 99 for "unknown". Metrics return when it leaves the window."""
    actuals = TRUTH.astype(int).tolist()
    monitor = served(WITHOUT_OUTCOMES, SCORES, [])
    steps = [slice(0, ROWS)] if at_once else [slice(at, at + 1) for at in range(20)]
    actuals[7] = code
    for step in steps:
        monitor.outcomes(IDS[step], actuals[step])
        monitor.flush()
    assert monitor.performance() == ()
    assert monitor.outcome_counts().unreadable == 1
    assert "kind= of OutcomePolicy" in monitor.status()["prediction.accuracy"].reason


@pytest.mark.parametrize("outputs", [np.log(SCORES / (1 - SCORES)), 100 * SCORES], ids=["log-odds", "percentages"])
def test_predictions_far_from_the_range_of_probabilities_have_no_accuracy(outputs, caplog):
    """At the threshold of 0.5 the accuracy would be another one."""
    monitor = served(Reference.fit(FEATURES, predictions=SCORES, outcomes=TRUTH), outputs, TRUTH)
    assert monitor.performance() == ()
    assert "such as a log-odds or a percentage" in caplog.text


def test_a_fraction_among_labels_makes_quantities_and_is_said(caplog):
    monitor = served(WITHOUT_OUTCOMES, SCORES, [])
    for step, actual in enumerate([1, 0, 0.37]):
        monitor.outcome(IDS[step], actual)
        monitor.flush()
    assert set(metrics(monitor)) == {"mae", "rmse", "bias"}
    assert "predictions from 0 to 1 are quantities from now on" in caplog.text


@pytest.mark.parametrize("outputs", [SCORES, PROBABILITIES], ids=["a column", "two columns"])
@pytest.mark.parametrize("reference", [WITHOUT_OUTCOMES, Reference.fit(FEATURES)], ids=["predictions", "none"])
def test_two_classes_of_a_policy_name_the_positive_label(reference, outputs):
    """It is the second one. Without predictions in the reference, two columns are labels with probabilities."""
    monitor = served(reference, outputs, np.where(TRUTH, "bad", "good"), OutcomePolicy(classes=["good", "bad"]))
    assert monitor.accuracy() == ((SCORES >= 0.5) == TRUTH).mean()
    recall = {metric.label: metric.value for metric in monitor.performance() if metric.metric == "recall"}
    assert recall.get(True, recall.get("bad")) == recall_score(TRUTH, SCORES >= 0.5)


@pytest.mark.parametrize(
    "outputs",
    [
        PROBABILITIES,
        PROBABILITIES.tolist(),
        pd.DataFrame(PROBABILITIES),
        pd.DataFrame(PROBABILITIES[:, ::-1], columns=["yes", "no"]),
        pl.DataFrame(PROBABILITIES, schema=["no", "yes"]),
    ],
    ids=["array", "lists", "frame", "reversed frame", "polars"],
)
def test_two_columns_of_probabilities_are_joined(outputs):
    labels = np.where(TRUTH, "yes", "no")
    reference = Reference.fit(FEATURES, predictions=outputs, outcomes=labels)
    assert served(reference, outputs, labels).accuracy() == ((SCORES >= 0.5) == TRUTH).mean()


@pytest.mark.parametrize("form", ["array", "frame", "permuted", "dicts", "rows"])
@pytest.mark.parametrize("path", [None, "outcomes.sqlite"])
def test_probabilities_of_several_classes_are_joined(form, path, tmp_path):
    """One by one too, with labels that are numbers, in memory and in a file."""
    classes = [7, 8, 9]
    scores = RANDOM.dirichlet([1, 1, 1], ROWS)
    actuals = RANDOM.choice(classes, ROWS)
    reference = Reference.fit(FEATURES, predictions=scores, outcomes=actuals, classes=classes)
    policy = OutcomePolicy(path=path and tmp_path / path)
    expected = (np.array(classes)[scores.argmax(axis=1)] == actuals).mean()
    if form == "rows":
        monitor = in_memory_monitor(reference=reference, outcomes=policy)
        for index, prediction_id in enumerate(IDS):
            with monitor.prediction({"x": 0.0}, prediction_id=prediction_id) as call:
                call.output = scores[index : index + 1] if index % 2 else scores[index]
        monitor.outcomes(IDS, actuals)
    else:
        outputs = {
            "array": scores,
            "frame": pd.DataFrame(scores, columns=classes),
            "permuted": pd.DataFrame(scores[:, [2, 0, 1]], columns=[9, 7, 8]),
            "dicts": [dict(zip(classes, row, strict=True)) for row in scores.tolist()],
        }[form]
        monitor = served(reference, outputs, actuals, policy)
    assert monitor.accuracy() == expected
    assert Probe(monitor).recent_outcomes.accuracy == expected


def test_several_outputs_while_serving_are_said(caplog):
    monitor = served(WITHOUT_OUTCOMES, RANDOM.normal(size=(ROWS, 2)), TRUTH)
    assert monitor.accuracy() is None
    assert "a model of several outputs needs a monitor for each" in caplog.text


@pytest.mark.parametrize("value", [float("inf"), 10**400])
def test_errors_that_are_no_numbers_withhold_the_metrics(value, caplog):
    reference = Reference.fit(FEATURES, predictions=SCORES * 100)
    monitor = served(reference, SCORES * 100, [value, *SCORES[1:].tolist()])
    assert monitor.performance() == ()
    assert "infinite or too large" in caplog.text


def test_a_first_probability_may_exceed_1_by_rounding():
    """Sums of float32 do."""
    reference = Reference.fit(FEATURES)
    monitor = served(reference, [1.0 + 1e-7, -1e-7, 0.9, 0.2], [True, False, True, False], ids=IDS[:4])
    assert metrics(monitor)["accuracy"] == 1.0


@pytest.mark.parametrize("kind", [np.arange(3), {}, pd.DataFrame({"a": [1]}), pd.NA, ["label"], 1])
def test_a_kind_that_is_no_string_is_refused(kind):
    with pytest.raises(ConfigurationError, match="kind"):
        OutcomePolicy(kind=kind, threshold=0.3)
