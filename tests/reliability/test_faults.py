"""Faults around a host: its results stay the same, exports are exact, losses are counted and logged once."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np
import pytest
from otlp_receiver import Receiver, eventually
from served import EXPECTED, ROWS, bare, serve

import driftline as dl
from driftline._pipeline.scheduling import WAIT_PENDING
from driftline._recording.buffer import BUFFER_ROWS
from driftline.testing import ManualClock, Probe

FAULTS = [400, 404, 429, 500, 503, "slow", "close", "half", "reset"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_collector_costs_exports_and_no_counts(receiver, sending, make, caplog, fault):
    """Refusals, 30-second answers and half-closed sockets are logged once."""
    monitor = make(sending(receiver))
    assert serve(monitor) == EXPECTED
    receiver.fault = fault
    before = receiver.refused
    assert serve(monitor) == EXPECTED
    assert eventually(lambda: receiver.refused > before, expected=True)
    assert eventually(lambda: "metrics could not be sent" in caplog.text, expected=True)
    assert serve(monitor) == EXPECTED
    receiver.fault = None
    assert eventually(receiver.served, 3 * len(ROWS)) == 3 * len(ROWS)
    assert eventually(lambda: receiver.total("ml.prediction.duration"), 3 * len(ROWS)) == 3 * len(ROWS)
    assert receiver.observations("x") == 3 * len(ROWS)
    assert eventually(lambda: receiver.total("ml.monitor.telemetry.lost", ml__monitor__signal="metrics") > 0, True)
    assert receiver.decreases == []
    messages = [entry.message for entry in caplog.records if entry.name == "driftline"]
    assert len([message for message in messages if "metrics could not be sent" in message]) == 1


def test_calls_before_the_collector_starts_are_exported(sending, make, caplog):
    """The collector starts later and receives all counts."""
    receiver = Receiver()
    receiver.reserve()
    monitor = make(sending(receiver))
    assert serve(monitor) == EXPECTED
    assert eventually(lambda: "metrics could not be sent" in caplog.text, expected=True)
    with receiver:
        assert serve(monitor) == EXPECTED
        assert eventually(receiver.served, 2 * len(ROWS)) == 2 * len(ROWS)


def test_a_collector_that_restarts_in_mid_stream_loses_no_counts(receiver, sending, make):
    """It is killed and restarted three times while threads serve."""
    monitor = make(sending(receiver))
    results, threads = [], []
    for _ in range(3):
        threads.append(threading.Thread(target=lambda: results.append(serve(monitor, ROWS * 3))))
        threads[-1].start()
        receiver.kill()
        time.sleep(0.2)
        receiver.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert results == [EXPECTED * 3] * 3
    assert eventually(receiver.served, 9 * len(ROWS)) == 9 * len(ROWS)
    assert receiver.decreases == []


def test_lost_events_are_counted(receiver, sending, make, caplog):
    """A state changes while the collector refuses. The event is lost, counted in a metric and logged once."""
    receiver.fault = 400
    monitor = make(sending(receiver))
    for _ in range(200):
        monitor.observe({"x": [1_000.0], "channel": ["web"]}, [0.5])
    monitor.flush()
    assert eventually(lambda: "logs could not be sent" in caplog.text, expected=True)
    receiver.fault = None
    lost = eventually(lambda: receiver.total("ml.monitor.telemetry.lost", ml__monitor__signal="logs") > 0, True)
    assert lost
    assert len([entry for entry in caplog.records if "logs could not be sent" in entry.message]) == 1


def test_a_callback_of_the_host_that_raises_stops_no_other(receiver, sending, make):
    """Driftline's callbacks still run."""
    providers = sending(receiver)

    def broken(_):
        message = "no"
        raise RuntimeError(message)

    providers["meter_provider"].get_meter("host").create_observable_gauge("broken", [broken])
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    try:
        assert serve(make(providers)) == EXPECTED
        assert eventually(receiver.served, len(ROWS)) == len(ROWS)
    finally:
        logging.getLogger("opentelemetry").setLevel(logging.NOTSET)


def test_an_extractor_that_raises_is_counted(receiver, sending, make, caplog):
    """Calls are counted without their features. The log has one line, without the message, which may quote a value."""
    monitor = make(sending(receiver))

    def extract(features):
        raise KeyError("the value " + str(features["x"]))

    predict = monitor.instrument(features=extract)(bare)
    assert np.array([predict(row) for row in ROWS]).tobytes() == EXPECTED
    assert eventually(receiver.served, len(ROWS)) == len(ROWS)
    assert receiver.total("ml.monitor.errors", ml__monitor__place="features") == len(ROWS)
    logged = [
        entry.message for entry in caplog.records if entry.name == "driftline" and entry.levelno >= logging.WARNING
    ]
    assert len(logged) == 1
    assert "KeyError in extract (test_faults.py:" in logged[0]
    assert "the value" not in logged[0]


def test_an_extractor_that_hangs_blocks_only_its_call(receiver, sending, make):
    """Every other thread serves, and telemetry is exported."""
    monitor, stop, entered = make(sending(receiver)), threading.Event(), threading.Event()

    def extract(features):
        if features["x"] == 1_000.0:
            entered.set()
            stop.wait(30)
        return features

    predict = monitor.instrument(features=extract)(bare)
    held = threading.Thread(target=predict, args=({"x": 1_000.0, "channel": "web"},))
    held.start()
    entered.wait()
    assert np.array([predict(row) for row in ROWS]).tobytes() == EXPECTED
    assert eventually(receiver.served, len(ROWS)) == len(ROWS)
    stop.set()
    held.join()
    assert eventually(receiver.served, len(ROWS) + 1) == len(ROWS) + 1


def test_a_distance_that_hangs_blocks_no_calls_and_no_collections(receiver, sending, make, monkeypatch):
    """The worker thread hangs. Scores stay as they are, counts continue, memory does not grow."""
    monkeypatch.setattr("driftline._runtime.watched_lock.TIMEOUT_SECONDS", 0.6)
    armed, stop, entered = threading.Event(), threading.Event(), threading.Event()

    def endless(reference, current, /):
        if armed.is_set():
            entered.set()
            stop.wait(60)
        return 0.0

    monitor = make(sending(receiver), distances=("psi", endless), window=dl.Window(rows=5))
    armed.set()
    assert serve(monitor, ROWS[:50]) == EXPECTED[: 50 * 8]
    entered.wait()
    for _ in range(20):
        assert serve(monitor) == EXPECTED
    assert eventually(receiver.served, 20 * len(ROWS) + 50) == 20 * len(ROWS) + 50
    assert Probe(monitor).pending_windows <= WAIT_PENDING + BUFFER_ROWS / 5
    assert eventually(lambda: receiver.total("ml.monitor.errors", ml__monitor__place="judging") > 0, True)
    stop.set()


@pytest.mark.parametrize("rows", ["calls", "batches"])
def test_a_derived_feature_that_hangs_blocks_no_calls_and_no_collections(
    receiver, sending, make, monkeypatch, caplog, rows
):
    """The worker thread hangs. Later rows are dropped and reported, calls are counted, memory is bounded."""
    monkeypatch.setattr("driftline._runtime.watched_lock.TIMEOUT_SECONDS", 0.6)
    armed, stop, entered = threading.Event(), threading.Event(), threading.Event()

    def endless(row):
        if armed.is_set():
            entered.set()
            stop.wait(60)
        return row["x"]

    reference = dl.Reference.fit(
        {"x": [row["x"] for row in ROWS], "channel": [row["channel"] for row in ROWS]}, derive={"again": endless}
    )
    monitor = make(sending(receiver), reference=reference, derive={"again": endless})
    predict = monitor.instrument(bare)
    armed.set()
    table = {"x": [row["x"] for row in ROWS], "channel": [row["channel"] for row in ROWS]}
    took = time.perf_counter()
    for turn in range(40):
        if rows == "calls":
            assert np.array([predict(row) for row in ROWS]).tobytes() == EXPECTED
        else:
            monitor.observe(table)
        if not turn:
            assert entered.wait(10)
    assert time.perf_counter() - took < 20
    monitor.flush()
    probe, calls = Probe(monitor), 40 * len(ROWS)
    assert probe.backlog <= 3 * BUFFER_ROWS
    assert eventually(receiver.served, calls) == calls
    assert eventually(lambda: receiver.total("ml.monitor.rows.dropped", ml__monitor__reason="derive") > 0, True)
    assert eventually(lambda: receiver.total("ml.monitor.errors", ml__monitor__place="derive") > 0, True)
    assert caplog.text.count("does not return") == 1
    armed.clear()
    stop.set()
    assert eventually(lambda: not probe.runs_user_functions, True)
    monitor.flush()
    before = probe.totals
    assert np.array([predict(row) for row in ROWS]).tobytes() == EXPECTED
    monitor.flush()
    after = probe.totals
    assert after.rows - before.rows == len(ROWS)
    assert after.rows + after.dropped["derive"] == calls + len(ROWS)


@pytest.mark.parametrize("jump", [-1e6, -3.0, 3.0, 1e9])
def test_a_clock_that_jumps_loses_no_rows(receiver, sending, make, jump):
    """Forwards and backwards. Windows continue after the jump."""
    clock = ManualClock()
    monitor = make(sending(receiver), clock=clock, window=dl.Window("1s"))
    assert serve(monitor) == EXPECTED
    clock.advance(jump)
    assert serve(monitor) == EXPECTED
    for _ in range(3):
        clock.advance(1.1)
        serve(monitor, ROWS[:100])
    monitor.flush()
    served = 2 * len(ROWS) + 300
    assert eventually(receiver.served, served) == served
    assert eventually(lambda: receiver.observations("x"), served) == served
    assert monitor.status()["x"].rows > 0


@pytest.mark.parametrize("shown", [float("nan"), float("inf"), 1e300, "late", None, RuntimeError("no clock")])
def test_an_invalid_clock_stands_still(receiver, sending, make, shown):
    """Rows and the errors of the clock are counted."""
    times = iter([0.0, 0.1])

    def clock():
        for time_ in times:
            return time_
        if isinstance(shown, Exception):
            raise shown
        return shown

    monitor = make(sending(receiver), clock=clock, window=dl.Window("1s"))
    assert serve(monitor) == EXPECTED
    assert eventually(receiver.served, len(ROWS)) == len(ROWS)
    assert eventually(lambda: receiver.total("ml.monitor.errors", ml__monitor__place="clock") > 0, True)


def test_two_monitors_of_one_name_add_up(receiver, sending, make):
    """Their counters are one series. One monitor may be shut down while the other serves."""
    providers = sending(receiver)
    first, second = make(providers), make(providers)
    for monitor in (first, second):
        assert serve(monitor) == EXPECTED
    assert eventually(receiver.served, 2 * len(ROWS)) == 2 * len(ROWS)
    first.shutdown()
    assert serve(second) == EXPECTED
    assert eventually(receiver.served, 3 * len(ROWS)) == 3 * len(ROWS)
    assert receiver.observations("x") == 3 * len(ROWS)
    assert receiver.decreases == []


def test_names_of_ten_thousand_characters(receiver, sending, make):
    """A model's is refused, because every series carries it. A feature's is exported."""
    with pytest.raises(dl.ConfigurationError, match="expected a string of 1 to 255 characters"):
        make({}, name="n" * 10_000)
    name = "f" * 10_000
    reference = dl.Reference.fit({name: np.arange(100.0)})
    monitor = make(sending(receiver), reference=reference)
    for turn in range(150):
        monitor.observe({name: [float(turn % 100)]})
    assert eventually(lambda: receiver.observations(name), 150) == 150


@pytest.mark.slow
def test_two_thousand_features_stay_below_the_limit_of_series(receiver, sending, make, caplog):
    """The SDK allows 2,000 attribute sets. All features are evaluated, and those not exported are reported."""
    names = [f"f{number}" for number in range(2_000)]
    reference = dl.Reference.fit({name: np.arange(30.0) for name in names})
    monitor = make(sending(receiver), reference=reference)
    monitor.observe(dict.fromkeys(names, np.arange(30.0).tolist() * 5))
    monitor.flush()
    assert eventually(receiver.served, 150) == 150
    assert len(monitor.status()) == 2_000
    assert {feature.rows for feature in monitor.status().values()} == {100}
    for metric in ("ml.feature.drift.status", "ml.feature.drift.score", "ml.feature.observations"):
        assert eventually(lambda metric=metric: len(receiver.values(metric)) > 0, expected=True)
        assert len(receiver.values(metric)) < 2_000
        assert not any(key == "otel.metric.overflow" for _, have in receiver.values(metric) for key, _ in have)
    assert "features have no states in the export" in caplog.text
    assert receiver.total("ml.monitor.errors", ml__monitor__place="cardinality") >= 2
    assert "otel.metric.overflow" not in caplog.text


def test_a_monitor_that_replaces_another_uses_its_series(receiver, sending, make):
    """A service may make its monitor again every hour without reaching the limit of series."""
    names = [f"f{number}" for number in range(500)]
    reference = dl.Reference.fit({name: np.arange(30.0) for name in names})
    providers = sending(receiver)
    for _ in range(4):
        monitor = make(providers, reference=reference, export_bins=False)
        monitor.observe(dict.fromkeys(names, np.arange(30.0).tolist() * 5))
        monitor.flush()
        exported = Probe(monitor).exported_features
        monitor.shutdown()
    assert len(exported) == 500  # three series for each feature, 1,900 in all


def test_error_types_are_bounded(receiver, sending, make):
    """A host makes exception classes dynamically. The first fifty have a series each, the others share one."""
    monitor = make(sending(receiver))

    @monitor.instrument
    def predict(features):
        kind = type(f"Error{features['x']:.0f}", (Exception,), {})
        raise kind

    for turn in range(300):
        with pytest.raises(Exception, match=r"^$"):
            predict({"x": float(turn), "channel": "web"})
    assert eventually(lambda: sum(receiver.failed().values()), 300) == 300
    assert len(receiver.failed()) == 51
    assert receiver.failed()["_OTHER"] == 250


def test_a_provider_may_shut_down_before_the_monitor(receiver, sending, make):
    """The host still serves, and its last export is complete."""
    providers = sending(receiver)
    monitor = make(providers)
    assert serve(monitor) == EXPECTED
    providers["meter_provider"].shutdown()
    providers["logger_provider"].shutdown()
    assert receiver.served() == len(ROWS)
    assert serve(monitor) == EXPECTED
    monitor.flush()
    monitor.shutdown()
    assert receiver.served() == len(ROWS)


def test_a_full_disk_of_the_queue_stops_no_prediction(receiver, sending, make, tmp_path):
    """Requests for retraining cannot be written. Predictions and telemetry continue, and the error is counted."""
    queue = dl.RetrainingQueue(tmp_path / "queue.db")
    with queue._database.connection() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        # SQLite raises "database or disk is full" at its own limit as it does at the disk's.
        connection.execute("INSERT INTO deliveries VALUES ('a', 'b', 0)")
    policy = dl.RetrainingPolicy(queue=queue, persistence=(1, 1))
    long = "f" * 5_000
    reference = dl.Reference.fit({long: np.arange(100.0)})
    monitor = make(sending(receiver), reference=reference, retraining=policy)
    for _ in range(200):
        monitor.observe({long: [1_000.0]})
    monitor.flush()
    assert monitor.status()[long].state == "drifting"
    assert eventually(receiver.served, 200) == 200
    assert eventually(lambda: receiver.total("ml.monitor.errors") > 0, True)
    assert queue.pending() == ()
    queue.close()


def test_a_wrong_number_of_ids_costs_no_prediction(receiver, sending, make):
    """Ten rows with three ids are counted, and so is the error."""
    monitor = make(sending(receiver))
    predict = monitor.instrument(prediction_id=lambda features: ["a", "b", "c"])(lambda features: [0.5] * 10)
    predict({"x": [1.0] * 10, "channel": ["web"] * 10})
    assert eventually(receiver.served, 10) == 10
    assert eventually(lambda: receiver.total("ml.monitor.errors", ml__monitor__place="output"), 1) == 1
