"""A process that kills itself with SIGKILL before its n-th SQL statement: run by `test_crash_safety`."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

from driftline._runtime.sqlite import Database
from driftline._runtime.sqlite_format import FileFormat
from driftline.retraining import RetrainingQueue, RetrainingRequest


def draft(model="m", version="3", at=1.0, reference="r1"):
    return RetrainingRequest("", model, version, "drift", "why", ("age",), at, ordinal=0, reference=reference)


def prepare(path):
    """Fill a queue with a request that runs, one that is requested, and what has been reported."""
    queue = RetrainingQueue(path)
    queue.serve("m", "3", "r1", at=0.5)
    queue.submit(draft())
    queue.report("m")
    queue.move(queue.requests("m")[0].id, "acknowledged", who="anna", at=1.5)
    queue.submit(draft("other", None))
    queue.close()


WORK = {
    "submit": lambda queue: queue.submit(draft("third", "1", 2.0)),
    "update": lambda queue: queue.submit(draft(at=2.0)),
    "move": lambda queue: queue.move(queue.requests("m")[0].id, "succeeded", who="anna", at=2.0),
    "serve": lambda queue: queue.serve("m", "4", "r2", at=2.0),
    "expire": lambda queue: queue.expire("m", 1.0, at=99.0),
    "report": lambda queue: queue.report("m"),
    "deliver": lambda queue: queue.deliver(queue.requests("m")[0].id, "webhook", at=2.0),
    "migrate": lambda queue: queue.requests("flights"),
}


class Countdown:
    """Kills the process before the n-th statement."""

    def __init__(self, number):
        self.left = number

    def __call__(self, _statement):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def run(work, path, number):
    """Do the work in a child, which is killed before its n-th statement. Return whether it was."""
    child = os.fork()
    if not child:
        countdown = Countdown(number)
        if work == "migrate":
            prepare_format = FileFormat.prepare

            def prepare_traced(file_format, connection):
                connection.set_trace_callback(countdown)
                prepare_format(file_format, connection)

            FileFormat.prepare = prepare_traced
            WORK[work](RetrainingQueue(path))
        else:
            queue = RetrainingQueue(path)
            database = queue._database
            assert isinstance(database, Database)
            with database.connection() as connection:
                connection.set_trace_callback(countdown)
            WORK[work](queue)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def state(path):
    """All that is in a queue, and whether SQLite finds the file sound."""
    queue = RetrainingQueue(path)
    requests = [each.to_json() for each in queue.requests()]
    queue.close()
    with sqlite3.connect(path) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        others = [
            sorted(connection.execute(f"SELECT * FROM {table}"))  # noqa: S608 - constants
            for table in ("transitions", "serving", "deliveries")
        ]
    connection.close()
    return sound, requests, others


def main(folder, work, old):
    """Kill the work at each statement, and print at how many, and whether each file is as before or as after."""
    start = folder / "start"
    if work == "migrate":
        shutil.copy(old, start)
        before = None
    else:
        prepare(start)
        before = state(shutil.copy(start, folder / "before"))
    whole = shutil.copy(start, folder / "whole")
    run(work, whole, 0)
    after = state(whole)
    number = 1
    while True:
        path = Path(shutil.copy(start, folder / f"killed{number}"))
        if not run(work, path, number):
            break
        result = state(path)
        assert result[0], f"{work}: damaged at statement {number}"
        assert result in (before, after), f"{work}: neither before nor after, at statement {number}: {result}"
        # And what was not done can be done again.
        run(work, path, 0)
        assert state(path) == after, f"{work}: not repeatable at statement {number}"
        number += 1
    print(number - 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
