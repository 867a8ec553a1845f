"""The delivery: what a queue holds reaches each sink, across failures, processes and kill -9."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from receivers import request, wait_for

from driftline import ConfigurationError, RetrainingQueue
from driftline.retraining import CallbackSink, DeliveryError, RetrainingDelivery
from driftline.retraining import _delivery as deliveries


class Sink:
    """A sink that fails with the given exceptions first."""

    def __init__(self, *errors, name="sink"):
        self.name = name
        self.errors = list(errors)
        self.calls = []

    def deliver(self, delivered):
        self.calls.append(delivered.id)
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture(params=["memory", "file"])
def queue(request, tmp_path):
    queue = RetrainingQueue(None if request.param == "memory" else tmp_path / "queue.db")
    yield queue
    queue.close()


def test_each_sink_gets_each_request_once(queue):
    """Another delivery of the same queue delivers nothing again, unless its sink has another name."""
    first, second = Sink(), Sink(name="other")
    queue.put(request(1))
    queue.put(request(2, model="n"))
    assert RetrainingDelivery(queue, [first, second]).run_once() == 4
    assert first.calls == second.calls == ["retrain-m-3-1", "retrain-n-3-2"]
    again = Sink()
    assert RetrainingDelivery(queue, [again]).run_once() == 0
    assert RetrainingDelivery(queue, [Sink(name="third")]).run_once() == 2


def test_a_closed_request_is_not_delivered(queue):
    """It was rejected while the sink was down."""
    sink = Sink(OSError("down"))
    queue.put(request())
    delivery = RetrainingDelivery(queue, [sink])
    assert delivery.run_once() == 0
    assert delivery.problems() == {"sink": "retrain-m-3-1: OSError: down"}
    queue.move("retrain-m-3-1", "rejected", who="anna")
    assert delivery.run_once() == 0
    assert delivery.problems() == {}
    assert len(sink.calls) == 1


def test_requests_to_fix_the_pipeline_hold_the_training_back(queue):
    """A training on broken data starts only after the data are fixed. Other models do not wait."""
    sink, pager = Sink(), Sink(name="pager")
    queue.put(request(1))
    queue.put(request(2, model="n"))
    queue.put(request(1, kind="fix_pipeline", reason="broken_data"))
    delivery = RetrainingDelivery(queue, [sink])
    assert delivery.run_once() == 1
    assert RetrainingDelivery(queue, [pager], kinds=["fix_pipeline"]).run_once() == 1
    assert (sink.calls, pager.calls) == (["retrain-n-3-2"], ["fix_pipeline-m-3-1"])
    queue.move("fix_pipeline-m-3-1", "succeeded", who="anna")
    assert delivery.run_once() == 1


def test_a_broken_sink_delays_no_other_one(queue):
    """Each has a thread."""
    ended = threading.Event()
    stuck, sink = CallbackSink(lambda _: ended.wait(60), name="stuck"), Sink()
    queue.put(request())
    with RetrainingDelivery(queue, [stuck, sink], every=0.02):
        wait_for(lambda: sink.calls)
        ended.set()


def test_nothing_that_a_sink_raises_ends_its_thread(queue, monkeypatch, caplog):
    """Each problem is logged once, with the id and the name of the sink."""
    monkeypatch.setattr(deliveries, "FIRST_PAUSE", 0.01)
    errors = [ValueError("a"), SystemExit(3), KeyboardInterrupt(), ValueError("a"), DeliveryError("no", refused=False)]
    sink = Sink(*errors)
    queue.put(request())
    with caplog.at_level(logging.WARNING, "driftline"), RetrainingDelivery(queue, [sink], every=0.02) as delivery:
        wait_for(lambda: not queue.undelivered("sink"))
        assert delivery.problems() == {}
    assert len(sink.calls) == 6
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "retrain-m-3-1 was not delivered by sink: ValueError: a. It is tried again."
    assert len(messages) == 4


def test_interrupts_reach_the_host_from_its_own_thread(queue):
    """`run_once` contains errors only."""
    queue.put(request())
    with pytest.raises(KeyboardInterrupt):
        RetrainingDelivery(queue, [Sink(KeyboardInterrupt())]).run_once()
    assert RetrainingDelivery(queue, [Sink(RuntimeError())]).run_once() == 0


def test_a_queue_that_cannot_be_read_is_a_problem_and_no_exception(tmp_path):
    """It is closed."""
    queue = RetrainingQueue(tmp_path / "queue.db")
    delivery = RetrainingDelivery(queue, [Sink()])
    queue.close()
    assert delivery.run_once() == 0
    assert "closed database" in delivery.problems()["sink"]


def test_pauses_grow_and_obey_the_receiver():
    """From 1 to 2 seconds up to 10 minutes, and longer after a refusal."""
    pauses = [deliveries.pause_of("id", attempt, OSError()) for attempt in range(2_000)]
    assert 1.0 <= pauses[0] <= 2.0
    assert all(300.0 <= pause <= 600.0 for pause in pauses[9:])
    assert deliveries.pause_of("id", 0, DeliveryError("", retry_after=7.0)) == 7.0
    assert deliveries.pause_of("id", 0, DeliveryError("", refused=True)) == 600.0
    assert len({deliveries.pause_of(f"id{index}", 0, OSError()) for index in range(50)}) > 20


def test_a_discarded_delivery_ends_its_threads(queue):
    """The garbage collector suffices."""
    before = threading.active_count()
    delivery = RetrainingDelivery(queue, [Sink()], every=0.01)
    delivery.start()
    delivery.start()
    assert threading.active_count() == before + 1
    del delivery
    gc.collect()
    wait_for(lambda: threading.active_count() == before)


SCRIPT = """
import os, signal, sys
from driftline.retraining import CallbackSink, RetrainingDelivery, RetrainingQueue

def act(request):
    with open(sys.argv[2], "a") as file:
        file.write(request.id + chr(10))
    if sys.argv[3] == "die":
        os.kill(os.getpid(), signal.SIGKILL)

print(RetrainingDelivery(RetrainingQueue(sys.argv[1]), [CallbackSink(act, name="act")]).run_once())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a signal of POSIX")
@pytest.mark.slow
def test_a_process_that_is_killed_within_a_delivery_is_followed_by_another(tmp_path):
    """The next process delivers again, and the one after it does not. The id is the same."""
    queue = RetrainingQueue(tmp_path / "queue.db")
    queue.put(request())
    queue.close()
    codes, printed = [], []
    for mode in ("die", "live", "live"):
        command = [sys.executable, "-c", SCRIPT, tmp_path / "queue.db", tmp_path / "acts", mode]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        codes.append(done.returncode)
        printed.append(done.stdout.strip())
    assert (codes, printed) == ([-signal.SIGKILL, 0, 0], ["", "1", "0"])
    assert (tmp_path / "acts").read_text().split() == ["retrain-m-3-1"] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_child_of_a_fork_delivers_nothing(tmp_path):
    """Its parent goes on."""
    queue = RetrainingQueue(tmp_path / "queue.db")
    sink = CallbackSink(lambda _: (tmp_path / str(os.getpid())).touch(), name="act")
    with RetrainingDelivery(queue, [sink], every=0.02):
        child = os.fork()
        if child == 0:
            time.sleep(0.3)
            os._exit(0)
        queue.put(request())
        os.waitpid(child, 0)
        wait_for(lambda: not queue.undelivered("act"))
    assert (tmp_path / str(os.getpid())).exists()
    assert not (tmp_path / str(child)).exists()
    queue.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"queue": "queue.db"}, "queue='queue.db'"),
        ({"sinks": 1}, "sinks=1"),
        ({"sinks": [print]}, "sinks="),
        ({"sinks": [Sink(), Sink()]}, "different names"),
        ({"sinks": [Sink(name="")]}, "name=''"),
        ({"kinds": []}, "kinds="),
        ({"kinds": "retrain"}, "kinds='retrain'"),
        ({"kinds": ["train"]}, "kinds='train'"),
        ({"every": 0}, "every=0"),
    ],
)
def test_wrong_arguments_are_errors(arguments, message):
    """They name the value."""
    with pytest.raises(ConfigurationError, match=message):
        RetrainingDelivery(**{"queue": RetrainingQueue(), "sinks": [Sink()], **arguments})


@pytest.mark.parametrize("arguments", [{"function": 1}, {"name": ""}, {"name": 1}])
def test_wrong_callbacks_are_errors(arguments):
    """They name the value."""
    with pytest.raises(ConfigurationError, match=f"{next(iter(arguments))}="):
        CallbackSink(**{"function": print, **arguments})
