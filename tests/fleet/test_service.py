"""The service: block by block, its telemetry, its state across restarts, and what goes wrong meanwhile."""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from fleet_store import Pod, Store
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otlp_requests import request_of

from driftline import ConfigurationError, FalseAlarms, Window
from driftline import semconv as sc
from driftline._backends.otlp_store import OtlpStore, retention_by
from driftline.canary import CanaryPolicy
from driftline.fleet._export import Providers
from driftline.fleet._health import Health, health_server
from driftline.fleet._receiver.addresses import Address
from driftline.fleet._service import FleetService, ServiceOptions
from driftline.fleet._state_file import StateFile
from driftline.retraining import RetrainingPolicy, RetrainingQueue

START = 1_700_000_000.0 // 3_600.0 * 3_600.0
STEP, INTERVAL = 450.0, 60.0


class Telemetry:
    """OpenTelemetry in memory."""

    def __init__(self):
        self._reader, self._records = InMemoryMetricReader(), InMemoryLogRecordExporter()
        logger = LoggerProvider()
        logger.add_log_record_processor(SimpleLogRecordProcessor(self._records))
        self.providers = Providers(MeterProvider([self._reader]), logger)

    @property
    def events(self):
        """(name, feature, state) of each event."""
        records = [each.log_record for each in self._records.get_finished_logs()]
        return [
            (
                record.event_name,
                record.attributes.get(sc.ML_FEATURE_NAME),
                record.attributes.get(sc.ML_FEATURE_DRIFT_STATE),
            )
            for record in records
        ]

    @property
    def reasons(self):
        """The reason of each event."""
        return [each.log_record.attributes[sc.ML_DRIFT_REASON] for each in self._records.get_finished_logs()]

    def scores(self):
        """The scores, in an order."""
        return sorted((sorted(each.items()), value) for each, value in self.points("ml.feature.drift.score"))

    def points(self, name):
        data = self._reader.get_metrics_data()
        return [
            (dict(point.attributes), point.value)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def states(self):
        return {
            attributes[sc.ML_FEATURE_NAME]: attributes[sc.ML_FEATURE_DRIFT_STATE]
            for attributes, value in self.points("ml.feature.drift.status")
            if value
        }


class Cluster:
    """Processes that export to a store, and the service that reads it."""

    def __init__(self, reference, store, folder, received=None, **options):
        self.reference, self.store, self.received = reference, store, received
        self.file = StateFile(folder / "state")
        self.random = np.random.default_rng(3)
        self.now = START
        self.options = ServiceOptions(
            reference=reference,
            window=Window("1h"),
            rule=FalseAlarms(),
            interval=INTERVAL,
            windows=64,
            policy=CanaryPolicy(),
            **options,
        )
        self.pods = [Pod(store, reference, name) for name in "ab"]
        self.start()

    def start(self):
        """Start a service, as a new process does."""
        self.telemetry = Telemetry()
        self.service = FleetService(
            self.options,
            lambda: self.source,
            self.file,
            self.received,
            patience=300.0,
            providers=self.telemetry.providers,
            clock=lambda: self.now,
        )

    @property
    def source(self):
        return self.store if self.received is None else self.received

    def run(self, blocks, shift=0.0, rows=600, turns=True):
        """Serve blocks of time, with a turn of the service after each."""
        for _ in range(blocks):
            for pod in self.pods:
                amount = self.random.normal(10.0 + 2.0 * shift, 2.0, rows)
                kind = self.random.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
                pod.serve({"amount": amount, "kind": kind})
                pod.export(self.now + STEP - 10.0)
            self.now += STEP
            if turns:
                self.now += INTERVAL + 5.0
                self.service.turn()
                self.now -= INTERVAL + 5.0


@pytest.fixture
def cluster(reference, store, tmp_path):
    return Cluster(reference, store, tmp_path)


def test_a_drift_of_the_fleet_is_exported_once(cluster):
    """With the scope of the fleet, and without the counters of a process that serves."""
    cluster.run(24)
    assert cluster.telemetry.states() == {"amount": "stable", "kind": "stable"}
    assert cluster.telemetry.events == []
    cluster.run(16, shift=1.0)
    assert cluster.telemetry.states()["amount"] == "drifting"
    assert cluster.telemetry.events == [("ml.feature.drift.state_changed", "amount", "drifting")]
    attributes, _ = cluster.telemetry.points("ml.feature.drift.score")[0]
    model = {"ml.model.name": "m", "ml.model.version": "1", "ml.window.scope": "fleet"}
    assert model.items() <= attributes.items()
    assert cluster.telemetry.points("ml.predictions.served") == []


@pytest.mark.parametrize("killed", [False, True])
def test_a_restart_repeats_no_event_and_forgets_no_state(cluster, killed):
    """Also if it is long, or if the process was killed before it could save at its end."""
    cluster.run(24)
    cluster.run(16, shift=1.0)
    before = cluster.service.health.report()[1]
    if not killed:
        cluster.service.close()
    cluster.run(3, shift=1.0, turns=False)
    cluster.start()
    assert cluster.telemetry.states()["amount"] == "drifting"
    assert cluster.service.health.report()[1]["windows"] == before["windows"]
    cluster.run(8, shift=1.0)
    assert cluster.telemetry.events == []
    cluster.run(48)
    assert cluster.telemetry.states()["amount"] == "stable"
    assert cluster.telemetry.events == [("ml.feature.drift.state_changed", "amount", "stable")]


def test_a_service_with_restarts_says_what_one_without_says(reference, tmp_path):
    """To the last digit, although what arrives late is read again."""
    scores = []
    for restarts in (False, True):
        folder = tmp_path / str(restarts)
        folder.mkdir()
        cluster = Cluster(reference, Store(), folder)
        for number in range(30):
            cluster.run(1, shift=number / 60)
            if restarts and number % 7 == 3:
                cluster.start()
        scores.append(cluster.telemetry.scores())
    assert scores[0] == scores[1] != []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_was_ahead_stops_nothing(reference, tmp_path, restarts):
    """What was evaluated of the future is forgotten, so that the scores are those of a service with a right clock."""
    scores = []
    for hours in (0, 24):
        folder = tmp_path / str(hours)
        folder.mkdir()
        cluster = Cluster(reference, Store(), folder)
        cluster.run(20)
        cluster.now += hours * 3_600.0
        cluster.service.turn()
        cluster.now -= hours * 3_600.0
        if restarts:
            cluster.start()
        cluster.run(20, shift=0.1)
        scores.append(cluster.telemetry.scores())
        assert cluster.service.health.report()[1]["evaluated_until"] == cluster.now
    assert scores[0] == scores[1] != []


class Sender:
    """A store to which pods export, and which sends everything as OTLP."""

    def __init__(self, received):
        self.received = received

    def add(self, at, metric, attributes, value):
        self.received.add(request_of(metric, [(at, attributes, value)], start=START + 1.0))


@pytest.mark.parametrize("restarts", [False, True])
def test_counts_that_arrive_as_otlp_give_the_same_scores(reference, store, tmp_path, restarts):
    direct = Cluster(reference, store, tmp_path)
    direct.run(20)
    folder = tmp_path / "otlp"
    folder.mkdir()
    clock = SimpleNamespace(now=START)
    received = OtlpStore(retention_by(STEP, 4 * 3_600.0), clock=lambda: clock.now)
    cluster = Cluster(reference, Sender(received), folder, received)
    for number in range(20):
        clock.now = cluster.now + STEP
        cluster.run(1)
        if restarts and number in {5, 12}:
            received = OtlpStore(retention_by(STEP, 4 * 3_600.0), clock=lambda: clock.now)
            cluster.received = cluster.store = received
            for pod in cluster.pods:
                pod.store = Sender(received)
            cluster.start()
    assert cluster.telemetry.scores() == direct.telemetry.scores() != []


def test_an_unreachable_store_is_said_once_and_counted(cluster, caplog):
    cluster.run(9)
    store, cluster.store = cluster.store, None
    with caplog.at_level(logging.WARNING, logger="driftline"):
        for _ in range(5):
            cluster.now += STEP
            cluster.service.turn()
    assert len(caplog.records) == 2  # counts and canaries
    alive, report = cluster.service.health.report()
    assert (alive, report["status"], sorted(report["problems"])) == (True, "degraded", ["canary", "counts"])
    cluster.store = store
    cluster.run(1)
    assert cluster.service.health.report()[1]["status"] == "ok"
    assert "all is well again" in caplog.text
    ((attributes, errors),) = cluster.telemetry.points("ml.monitor.errors")
    assert (attributes[sc.ML_MONITOR_PLACE], errors) == ("fleet", report["errors"])


def test_without_processes_it_waits(reference, tmp_path):
    cluster = Cluster(reference, Store(), tmp_path)
    cluster.service.turn()
    report = cluster.service.health.report()[1]
    assert "no process exports ml.monitor.info" in report["problems"]["counts"]
    assert report["errors"] == 0  # an alert about errors would fire at each deployment
    cluster.run(9)
    assert cluster.service.health.report()[1]["model"] == "m, version 1"


def test_the_past_is_no_news(reference, tmp_path):
    """A drift that has come and gone before the service began has no events; one that lasts has one."""
    cluster = Cluster(reference, Store(), tmp_path)
    cluster.run(48, turns=False)
    cluster.run(24, shift=1.0, turns=False)
    cluster.run(48, turns=False)
    cluster.run(1)
    assert cluster.telemetry.states()["amount"] == "stable"
    assert cluster.telemetry.events == []
    cluster.run(24, shift=1.0, turns=False)
    cluster.run(1, shift=1.0)
    assert cluster.telemetry.events == [("ml.feature.drift.state_changed", "amount", "drifting")]


def test_a_new_version_is_evaluated_when_the_old_one_is_gone(cluster):
    cluster.run(9)
    cluster.pods = [Pod(cluster.store, cluster.reference, "c", version="2")]
    cluster.run(20)
    report = cluster.service.health.report()[1]
    assert (report["model"], report["processes"]) == ("m, version 2", 1)


def test_drift_requests_retraining_once(reference, store, tmp_path):
    queue = RetrainingQueue(tmp_path / "queue")
    retraining = RetrainingPolicy(min_accuracy=None, max_latency=None, queue=queue)
    cluster = Cluster(reference, store, tmp_path, retraining=retraining)
    cluster.run(24)
    cluster.run(24, shift=1.0)
    (request,) = queue.pending()
    assert (request.model, request.version, request.features) == ("m", "1", ("amount",))
    assert [name for name, *_ in cluster.telemetry.events].count("ml.retraining.requested") == 1
    assert [value for _, value in cluster.telemetry.points("ml.retraining.requests")] == [1]
    cluster.start()
    cluster.run(8, shift=1.0)
    assert len(queue.pending()) == 1
    assert cluster.telemetry.events == []
    queue.close()


def test_names_of_categories_do_not_leave(cluster):
    cluster.run(16)
    for pod in cluster.pods:
        pod.serve = lambda columns, serve=pod.serve: serve({**columns, "kind": np.full(len(columns["kind"]), "c")})
    cluster.run(16)
    assert cluster.telemetry.states()["kind"] == "drifting"
    reasons = cluster.telemetry.reasons
    assert reasons
    assert not [reason for reason in reasons if "'c'" in reason or "'a'" in reason]


@pytest.mark.parametrize("damage", ["cut", "flip", "other", "empty archive"])
def test_a_damaged_state_is_refused(cluster, tmp_path, damage):
    cluster.run(9)
    file = tmp_path / "state"
    data = bytearray(file.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "flip":
        # More bytes than a header of the archive has, in which a change may be harmless.
        for index in range(len(data) // 2, len(data) // 2 + 128):
            data[index] ^= 0xFF
    else:
        data = b"{}" if damage == "other" else b"PK\x05\x06" + bytes(18)
    file.write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"--state .*state: is damaged .* move it away to start without"):
        cluster.start()
    assert file.read_bytes() == data


def test_any_flipped_byte_is_noticed_or_harmless(cluster, tmp_path):
    cluster.run(9)
    file = tmp_path / "state"
    data = file.read_bytes()
    good = cluster.file.read()
    random = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(data)
        damaged[random.integers(len(data))] ^= 1 << random.integers(8)
        file.write_bytes(damaged)
        try:
            read = cluster.file.read()
        except ConfigurationError:
            continue
        assert read.states == good.states
        assert np.array_equal(read.history.counts, good.history.counts)


def test_a_state_of_another_window_does_not_count(cluster, reference, store, tmp_path, caplog):
    cluster.run(9)
    other = ServiceOptions(
        reference=reference,
        window=Window("2h"),
        rule=FalseAlarms(),
        interval=INTERVAL,
        windows=4,
        policy=CanaryPolicy(),
    )
    with caplog.at_level(logging.WARNING, logger="driftline"):
        service = FleetService(other, lambda: store, cluster.file, patience=1.0, clock=lambda: cluster.now)
    assert "does not count" in caplog.text
    assert "model" not in service.health.report()[1]


def test_a_full_disk_is_a_problem_of_the_state_alone(cluster, tmp_path):
    cluster.run(9)
    (tmp_path / "state").unlink()
    (tmp_path / "state").mkdir()
    cluster.run(2)
    report = cluster.service.health.report()[1]
    assert list(report["problems"]) == ["state"]
    assert report["windows"] == 1
    (tmp_path / "state").rmdir()
    cluster.run(1)
    assert cluster.service.health.report()[1]["status"] == "ok"


def test_it_runs_until_it_is_told_to_end(cluster):
    ended = threading.Event()
    thread = threading.Thread(target=cluster.service.run, args=(ended,))
    thread.start()
    ended.set()
    thread.join(30)
    assert not thread.is_alive()


def test_health_is_served():
    clock = SimpleNamespace(now=100.0)
    health = Health(60.0, lambda: {"windows": 3}, lambda: clock.now)
    server = health_server(Address("127.0.0.1", 0), health)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Quiet)

    def ask(path="/healthz", **more):
        request = urllib.request.Request(f"http://{server.address}{path}", **more)  # noqa: S310 - of this test
        response = opener.open(request, timeout=20)
        with response:
            body = response.read()
        return response.status, json.loads(body) if body.startswith(b"{") else body

    try:
        assert ask()[1] == {
            "status": "ok",
            "uptime_seconds": 0.0,
            "last_evaluation_age_seconds": None,
            "evaluated_until": None,
            "problems": {},
            "windows": 3,
        }
        health.evaluated(90.0)
        assert health.wrong("counts", "it is gone")
        assert not health.wrong("counts", "it is still gone")
        clock.now = 130.0
        status, report = ask()
        assert (status, report["status"], report["problems"]) == (200, "degraded", {"counts": "it is still gone"})
        assert (report["last_evaluation_age_seconds"], report["evaluated_until"]) == (30.0, 90.0)
        clock.now = 161.0
        status, report = ask()
        assert (status, report["status"]) == (503, "stuck")
        assert ask("/")[0] == 404
        assert ask(method="DELETE")[0] == 501
        assert ask(method="HEAD")[0] == 503
    finally:
        server.close()


class Quiet(urllib.request.HTTPDefaultErrorHandler):
    """Return responses of every status."""

    def http_error_default(self, req, fp, code, msg, hdrs):
        return fp
