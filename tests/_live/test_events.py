"""The log of events: order, bounds, and what is read of records."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_requests import attribute, nanoseconds

from driftline import semconv as sc
from driftline._live import events as module
from driftline._live.events import EventLog
from driftline._live.values import Event, ModelKey

KEY = ModelKey("m", "1", "baseline")


def logs(*records):
    """A request with records of (seconds, name, attributes), each in a separate scope."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    model = {sc.ML_MODEL_NAME: "m", sc.ML_MODEL_VERSION: "1", sc.ML_MODEL_VARIANT: "baseline"}
    for seconds, name, attributes in records:
        resource.scope_logs.add().log_records.add(
            time_unix_nano=nanoseconds(seconds),
            event_name=name,
            attributes=[attribute(*pair) for pair in {**model, **attributes}.items()],
        )
    return request


def drift(seconds, feature="a", state="drifting", **more):
    attributes = {
        sc.ML_FEATURE_NAME: feature,
        sc.ML_FEATURE_DRIFT_STATE: state,
        sc.ML_FEATURE_DRIFT_PREVIOUS_STATE: "stable",
        sc.ML_DRIFT_REASON: f"{feature}: up",
        **more,
    }
    return seconds, sc.EVENT_FEATURE_DRIFT_STATE_CHANGED, attributes


def test_events_are_in_the_order_of_their_times_however_they_arrive():
    log = EventLog()
    log.add_logs(logs(drift(30.0, "c"), drift(10.0, "a")))
    log.add_logs(logs(drift(20.0, "b"), (5.0, "another.event", {})))
    assert [(event.time, event.subject) for event in log.events()] == [(10.0, "a"), (20.0, "b"), (30.0, "c")]


def test_the_last_event_of_a_feature_about_its_state_counts():
    """Metrics say which state that is; events about the next one may be ahead of them."""
    log = EventLog()
    log.add_logs(logs(drift(20.0, **{sc.ML_DRIFT_EFFECT: 0.5, sc.ML_DRIFT_P_VALUE: 1e-9})))
    log.add_logs(logs(drift(10.0), drift(30.0, state="stable")))  # the first is late
    changed = log.changed(KEY, "a", "drifting")
    assert (changed.effect, changed.p_value, changed.reason) == (0.5, 1e-9, "a: up")
    assert log.changed(KEY, "a", "stable").time == 30.0
    assert log.changed(KEY, "a", "insufficient_data") is None
    assert log.changed(KEY, "b", "drifting") is None


def test_verdicts_and_requests_have_their_reasons():
    log = EventLog()
    verdict = {sc.ML_CANARY_STATE: "rollback", sc.ML_CANARY_PREVIOUS_STATE: "inconclusive", sc.ML_CANARY_REASON: "slow"}
    request = {sc.ML_RETRAINING_REASON: "drift", sc.ML_DRIFT_REASON: "a drifts"}
    log.add_logs(logs((1.0, sc.EVENT_CANARY_VERDICT_CHANGED, verdict), (2.0, sc.EVENT_RETRAINING_REQUESTED, request)))
    canary, retraining = log.events()
    assert (canary.kind, canary.previous, canary.state, canary.reason) == ("canary", "inconclusive", "rollback", "slow")
    assert (retraining.kind, retraining.subject, retraining.reason) == ("retraining", "drift", "a drifts")
    assert log.verdict("m", "rollback") == canary
    assert log.verdict("m", "promote") is None


def test_changes_that_were_seen_show_until_a_monitor_sends_events():
    """They have no evidence, so they never stand for the event of a monitor."""
    log = EventLog()
    log.add_seen(Event(50.0, "drift", KEY, "a", "drifting", "stable"))
    assert [event.time for event in log.events()] == [50.0]
    log.add_logs(logs(drift(10.0)))
    assert [event.time for event in log.events()] == [10.0]
    assert log.changed(KEY, "a", "drifting").reason == "a: up"


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_EVENTS", 10)
    monkeypatch.setattr(module, "MAX_SUBJECTS", 5)
    log = EventLog()
    log.add_logs(logs(*(drift(float(index), f"f{index}", **{sc.ML_DRIFT_REASON: "x" * 10_000}) for index in range(50))))
    assert [event.time for event in log.events()] == [float(index) for index in range(40, 50)]
    assert max(len(event.reason) for event in log.events()) == module.MAX_REASON
    assert log.changed(KEY, "f4", "drifting") is not None
    assert log.changed(KEY, "f49", "drifting") is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", True])
def test_an_effect_is_a_finite_number(value):
    log = EventLog()
    log.add_logs(logs(drift(1.0, **{sc.ML_DRIFT_EFFECT: value})))
    assert log.events()[0].effect in {None, 1.0}


def test_a_record_in_the_future_has_the_time_of_its_arrival():
    log = EventLog()
    log.add_logs(logs(drift(4e9)))
    assert log.events()[0].time < 4e9


def test_a_clock_gives_the_times_of_a_replay():
    day = iter([100.0, 100.0, 200.0])
    log = EventLog(lambda name, attributes, seconds: next(day))
    log.add_logs(logs((1.0, "day", {}), drift(2.0)))
    log.add_logs(logs((3.0, "day", {})))
    assert ([event.time for event in log.events()], log.latest) == ([100.0], 200.0)
