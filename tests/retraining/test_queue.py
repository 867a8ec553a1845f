"""Tests of `RetrainingQueue`."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from driftline import ConfigurationError
from driftline.retraining import RetrainingQueue
from driftline.retraining._request import RetrainingRequest


def request(reason="drift", model="m", version="3", created=1.0, **more):
    values = {"id": "", "ordinal": 0, "detail": "why", "features": ("age",), **more}
    return RetrainingRequest(model=model, version=version, reason=reason, created=created, **values)


@pytest.fixture(params=["memory", "file"])
def queue(request, tmp_path):
    """A queue in memory, and a queue in a file."""
    queue = RetrainingQueue(None if request.param == "memory" else tmp_path / "queue.db")
    yield queue
    queue.close()


def test_request_is_pending_until_it_is_acknowledged(queue):
    """At most one is open for each model, version and kind, from the request to its end."""
    assert queue.put(request())
    assert not queue.put(request("accuracy"))
    (first,) = queue.pending()
    assert queue.sizes("m", "3")["requested"] == 1
    assert queue.acknowledge(first.id)
    assert not queue.acknowledge(first.id)
    assert not queue.acknowledge("never")
    assert queue.pending() == ()
    assert not queue.put(request())
    queue.move(first.id, "succeeded", who="anna")
    assert queue.put(request(created=2.0))
    (second,) = queue.pending()
    assert (first.ordinal, second.ordinal) == (1, 2)
    assert {state: size for state, size in queue.sizes("m", "3").items() if size} == {"requested": 1, "succeeded": 1}


def test_queue_separates_models_versions_and_kinds(queue):
    """Requests are returned oldest first with every field unchanged. A version of None differs from every other."""
    requests = [
        request(created=3.0),
        request("broken_data", kind="fix_pipeline", created=1.0, features=()),
        request(version="4", created=2.0, detail="quotes \" and ' and ü"),
        request(version=None, created=0.5),
        request(model="other'; DROP TABLE requests; --", created=4.0),
    ]
    assert all(queue.put(request) for request in requests)
    stored = queue.pending()
    assert [replace(each, id="", ordinal=0, history=()) for each in stored] == sorted(
        requests, key=lambda request: request.created
    )
    assert queue.sizes("m", None)["requested"] == 1
    assert queue.sizes("m", "3")["requested"] == 2
    assert set(queue.sizes("unknown", None).values()) == {0}
    assert queue.requests("m", states=("requested", "running")) == stored[:4]
    assert queue.requests(states=("rejected",)) == ()


def test_processes_share_a_queue_in_a_file(tmp_path):
    """Another process sees a request and acknowledges it."""
    path = tmp_path / "queue.db"
    queue = RetrainingQueue(path)
    queue.put(request())
    (pending,) = queue.pending()
    script = (
        "import sys; from driftline.retraining import RetrainingQueue; queue = RetrainingQueue(sys.argv[1]);"
        "(request,) = queue.pending(); print(request.id, queue.acknowledge(request.id))"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [pending.id, "True"]
    assert queue.pending() == ()
    queue.close()


def test_closed_or_discarded_queue_closes_its_file(tmp_path):
    queue = RetrainingQueue(tmp_path / "queue.db")
    queue.close()
    with pytest.raises(sqlite3.ProgrammingError):
        queue.pending()
    discarded = RetrainingQueue(tmp_path / "queue.db")
    with discarded._database.connection() as connection:
        pass
    del discarded
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


def test_only_one_of_many_processes_adds_a_request(tmp_path):
    """The index of the database decides the race."""
    path = tmp_path / "queue.db"
    script = (
        "import sys, uuid; from driftline.retraining import RetrainingQueue;"
        "from driftline.retraining import RetrainingRequest; queue = RetrainingQueue(sys.argv[1]); sys.stdin.read(1);"
        "print(sum(queue.put(RetrainingRequest(uuid.uuid4().hex, 'm', None, 'drift', '', (), 1.0)) for _ in range(20)))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert sum(int(process.communicate("go")[0]) for process in processes) == 1


def test_threads_share_a_queue(queue):
    """Only one of eight threads adds the request."""
    added = []
    threads = [threading.Thread(target=lambda: added.append(queue.put(request()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [False] * 7 + [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_child_of_a_fork_opens_its_own_connection(tmp_path):
    """A connection of SQLite must not cross a fork. A separate process runs this, because it has no other threads."""
    script = (
        "import os, sys; from driftline.retraining import RetrainingQueue, RetrainingRequest;"
        "queue = RetrainingQueue(sys.argv[1]);"
        "request = lambda id: RetrainingRequest(id, id, None, 'drift', '', (), 1.0);"
        "queue.put(request('parent')); child = os.fork();\n"
        "if not child: os._exit(0 if queue.put(request('child')) and len(queue.pending()) == 2 else 1)\n"
        "print(os.waitpid(child, 0)[1], len(queue.pending()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "queue.db"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "2"]


@pytest.mark.parametrize("path", [5, ["a"], True])
def test_queue_rejects_other_types_as_path(path):
    with pytest.raises(ConfigurationError, match="expected the path of a SQLite file"):
        RetrainingQueue(path)


def test_queue_rejects_other_files(tmp_path):
    """A folder, a text file, a missing folder, another database, an impossible name."""
    text = tmp_path / "text.db"
    text.write_text("no database, but long enough to look at " * 30, encoding="utf-8")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE requests (something TEXT)")
    database.close()
    for path in (tmp_path, text, tmp_path / "absent" / "queue.db", other, "nul\0.db"):
        with pytest.raises(ConfigurationError, match="expected the file of a retraining queue"):
            RetrainingQueue(path)
