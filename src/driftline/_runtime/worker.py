"""The worker thread of a monitor, which drains its buffers."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from driftline._runtime.abandoned import finish_abandoned

__all__ = ["Worker"]

INTERVAL_SECONDS = 1.0
"""Seconds between two rounds of the thread. The evaluation of a completed window starts at most that late."""


class Worker:
    """
    A daemon thread that calls a method every `interval` seconds, and when `wake` is called. `start` starts it.

    It holds only a weak reference to the method's object, so that the thread of a discarded monitor ends. If the method
    raises, the thread ends, and `start` starts another one.

    Args:
        work: the method. It reports its errors itself.

    Attributes:
        running: whether the thread runs in this process.
        interval: seconds between two rounds, by default `INTERVAL_SECONDS`.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = weakref.WeakMethod(work)
        self.interval = INTERVAL_SECONDS
        self._stopped = False
        self._renew()

    def _renew(self) -> None:
        # A queue in C: an interrupt in `threading.Event.set` would leave the event's lock locked for ever.
        self._wake: SimpleQueue[None] = SimpleQueue()
        # Re-entrant, because the garbage collector may run a finalizer of the host here, which may call the model.
        self._lock = threading.RLock()
        self._thread: object = None
        self.running = False

    @property
    def attached(self) -> bool:
        """Whether the method's object is in use. If not, the thread ends."""
        return self._work() is not None

    @property
    def stopped(self) -> bool:
        """Whether the thread was stopped, or could not be started. It does not start again then."""
        return self._stopped

    def start(self) -> None:
        """Start the thread unless it runs already. If the interpreter cannot start one, `stopped` becomes True."""
        with self._lock:
            if self.running or self._stopped:
                return
            started = False
            # A thread that an interrupted start has left behind ends, because it is not this one.
            key = object()
            thread = threading.Thread(
                target=_run, args=(weakref.ref(self), self._wake, key), name="driftline", daemon=True
            )
            try:
                # The thread may work before `start` returns.
                self._thread, self.running = key, True
                thread.start()
                started = True
            except RuntimeError:
                # The interpreter shuts down, or no thread is left: calls and collections drain from here on.
                self._stopped = True
            finally:
                if not started:
                    self._thread, self.running = None, False

    def wake(self) -> None:
        """Make the thread start its next round immediately."""
        if self._wake.empty():
            self._wake.put(None)

    def stop(self) -> None:
        """End the thread. It does not start again."""
        self._stopped, self.running = True, False
        self._wake.put(None)

    def after_fork(self) -> None:
        """Mark the thread as not running, because the child of a fork does not have it."""
        self._renew()

    def runs_in(self, thread: object) -> bool:
        """Return whether the thread with this key is the one at work."""
        return self._thread is thread

    def end(self, thread: object) -> None:
        """Mark the thread as not running, because the one with this key has ended."""
        if self._thread is thread:
            self._thread, self.running = None, False

    def run_round(self) -> bool:
        """Run one round and return True. Return False if the thread was stopped or the method's object is gone."""
        with suppress(Empty):
            while True:
                self._wake.get_nowait()
        work = self._work()
        if work is None or self._stopped:
            return False
        work()
        return True


def _run(reference: weakref.ref[Worker], wake: SimpleQueue[None], thread: object) -> None:
    worker = reference()
    interval = INTERVAL_SECONDS if worker is None else worker.interval
    del worker
    try:
        while True:
            with suppress(Empty):
                wake.get(timeout=interval)
            worker = reference()
            if worker is None or not worker.runs_in(thread) or not worker.run_round():
                return
            interval = worker.interval
            del worker
    finally:
        worker = reference()
        if worker is not None:
            worker.end(thread)
        finish_abandoned()
