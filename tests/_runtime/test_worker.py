"""Tests of the worker thread, and of the hooks for forks and exits."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import pytest

from driftline._runtime import worker
from driftline._runtime.worker import Worker


class Owner:
    """An object whose method the thread calls."""

    def __init__(self):
        self.rounds = 0
        self.called = threading.Event()
        self.worker = Worker(self.work)

    def work(self):
        """Count a round."""
        self.rounds += 1
        self.called.set()


@pytest.fixture
def owner(monkeypatch):
    """Its thread works only when it is woken."""
    monkeypatch.setattr(worker, "INTERVAL_SECONDS", 60.0)
    owner = Owner()
    yield owner
    owner.worker.stop()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "driftline"]


def test_worker_starts_one_thread_and_wakes_it(owner):
    before = set(threads())
    for _ in range(3):
        owner.worker.start()
    assert owner.worker.running
    assert len(set(threads()) - before) == 1
    owner.worker.wake()
    assert owner.called.wait(30)


def test_stopped_worker_does_not_start_again(owner):
    owner.worker.stop()
    owner.worker.start()
    assert owner.worker.stopped
    assert not owner.worker.running
    assert not owner.worker.run_round()
    assert owner.rounds == 0


def test_thread_of_a_discarded_owner_ends(monkeypatch):
    """The thread holds no strong reference to its owner."""
    monkeypatch.setattr(worker, "INTERVAL_SECONDS", 0.05)
    owner, before = Owner(), set(threads())
    owner.worker.start()
    (thread,) = set(threads()) - before
    del owner
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


def test_worker_that_cannot_start_counts_as_stopped(owner, monkeypatch):
    """The interpreter shuts down, or no thread is left: callers do the work then."""

    def fail(thread):
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr(threading.Thread, "start", fail)
    owner.worker.start()
    assert owner.worker.stopped
    assert not owner.worker.running


def test_interrupted_start_may_be_repeated(owner, monkeypatch):
    def interrupt(thread):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            owner.worker.start()
    assert not owner.worker.running
    owner.worker.start()
    owner.worker.wake()
    assert owner.called.wait(30)


def test_worker_of_a_child_starts_its_own_thread(owner):
    owner.worker.start()
    owner.worker.after_fork()
    assert not owner.worker.running
    owner.worker.start()
    owner.worker.wake()
    assert owner.called.wait(30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_registered_components_are_emptied_in_children_and_flushed_at_exit():
    """A discarded component is forgotten."""
    script = """
import os
from driftline._runtime.process_hooks import register

class Component:
    def __init__(self, name):
        self.name = name
        register(self)
    def flush(self):
        print("flush", self.name, flush=True)
    def after_fork(self):
        print("empty", self.name, flush=True)

kept, discarded = Component("kept"), Component("discarded")
del discarded
if not os.fork():
    os._exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["empty kept", "flush kept"]
