"""Events have the sentence as their body, and the first state of a feature is no news unless it drifts."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import driftline as dl

CHANGED = "ml.feature.drift.state_changed"


@pytest.fixture
def emitted():
    """Return the log records that were emitted, oldest first, and the provider."""
    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    yield lambda: [each.log_record for each in exporter.get_finished_logs()], provider
    provider.shutdown()


@pytest.fixture
def watch(make_monitor, training, emitted):
    """Return a function that makes a monitor, and one that lets it serve a window, shifted or not."""

    def make(**options):
        return make_monitor("m", version="3", synchronous=True, logger_provider=emitted[1], **options)

    def serve(monitor, shift=0.0):
        features = {**training.features, "age": training.features["age"] + shift}
        monitor.observe(features, training.predictions)
        monitor.flush()

    return make, serve


def test_a_first_state_is_news_only_if_it_drifts(watch, emitted):
    make, serve = watch
    monitor = make(window=dl.Window(rows=4_000))
    serve(monitor)
    assert {status.state for status in monitor.status().values()} == {"stable"}
    assert emitted[0]() == []
    serve(monitor, shift=20.0)
    serve(monitor)
    states = [(each.attributes["ml.feature.name"], each.attributes["ml.feature.drift.state"]) for each in emitted[0]()]
    assert states == [("age", "drifting"), ("age", "stable")]


def test_drift_in_the_first_window_is_news(watch, emitted):
    make, serve = watch
    serve(make(), shift=20.0)
    assert [each.attributes["ml.feature.drift.state"] for each in emitted[0]()] == ["drifting"]


def test_stable_again_under_another_reference_is_news_after_a_drift(watch, emitted, reference):
    make, serve = watch
    monitor = make(window=dl.Window(rows=4_000))
    serve(monitor, shift=20.0)
    monitor.replace_reference(reference)
    serve(monitor)
    events = [each.attributes for each in emitted[0]()]
    states = [event["ml.feature.drift.state"] for event in events if event["ml.feature.name"] == "age"]
    assert states == ["drifting", "insufficient_data", "stable"]


def test_the_body_of_an_event_is_its_sentence(watch, emitted):
    make, serve = watch
    monitor = make(window=dl.Window(rows=4_000), retraining=dl.RetrainingPolicy(persistence=(1, 1)))
    serve(monitor, shift=20.0)
    serve(monitor)
    drifting, requested, stable = sorted(emitted[0](), key=lambda each: each.timestamp)
    reason = drifting.attributes["ml.drift.reason"]
    assert reason.startswith("age: ")
    assert drifting.body == f"m, 3: age is drifting: {reason.removeprefix('age: ')}"
    assert requested.body == f"m, 3: retraining requested because of drift: {requested.attributes['ml.drift.reason']}"
    assert stable.body == f"m, 3: age is stable: {stable.attributes['ml.drift.reason']}"


def test_the_body_of_a_verdict_is_its_sentence(watch, emitted, row):
    make, _ = watch
    baseline, candidate = make(variant="baseline"), make(variant="candidate")
    canary = dl.Canary(baseline=baseline, candidate=candidate)

    def fail(features):
        raise ZeroDivisionError

    for function, monitor in ((lambda features: 0.5, baseline), (fail, candidate)):
        predict = monitor.instrument(function)
        for _ in range(2_000):
            with contextlib.suppress(ZeroDivisionError):
                predict(row)
    verdict = canary.verdict()
    (event,) = [each for each in emitted[0]() if each.event_name != CHANGED]
    assert event.body == f"m, 3, candidate: rollback: {verdict.reason}"


def test_bodies_name_no_category_unless_labels_are_exported(watch, emitted, training):
    make, _ = watch
    monitor = make()
    monitor.observe({**training.features, "channel": ["secret"] * 4_000}, np.full(4_000, 0.5))
    monitor.flush()
    assert "channel" in {each.attributes["ml.feature.name"] for each in emitted[0]()}
    assert not any(word in each.body for each in emitted[0]() for word in ("web", "shop", "phone", "secret"))
