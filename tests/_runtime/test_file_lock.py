"""The lock under which processes of one host read a file and replace it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading

import pytest

from driftline._runtime import file_lock
from driftline._runtime.file_lock import lock_file
from driftline._runtime.files import write_file

pytestmark = pytest.mark.skipif(importlib.util.find_spec("fcntl") is None, reason="no locks of files")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.json"


def test_one_holder_at_a_time(path):
    """The file is created empty; a second holder does not wait longer than it says."""
    with lock_file(path, 0.0) as first:
        assert first
        assert path.read_bytes() == b""
        with lock_file(path, 0.03) as second:
            assert not second
    with lock_file(path, 0.0) as again:
        assert again


def test_who_waits_locks_the_file_that_replaced_the_first(path):
    """Not the one that it opened, which no path leads to any more."""
    order = []

    def second():
        with lock_file(path, 10.0) as locked:
            order.append((locked, path.read_bytes()))
            with lock_file(path, 0.0) as third:
                order.append(third)

    with lock_file(path, 0.0):
        thread = threading.Thread(target=second)
        thread.start()
        write_file(path, b"new")
    thread.join(10.0)
    assert order == [(True, b"new"), False]


def test_threads_and_processes_add_up_exactly(path):
    """Each reads a number, adds 1 and replaces the file."""
    code = """
import sys, threading
from pathlib import Path
from driftline._runtime.file_lock import lock_file
from driftline._runtime.files import write_file
path = Path(sys.argv[1])
def count():
    for _ in range(25):
        with lock_file(path, 60.0) as locked:
            assert locked
            write_file(path, str(int(path.read_text() or 0) + 1).encode())
threads = [threading.Thread(target=count) for _ in range(2)]
for each in threads: each.start()
for each in threads: each.join()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen([sys.executable, "-c", code, path], env=environment) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert path.read_text(encoding="ascii") == "100"


def test_a_killed_holder_leaves_no_lock(path):
    code = """
import sys, time
from pathlib import Path
from driftline._runtime.file_lock import lock_file
with lock_file(Path(sys.argv[1]), 0.0):
    print("locked", flush=True)
    time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code, path], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        with lock_file(path, 0.0) as locked:
            assert not locked
        process.kill()
        process.wait()
    with lock_file(path, 1.0) as locked:
        assert locked


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_meanwhile_holds_no_lock(path):
    read, write = os.pipe()
    with lock_file(path, 0.0):
        child = os.fork()
        if child == 0:  # pragma: no cover - in the child
            os.read(read, 1)
            os._exit(0)
    with lock_file(path, 0.0) as locked:
        assert locked
    os.write(write, b"x")
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)


def test_what_is_no_regular_file_is_refused(tmp_path):
    with pytest.raises(OSError, match=r"Is a directory|no regular file"), lock_file(tmp_path, 0.0):
        pass
    with pytest.raises(OSError, match="no regular file"), lock_file(os.devnull, 0.0):
        pass
    with pytest.raises(FileNotFoundError), lock_file(tmp_path / "absent" / "file", 0.0):
        pass


def test_without_locks_the_file_counts_as_locked(path, monkeypatch):
    """Of the platform, or of the file system."""
    monkeypatch.setattr(file_lock.fcntl, "flock", _no_locks)
    with lock_file(path, 0.0) as locked:
        assert locked
    monkeypatch.setattr(file_lock, "fcntl", None)
    with lock_file(path, 0.0) as locked:
        assert locked


def _no_locks(descriptor, operation):
    raise OSError(95, "Operation not supported")
