"""Requests for retraining: when they are made, and the queue that keeps them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import uuid

import pytest

from driftline import ConfigurationError, FeatureStatus
from driftline._runtime.guard import Guard
from driftline.outcomes._ledger import OutcomeTally
from driftline.retraining import RetrainingPolicy, RetrainingQueue
from driftline.retraining._request import RetrainingRequest
from driftline.retraining._trigger import RetrainingTrigger

STABLE = FeatureStatus("stable", 0.5, 0.0, 500, "as the reference")
DRIFTING = FeatureStatus("drifting", 1e-9, 0.4, 500, "age: median 40 to 50")
UNKNOWN = FeatureStatus("insufficient_data", None, None, 5, "5 rows, needs 200")


def asked(policy, status=None, accuracy=None, latency=None):
    """The reasons of the requests."""
    return [one.reason for one in policy.requests("m", "3", status or {}, accuracy, latency)]


def request(reason="drift", model="m", version="3", created=1.0, **more):
    values = {"id": uuid.uuid4().hex, "detail": "why", "features": ("age",), **more}
    return RetrainingRequest(model=model, version=version, reason=reason, created=created, **values)


@pytest.fixture(params=["memory", "file"])
def queue(request, tmp_path):
    """A queue in memory, and one on disk."""
    made = RetrainingQueue(None if request.param == "memory" else tmp_path / "queue.db")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("accuracy", "reasons"), [(None, []), (0.77, ["accuracy"]), (0.78, []), (0.79, []), (float("nan"), [])]
)
def test_accuracy_below_its_limit_asks(accuracy, reasons):
    """At the limit it does not, unknown it does not."""
    assert asked(RetrainingPolicy(), accuracy=accuracy) == reasons


@pytest.mark.parametrize(("latency", "reasons"), [(None, []), (0.49, []), (0.5, []), (0.51, ["latency"])])
def test_latency_above_its_limit_asks(latency, reasons):
    """At the limit it does not."""
    assert asked(RetrainingPolicy(), latency=latency) == reasons


@pytest.mark.parametrize(("least", "drifting", "asks"), [(1, 0, False), (1, 1, True), (3, 2, False), (3, 3, True)])
def test_drift_of_enough_features_asks(least, drifting, asks):
    """Only those that drift count, and the request names them."""
    status = {f"f{place}": DRIFTING for place in range(drifting)} | {"stable": STABLE, "unknown": UNKNOWN}
    found = RetrainingPolicy(min_drifting=least).requests("m", None, status, None, None)
    assert bool(found) == asks
    if asks:
        assert found[0].features == tuple(f"f{place}" for place in range(drifting))
        assert found[0].detail == "; ".join([DRIFTING.reason] * drifting)
        assert (found[0].model, found[0].version, found[0].reason) == ("m", None, "drift")


def test_each_reason_is_a_request_of_its_own():
    """In words, with an id of its own."""
    found = RetrainingPolicy().requests("m", "3", {"age": DRIFTING}, 0.5, 2.0)
    assert [one.reason for one in found] == ["drift", "accuracy", "latency"]
    assert [one.detail for one in found[1:]] == ["accuracy 50.00% below 78.00%", "median latency 2 s above 0.5 s"]
    assert len({one.id for one in found}) == 3


def test_a_limit_of_none_asks_for_nothing():
    """Each of the three."""
    policy = RetrainingPolicy(min_drifting=None, min_accuracy=None, max_latency=None)
    assert asked(policy, {"age": DRIFTING}, 0.0, 99.0) == []


def test_policies_do_not_share_their_queue():
    """The default is a queue in memory of their own."""
    one, other = RetrainingPolicy(), RetrainingPolicy()
    one.queue.put(request())
    assert other.queue.pending() == ()


def test_a_request_waits_until_it_is_acknowledged(queue):
    """Once for each model, version and reason; after that it may come again."""
    first = request()
    assert queue.put(first)
    assert not queue.put(request())
    assert not queue.put(first)
    assert queue.pending() == (first,)
    assert queue.sizes("m", "3") == {"pending": 1, "acknowledged": 0}
    assert queue.acknowledge(first.id)
    assert not queue.acknowledge(first.id)
    assert not queue.acknowledge("never")
    assert queue.pending() == ()
    again = request(created=2.0)
    assert queue.put(again)
    assert queue.pending() == (again,)
    assert queue.sizes("m", "3") == {"pending": 1, "acknowledged": 1}


def test_models_versions_and_reasons_are_apart(queue):
    """Oldest first, every field as it was given; a version of None is none."""
    given = [
        request(created=3.0),
        request("accuracy", created=1.0, features=()),
        request(version="4", created=2.0, detail="quotes \" and ' and ü"),
        request(version=None, created=0.5),
        request(model="other'; DROP TABLE requests; --", created=4.0),
    ]
    assert all(queue.put(one) for one in given)
    assert queue.pending() == tuple(sorted(given, key=lambda one: one.created))
    assert queue.sizes("m", None) == {"pending": 1, "acknowledged": 0}
    assert queue.sizes("m", "3") == {"pending": 2, "acknowledged": 0}
    assert queue.sizes("unknown", None) == {"pending": 0, "acknowledged": 0}


def test_a_file_outlives_its_process(tmp_path):
    """What one process asks, another one sees and acknowledges."""
    path = tmp_path / "queue.db"
    one = RetrainingQueue(path)
    asked_for = request()
    one.put(asked_for)
    script = (
        "import sys; from driftline.retraining import RetrainingQueue; queue = RetrainingQueue(sys.argv[1]);"
        "(one,) = queue.pending(); print(one.id, queue.acknowledge(one.id))"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [asked_for.id, "True"]
    assert one.pending() == ()
    one.close()


def test_a_queue_that_is_closed_or_forgotten_lets_go_of_its_file(tmp_path):
    """At the end of its life, or before."""
    queue = RetrainingQueue(tmp_path / "queue.db")
    queue.close()
    with pytest.raises(sqlite3.ProgrammingError):
        queue.pending()
    forgotten = RetrainingQueue(tmp_path / "queue.db")
    with forgotten._database.connection() as connection:
        pass
    del forgotten
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


def test_of_many_processes_that_ask_at_once_one_is_heard(tmp_path):
    """The index of the database decides the race."""
    path = tmp_path / "queue.db"
    script = (
        "import sys, uuid; from driftline.retraining import RetrainingQueue;"
        "from driftline.retraining import RetrainingRequest; queue = RetrainingQueue(sys.argv[1]); sys.stdin.read(1);"
        "print(sum(queue.put(RetrainingRequest(uuid.uuid4().hex, 'm', None, 'drift', '', (), 1.0)) for _ in range(20)))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert sum(int(one.communicate("go")[0]) for one in started) == 1


def test_threads_share_a_queue(queue):
    """Eight of them ask: one is heard."""
    heard = []
    threads = [threading.Thread(target=lambda: heard.append(queue.put(request()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == [False] * 7 + [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_the_child_of_a_fork_opens_its_own_connection(tmp_path):
    """A connection of SQLite must not cross a fork; in a process of its own, which has no threads."""
    script = (
        "import os, sys; from driftline.retraining import RetrainingQueue, RetrainingRequest;"
        "queue = RetrainingQueue(sys.argv[1]); ask = lambda id: RetrainingRequest(id, id, None, 'drift', '', (), 1.0);"
        "queue.put(ask('parent')); child = os.fork();\n"
        "if not child: os._exit(0 if queue.put(ask('child')) and len(queue.pending()) == 2 else 1)\n"
        "print(os.waitpid(child, 0)[1], len(queue.pending()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "queue.db"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_drifting": 0}, "min_drifting=0: expected an integer of at least 1, or None"),
        ({"min_drifting": 1.5}, "min_drifting=1.5: expected an integer of at least 1, or None"),
        ({"min_drifting": True}, "min_drifting=True: expected an integer of at least 1, or None"),
        ({"min_accuracy": 0.0}, "min_accuracy=0.0: expected a number above 0 and at most 1, or None"),
        ({"min_accuracy": 1.1}, "min_accuracy=1.1: expected a number above 0 and at most 1"),
        ({"min_accuracy": "high"}, "min_accuracy='high': expected a number above 0"),
        ({"min_accuracy": float("nan")}, "min_accuracy=nan: expected a number above 0"),
        ({"max_latency": 0}, "max_latency=0: expected a number above 0"),
        ({"max_latency": -1.0}, "max_latency=-1.0: expected a number above 0"),
        ({"max_latency": True}, "max_latency=True: expected a number above 0"),
        ({"queue": "queue.db"}, "queue='queue.db': expected a RetrainingQueue"),
        ({"queue": None}, "queue=None: expected a RetrainingQueue"),
    ],
)
def test_bad_policies_are_refused(arguments, message):
    """The message names the limit, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        RetrainingPolicy(**arguments)


@pytest.mark.parametrize("path", [5, ["a"], True])
def test_a_path_is_a_path(path):
    """Nothing else."""
    with pytest.raises(ConfigurationError, match="expected the path of a SQLite file"):
        RetrainingQueue(path)


def test_files_that_are_no_queue_are_refused(tmp_path):
    """A folder, a text, a folder that is not there, a database of something else."""
    text = tmp_path / "text.db"
    text.write_text("no database, but long enough to look at " * 30, encoding="utf-8")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE requests (something TEXT)")
    database.close()
    for path in (tmp_path, text, tmp_path / "absent" / "queue.db", other, "nul\0.db"):
        with pytest.raises(ConfigurationError, match="expected the file of a retraining queue"):
            RetrainingQueue(path)


def test_a_judgement_that_says_the_same_is_asked_about_again():
    """It is told from the one before by the object: what is thrown away leaves its id to what comes after it."""
    attributes, looks = {"ml.model.name": "m"}, []

    class Policy(RetrainingPolicy):
        """Says when it was asked."""

        def requests(self, *_):
            """Nothing is wanted."""
            looks.append(1)
            return ()

    asking = RetrainingTrigger(Policy(), attributes, Guard("m", "log"), lambda *_: None)
    for status in ({}, {}, {}):
        for _ in range(2):
            asking.ask((status, None), dict, OutcomeTally({}, 0, 0), lambda: None)
    assert len(looks) == 3
