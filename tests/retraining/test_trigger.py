"""Tests of requests of a monitor: from its windows to the end of the request, in metrics and events."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import driftline as dl
from driftline._runtime.guard import Guard
from driftline.outcomes import OutcomeTally
from driftline.retraining import RetrainingPolicy, RetrainingQueue, RetrainingSituation
from driftline.retraining._trigger import RetrainingTrigger

ROWS = 500


@pytest.fixture
def reference():
    random = np.random.default_rng(0)
    return dl.Reference.fit({"age": random.normal(40.0, 10.0, 5_000), "fare": random.gamma(2.0, 10.0, 5_000)})


@pytest.fixture
def queue(tmp_path):
    queue = RetrainingQueue(tmp_path / "queue")
    yield queue
    queue.close()


@pytest.fixture
def make(telemetry, reference, queue):
    monitors = []
    del queue  # it is closed after the monitors

    def monitor(queue, version="3", **options):
        policy = options.pop("policy", None) or RetrainingPolicy(queue=queue, cooldown="1d")
        made_monitor = dl.Monitor(
            "m",
            version=version,
            reference=reference,
            window=dl.Window(rows=ROWS),
            rule=dl.Thresholds(psi=0.2),
            retraining=policy,
            synchronous=True,
            enabled=True,
            meter_provider=telemetry.meter_provider,
            logger_provider=telemetry.logger_provider,
            **options,
        )
        monitors.append(made_monitor)
        return made_monitor

    yield monitor
    for each in monitors:
        each.shutdown()


def serve(monitor, windows, shift=0.0, seed=1):
    random = np.random.default_rng(seed)
    for _ in range(windows):
        monitor.observe({"age": random.normal(40.0 + shift, 10.0, ROWS), "fare": random.gamma(2.0, 10.0, ROWS)})
        monitor.status()


def sizes(telemetry):
    """The exported sizes that are not zero, by kind and state."""
    return {
        (attributes["ml.retraining.kind"], attributes["ml.retraining.state"]): value
        for name, attributes, value in telemetry.points()
        if name == "ml.retraining.queue.size" and value
    }


def moves(telemetry):
    return [
        (attributes["ml.retraining.state"], attributes["ml.retraining.who"], attributes["ml.retraining.comment"])
        for name, attributes in telemetry.events()
        if name == "ml.retraining.state_changed"
    ]


def test_a_drift_is_requested_once_and_followed_to_its_end(make, queue, telemetry):
    """In another process: a monitor reports what it finds in the file."""
    monitor = make(queue)
    serve(monitor, 2)
    serve(monitor, 1, shift=15.0)
    assert queue.requests() == ()
    serve(monitor, 10, shift=15.0)
    (request,) = queue.requests()
    assert (request.reason, request.features, request.version, request.count) == ("drift", ("age",), "3", 10)
    assert request.reference == monitor.reference.fingerprint
    assert request.window == "500 rows"
    assert request.data_from is not None
    assert request.data_from < request.data_until
    assert [name for name, _ in telemetry.events()].count("ml.retraining.requested") == 1
    assert sizes(telemetry) == {("retrain", "requested"): 1}
    queue.move(request.id, "running", who="airflow", comment="run 5")
    assert sizes(telemetry) == {("retrain", "running"): 1}
    assert moves(telemetry) == [("running", "airflow", "run 5")]
    assert telemetry.value("ml.retraining.transitions", ml__retraining__state="running") == 1


def test_a_new_version_closes_the_requests_of_the_old_one(make, queue, telemetry, reference):
    """In the same process with its reference, without a restart: no window of before counts."""
    monitor = make(queue)
    serve(monitor, 4, shift=15.0)
    (request,) = queue.requests()
    queue.move(request.id, "running", who="airflow")
    random = np.random.default_rng(2)
    newer = dl.Reference.fit({"age": random.normal(55.0, 10.0, 5_000), "fare": random.gamma(2.0, 10.0, 5_000)})
    monitor.replace_reference(newer, version="4")
    ended = queue.find(request.id)
    assert ended is not None
    assert (ended.state, ended.history[-1].comment) == ("succeeded", "version 4 began to serve")
    assert moves(telemetry)[-1] == ("succeeded", "driftline", "version 4 began to serve")
    serve(monitor, 4, shift=15.0)
    assert monitor.status()["age"].state == "stable"
    serve(monitor, 4, shift=40.0)
    assert [each.version for each in queue.requests()] == ["3"], "the cooldown of a day"
    with pytest.raises(dl.ConfigurationError, match="version=''"):
        monitor.replace_reference(newer, version="")


def test_a_new_process_closes_the_requests_of_the_version_before(make, queue):
    """A request that waits was superseded. A restart of the old version changes nothing, nor does a candidate."""
    old = make(queue)
    serve(old, 4, shift=15.0)
    serve(make(queue, "4", variant="candidate"), 2, seed=3)
    assert queue.requests()[0].state == "requested"
    serve(make(queue, "4"), 2, seed=3)
    assert (queue.requests()[0].state, queue.requests()[0].history[-1].comment) == (
        "superseded",
        "version 4 began to serve",
    )
    queue.submit(dl.RetrainingRequest("", "m", "4", "drift", "", (), time.time(), ordinal=0, reference="r"))
    serve(make(queue, "3"), 2, seed=4)
    assert [each.state for each in queue.requests()] == ["superseded", "requested"]


def test_a_broken_pipeline_is_no_reason_to_retrain(make, queue, telemetry):
    """Values that go missing request a fix, which ends when they are back."""
    monitor = make(queue)
    serve(monitor, 2)
    random = np.random.default_rng(5)
    for _ in range(3):
        monitor.observe({"age": np.full(ROWS, np.nan), "fare": random.gamma(2.0, 10.0, ROWS)})
        monitor.status()
    (request,) = queue.requests()
    assert (request.kind, request.detail) == ("fix_pipeline", "age: 100% are missing, 0% in the reference")
    (requested,) = [attributes for name, attributes in telemetry.events() if name == "ml.retraining.requested"]
    assert (requested["ml.retraining.kind"], requested["ml.retraining.reason"]) == ("fix_pipeline", "broken_data")
    serve(monitor, 5)
    assert [(each.kind, each.state) for each in queue.requests()] == [("fix_pipeline", "succeeded")]
    serve(monitor, 4, shift=15.0)
    assert queue.requests()[-1].kind == "retrain"


def test_a_guardrail_that_raises_costs_nothing(make, queue, telemetry):
    def broken(_situation):
        msg = "no database"
        raise OSError(msg)

    monitor = make(queue, policy=RetrainingPolicy(queue=queue, guardrails={"revenue": broken}))
    serve(monitor, 4, shift=15.0)
    assert queue.requests()[0].reason == "drift"
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="guardrail") >= 3


def test_the_policy_is_applied_once_to_each_evaluation():
    """It compares objects by identity: equal results of a new evaluation count, the same object again does not."""
    trigger = RetrainingTrigger(RetrainingPolicy(min_labels=10), {"ml.model.name": "m"}, Guard("m", "log"), None)
    none = OutcomeTally({}, 0, 0)
    status: tuple[dict[str, int], ...] = ({}, {}, {})
    assert [trigger.is_due((each, None), none) for each in status for _ in range(2)] == [True, False] * 3
    few, enough = (OutcomeTally({}, 0, 0, known=known) for known in (9, 10))
    assert [trigger.is_due((status[-1], None), each) for each in (few, enough, enough)] == [False, True, False]
    assert RetrainingTrigger(None, {"ml.model.name": "m"}, Guard("m", "log"), None).is_due((), none) is False


def test_requests_expire(queue):
    policy = RetrainingPolicy(queue=queue, persistence=(1, 1), expire="2d", cooldown="1d")

    class Events:
        """Collects events."""

        def __init__(self):
            self.moved = []

        def retraining_requested(self, *_):
            """Do nothing."""

        def retraining_moved(self, _request, transition):
            """Collect the state."""
            self.moved.append(transition.state)

    events = Events()
    trigger = RetrainingTrigger(policy, {"ml.model.name": "m"}, Guard("m", "raise"), events, lambda: 0.0)
    drifting = {"age": dl.FeatureStatus("drifting", 1e-9, 0.4, 500, "age moved")}
    trigger.apply(RetrainingSituation(at=0.0, status=drifting, reference="r"))
    trigger.apply(RetrainingSituation(at=86_400.0, reference="r"))
    assert events.moved == []
    trigger.apply(RetrainingSituation(at=200_000.0, reference="r"))
    assert events.moved == ["expired"]
    assert queue.requests()[0].history[-1].comment == "nothing has happened for 2 days"


def test_threads_decide_about_a_window_once(queue):
    """Sixteen threads see the same evaluation. A guardrail that asks the monitor again neither waits nor counts."""
    trigger = RetrainingTrigger(
        RetrainingPolicy(queue=queue, persistence=(2, 3)), {"ml.model.name": "m"}, Guard("m", "raise"), None
    )
    barrier, evaluation, none = threading.Barrier(16), object(), OutcomeTally({}, 0, 0)
    drifting = {"age": dl.FeatureStatus("drifting", 1e-9, 0.4, 500, "age moved")}

    def situation():
        trigger.decide((object(),), none, lambda: pytest.fail("decided within a decision"))
        return RetrainingSituation(at=1.0, status=drifting, reference="r")

    def work():
        barrier.wait()
        for _ in range(20):
            trigger.decide((evaluation,), none, situation)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.requests() == ()
    assert trigger.held == "1 of the last 3 windows, needs 2"
