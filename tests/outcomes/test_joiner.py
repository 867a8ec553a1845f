"""Late labels through a monitor: counted once, joined off the caller's path, exported, and in bounded memory."""

from __future__ import annotations

import re
import signal
import threading
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import driftline as dl
from driftline._runtime.guard import UnreadableError
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
    assert monitor.outcome_counts().results == {"correct": 1, "incorrect": 1, "pending": 1}
    with pytest.raises(UnreadableError, match="2 ids and 1 outcomes: expected as many"):
        monitor.outcomes([1, 2], [True])


@pytest.mark.parametrize(
    "shape", [pd.DataFrame, pl.DataFrame, pa.table, lambda columns: np.array([*columns.values()]).T]
)
def test_a_frame_of_one_column_is_a_column(make_monitor, row, shape):
    """Iteration over a frame returns the names of its columns, of which "y" and "1" would be labels."""
    monitor = make_monitor()
    monitor.observe({name: [value] * 2 for name, value in row.items()}, [0.9, 0.9], prediction_ids=shape({"y": [1, 2]}))
    monitor.outcomes(shape({"1": [1, 2]}), shape({"y": [True, False]}))
    assert monitor.outcome_counts().results == {"correct": 1, "incorrect": 1}


@pytest.mark.parametrize("actuals", [{"a": True, "b": False}, pd.DataFrame({"y": [True, False], "yes": [0, 0]})])
def test_outcomes_without_a_column_are_refused(make_monitor, actuals):
    """They are counted as an error, and nothing of them is an outcome."""
    monitor = make_monitor()
    with pytest.raises(UnreadableError, match="expected"):
        monitor.outcomes(["a", "b"], actuals)
    assert not monitor.outcome_counts().results


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_id_joins_nothing(make_monitor, telemetry, row, missing):
    """Rows without an id would all have the same one."""
    monitor = make_monitor(on_error="log")
    serve(monitor, row, [0.9, 0.9], ["a", "b"])
    monitor.observe({name: [value] * 2 for name, value in row.items()}, [0.9, 0.9], prediction_ids=[missing, missing])
    monitor.outcomes(["a", missing, missing], [True, False, False])
    assert monitor.outcome_counts().results == {"correct": 1, "unmatched": 2}
    assert monitor.accuracy() == 1.0


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


UNKNOWN = [None, float("nan"), np.nan, np.float32("nan"), np.datetime64("NaT"), np.ma.masked, np.array([np.nan]),
           pd.NA, pd.NaT, pl.Series([None])[0], pa.scalar(None, pa.int64()), Decimal("nan"), Decimal("sNaN"),
           np.ma.array([1.0], mask=[True]), [None]]  # fmt: skip


@pytest.mark.parametrize("kept", ["memory", "file"])
@pytest.mark.parametrize("unknown", UNKNOWN, ids=lambda value: f"{type(value).__name__} {value}")
def test_an_unknown_label_is_no_label(make_monitor, row, tmp_path, kept, unknown):
    """It counts as pending, and the true label later counts as the first."""
    path = None if kept == "memory" else tmp_path / "outcomes.sqlite"
    monitor = make_monitor(outcomes=dl.OutcomePolicy(path=path))
    serve(monitor, row, [0.9, 0.9], ["a", "b"])
    monitor.outcome("a", unknown)
    monitor.outcome("a", False)
    assert monitor.outcome_counts().results == {"pending": 1, "incorrect": 1}
    assert monitor.accuracy() == 0.0


@pytest.mark.parametrize(
    "column",
    [
        [True, None, False],
        np.array([1.0, np.nan, 0.0]),
        np.ma.array([True, True, False], mask=[False, True, False]),
        pd.Series([True, None, False]),
        pd.Series([1, None, 0], dtype="Int64"),
        pd.Series([True, None, False], dtype="boolean"),
        pl.Series([True, None, False]),
        pa.array([True, None, False]),
        pa.chunked_array([[1, None], [0]]),
    ],
    ids=lambda column: type(column).__module__.partition(".")[0] + str(getattr(column, "dtype", "")),
)
def test_unknown_labels_of_a_column_are_pending(make_monitor, row, column):
    """Of any library; also for `record_outcome`, where no prediction waits."""
    monitor = make_monitor("columns")
    serve(monitor, row, [0.9, 0.9, 0.9], [0, 1, 2])
    monitor.outcomes([0, 1, 2], column)
    dl.record_outcome("columns", None, [0.9, 0.9, 0.9], column)
    assert monitor.outcome_counts().results == {"pending": 2, "correct": 2, "incorrect": 2}


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_a_corrected_label_replaces_the_first_everywhere(make_monitor, telemetry, row, tmp_path, kept):
    """All counts and metrics are those of the last labels; only the results of before stay."""
    path = None if kept == "memory" else tmp_path / "outcomes.sqlite"
    random = np.random.default_rng(3)
    scores, first, last = random.random(400), random.random(400) < 0.5, random.random(400) < 0.5
    corrected = make_monitor("corrected", outcomes=dl.OutcomePolicy(path=path, window=dl.Window(rows=400, every=50)))
    plain = make_monitor("plain", outcomes=dl.OutcomePolicy(window=dl.Window(rows=400, every=50)))
    for monitor in (corrected, plain):
        serve(monitor, row, scores, list(range(400)))
    corrected.outcomes(range(400), first)
    before = corrected.outcome_counts().results
    corrected.outcomes(range(400), last)
    plain.outcomes(range(400), last)
    changed = int((first != last).sum())
    counts = corrected.outcome_counts()
    assert counts.results == {**before, "corrected": changed, "duplicate": 400 - changed}
    expected = plain.outcome_counts()
    assert (counts.known, counts.correct, counts.classes) == (expected.known, expected.correct, expected.classes)
    assert corrected.performance() == plain.performance()
    assert corrected.accuracy() == plain.accuracy() == np.mean((scores >= 0.5) == last)
    tally = Probe(corrected).recent_outcomes
    assert (tally.known, tally.correct) == (expected.known, expected.correct)
    results = {"ml__model__name": "corrected", "ml__outcome__result": "corrected"}
    assert telemetry.value("ml.outcomes", **results) == changed


def test_a_correction_of_a_pair_that_left_the_window_changes_the_totals_only(make_monitor, row):
    """The window holds ten outcomes in panes of five, and the open pane."""
    monitor = make_monitor(outcomes=dl.OutcomePolicy(window=dl.Window(rows=10, every=5)), synchronous=True)
    serve(monitor, row, [0.9] * 30, list(range(30)))
    monitor.outcomes(range(30), [True] * 30)
    assert monitor.accuracy() == 1.0
    monitor.outcome(0, False)
    assert monitor.accuracy() == 1.0
    monitor.outcome(29, False)
    assert monitor.accuracy() == 0.9
    assert (monitor.outcome_counts().known, monitor.outcome_counts().correct) == (30, 28)


def test_a_correction_in_another_process_changes_the_sum(make_monitor, row, tmp_path):
    """The later process has none of the pair in its window. Its counts add up with those of the earlier one."""
    earlier = make_monitor("again", outcomes=tmp_path / "outcomes.sqlite")
    serve(earlier, row, [0.9, 0.9], ["a", "b"])
    earlier.outcomes(["a", "b"], [True, True])
    first = earlier.outcome_counts()
    earlier.shutdown()
    later = make_monitor("again", outcomes=tmp_path / "outcomes.sqlite")
    later.outcome("a", False)
    later.outcome("b", True)
    second = later.outcome_counts()
    assert second.results == {"corrected": 1, "duplicate": 1}
    assert ((first + second).known, (first + second).correct) == (2, 1)
    assert later.accuracy() is None
    assert later.performance() == ()


def test_an_outcome_reaches_the_baseline_and_its_shadow(make_monitor, row, tmp_path):
    """Both predicted the request, under one id, in one file. Without a file each monitor needs the outcome."""
    for path in (tmp_path / "outcomes.sqlite", None):
        pair = [
            make_monitor("served", version=f"{version} {path is None}", outcomes=dl.OutcomePolicy(path=path))
            for version in "12"
        ]
        for monitor, score in zip(pair, (0.9, 0.1), strict=True):
            serve(monitor, row, [score], ["a"])
            monitor.flush()
        for monitor in pair if path is None else pair[:1]:
            monitor.outcome("a", True)
            monitor.flush()
        assert [monitor.outcome_counts().results for monitor in pair] == [{"correct": 1}, {"incorrect": 1}]


def test_an_interrupted_correction_counts_once(make_monitor, row):
    """Ctrl-C comes while the corrected pair is graded."""
    raising = []

    def correct(output, actual):
        if raising:
            raising.clear()
            signal.raise_signal(signal.SIGINT)
        return (output >= 0.5) == actual

    monitor = make_monitor(correct=correct, synchronous=True)
    serve(monitor, row, [0.9], ["a"])
    monitor.outcome("a", True)
    assert monitor.accuracy() == 1.0
    raising.append(True)
    monitor.outcome("a", False)
    with pytest.raises(KeyboardInterrupt):
        monitor.accuracy()
    assert monitor.accuracy() == 0.0
    assert monitor.outcome_counts().results == {"correct": 1, "corrected": 1}


@pytest.mark.parametrize("kept", ["memory", "file"])
@pytest.mark.parametrize("sweep", [False, True])
def test_an_outcome_after_the_expiry_time_is_late(make_monitor, row, tmp_path, kept, sweep):
    """Although it is reported before the worker removes the prediction. The clock is that of the monitor."""
    path, clock = None if kept == "memory" else tmp_path / "outcomes.sqlite", ManualClock(1.7e9)
    monitor = make_monitor(clock=clock, outcomes=dl.OutcomePolicy(path=path, expire="7d"), synchronous=True)
    serve(monitor, row, [0.9, 0.9], ["a", "b"])
    clock.advance(7 * 86_400.0)
    monitor.outcome("b", True)
    clock.advance(3 * 86_400.0)
    if sweep:
        monitor.flush()
    monitor.outcome("a", True)
    assert monitor.outcome_counts().results == {"correct": 1, "expired": 1, "late": 1}


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_a_wall_clock_of_the_user_says_how_old_a_prediction_is(make_monitor, row, tmp_path, kept):
    """It moves by days in one step, which the clock of the system does by mistake only."""
    clock = ManualClock(2e9)
    path = tmp_path / "outcomes.sqlite" if kept == "file" else None
    monitor = make_monitor(outcomes=dl.OutcomePolicy(path=path, expire="7d"), wall_clock=clock)
    serve(monitor, row, [0.9, 0.9], ["old", "new"])
    monitor.flush()
    clock.advance(6 * 86_400.0)
    monitor.outcome("new", True)
    clock.advance(4 * 86_400.0)
    monitor.outcome("old", True)
    assert monitor.outcome_counts().results == {"correct": 1, "expired": 1, "late": 1}


@pytest.mark.parametrize(
    ("model", "shape"),
    [("array", lambda values: np.array(values)[:, None]), ("frame", lambda values: pd.DataFrame({"p": values}))],
)
def test_a_recorded_column_may_be_a_table(telemetry, model, shape):
    """An array of shape (n, 1) and a frame with one column are n predictions, or n outcomes."""
    dl.record_outcome(model, "1", shape([0.9, 0.2, 0.8]), shape([1, 0, 0]), meter_provider=telemetry.meter_provider)
    assert outcome_results(telemetry) == {"correct": 2, "incorrect": 1}
