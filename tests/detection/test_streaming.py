"""Detectors for streams: what is one, what each is fed, and what becomes of it."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import driftline as dl
from driftline.testing import ManualClock, check_detector, in_memory_monitor


class Jump:
    """Finds a value ten away from the mean of those since the last change; starts anew by itself, as river's do."""

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
    """The same with frouros's interface: it goes on saying so until it is reset."""

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
    """Finds nothing and remembers everything, outside of what is copied."""

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
    """One numeric feature, one of texts, predictions that are quantities."""
    random = np.random.default_rng(0)
    columns = {"delay": random.normal(0, 1, 2_000), "carrier": random.choice(["UA", "AA"], 2_000).tolist()}
    return dl.Reference.fit(columns, predictions=random.normal(100, 5, 2_000))


def watch(reference, detectors, **options):
    return in_memory_monitor(reference=reference, detectors=detectors, **options)


def rows(values):
    return [{"delay": value, "carrier": "UA"} for value in values]


def test_both_interfaces_are_taken_as_they_are():
    """River says drift_detected, frouros says drift."""
    for detector in (Jump(0.5), Sticky(0.5)):
        check_detector(detector, [0.0] * 100, [1.0] * 100)


@pytest.mark.parametrize("kind", [Jump, Sticky])
def test_a_change_is_told_in_states_metrics_and_events(plain, telemetry, kind):
    """An entry of its own: insufficient data, stable, drifting for a window, stable again."""
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
    events = [one for event, one in telemetry.events() if one["ml.feature.name"] == name]
    assert [one["ml.feature.drift.state"] for one in events] == ["stable", "drifting", "stable"]
    assert events[1]["ml.drift.reason"] == f"{kind.__name__} found a change at value 21 of 21"
    assert events[1]["ml.window.length"] == "each value"
    assert events[1]["ml.window.rows"] == 21
    monitor.shutdown()


def test_with_a_window_of_time_a_change_is_told_for_as_long(plain):
    """By the monitor's clock, values or none."""
    clock = ManualClock()
    monitor = watch(plain, {"delay": Jump()}, window=dl.Window("10min"), clock=clock)
    monitor.observe(rows([0.0, 50.0]), [100.0] * 2)
    assert monitor.status()["delay (Jump)"].state == "drifting"
    clock.advance(599.0)
    assert monitor.status()["delay (Jump)"].state == "drifting"
    clock.advance(1.0)
    assert monitor.status()["delay (Jump)"].state == "stable"
    monitor.shutdown()


def test_values_come_in_their_order_once_and_without_missing_ones(plain):
    """Single calls, small batches, large ones and failed calls; None, nan and infinities are left out."""
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
    assert Recalls.fed["prediction"] == [float(place) for place in range(1, 3_001)]
    assert monitor.status()["prediction (Recalls)"].rows == 3_000
    monitor.shutdown()


def test_every_value_of_every_thread_is_fed(plain):
    """Detectors are not thread-safe: one value at a time, none lost."""
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
        assert [one for one in fed if start <= one < start + 1_000] == list(range(start, start + 1_000))
    monitor.shutdown()


def test_derived_features_can_be_watched():
    """By the name of the feature that is made."""
    columns = {"text": ["ab", "c"] * 100}
    derive = {"length": lambda row: len(row["text"])}
    reference = dl.Reference.fit(columns, derive=derive, ignore=["text"], numeric=["length"])
    monitor = watch(reference, {"length": Recalls("length")}, derive=derive)
    monitor.observe({"text": "abcdef"})
    monitor.flush()
    assert Recalls.fed["length"] == [6.0]
    monitor.shutdown()


def test_errors_are_what_outcomes_say(plain):
    """Right and wrong where that can be told, else how far off a quantity was."""
    monitor = watch(plain, {"error": Recalls("error")})
    for place, (output, actual) in enumerate([(100.0, 90.0), (100.0, 103.5), (100.0, None)]):
        monitor.observe({"delay": 0.0, "carrier": "UA"}, [output], prediction_ids=[place])
        monitor.outcome(place, actual)
    monitor.outcome("never predicted", 1.0)
    monitor.flush()
    assert Recalls.fed["error"] == [10.0, 3.5]
    monitor.shutdown()
    Recalls.fed.clear()
    labels = dl.Reference.fit({"x": np.arange(200.0)}, predictions=["a", "b"] * 100)
    monitor = watch(labels, {"error": [Recalls("error"), Jump(0.5)]})
    for place, actual in enumerate(["a", "a", "b"]):
        monitor.observe({"x": 1.0}, ["a"], prediction_ids=[place])
        monitor.outcome(place, actual)
    assert monitor.status()["error (Jump)"].state == "drifting"
    assert Recalls.fed["error"] == [0.0, 0.0, 1.0]
    monitor.shutdown()


def test_a_feature_named_error_is_meant_by_that_name():
    """The feature, not the outcomes."""
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


def test_what_raises_is_left_out(plain, telemetry, caplog):
    """Counted and logged once; the others go on."""
    monitor = dl.Monitor(
        "m",
        reference=plain,
        detectors={"delay": [Breaks(), Recalls("delay")]},
        synchronous=True,
        **telemetry.providers,
    )
    for _ in range(5):
        monitor.observe({"delay": 0.0, "carrier": "UA"}, 100.0)
    status = monitor.status()
    assert status["delay (Breaks)"].state == "insufficient_data"
    assert status["delay (Breaks)"].reason == "left out: it raised ArithmeticError"
    assert len(Recalls.fed["delay"]) == 5
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="detector") == 1
    assert "delay (Breaks) raised ArithmeticError, it is left out" in caplog.text
    assert "three is enough" not in caplog.text
    monitor.shutdown()


def test_detectors_too_slow_for_their_stream_miss_values_and_say_so(plain, telemetry, monkeypatch):
    """Memory is bounded, and no caller waits for a detector."""
    monkeypatch.setattr("driftline.detection._streaming.MOST_WAITING", 100)
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
        # Bins what waits, and does not wait for the detector.
        monitor._pipeline._recorder.drain()
    release.set()
    monitor.flush()
    assert len(Recalls.fed["delay"]) == 1_100 + 180
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="detector") == 3
    monitor.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_child_of_a_fork_starts_with_fresh_copies(plain):
    """What the parent has fed is not in the child, and nothing given is ever fed itself."""
    given = Jump()
    monitor = watch(plain, {"delay": given})
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
    assert given.seen == []
    monitor.shutdown()


def test_several_of_one_kind_have_names_of_their_own(plain):
    """Numbered in their order."""
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
        ({"carrier": Jump()}, "detectors: 'carrier': holds texts, expected a feature of numbers"),
    ],
)
def test_what_is_no_detector_or_watches_nothing_is_said(plain, detectors, message):
    """At configuration."""
    with pytest.raises(dl.ConfigurationError) as raised:
        dl.Monitor("m", reference=plain, detectors=detectors)
    assert message in str(raised.value)


def test_with_a_learnt_reference_streams_are_known_late(caplog):
    """Those that are there are watched from then on, the others are left out."""
    detectors = {"a": Recalls("a"), "b": Recalls("b"), "carrier": Recalls("c"), "error": Recalls("error")}
    monitor = dl.Monitor("m", reference=dl.Reference.learn(rows=100), detectors=detectors, synchronous=True)
    assert monitor.status()["a (Recalls)"].reason == "no value yet"
    for place in range(103):
        monitor.observe({"a": float(place), "carrier": "UA"}, [0.2 + place / 500], prediction_ids=[place])
        if place == 50:
            monitor.outcome(place, 1)
        monitor.flush()
    monitor.outcome(102, True)
    monitor.flush()
    assert Recalls.fed["a"] == [100.0, 101.0, 102.0]
    # A probability of 0.3 for what came true is wrong, whether a reference says so or the values do.
    assert Recalls.fed["error"] == [1.0, 1.0]
    status = monitor.status()
    assert status["b (Recalls)"].reason.startswith("left out: no such feature")
    assert status["carrier (Recalls)"].reason == "left out: holds texts, expected a feature of numbers"
    assert "'b' is not watched: no such feature" in caplog.text
    monitor.shutdown()


def test_the_check_finds_what_is_wrong():
    """A detector that says too much, nothing, or too early; one that shares its state with its copies."""

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
        (Early(), "Early says that it found a change before the first value"),
    ):
        with pytest.raises(AssertionError, match=message):
            check_detector(detector)
    with pytest.raises(AssertionError, match="Shared"):
        check_detector(Shared(0.5), [0.0] * 20, [1.0])
    check_detector(Jump(0.5), [0.0] * 20, [1.0])


def test_detectors_do_not_ask_for_retraining_twice(plain, tmp_path):
    """A drifting detector is a drifting entry: one request, as for a feature."""
    queue = dl.RetrainingQueue(tmp_path / "queue.db")
    policy = dl.RetrainingPolicy(queue=queue)
    monitor = watch(plain, {"delay": Jump()}, retraining=policy)
    monitor.observe(rows([0.0, 50.0]), [100.0] * 2)
    for _ in range(3):
        monitor.flush()
    pending = queue.pending()
    assert [(one.reason, one.features) for one in pending] == [("drift", ("delay (Jump)",))]
    monitor.shutdown()


RIVER = {"ADWIN": {}, "KSWIN": {"alpha": 1e-6, "seed": 1}, "PageHinkley": {}}
FROUROS = ("ADWIN", "CUSUM", "DDM", "PageHinkley", "STEPD")


@pytest.mark.parametrize("name", RIVER)
def test_rivers_detectors_fit_as_they_are(plain, name):
    """A shift of five deviations is found, in the values and in the monitor's states."""
    drift = pytest.importorskip("river.drift")
    detector = getattr(drift, name)(**RIVER[name])
    check_detector(detector)
    _found_in_a_monitor(plain, detector)


@pytest.mark.parametrize("name", FROUROS)
def test_frouros_detectors_fit_as_they_are(plain, name):
    """The same for frouros."""
    concept = pytest.importorskip("frouros.detectors.concept_drift")
    check_detector(getattr(concept, name)())
    if name not in {"ADWIN", "DDM", "STEPD"}:  # these take errors only
        _found_in_a_monitor(plain, getattr(concept, name)())


def _found_in_a_monitor(reference, detector):
    monitor = watch(reference, {"delay": detector}, window=dl.Window(rows=10_000))
    random = np.random.default_rng(0)
    name = f"delay ({type(detector).__name__})"
    monitor.observe(rows(random.normal(0, 1, 500)), [100.0] * 500)
    assert monitor.status()[name].state == "stable"
    monitor.observe(rows(random.normal(5, 1, 500)), [100.0] * 500)
    status = monitor.status()[name]
    assert status.state == "drifting"
    assert 500 < int(status.reason.split("value ")[1].split()[0]) < 700
    monitor.shutdown()
