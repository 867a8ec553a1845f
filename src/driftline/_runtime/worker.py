"""The worker thread of a monitor, which drains its buffers."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

__all__ = ["Worker"]

INTERVAL_SECONDS = 1.0
"""Seconds between two rounds of the thread. The evaluation of a completed window starts at most that late."""


class Worker:
    """
    A daemon thread that calls a method every second, and when `wake` is called. `start` starts it.

    It holds only a weak reference to the method's object, so that the thread of a discarded monitor ends.

    Args:
        work: the method, which must not raise.

    Attributes:
        running: whether the thread runs in this process.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = weakref.WeakMethod(work)
        self._wake = threading.Event()
        self._stopped = False
        self._lock = threading.Lock()
        self.running = False

    @property
    def stopped(self) -> bool:
        """Whether the thread was stopped, or could not be started. It does not start again then."""
        return self._stopped

    def start(self) -> None:
        """Start the thread unless it runs already. If the interpreter cannot start one, `stopped` becomes True."""
        with self._lock:
            if self.running or self._stopped:
                return
            thread = threading.Thread(target=_run, args=(weakref.ref(self), self._wake), name="driftline", daemon=True)
            # The thread may work before `start` returns.
            self.running, started = True, False
            try:
                thread.start()
                started = True
            except RuntimeError:
                # The interpreter shuts down, or no thread is left: calls and collections drain from here on.
                self._stopped = True
            finally:
                if not started:
                    self.running = False

    def wake(self) -> None:
        """Make the thread start its next round immediately."""
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """End the thread. It does not start again."""
        self._stopped, self.running = True, False
        self._wake.set()

    def after_fork(self) -> None:
        """Mark the thread as not running, because the child of a fork does not have it."""
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self.running = False

    def run_round(self) -> bool:
        """Run one round and return True. Return False if the thread was stopped or the method's object is gone."""
        self._wake.clear()
        work = self._work()
        if work is None or self._stopped:
            return False
        work()
        return True


def _run(reference: weakref.ref[Worker], wake: threading.Event) -> None:
    while True:
        wake.wait(INTERVAL_SECONDS)
        worker = reference()
        if worker is None or not worker.run_round():
            return
        del worker
