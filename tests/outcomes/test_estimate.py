"""The estimate of accuracy from confidences, before outcomes arrive."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from driftline import OutcomePolicy, Reference, Window
from driftline.testing import in_memory_monitor

ROWS = 6_000
CLASSES = ["a", "b", "c"]
FEATURES = {"x": np.arange(ROWS) % 5}
RANDOM = np.random.default_rng(7)


def probabilities(sharpness, rows=ROWS, seed=0):
    """Return probabilities of three classes, and labels drawn from them."""
    random = np.random.default_rng(seed)
    scores = random.dirichlet([sharpness] * 3, rows)
    drawn = (scores.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1)
    return scores, [CLASSES[index] for index in drawn]


def dicts(scores):
    return [dict(zip(CLASSES, row, strict=True)) for row in scores.tolist()]


SHARP, OUTCOMES = probabilities(0.5)
BLURRED, LATER = probabilities(2.0, seed=1)
FORMS = {
    "dicts": dicts,
    "array of dicts": lambda scores: np.array(dicts(scores), dtype=object),
    "pandas dicts": lambda scores: pd.Series(dicts(scores)),
    "pandas lists": lambda scores: pd.Series(scores.tolist()),
    "pandas": lambda scores: pd.DataFrame(scores, columns=CLASSES),
    "pandas permuted": lambda scores: pd.DataFrame(scores, columns=CLASSES)[["c", "a", "b"]],
    "polars": lambda scores: pl.DataFrame(scores, schema=CLASSES),
    "polars structs": lambda scores: pl.Series(dicts(scores)),
    "polars lists": lambda scores: pl.Series(scores.tolist()),
    "pyarrow": lambda scores: pa.table(pd.DataFrame(scores, columns=CLASSES)),
    "pyarrow structs": lambda scores: pa.array(dicts(scores)),
    "pyarrow lists": lambda scores: pa.array(scores.tolist()),
    "matrix": lambda scores: scores,
    "float32": lambda scores: scores.astype(np.float32),
    "lists": lambda scores: scores.tolist(),
    "dict of columns": lambda scores: dict(zip(CLASSES, scores.T, strict=True)),
}


def monitor_of(reference, **options):
    return in_memory_monitor(reference=reference, window=Window(rows=ROWS), **options)


def accuracy(scores, labels):
    return np.mean([CLASSES[index] == label for index, label in zip(scores.argmax(axis=1), labels, strict=True)])


@pytest.mark.parametrize("form", FORMS)
def test_the_estimate_follows_probabilities_of_every_form(form):
    """Accuracy falls because the model is less sure, at the same labels."""
    reference = Reference.fit(FEATURES, predictions=FORMS[form](SHARP), outcomes=OUTCOMES, classes=CLASSES)
    monitor = monitor_of(reference)
    monitor.observe(FEATURES, FORMS[form](BLURRED))
    estimate = monitor.estimated_accuracy()
    realised = accuracy(BLURRED, LATER)
    assert estimate.rows == ROWS
    assert accuracy(SHARP, OUTCOMES) - realised > 0.15
    assert estimate.lower < realised < estimate.upper
    assert estimate.value == pytest.approx(realised, abs=0.02)


@pytest.mark.parametrize("form", ["dict", "matrix", "frame"])
def test_single_calls_count_as_batches_do(form):
    reference = Reference.fit(FEATURES, predictions=SHARP, outcomes=OUTCOMES, classes=CLASSES)
    batches, calls = monitor_of(reference), monitor_of(reference)
    batches.observe({"x": FEATURES["x"][:300]}, BLURRED[:300])
    outputs = {
        "dict": dicts(BLURRED[:300]),
        "matrix": list(BLURRED[:300, None]),
        "frame": [pd.DataFrame(row[None], columns=CLASSES) for row in BLURRED[:300]],
    }[form]
    predict = calls.instrument(features=lambda index: {"x": 1}, output=lambda index: outputs[index])(
        lambda index: index
    )
    for index in range(300):
        predict(index)
    assert calls.estimated_accuracy() == batches.estimated_accuracy()


@pytest.mark.parametrize(
    "outputs",
    [
        lambda p: p,
        lambda p: np.column_stack([1 - p, p]),
        lambda p: [{False: 1 - value, True: value} for value in p.tolist()],
        lambda p: pd.DataFrame({0: 1 - p, 1: p}),
    ],
    ids=["column", "matrix", "dicts", "frame"],
)
def test_two_classes_may_be_served_in_any_form(outputs):
    random = np.random.default_rng(3)
    scores = random.beta(0.5, 0.5, ROWS)
    reference = Reference.fit(FEATURES, predictions=scores, outcomes=random.random(ROWS) < scores)
    monitor = monitor_of(reference)
    served = random.beta(2, 2, ROWS)
    monitor.observe(FEATURES, outputs(served))
    truth = random.random(ROWS) < served
    estimate = monitor.estimated_accuracy()
    assert estimate.lower < ((served >= 0.5) == truth).mean() < estimate.upper
    assert estimate.upper - estimate.lower < 0.04


def test_a_custom_threshold_divides_a_cell():
    random = np.random.default_rng(4)
    scores = random.random(ROWS)
    reference = Reference.fit(FEATURES, predictions=scores, outcomes=random.random(ROWS) < scores, threshold=0.313)
    monitor = monitor_of(reference)
    monitor.observe(FEATURES, np.full(ROWS, 0.314))
    assert monitor.estimated_accuracy().value == pytest.approx(0.314, abs=0.05)


def test_labels_that_the_reference_never_had_make_the_interval_wide():
    reference = Reference.fit(FEATURES, predictions=dicts(SHARP), outcomes=OUTCOMES)
    monitor = monitor_of(reference)
    unseen = [{"x": 0.9, "a": 0.1}] * ROWS
    monitor.observe(FEATURES, [*dicts(SHARP[: ROWS // 2]), *unseen[ROWS // 2 :]])
    estimate = monitor.estimated_accuracy()
    assert estimate.lower < accuracy(SHARP, OUTCOMES) / 2
    assert estimate.upper > (accuracy(SHARP, OUTCOMES) + 1.0) / 2 - 0.01


def test_without_probabilities_labels_are_used():
    """Half of the predictions need one, because others might be of another kind."""
    reference = Reference.fit(FEATURES, predictions=dicts(SHARP), outcomes=OUTCOMES)
    labels = [CLASSES[index] for index in BLURRED.argmax(axis=1)]
    monitor = monitor_of(reference)
    monitor.observe(FEATURES, labels)
    assert monitor.estimated_accuracy().value == pytest.approx(accuracy(SHARP, OUTCOMES), abs=0.03)
    monitor.observe(FEATURES, dicts(BLURRED))
    monitor.observe(FEATURES, [*dicts(BLURRED[: ROWS // 2 + 1]), *labels[ROWS // 2 + 1 :]])
    assert monitor.estimated_accuracy().value == pytest.approx(accuracy(BLURRED, LATER), abs=0.03)


@pytest.mark.parametrize("window", [Window(rows=2_000, every=500), Window("60s", every="10s")], ids=["rows", "time"])
def test_confidences_leave_the_window_with_their_rows(window):
    now = [0.0]
    reference = Reference.fit(FEATURES, predictions=dicts(SHARP), outcomes=OUTCOMES)
    monitor = in_memory_monitor(reference=reference, window=window, clock=lambda: now[0])
    for scores in (SHARP, BLURRED):
        for start in range(0, ROWS, 500):
            part = dicts(scores[start : start + 500])
            monitor.observe({"x": [1] * len(part)}, part)
            now[0] += 10.0
            monitor.flush()
            rows = monitor.snapshot().rows
            assert monitor.estimated_accuracy() is None if rows == 0 else monitor.estimated_accuracy().rows == rows
    assert monitor.estimated_accuracy().value == pytest.approx(accuracy(BLURRED, LATER), abs=0.03)


@pytest.mark.parametrize("outputs", [[], [None] * 3, [{}] * 3, [{"a": float("nan")}] * 3, [{"a": 7.0}] * 3])
def test_outputs_without_a_label_give_no_estimate(outputs):
    reference = Reference.fit(FEATURES, predictions=dicts(SHARP), outcomes=OUTCOMES)
    monitor = monitor_of(reference, on_error="log")
    monitor.observe({"x": [1] * len(outputs)}, outputs)
    assert monitor.estimated_accuracy() is None


def test_a_probability_of_a_policy_is_the_positive_one():
    random = np.random.default_rng(5)
    scores = random.random(ROWS)
    truth = np.where(random.random(ROWS) < scores, "good", "bad")
    reference = Reference.fit(FEATURES, predictions=scores, outcomes=truth, positive="good", classes=["bad", "good"])
    monitor = monitor_of(reference, outcomes=OutcomePolicy(positive="good", classes=["bad", "good"]))
    monitor.observe(FEATURES, [{"good": value, "bad": 1 - value} for value in scores.tolist()])
    assert monitor.estimated_accuracy().value == pytest.approx(0.75, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("days", [0, 60])
def test_the_interval_covers_the_realised_accuracy_of_other_inputs(days):
    """Scores are too certain, windows have larger ones, and rows of a day have a common cause if there are days."""
    random = np.random.default_rng(6)

    def draw(rows, shift):
        log_odds = random.normal(shift, 1.5, rows)
        cause = 0.6 * random.normal(size=rows // days + 1).repeat(days)[:rows] if days else 0.0
        return 1 / (1 + np.exp(-log_odds)), random.random(rows) < 1 / (1 + np.exp(-0.6 * log_odds - cause))

    covered, runs = 0, 60
    for _ in range(runs):
        scores, truth = draw(4_000, -0.3)
        reference = Reference.fit({"x": np.zeros(4_000)}, predictions=scores, outcomes=truth)
        monitor = in_memory_monitor(reference=reference, window=Window(rows=2_000))
        served, later = draw(1_000, 1.0)
        monitor.observe({"x": np.zeros(1_000)}, served)
        estimate = monitor.estimated_accuracy()
        covered += estimate.lower <= ((served >= 0.5) == later).mean() <= estimate.upper
    assert covered >= 0.88 * runs


def test_the_reason_of_a_drop_knows_the_confidences_of_graded_predictions():
    """The model is less sure than in the reference, and right as often as it says."""
    reference = Reference.fit(FEATURES, predictions=dicts(SHARP), outcomes=OUTCOMES)
    monitor = monitor_of(reference, outcomes=OutcomePolicy(window=Window(rows=ROWS)))
    ids = [f"id {index}" for index in range(ROWS)]
    monitor.observe(FEATURES, dicts(BLURRED), prediction_ids=ids)
    monitor.outcomes(ids, LATER)
    monitor.flush()
    status = monitor.status()["prediction.accuracy"]
    assert status.state == "drifting"
    assert "so the inputs have changed" in status.reason
