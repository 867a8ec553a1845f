"""Readings of a store become a view: sums over processes, rates, what matters most, changes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from otlp_requests import attribute, nanoseconds, request_of

from driftline import Reference
from driftline import semconv as sc
from driftline._live.durations import latency, quantile
from driftline._live.events import EventLog
from driftline._live.rates import Increases
from driftline._live.reader import LiveReader, ReaderOptions
from driftline._live.remedies import DROPPED, ELSE, ERRORS, remedy
from driftline._live.store import LiveStore
from driftline._live.values import ModelKey

MODEL = {sc.ML_MODEL_NAME: "m", sc.ML_MODEL_VERSION: "1"}
KEY = ModelKey("m", "1", "")
NOW = 1_700_000_000.0
"""Unix time of the first export, in seconds."""


class Service:
    """Processes that export to a store, and a reader of it."""

    def __init__(self, **options):
        self.store, self.log = LiveStore(), EventLog()
        self.store._clock = lambda: self.now  # noqa: SLF001 - its clock is not an argument
        self.now = NOW
        self.reader = LiveReader(self.store, self.log, ReaderOptions(title="t", source="s", **options))

    def export(self, metric, *points, process="a"):
        """Export points of (attributes, value)."""
        values = [(self.now, {**MODEL, **attributes}, value) for attributes, value in points]
        added = self.store.add(request_of(metric, values, start=NOW - 100, resource={"service.instance.id": process}))
        assert added.refused == 0, added

    def states(self, process="a", **states):
        for feature, state in states.items():
            names = [
                ({sc.ML_FEATURE_NAME: feature, sc.ML_FEATURE_DRIFT_STATE: each}, int(each == state))
                for each in ("stable", "drifting", "insufficient_data")
            ]
            self.export(sc.METRIC_FEATURE_DRIFT_STATUS, *names, process=process)

    def read(self, seconds=0.0):
        self.now += seconds
        return self.reader.read(self.now)


@pytest.fixture
def service():
    return Service()


def test_processes_add_up(service):
    for process in "ab":
        service.export(sc.METRIC_PREDICTIONS_SERVED, ({}, 100), ({"error.type": "ValueError"}, 5), process=process)
        service.export(sc.METRIC_OUTCOMES, ({sc.ML_OUTCOME_RESULT: "correct"}, 9), process=process)
        info = {sc.ML_MONITOR_PROCESS: process}
        service.export(sc.METRIC_MONITOR_INFO, (info, 1), process=process)
    service.export(sc.METRIC_MODEL_ACCURACY, ({}, 0.9))
    service.export(sc.METRIC_MODEL_ACCURACY, ({}, 0.7), process="b")
    (model,) = service.read().models
    assert (model.key, model.served, model.failed, model.predictions) == (KEY, 200, {"ValueError": 10}, 210)
    assert (model.known, model.processes, model.error_rate) == (18, 2, 10 / 210)
    assert model.accuracy == 0.7  # the worse


def test_a_rate_is_that_of_the_last_exports(service):
    service.export(sc.METRIC_PREDICTIONS_SERVED, ({}, 1_000_000))
    assert service.read().models[0].rate is None
    for index in range(1, 10):
        service.now += 10.0
        service.export(sc.METRIC_PREDICTIONS_SERVED, ({}, 1_000_000 + 100 * index))
        view = service.read()
    assert view.models[0].rate == pytest.approx(10.0)
    assert service.read(100.0).models[0].rate < 5.0  # traffic has ended
    assert service.read(1_000.0).models == ()  # the process is gone


def test_the_worst_state_counts_and_the_worst_comes_first(service):
    service.states(a="stable", b="stable", c="insufficient_data")
    service.states(a="drifting", b="stable", c="stable", process="b")
    features = service.read().models[0].features
    assert [(feature.name, feature.state) for feature in features] == [
        ("a", "drifting"),
        ("c", "insufficient_data"),
        ("b", "stable"),
    ]
    assert features[0].processes == {"stable": 1, "drifting": 1}


def test_a_fleet_is_shown_instead_of_its_processes(service):
    """One budget for a model: states of single processes do not count where the fleet is evaluated."""
    service.states(a="drifting", b="stable")
    fleet = {sc.ML_FEATURE_NAME: "a", sc.ML_FEATURE_DRIFT_STATE: "stable", sc.ML_WINDOW_SCOPE: "fleet"}
    service.export(sc.METRIC_FEATURE_DRIFT_STATUS, (fleet, 1), process="judge")
    assert {feature.name: feature.state for feature in service.read().models[0].features} == {
        "a": "stable",
        "b": "stable",
    }


def test_psi_over_the_shortest_window_is_shown(service):
    service.states(a="stable")
    for length, value in (("20000 rows", 0.3), ("5000 rows", 0.1), ("80000 rows", 0.5)):
        names = {sc.ML_FEATURE_NAME: "a", sc.ML_WINDOW_LENGTH: length}
        service.export(
            sc.METRIC_FEATURE_DRIFT_SCORE,
            ({**names, sc.ML_DRIFT_DISTANCE: "psi"}, value),
            ({**names, sc.ML_DRIFT_DISTANCE: "js"}, 9.0),
        )
    (feature,) = service.read().models[0].features
    assert (feature.distance, feature.score, feature.length) == ("psi", 0.1, "5000 rows")


def test_a_course_has_the_changes(service):
    for value in (0.1, 0.2, 0.2, 0.2, 0.4):
        service.states(a="stable")
        names = {sc.ML_FEATURE_NAME: "a", sc.ML_WINDOW_LENGTH: "5 rows", sc.ML_DRIFT_DISTANCE: "psi"}
        service.export(sc.METRIC_FEATURE_DRIFT_SCORE, (names, value))
        view = service.read()
        service.now += 10.0
    course = view.models[0].features[0].course
    assert [(time - NOW, value) for time, value in course] == [(0, 0.1), (10, 0.2), (30, 0.2), (40, 0.4)]


def test_changes_between_readings_are_events_until_logs_arrive(service):
    service.states(a="stable")
    assert service.read().events == ()
    service.now += 10.0
    service.states(a="drifting")
    (event,) = service.read().events
    assert (event.kind, event.subject, event.previous, event.state) == ("drift", "a", "stable", "drifting")
    assert (event.time, service.read().events) == (service.now, (event,))


def test_a_canary_has_its_worst_state_and_its_evidence(service):
    for state, value in (("promote", 0), ("rollback", 1), ("inconclusive", 0)):
        service.export(sc.METRIC_CANARY_STATUS, ({sc.ML_CANARY_STATE: state}, value))
    for measure, value in (("harm", 0.02), ("allowed", 0.01), ("lower", -math.inf), ("e_harm", 1e40)):
        names = {sc.ML_CANARY_CRITERION: "error_rate", sc.ML_CANARY_MEASURE: measure}
        service.export(sc.METRIC_CANARY_EVIDENCE, (names, value))
    (canary,) = service.read().canaries
    (criterion,) = canary.criteria
    assert (canary.model, canary.state, criterion.harm, criterion.allowed) == ("m", "rollback", 0.02, 0.01)
    assert criterion.lower is None


def test_problems_say_what_to_do(service):
    service.export(sc.METRIC_MONITOR_ERRORS, ({sc.ML_MONITOR_PLACE: "capture"}, 3))
    service.export(sc.METRIC_MONITOR_ROWS_DROPPED, ({sc.ML_MONITOR_REASON: "shape"}, 7))
    problems = service.read().models[0].problems
    assert [(each.kind, each.where, each.count, each.remedy) for each in problems] == [
        ("errors", "capture", 3, ERRORS["capture"]),
        ("rows dropped", "shape", 7, DROPPED["shape"]),
    ]
    assert remedy("new", dropped=False) == ELSE


def test_every_place_and_reason_has_a_remedy():
    """Those of the page on troubleshooting, which another test compares with the registry."""
    page = (Path(__file__).parents[2] / "docs/troubleshooting.md").read_text("utf-8")
    rows = [line.split("|")[1].strip().strip("`") for line in page.splitlines() if line.startswith("| `")]
    assert {*ERRORS, *DROPPED} >= {row for row in rows if row.isidentifier()}


def test_rows_by_bin_are_those_of_the_last_exports():
    reference = Reference.fit({"a": [float(value % 4) for value in range(400)]})
    service = Service(reference=reference)
    size = len(reference.features[0].counts)
    for count in range(1, 8):
        service.states(a="stable")
        points = [({sc.ML_FEATURE_NAME: "a", sc.ML_FEATURE_BIN: str(index)}, 100 * count) for index in range(2)]
        service.export(sc.METRIC_FEATURE_OBSERVATIONS, *points)
        view = service.read()
        service.now += 1.0
    (feature,) = view.models[0].features
    assert len(feature.reference) == len(feature.current) == size
    assert sum(feature.reference) == pytest.approx(1.0)
    assert feature.current[:2] == (0.5, 0.5)


def test_a_store_that_cannot_be_read_leaves_the_last_view():
    service = Service()
    service.export(sc.METRIC_PREDICTIONS_SERVED, ({}, 10))
    assert service.read().trouble == ""

    def fail(*arguments, **options):
        msg = "connection refused"
        raise OSError(msg)

    service.store.latest = fail
    view = service.read()
    assert view.trouble == "OSError: connection refused"
    assert view.models[0].served == 10


def histogram(counts, bounds=(0.1, 1.0), *, seconds=NOW):
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=sc.METRIC_PREDICTION_DURATION.name)
    metric.histogram.aggregation_temporality = 2
    metric.histogram.data_points.add(
        start_time_unix_nano=nanoseconds(NOW - 100),
        time_unix_nano=nanoseconds(seconds),
        attributes=[attribute(*pair) for pair in MODEL.items()],
        explicit_bounds=bounds,
        bucket_counts=counts,
        count=sum(counts),
    )
    return request


def test_durations_are_those_of_recent_calls(service):
    service.store.add(histogram([1_000, 0, 0]))
    service.export(sc.METRIC_PREDICTIONS_SERVED, ({}, 1_000))
    assert service.read().models[0].latency.p50 == pytest.approx(0.05)
    service.now += 10.0
    service.store.add(histogram([1_000, 100, 0], seconds=service.now))
    recent = service.read().models[0].latency
    assert (recent.calls, recent.p50) == (100, pytest.approx(0.55))


@pytest.mark.parametrize("counts", [[1], [1] * 300, []])
def test_a_histogram_that_is_none_is_ignored(service, counts):
    assert service.store.add(histogram(counts)).refused == 0
    assert service.read().models == ()


def test_quantiles_without_durations_are_none():
    assert math.isnan(quantile({}, 0.5))
    assert latency({}) is None
    assert quantile({0.1: 1.0, math.inf: 10.0}, 0.9) == math.inf


def test_increases_survive_restarts_and_new_counters():
    increases = Increases()
    increases.add(0.0, {"a": 100.0})
    increases.add(1.0, {"a": 110.0, "b": 5.0})
    more, seconds = increases.add(2.0, {"a": 3.0, "b": 6.0})
    assert (more, seconds) == ({"a": 13.0, "b": 6.0}, 2.0)
