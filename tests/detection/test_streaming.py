"""Stream detectors: their interfaces, the values that they are fed, and their states."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import driftline as dl
from driftline.testing import ManualClock, Probe, check_detector, in_memory_monitor


class Jump:
    """Finds a value ten away from the mean since the last change, and resets itself as river's detectors do."""

    def __init__(self, away=10.0):
        self.away = away
        self.drift_detected = False
        self.seen = []

    def update(self, x):
        if self.drift_detected:
            self.seen = []
        self.drift_detected = bool(self.seen) and abs(x - np.mean(self.seen)) > self.away
        self.seen.append(x)


class Sticky(Jump):
    """The same with frouros's interface: `drift` stays true until `reset()`."""

    def __init__(self, away=10.0):
        super().__init__(away)
        del self.drift_detected
        self.drift = False

    def update(self, value, **more):
        self.drift = self.drift or (bool(self.seen) and abs(value - np.mean(self.seen)) > self.away)
        self.seen.append(value)
        return {}

    def reset(self):
        self.drift = False
        self.seen = []


class Recalls:
    """Finds no change and records every value in a class attribute, which copies share."""

    fed: dict[str, list[float]] = {}  # noqa: RUF012 - shared by copies on purpose

    def __init__(self, name):
        self.name = name
        self.drift_detected = False

    def update(self, x):
        self.fed.setdefault(self.name, []).append(x)


@pytest.fixture(autouse=True)
def _forget():
    Recalls.fed.clear()


@pytest.fixture(scope="module")
def plain():
    """A reference with a numeric feature, one of strings, and predictions that are quantities."""
    random = np.random.default_rng(0)
    columns = {"delay": random.normal(0, 1, 2_000), "carrier": random.choice(["UA", "AA"], 2_000).tolist()}
    return dl.Reference.fit(columns, predictions=random.normal(100, 5, 2_000))


def watch(reference, detectors, **options):
    return in_memory_monitor(reference=reference, detectors=detectors, **options)


def rows(values):
    return [{"delay": value, "carrier": "UA"} for value in values]


def test_both_interfaces_are_accepted():
    """River has `drift_detected`, frouros has `drift`."""
    for detector in (Jump(0.5), Sticky(0.5)):
        check_detector(detector, [0.0] * 100, [1.0] * 100)


@pytest.mark.parametrize("kind", [Jump, Sticky])
def test_a_change_shows_in_states_metrics_and_events(plain, telemetry, kind):
    """The entry is first `insufficient_data`, then stable, then drifting for one window, then stable."""
    monitor = watch(plain, {"delay": kind()}, window=dl.Window(rows=50), **telemetry.providers)
    name = f"delay ({kind.__name__})"
    assert monitor.status()[name] == dl.FeatureStatus("insufficient_data", None, None, 0, "no value yet")
    monitor.observe(rows([0.0] * 20), [100.0] * 20)
    assert monitor.status()[name].state == "stable"
    assert monitor.status()[name].reason == f"{kind.__name__} found no change in 20 values"
    monitor.observe(rows([50.0] * 20), [100.0] * 20)
    status = monitor.status()[name]
    assert (status.state, status.rows) == ("drifting", 40)
    assert status.reason == f"{kind.__name__} found a change at value 21 of 40"
    assert telemetry.value("ml.feature.drift.status", ml__feature__name=name, ml__feature__drift__state="drifting") == 1
    assert telemetry.value("ml.feature.drift.status", ml__feature__name=name, ml__feature__drift__state="stable") == 0
    monitor.observe(rows([50.0] * 30), [100.0] * 30)
    assert monitor.status()[name].state == "drifting"
    monitor.observe(rows([50.0]), [100.0])
    assert monitor.status()[name].reason == f"{kind.__name__} found no change since value 21 of 71"
    events = [attributes for _, attributes in telemetry.events() if attributes["ml.feature.name"] == name]
    assert [attributes["ml.feature.drift.state"] for attributes in events] == ["drifting", "stable"]
    assert events[0]["ml.drift.reason"] == f"{kind.__name__} found a change at value 21 of 21"
    assert events[0]["ml.window.length"] == "each value"
    assert events[0]["ml.window.rows"] == 21
    monitor.shutdown()


def test_with_a_window_of_time_a_change_lasts_for_that_time(plain):
    """By the clock of the monitor, with or without new values."""
    clock = ManualClock()
    monitor = watch(plain, {"delay": Jump()}, window=dl.Window("10min"), clock=clock)
    monitor.observe(rows([0.0, 50.0]), [100.0] * 2)
    assert monitor.status()["delay (Jump)"].state == "drifting"
    clock.advance(599.0)
    assert monitor.status()["delay (Jump)"].state == "drifting"
    clock.advance(1.0)
    assert monitor.status()["delay (Jump)"].state == "stable"
    monitor.shutdown()


def test_each_finite_value_is_fed_once_and_in_order(plain):
    """From single calls, small and large batches and failed calls. Missing and infinite values are skipped."""
    monitor = watch(plain, {"delay": Recalls("delay"), "prediction": Recalls("prediction")})
    values = np.random.default_rng(1).normal(size=3_000)
    values[::7] = np.nan
    values[3] = np.inf
    sent = 0
    for size in (1, 1, 20, 500, 1, 32, 33, 2_000, 1, 411):
        part = values[sent : sent + size]
        carriers = ["UA"] * size
        if size == 1:
            monitor.observe({"delay": float(part[0]), "carrier": "UA"}, 1.0 + sent)
        else:
            monitor.observe({"delay": part, "carrier": carriers}, np.arange(sent, sent + size) + 1.0)
        sent += size
    with pytest.raises(RuntimeError), monitor.prediction({"delay": 77.0, "carrier": "UA"}):
        raise RuntimeError
    monitor.flush()
    assert Recalls.fed["delay"] == [*values[np.isfinite(values)].tolist(), 77.0]
    assert Recalls.fed["prediction"] == [float(value) for value in range(1, 3_001)]
    assert monitor.status()["prediction (Recalls)"].rows == 3_000
    monitor.shutdown()


def test_every_value_of_every_thread_is_fed(plain):
    """Detectors are not thread-safe, so they get one value at a time. None is lost."""
    monitor = dl.Monitor("m", reference=plain, detectors={"delay": Recalls("delay")}, on_error="raise")

    def serve(start):
        for value in range(start, start + 1_000):
            with monitor.prediction({"delay": float(value), "carrier": "UA"}) as call:
                call.output = 1.0

    threads = [threading.Thread(target=serve, args=(start,)) for start in range(0, 8_000, 1_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monitor.flush()
    fed = Recalls.fed["delay"]
    assert sorted(fed) == [float(value) for value in range(8_000)]
    for start in range(0, 8_000, 1_000):
        assert [value for value in fed if start <= value < start + 1_000] == list(range(start, start + 1_000))
    monitor.shutdown()


def test_derived_features_can_be_watched():
    """By the name of the derived feature."""
    columns = {"text": ["ab", "c"] * 100}
    derive = {"length": lambda row: len(row["text"])}
    reference = dl.Reference.fit(columns, derive=derive, ignore=["text"], numeric=["length"])
    monitor = watch(reference, {"length": Recalls("length")}, derive=derive)
    monitor.observe({"text": "abcdef"})
    monitor.flush()
    assert Recalls.fed["length"] == [6.0]
    monitor.shutdown()


def test_outcomes_feed_the_error_stream(plain):
    """1 and 0 for wrong and right predictions, the absolute error for quantities."""
    monitor = watch(plain, {"error": Recalls("error")})
    for index, (output, actual) in enumerate([(100.0, 90.0), (100.0, 103.5), (100.0, None)]):
        monitor.observe({"delay": 0.0, "carrier": "UA"}, [output], prediction_ids=[index])
        monitor.outcome(index, actual)
    monitor.outcome("never predicted", 1.0)
    monitor.flush()
    assert Recalls.fed["error"] == [10.0, 3.5]
    monitor.shutdown()
    Recalls.fed.clear()
    labels = dl.Reference.fit({"x": np.arange(200.0)}, predictions=["a", "b"] * 100)
    monitor = watch(labels, {"error": [Recalls("error"), Jump(0.5)]})
    for index, actual in enumerate(["a", "a", "b"]):
        monitor.observe({"x": 1.0}, ["a"], prediction_ids=[index])
        monitor.outcome(index, actual)
    assert monitor.status()["error (Jump)"].state == "drifting"
    assert Recalls.fed["error"] == [0.0, 0.0, 1.0]
    monitor.shutdown()


def test_the_name_error_means_a_feature_of_that_name():
    """If the reference has such a feature, outcomes are not watched."""
    reference = dl.Reference.fit({"error": np.arange(200.0)}, predictions=["a", "b"] * 100)
    monitor = watch(reference, {"error": Recalls("error")})
    monitor.observe({"error": 5.0}, ["a"], prediction_ids=[1])
    monitor.outcome(1, "b")
    monitor.flush()
    assert Recalls.fed["error"] == [5.0]
    monitor.shutdown()


class Breaks(Jump):
    """Raises at the third value."""

    def update(self, x):
        super().update(x)
        if len(self.seen) == 3:
            msg = "three is enough"
            raise ArithmeticError(msg)


def test_a_detector_that_raises_is_skipped(plain, telemetry, caplog):
    """The error is counted and logged once. Other detectors still run."""
    detectors = {"delay": [Breaks(), Recalls("delay")]}
    monitor = dl.Monitor("m", reference=plain, detectors=detectors, synchronous=True, **telemetry.providers)
    for _ in range(5):
        monitor.observe({"delay": 0.0, "carrier": "UA"}, 100.0)
    status = monitor.status()
    assert status["delay (Breaks)"].state == "insufficient_data"
    assert status["delay (Breaks)"].reason == "skipped: it raised ArithmeticError"
    assert len(Recalls.fed["delay"]) == 5
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="detector") == 1
    assert "delay (Breaks) raised ArithmeticError, it is skipped from now on" in caplog.text
    assert "three is enough" not in caplog.text
    monitor.shutdown()


def test_a_detector_that_is_too_slow_misses_values_and_reports_it(plain, telemetry, monkeypatch):
    """Memory is bounded, and no caller waits for a detector."""
    monkeypatch.setattr("driftline.detection._streaming.MAX_PENDING", 100)
    started, release = threading.Event(), threading.Event()

    class Slow(Recalls):
        def __deepcopy__(self, memo):
            return self

        def update(self, x):
            started.set()
            release.wait(10)
            super().update(x)

    monitor = dl.Monitor("m", reference=plain, detectors={"delay": Slow("delay")}, **telemetry.providers)
    monitor.observe({"delay": np.zeros(1_100), "carrier": ["UA"] * 1_100}, np.ones(1_100))
    assert started.wait(10)
    for _ in range(5):
        monitor.observe({"delay": np.zeros(90), "carrier": ["UA"] * 90}, np.ones(90))
        # Bins the pending rows without waiting for the detector.
        Probe(monitor).drain()
    release.set()
    monitor.flush()
    assert len(Recalls.fed["delay"]) == 1_100 + 180
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="detector") == 3
    monitor.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_child_of_a_fork_starts_with_fresh_copies(plain):
    """The child has none of the parent's values. The object that the user passes is never fed."""
    original = Jump()
    monitor = watch(plain, {"delay": original})
    monitor.observe(rows([0.0] * 5), [100.0] * 5)
    monitor.flush()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        monitor.observe(rows([50.0]), [100.0])
        status = monitor.status()["delay (Jump)"]
        os.write(write, f"{status.state} {status.rows}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"stable 1"
    monitor.observe(rows([50.0]), [100.0])
    assert monitor.status()["delay (Jump)"].state == "drifting"
    assert original.seen == []
    monitor.shutdown()


def test_detectors_of_one_kind_are_numbered(plain):
    """In their order."""
    monitor = watch(plain, {"delay": (Jump(), Jump(1.0)), "prediction": Jump()})
    names = [name for name in monitor.status() if "(" in name]
    assert names == ["delay (Jump)", "delay (Jump 2)", "prediction (Jump)"]
    monitor.shutdown()


class Uncopyable(Jump):
    def __deepcopy__(self, memo):
        msg = "no copies"
        raise TypeError(msg)


@pytest.mark.parametrize(
    ("detectors", "message"),
    [
        ([Jump()], "expected a dict of feature names and detectors"),
        ({1: Jump()}, "detectors: 1: expected the name of a feature, 'prediction' or 'error'"),
        ({"delay": Jump}, "expected an object, such as Jump()"),
        (
            {"delay": "ADWIN"},
            "detectors['delay']='ADWIN': expected an object with update(x) and drift_detected (or drift)",
        ),
        ({"delay": SimpleNamespace(update=print)}, "expected an object with update(x) and drift_detected"),
        ({"delay": Uncopyable()}, "cannot be copied, which the child of a fork needs: TypeError('no copies')"),
        ({"delays": Jump()}, "detectors: 'delays': no such feature, expected a name out of ['delay', 'carrier',"),
        ({"carrier": Jump()}, "detectors: 'carrier': holds strings, expected a feature of numbers"),
    ],
)
def test_bad_detectors_are_refused(plain, detectors, message):
    """When the monitor is made."""
    with pytest.raises(dl.ConfigurationError) as raised:
        dl.Monitor("m", reference=plain, detectors=detectors)
    assert message in str(raised.value)


def test_detectors_start_when_a_reference_is_learned(caplog):
    """Streams that the learned reference has are watched from then on. Detectors of other streams are skipped."""
    detectors = {"a": Recalls("a"), "b": Recalls("b"), "carrier": Recalls("c"), "error": Recalls("error")}
    monitor = dl.Monitor("m", reference=dl.Reference.learn(rows=100), detectors=detectors, synchronous=True)
    assert monitor.status()["a (Recalls)"].reason == "no value yet"
    for index in range(103):
        monitor.observe({"a": float(index), "carrier": "UA"}, [0.2 + index / 500], prediction_ids=[index])
        if index == 50:
            monitor.outcome(index, 1)
        monitor.flush()
    monitor.outcome(102, True)
    monitor.flush()
    assert Recalls.fed["a"] == [100.0, 101.0, 102.0]
    # A probability of 0.3 for an event that came true is wrong, with a reference and without.
    assert Recalls.fed["error"] == [1.0, 1.0]
    status = monitor.status()
    assert status["b (Recalls)"].reason.startswith("skipped: no such feature")
    assert status["carrier (Recalls)"].reason == "skipped: holds strings, expected a feature of numbers"
    assert "'b' is not watched: no such feature" in caplog.text
    monitor.shutdown()


def test_check_detector_finds_mistakes():
    """A detector that finds too many changes, none, or one too early; and one that shares state with its copies."""

    class Always(Jump):
        def update(self, x):
            self.drift_detected = True

    class Never(Jump):
        def update(self, x):
            """Do nothing."""

    class Early(Never):
        def __init__(self):
            super().__init__()
            self.drift_detected = True

    class Shared(Jump):
        def __deepcopy__(self, memo):
            return self

    for detector, message in (
        (Always(), "Always finds 2000 changes in 2000 values without one, the first at 0"),
        (Never(), "Never finds no change in 2000 values after one"),
        (Early(), "Early reports a change before the first value"),
    ):
        with pytest.raises(AssertionError, match=message):
            check_detector(detector)
    with pytest.raises(AssertionError, match="Shared"):
        check_detector(Shared(0.5), [0.0] * 20, [1.0])
    check_detector(Jump(0.5), [0.0] * 20, [1.0])


def test_a_drifting_detector_requests_retraining_once(plain, tmp_path):
    """Like a drifting feature."""
    queue = dl.RetrainingQueue(tmp_path / "queue.db")
    policy = dl.RetrainingPolicy(queue=queue, persistence=(1, 1))
    monitor = watch(plain, {"delay": Jump()}, retraining=policy)
    monitor.observe(rows([0.0, 50.0]), [100.0] * 2)
    for _ in range(3):
        monitor.flush()
    pending = queue.pending()
    assert [(request.reason, request.features) for request in pending] == [("drift", ("delay (Jump)",))]
    monitor.shutdown()
