"""Who empties the buffers, and when: a daemon thread, the exit of the process, and nobody in the child of a fork."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Protocol

from driftline._runtime.process_hooks import at_exit, in_children

__all__ = ["Worker", "watch"]

INTERVAL = 1.0
"""Seconds between two rounds of the thread: windows are judged at most that late."""


class Worker:
    """
    A daemon thread that calls *work* every second and when woken, from the first call of `start` on.

    It holds no strong reference to what it works for: a monitor that nobody needs any more ends its thread.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = weakref.WeakMethod(work)
        self._wake = threading.Event()
        self._stopped = False
        self._lock = threading.Lock()
        self.running = False

    @property
    def stopped(self) -> bool:
        """Whether it has ended for good, or cannot be started."""
        return self._stopped

    def start(self) -> None:
        """Start the thread unless it runs already."""
        with self._lock:
            if self.running or self._stopped:
                return
            thread = threading.Thread(target=_run, args=(weakref.ref(self), self._wake), name="driftline", daemon=True)
            # It may be at work before `start` returns.
            self.running = True
            try:
                thread.start()
            except RuntimeError:
                # The interpreter shuts down, or has no thread left: callers and collections drain from here on.
                self._stopped, self.running = True, False
            except BaseException:
                self.running = False
                raise

    def wake(self) -> None:
        """Have the next round at once."""
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """End the thread for good."""
        self._stopped, self.running = True, False
        self._wake.set()

    def after_fork(self) -> None:
        """The child has no such thread yet."""
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self.running = False

    def round(self) -> bool:
        """One round; whether there will be another."""
        self._wake.clear()
        work = self._work()
        if work is None or self._stopped:
            return False
        work()
        return True


def _run(owner: weakref.ref[Worker], wake: threading.Event) -> None:
    while True:
        wake.wait(INTERVAL)
        thread = owner()
        if thread is None or not thread.round():
            return
        del thread


class Watched(Protocol):
    """Something with state that a fork must not copy, and that wants to finish its work at exit."""

    def flush(self) -> None:
        """Finish the work at hand."""
        ...

    def after_fork(self) -> None:
        """Start empty in the child."""
        ...


_watched: weakref.WeakSet[Watched] = weakref.WeakSet()
_registered = False


def watch(one: Watched) -> None:
    """Have *one* told of forks and of the exit of the process."""
    global _registered  # noqa: PLW0603 - hooks of the process, once per process: importing driftline installs none
    _watched.add(one)
    if not _registered:
        _registered = True
        at_exit(_flush_all)
        in_children(_after_fork)


def _flush_all() -> None:
    for one in list(_watched):
        one.flush()


def _after_fork() -> None:
    for one in list(_watched):
        one.after_fork()
