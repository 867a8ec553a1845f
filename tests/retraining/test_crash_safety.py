"""Tests of the queue with processes that are killed at every statement, and with many processes and two files."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from driftline import ConfigurationError
from driftline.retraining import RetrainingQueue

HERE = Path(__file__).parent
OLD_QUEUE = HERE.parent / "data" / "0.1" / "queue.sqlite"

STATEMENTS = {
    "submit": 6,
    "update": 4,
    "move": 5,
    "serve": 7,
    "expire": 5,
    "report": 5,
    "deliver": 1,
    "migrate": 20,
}
"""For each method, statements at which it must be killed at least."""


@pytest.mark.system
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.parametrize("work", STATEMENTS)
def test_killed_at_every_statement_all_or_nothing_is_done(work, tmp_path):
    """The file is sound and as before or as after, and the work can be done again."""
    done = subprocess.run(
        [sys.executable, HERE / "killed.py", tmp_path, work, OLD_QUEUE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= STATEMENTS[work]


TRIGGERS = int(os.environ.get("DRIFTLINE_TEST_TRIGGERS", "100"))
"""Triggers of each of ten processes. With 1,000 of them, the test takes two minutes."""

WORKER = """
import sys
from driftline.retraining import RetrainingQueue, RetrainingRequest
path, triggers, orchestrator = sys.argv[1], int(sys.argv[2]), sys.argv[3]
queue = RetrainingQueue(path)
sys.stdin.readline()
for number in range(triggers):
    at = float(number)
    request = RetrainingRequest("", "m", "3", "drift", "why", ("age",), at, ordinal=0)
    submission = queue.submit(request)
    if submission.is_new:
        # The orchestrator starts a run for each name that it does not know.
        try:
            open(f"{orchestrator}/{submission.request.id}", "x").close()
            print(submission.request.id)
        except FileExistsError:
            pass
    if number == triggers // 2 and submission.request is not None:
        try:
            queue.move(submission.request.id, "failed", who="orchestrator", at=at)
        except ValueError:
            pass
"""


@pytest.mark.slow
@pytest.mark.system
def test_ten_processes_on_two_hosts_start_one_run_for_each_decision(tmp_path):
    """
    Two files stand for two hosts, and a thousand triggers for a drift. A few decisions come of it.

    Each host ends its request as often as it has processes; equal numbers of decisions have equal ids.
    """
    runs = tmp_path / "runs"
    runs.mkdir()
    hosts = [tmp_path / "first", tmp_path / "second"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, hosts[number % 2], str(TRIGGERS), runs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(10)
    ]
    started = [process.communicate("go\n", timeout=300)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 10
    all_started = [id_ for ids in started for id_ in ids]
    assert len(all_started) == len(set(all_started))
    counts = []
    for host in hosts:
        with closing(RetrainingQueue(host)) as queue:
            requests = queue.requests("m")
            assert {each.id for each in requests} <= set(all_started)
            assert [each.ordinal for each in requests] == list(range(1, len(requests) + 1))
            assert 1 <= len(requests) <= 6
            assert sum(each.count for each in requests) == 5 * TRIGGERS
            counts.append(len(requests))
    assert len(all_started) == max(counts)


def test_a_file_of_schema_1_keeps_its_requests(tmp_path):
    """Of several requests for a version, the oldest pending one stays open; of other versions the last acknowledged."""
    path = tmp_path / "queue"
    old = [
        ("a", "m", "3", "drift", 3.0, "pending"),
        ("b", "m", "3", "accuracy", 2.0, "pending"),
        ("c", "m", "3", "drift", 1.0, "acknowledged"),
        ("d", "m", "", "drift", 1.0, "acknowledged"),
        ("e", "m", "", "drift", 2.0, "acknowledged"),
    ]
    shutil.copy(OLD_QUEUE, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA application_id = 1685220465")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("DELETE FROM requests")
        rows = [(id_, model, version, reason, "why", "[]", at, state) for id_, model, version, reason, at, state in old]
        connection.executemany("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    with closing(RetrainingQueue(path)) as queue:
        states = {each.id: (each.state, each.ordinal) for each in queue.requests()}
        assert states == {
            "a": ("superseded", 3),
            "b": ("requested", 2),
            "c": ("superseded", 1),
            "d": ("superseded", 1),
            "e": ("acknowledged", 2),
        }
        assert queue.report("m") == ()
        assert json.loads(queue.requests()[0].to_json())["history"][0]["state"] == "requested"


def test_a_file_of_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "queue"
    RetrainingQueue(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(ConfigurationError, match="it is of schema 3, this driftline knows 2: a newer driftline wrote"):
        RetrainingQueue(path)
