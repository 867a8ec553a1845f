"""`ThreadPool`: daemon threads that repeat the calls of plain functions."""

from __future__ import annotations

import functools
import inspect
import math
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from driftline._runtime.guard import GuardedBlock, UnreadableError, every
from driftline._runtime.late_results import late_kind
from driftline.canary._shadows.calls import Backlog, Limits, ShadowCall
from driftline.canary._shadows.candidate import Candidate
from driftline.canary._shadows.throttle import Throttle

__all__ = ["ThreadPool"]

MAX_SLEEP_SECONDS = 0.05
"""Longest time until a thread that pauses sees that the pool has closed."""

_STOP = object()
"""The item of the queue that ends a thread."""


class ThreadPool:
    """
    A queue of calls, and the threads that repeat them. They start when they are needed.

    Args:
        candidate: the candidate.
        limits: the number of threads, and the time-out of futures.
        backlog: the account of pending calls.
        throttle: the pauses between calls.
        on_error: called with ("shadow", error) if a result cannot be awaited.
    """

    def __init__(
        self,
        candidate: Candidate,
        limits: Limits,
        backlog: Backlog,
        throttle: Throttle,
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._candidate, self._limits, self._backlog, self._throttle = candidate, limits, backlog, throttle
        self._on_error = on_error
        self._lock = threading.RLock()
        # A queue in C: an interrupt within `queue.Queue.put` would leave its lock locked for ever.
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads: set[object] = set()
        self._idle: set[object] = set()
        self._closed = False
        self._running: dict[object, tuple[float, ShadowCall]] = {}

    def put(self, call: ShadowCall) -> None:
        """
        Queue a call that is in the backlog, and start a thread if all are busy.

        Raises:
            RuntimeError: no thread runs, and none can be started.
        """
        if len(self._idle) <= self._queue.qsize() and len(self._threads) < self._limits.concurrency:
            self._start_thread()
        self._queue.put(call)

    @property
    def running(self) -> int:
        """Number of calls that run."""
        return len(self._running)

    def held(self) -> set[ShadowCall] | None:
        """Return the calls that run; None if others are queued, which cannot be listed."""
        return None if self._queue.qsize() else {call for _, call in list(self._running.values())}

    def hung_seconds(self) -> float:
        """Return the seconds for which all threads have been in their present calls; 0 or less if one is free."""
        began = [start for start, _ in list(self._running.values())]
        return time.monotonic() - max(began) if len(began) >= self._limits.concurrency else 0.0

    def close(self) -> None:
        """End the threads after their present calls. If the candidate hangs, its daemon thread goes on."""
        self._closed = True
        for _ in range(len(self._threads)):
            self._queue.put(_STOP)

    def _start_thread(self) -> None:
        with self._lock:
            if len(self._threads) >= self._limits.concurrency:
                return
            # A thread that an interrupted start has left behind ends, because it is none of these.
            key = object()
            self._threads.add(key)
            thread = threading.Thread(target=self._run, args=(key,), name="driftline-shadow", daemon=True)
            started = False
            try:
                thread.start()
                started = True
            except RuntimeError:
                if len(self._threads) == 1:
                    raise
            finally:
                if not started:
                    self._threads.discard(key)

    # --- the threads -------------------------------------------------------------------------------------------------

    def _run(self, key: object) -> None:
        try:
            while key in self._threads and (call := self._next(key)) is not _STOP:
                try:
                    self._pause()
                    self._running[key] = time.monotonic(), call
                    if not self._closed:
                        self._repeat(call)
                finally:
                    self._running.pop(key, None)
                    self._candidate.discard(call)
                    self._backlog.end(call)
                    del call
        finally:
            self._threads.discard(key)

    def _next(self, key: object) -> Any:
        """Return the next call, or `_STOP`."""
        self._idle.add(key)
        try:
            call = self._queue.get()
        finally:
            self._idle.discard(key)
        if call is not _STOP:
            self._running[key] = math.inf, call
            self._backlog.begin(call)
        return call

    def _pause(self) -> None:
        """Wait until the load allows a call."""
        while not self._closed and (seconds := self._throttle.delay()):
            time.sleep(min(seconds, MAX_SLEEP_SECONDS))

    def _repeat(self, call: ShadowCall) -> None:
        candidate = self._candidate
        with GuardedBlock(self._on_error, "shadow", every):
            candidate.begin(call)
            start, busy = time.perf_counter(), time.thread_time()
            try:
                try:
                    output = call.context.run(self._predict, call)
                finally:
                    self._throttle.spend(time.thread_time() - busy)
            except _KindError:
                raise
            except BaseException as error:  # noqa: BLE001 - in a thread of driftline, which SystemExit must not end either
                candidate.fail(call, error, time.perf_counter() - start)
            else:
                candidate.succeed(call, output, time.perf_counter() - start, every)

    def _predict(self, call: ShadowCall) -> Any:
        """Call the candidate, and return its output, or that which its result leads to."""
        result = self._candidate.function(*call.args, **call.kwargs)
        late = late_kind(type(result))
        if late is None:
            return result
        if late == "future" and not hasattr(result, "__await__"):
            return result.result(self._limits.timeout)
        if late == "generator" and not inspect.isawaitable(result):
            return functools.reduce(lambda _, value: value, result, None)
        if hasattr(result, "close"):
            result.close()  # so that Python does not warn that it was never awaited
        msg = (
            f"the candidate returns a {type(result).__name__} and the baseline does not: "
            "expected two functions that are both awaited, or neither"
        )
        raise _KindError(msg)


class _KindError(UnreadableError):
    """The candidate's result is awaited, but the baseline's is not, so that no event loop is known to await it in."""
