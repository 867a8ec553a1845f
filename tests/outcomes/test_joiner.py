"""Late labels through a monitor: counted once, joined off the caller's path, exported, and in bounded memory."""

from __future__ import annotations

import re
import threading

import numpy as np
import pandas as pd
import pytest

import driftline as dl
from driftline.errors import ConfigurationError
from driftline.outcomes import _joiner
from driftline.testing import ManualClock, Probe


def serve(monitor, row, scores, ids):
    monitor.observe({name: [value] * len(ids) for name, value in row.items()}, scores, prediction_ids=ids)


def outcome_results(telemetry):
    return {
        attributes["ml.outcome.result"]: value
        for name, attributes, value in telemetry.points()
        if name == "ml.outcomes"
    }


def test_each_result_is_exported(make_monitor, telemetry, row):
    """Correct, incorrect, duplicate, unmatched, early, expired and late."""
    clock = ManualClock()
    monitor = make_monitor(clock=clock, outcomes=dl.OutcomePolicy(expire=60.0), synchronous=True)
    monitor.outcome("early", True)
    serve(monitor, row, [0.9, 0.8, 0.7, 0.6], ["right", "wrong", "never", "early"])
    monitor.outcome("right", True)
    monitor.outcome("wrong", False)
    monitor.outcome("wrong", False)
    monitor.outcome("unknown", True)
    clock.advance(100.0)
    monitor.flush()
    monitor.outcome("never", True)
    expected = {"correct": 2, "incorrect": 1, "duplicate": 1, "unmatched": 2, "early": 1, "expired": 1, "late": 1}
    assert outcome_results(telemetry) == expected
    assert monitor.accuracy() == pytest.approx(2 / 3)
    assert monitor.outcome_counts().results == expected


def test_the_id_of_a_call_joins_its_outcome(make_monitor, row):
    """The id is read within the block or after it. It may come back as a string."""
    monitor = make_monitor()
    with monitor.prediction(row) as first:
        first.output = 0.9
        first_id = first.id
    with monitor.prediction(row) as second:
        second.output = 0.2
    monitor.outcome(first_id, True)
    monitor.outcome(str(second.id), True)
    assert monitor.outcome_counts().results == {"correct": 1, "incorrect": 1}


def test_ids_from_a_table_join_their_outcomes(make_monitor, row):
    """Ids and outcomes are two columns of a frame, and whole numbers may have become floats."""
    monitor = make_monitor()
    serve(monitor, row, [0.9, 0.9], [1, 2])
    table = pd.DataFrame({"id": [1.0, 2.0, np.nan], "late": [True, False, None]})
    monitor.outcomes(table["id"], table["late"])
    assert monitor.outcome_counts().results == {"correct": 1, "incorrect": 1, "unmatched": 1}
    with pytest.raises(ValueError, match="zip"):
        monitor.outcomes([1, 2], [True])


def test_the_caller_may_reuse_an_output_array(make_monitor, row):
    """The monitor keeps a copy."""
    monitor = make_monitor()
    scores = np.array([0.9, 0.9])
    serve(monitor, row, scores, ["a", "b"])
    scores[:] = 0.1
    monitor.outcomes(["a", "b"], [True, True])
    assert monitor.accuracy() == 1.0


def test_accuracy_is_of_the_latest_outcomes(make_monitor, row):
    """The window drops old outcomes pane after pane. The totals keep them."""
    monitor = make_monitor(outcomes=dl.OutcomePolicy(window=dl.Window(rows=1_000, every=100)))
    for actual, accuracy in ((True, 1.0), (False, 0.0)):
        ids = [f"{actual}{index}" for index in range(1_000)]
        serve(monitor, row, [0.9] * 1_000, ids)
        monitor.outcomes(ids, [actual] * 1_000)
        assert monitor.accuracy() == accuracy
    tally = Probe(monitor).recent_outcomes
    assert (tally.recent_known, tally.known, tally.correct) == (1_000, 2_000, 1_000)


def test_performance_is_exported_with_its_interval(make_monitor, telemetry, training):
    """Exported values equal those of performance()."""
    monitor = make_monitor(window=dl.Window(rows=2_000))
    ids = range(len(training.predictions))
    monitor.observe(training.features, training.predictions, prediction_ids=list(ids))
    monitor.outcomes(ids, training.outcomes)
    values = {(metric.metric, metric.label): metric for metric in monitor.performance()}
    assert {"accuracy", "error_rate", "brier", "calibration_error", "auc"} <= {metric for metric, _ in values}
    for metric, label in (("auc", None), ("recall", True)):
        for bound in ("value", "lower", "upper"):
            attributes = {"ml__model__performance__metric": metric, "ml__model__performance__bound": bound}
            if label is not None:
                attributes["ml__model__class"] = str(label)
            assert telemetry.value("ml.model.performance", **attributes) == getattr(values[metric, label], bound)
    estimated = monitor.estimated_accuracy()
    assert estimated.lower < monitor.accuracy() < estimated.upper
    assert telemetry.value("ml.model.accuracy.estimated") == estimated.value
    assert telemetry.value("ml.model.accuracy") == monitor.accuracy()


def test_a_drop_of_accuracy_has_a_state_like_drift(make_monitor, telemetry, training):
    """It is in status(), in the status metric, and in an event with its reason."""
    monitor = make_monitor()
    ids = list(range(len(training.predictions)))
    assert "prediction.accuracy" not in monitor.status()
    monitor.observe(training.features, training.predictions, prediction_ids=ids)
    monitor.outcomes(ids, training.outcomes)
    assert monitor.status()["prediction.accuracy"].state == "stable"
    monitor.observe(training.features, training.predictions, prediction_ids=ids)
    monitor.outcomes(ids, ~training.outcomes)
    status = monitor.status()["prediction.accuracy"]
    assert status.state == "drifting"
    assert "their relation to outcomes has changed" in status.reason
    state = {"ml__feature__name": "prediction.accuracy", "ml__feature__drift__state": "drifting"}
    assert telemetry.value("ml.feature.drift.status", **state) == 1
    (event,) = (
        attributes
        for name, attributes in telemetry.events()
        if attributes.get("ml.feature.name") == "prediction.accuracy"
        and attributes["ml.feature.drift.state"] == "drifting"
    )
    assert event["ml.drift.reason"] == status.reason
    assert event["ml.feature.drift.previous_state"] == "stable"
    assert event["ml.window.length"] == "5000 outcomes"


def test_a_regression_counts_errors(telemetry):
    """Accuracy needs a user function that grades."""
    random = np.random.default_rng(1)
    x = random.normal(50.0, 10.0, 1_000)
    reference = dl.Reference.fit({"x": x}, predictions=2 * x)
    near = dl.Monitor(
        "r",
        reference=reference,
        correct=lambda output, actual: abs(output - actual) < 5,
        enabled=True,
        **telemetry.providers,
    )
    far = dl.Monitor("plain", reference=reference, enabled=True, **telemetry.providers)
    for monitor in (near, far):
        monitor.observe({"x": x}, 2 * x, prediction_ids=list(range(1_000)))
        monitor.outcomes(range(1_000), 2 * x + random.normal(0, 3, 1_000))
    assert near.accuracy() == pytest.approx(0.904, abs=0.03)
    assert far.accuracy() is None
    assert far.outcome_counts().results == {"matched": 1_000}
    (rmse,) = (metric for metric in far.performance() if metric.metric == "rmse")
    assert rmse.value == pytest.approx(3.0, rel=0.1)
    for monitor in (near, far):
        monitor.shutdown()


def test_a_learned_reference_decides_the_kind(make_monitor, row):
    """Earlier counts stay in the totals."""
    monitor = make_monitor(reference=dl.Reference.learn(rows=100), synchronous=True)
    rows = {name: [value] * 100 for name, value in row.items()}
    scores = np.linspace(0, 1, 100)
    monitor.observe(rows, scores, prediction_ids=[f"a{index}" for index in range(100)])
    monitor.outcomes([f"a{index}" for index in range(100)], scores >= 0.5)
    monitor.flush()
    monitor.observe(rows, scores, prediction_ids=[f"b{index}" for index in range(100)])
    monitor.outcomes([f"b{index}" for index in range(100)], scores >= 0.5)
    counts = monitor.outcome_counts()
    assert (counts.known, counts.correct) == (200, 200)
    assert monitor.reference is not None


def test_threads_count_each_outcome_once(make_monitor, row):
    """Four threads report the same outcomes: one is correct, three are duplicates."""
    monitor = make_monitor()
    ids = list(range(2_000))
    serve(monitor, row, [0.9] * 2_000, ids)
    threads = [threading.Thread(target=monitor.outcomes, args=(ids, [True] * 2_000)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitor.outcome_counts().results == {"correct": 2_000, "duplicate": 6_000}


def test_memory_is_bounded(make_monitor, row):
    """The number of pending predictions and the speed of the join do not matter."""
    monitor = make_monitor(outcomes=dl.OutcomePolicy(capacity=500), synchronous=True)
    for start in range(0, 20_000, 1_000):
        serve(monitor, row, [0.9] * 1_000, list(range(start, start + 1_000)))
        assert Probe(monitor).pending_outcomes <= _joiner.BUFFER_EVENTS
    monitor.flush()
    assert Probe(monitor).remembered_predictions <= 3 * 500
    assert monitor.outcome_counts().results == {"expired": 19_500}


def test_a_finalizer_that_calls_the_monitor_does_not_deadlock(make_monitor):
    """Dropping an output may run a finalizer of the application."""
    monitor = make_monitor(outcomes=dl.OutcomePolicy(capacity=1), synchronous=True, correct=lambda output, actual: True)

    class Output:
        def __del__(self):
            monitor.outcome("other", 1)

    def run():
        for prediction_id in range(3):
            Probe(monitor).remember_output(prediction_id, Output())
        monitor.flush()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10.0)
    assert not thread.is_alive()
    monitor.flush()
    assert monitor.outcome_counts().results["unmatched"] >= 1


def test_an_exception_of_the_user_function_is_counted(make_monitor, telemetry, row):
    """The outcome is matched, without a grade."""

    def correct(output, actual):
        raise ZeroDivisionError

    monitor = make_monitor(correct=correct, on_error="log")
    serve(monitor, row, [0.9], ["a"])
    monitor.outcome("a", True)
    assert monitor.outcome_counts().results == {"matched": 1}
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="outcome") == 1


def test_a_disabled_monitor_makes_no_file(reference, tmp_path):
    """It has no accuracy either."""
    path = tmp_path / "outcomes.sqlite"
    monitor = dl.Monitor("m", reference=reference, outcomes=path, enabled=False)
    monitor.outcome("a", True)
    monitor.outcomes(["a"], [True])
    assert monitor.accuracy() is None
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 5}, "path=5: expected the path of a file"),
        ({"path": b"x"}, "path=b'x': expected the path of a file"),
        ({"capacity": 0}, "capacity=0: expected an integer from 1 to 1000000000"),
        ({"capacity": True}, "capacity=True: expected an integer from 1 to 1000000000"),
        ({"expire": "soon"}, "expire='soon': expected"),
        ({"expire": -1}, "expire=-1: expected"),
        ({"kind": "ranking"}, "kind='ranking': expected 'probability', 'label' or 'quantity', or None"),
        ({"classes": "fraud"}, "classes='fraud': expected a sequence of labels"),
        ({"classes": [None]}, "classes=[None]: expected at most 50 strings, numbers or booleans"),
        ({"classes": [str(label) for label in range(51)]}, "expected at most 50 strings, numbers or booleans"),
        ({"window": 5_000}, "window=5000: expected Window(rows=...), because outcomes arrive in bursts"),
        ({"window": dl.Window("1h")}, "expected Window(rows=...), because outcomes arrive in bursts"),
        ({"limits": {"auc": 0.7}}, "limits={'auc': 0.7}: expected a dict with keys from ['accuracy', "),
        ({"limits": 0.8}, "limits=0.8: expected a dict with keys from ['accuracy', "),
        ({"limits": {"accuracy": 80}}, "limits['accuracy']=80: expected a number above 0 and below 1"),
        ({"limits": {"accuracy": "high"}}, "limits['accuracy']='high': expected a number above 0 and below 1"),
        ({"max_drop": 5}, "max_drop=5: expected a number from 0 to 1, or None"),
        ({"max_drop": float("nan")}, "max_drop=nan: expected a number from 0 to 1, or None"),
        ({"per": 0.5}, "per=0.5: expected an integer from 1 to 1000000000"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    """The message has the value and what was expected."""
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        dl.OutcomePolicy(**arguments)


def test_outcomes_must_be_a_policy_or_a_path(reference):
    with pytest.raises(ConfigurationError, match=re.escape("outcomes=5: expected an OutcomePolicy, or the path of a")):
        dl.Monitor("m", reference=reference, outcomes=5)


def test_with_on_error_raise_outcomes_are_joined_once(make_monitor, row):
    """The exception of the user function reaches the caller."""

    def correct(output, actual):
        raise ZeroDivisionError

    monitor = make_monitor(correct=correct, synchronous=True)
    serve(monitor, row, [0.9], ["a"])
    monitor.outcome("a", True)
    with pytest.raises(ZeroDivisionError):
        monitor.accuracy()
    assert monitor.outcome_counts().results == {"matched": 1}


def test_probabilities_of_many_classes_are_labels(telemetry):
    """The most probable class is monitored and graded, and its probability is counted."""
    random = np.random.default_rng(5)
    outputs = [dict(zip("abc", row, strict=True)) for row in random.dirichlet([3, 2, 1], 2_000).tolist()]
    truth = [random.choice(list("abc"), p=list(output.values())) for output in outputs]
    x = random.normal(size=2_000)
    reference = dl.Reference.fit({"x": x}, predictions=outputs, outcomes=[str(label) for label in truth])
    assert reference.prediction.bins.categories[0] == "a"
    monitor = dl.Monitor("classes", reference=reference, enabled=True, on_error="raise", **telemetry.providers)
    for index in range(100):
        with monitor.prediction({"x": x[index]}, prediction_id=index) as call:
            call.output = outputs[index]
    monitor.observe({"x": x[100:]}, outputs[100:], prediction_ids=list(range(100, 2_000)))
    monitor.outcomes(range(2_000), truth)
    values = {(metric.metric, metric.label): metric for metric in monitor.performance()}
    predicted = [max(output, key=output.__getitem__) for output in outputs]
    assert values["accuracy", None].value == np.mean(np.array(predicted) == np.array(truth))
    assert ("recall", "c") in values
    assert values["calibration_error", None].lower == 0.0
    assert monitor.snapshot().rows == 2_000
    monitor.shutdown()
