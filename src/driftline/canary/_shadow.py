"""`Shadow`: a thread repeats the baseline's calls with the candidate, and counts how often their outputs agree."""

from __future__ import annotations

import contextvars
import functools
import inspect
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from driftline._capture.libraries import is_column
from driftline._runtime.guard import GuardedBlock, every
from driftline._runtime.late_results import Late, late_kind
from driftline._runtime.watched_lock import POLL_SECONDS
from driftline.typing import Correct

__all__ = ["Agree", "Shadow", "default_agreement"]

Agree: TypeAlias = "Callable[[Any, Any], Any]"
"""A function of (baseline's output, candidate's output) that returns whether they agree, or one such value per row."""

RELATIVE_TOLERANCE = 0.01
"""Largest difference at which two numbers that are not probabilities agree, as a part of the baseline's number."""

_FAILED = object()
"""Stands for the output of a call that raised."""

_STOP = object()
"""The item of the queue that ends the thread."""


def default_agreement(correct: Correct | None) -> Agree:
    """
    Return the default function that compares two outputs, element by element.

    Labels agree when they are equal, probabilities on the same side of 0.5, other numbers within one per cent. The
    function raises TypeError if the outputs have different shapes.

    Args:
        correct: the monitor's function that compares a prediction with its outcome. If None, numbers do not count as
            probabilities.
    """

    def agree(baseline: Any, candidate: Any) -> Any:
        expected, actual = np.asarray(baseline), np.asarray(candidate)
        if expected.ndim and expected.shape != actual.shape:
            msg = f"outputs of shapes {expected.shape} and {actual.shape} cannot be compared"
            raise TypeError(msg)
        if expected.dtype.kind not in "fiu" or actual.dtype.kind not in "fiu":
            return expected == actual
        if correct is None:
            return np.isclose(actual, expected, rtol=RELATIVE_TOLERANCE, atol=0.0)
        if expected.dtype.kind == "f":
            return (expected >= 0.5) == (actual >= 0.5)  # noqa: PLR2004 - the usual cut
        return expected == actual

    return agree


class Shadow:
    """
    A bounded queue of the baseline's calls, and the thread that repeats them with the candidate.

    Args:
        candidate: the predict function of the candidate.
        agree: called with (baseline's output, candidate's output), returns whether they agree.
        size: calls that the queue holds at most; further ones are dropped.
        on_compared: called with (rows compared, rows that agreed) for each compared call.
        on_dropped: called with the number of rows of a dropped call.
        on_error: called with ("agree", error) if *agree* raises, and ("shadow", error) if copying or queueing fails.
    """

    def __init__(
        self,
        candidate: Callable[..., Any],
        agree: Agree,
        size: int,
        on_compared: Callable[[int, int], None],
        on_dropped: Callable[[int], None],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._candidate, self._agree, self._size = candidate, agree, size
        self._on_compared, self._on_dropped, self._on_error = on_compared, on_dropped, on_error
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Create an empty queue, at the start and in the child of a fork. The next call starts the thread."""
        self._lock = threading.RLock()
        # A queue in C: an interrupt within `queue.Queue.put` would leave its lock locked for ever.
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._queued = self._compared = 0
        self._thread: object = None

    def wrap(self, baseline: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that behaves like *baseline*, and queues each call for the candidate."""
        if inspect.iscoroutinefunction(baseline):

            @functools.wraps(baseline)
            async def serve_async(*args: Any, **kwargs: Any) -> Any:
                arguments = self._copy_arguments(args, kwargs)
                try:
                    result = await baseline(*args, **kwargs)
                except Exception:
                    self._enqueue(arguments, _FAILED)
                    raise
                self._enqueue(arguments, result)
                return result

            return serve_async

        @functools.wraps(baseline)
        def serve(*args: Any, **kwargs: Any) -> Any:
            arguments = self._copy_arguments(args, kwargs)
            try:
                result = baseline(*args, **kwargs)
            except Exception:
                self._enqueue(arguments, _FAILED)
                raise
            late = late_kind(type(result))
            if late is None:
                self._enqueue(arguments, result)
                return result
            return self._follow(arguments, result, late)

        return serve

    def _follow(self, arguments: Any, result: Any, late: Late) -> Any:
        """Queue a call of the baseline when the output is known that *result* leads to. Return what the caller gets."""
        if late == "coroutine":

            async def awaited() -> Any:
                try:
                    output = await result
                except Exception:
                    self._enqueue(arguments, _FAILED, in_loop=True)
                    raise
                self._enqueue(arguments, output, in_loop=True)
                return output

            return awaited()
        in_loop = hasattr(result, "__await__")
        if late == "future":

            def on_done(future: Any) -> None:
                # `exception()` of asyncio would keep it from logging an exception that the host never reads.
                failed = future.cancelled() or getattr(future, "_exception", None) is not None
                self._enqueue(arguments, _FAILED if failed else future.result(), in_loop=in_loop)

            result.add_done_callback(on_done)
            return result
        self._enqueue(arguments, _FAILED, in_loop=in_loop)
        with GuardedBlock(self._on_error, "agree"):
            msg = f"the baseline returns a {type(result).__name__}: outputs of an iteration are not compared"
            raise TypeError(msg)
        return result

    def flush(self, seconds: float) -> bool:
        """Wait at most *seconds* until all queued calls are processed; return whether all of them are."""
        end = time.monotonic() + seconds
        while self._compared < self._queued:
            if time.monotonic() >= end:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def close(self, seconds: float) -> None:
        """Wait at most *seconds* until the queue is processed, then end the thread. Later calls are not queued."""
        self.flush(seconds)
        self._closed = True
        # If the candidate hangs, the thread never ends. It is a daemon, so it does not block the exit.
        self._queue.put(_STOP)

    # --- the caller's thread -----------------------------------------------------------------------------------------

    def _copy_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """
        Copy the arguments of a call and its context, before the baseline can change them.

        Returns:
            (args, kwargs, context); None if the shadow is closed or the copy fails.
        """
        if self._closed:
            return None
        with GuardedBlock(self._on_error, "shadow"):
            return (
                tuple(_copy(value) for value in args),
                {name: _copy(value) for name, value in kwargs.items()},
                contextvars.copy_context(),
            )
        return None

    def _enqueue(self, arguments: Any, result: Any, *, in_loop: bool = False) -> None:
        """
        Queue a call of the baseline, or count its rows as dropped if the queue is full.

        Args:
            arguments: the result of `_copy_arguments`; None queues nothing.
            result: the output of the baseline; `_FAILED` if it raised, or if it cannot be compared.
            in_loop: whether the candidate runs in an event loop.
        """
        if arguments is None:
            return
        with GuardedBlock(self._on_error, "shadow"):
            if self._thread is None:
                self._start_thread()
            if self._queue.qsize() >= self._size:
                self._on_dropped(_row_count(result))
                return
            item = (*arguments, _copy(result), in_loop)
            with self._lock:
                self._queue.put(item)
                self._queued += 1

    def _start_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                # A thread that an interrupted start has left behind ends, because it is not this one.
                self._thread = key = object()
                thread = threading.Thread(
                    target=self._run, args=(self._queue, key), name="driftline-shadow", daemon=True
                )
                started = False
                try:
                    thread.start()
                    started = True
                finally:
                    if not started:
                        self._thread = None

    # --- the shadow's thread -----------------------------------------------------------------------------------------

    def _run(self, pending: queue.SimpleQueue[Any], thread: object) -> None:
        try:
            while self._thread is thread and (item := pending.get()) is not _STOP:
                try:
                    with GuardedBlock(self._on_error, "agree", every):
                        self._compare(*item)
                finally:
                    self._compared += 1
        finally:
            if self._thread is thread:
                self._thread = None

    def _compare(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: contextvars.Context,
        expected: Any,
        in_loop: bool,  # noqa: FBT001 - an item of the queue
    ) -> None:
        # Errors of the candidate are not reported here, because its monitor counts them.
        try:
            result = context.run(self._predict, args, kwargs, in_loop)
        except BaseException:  # noqa: BLE001 - in a thread of driftline, which SystemExit must not end either
            return
        if expected is _FAILED:
            return
        with GuardedBlock(self._on_error, "agree"):
            agrees = np.ravel(self._agree(expected, result))
            self._on_compared(len(agrees), int(np.count_nonzero(agrees)))

    def _predict(self, args: tuple[Any, ...], kwargs: dict[str, Any], in_loop: bool) -> Any:  # noqa: FBT001 - as above
        """Call the candidate, and return its output, or that which its result leads to."""
        if in_loop:
            import asyncio  # noqa: PLC0415 - a sixth of importing numpy, paid only by shadows that are coroutines

            async def run() -> Any:
                return await _output(self._candidate(*args, **kwargs))

            return asyncio.run(run())
        result = self._candidate(*args, **kwargs)
        late = late_kind(type(result))
        if late is None:
            return result
        if late == "generator":
            return functools.reduce(lambda _, value: value, result, None)
        if late == "future" and not hasattr(result, "__await__"):
            return result.result()
        import asyncio  # noqa: PLC0415 - as above

        return asyncio.run(_output(result))


async def _output(result: Any) -> Any:
    """Return the output that the result of a candidate leads to, within an event loop."""
    late = late_kind(type(result))
    if late == "async generator":
        last = None
        async for value in result:
            last = value
        return last
    if late == "generator":
        return functools.reduce(lambda _, value: value, result, None)
    return await result if hasattr(result, "__await__") else result


def _copy(value: Any) -> Any:
    """
    Return a copy of a dict, list, array or frame, which the application may change; any other value unchanged.

    Lists and arrays in a dict are copied too, and so are dicts in a list; deeper levels are not.
    """
    if type(value) is dict:
        return {name: _copy(inner) if isinstance(inner, (list, np.ndarray)) else inner for name, inner in value.items()}
    if type(value) is list:
        return [dict(inner) if type(inner) is dict else inner for inner in value]
    if isinstance(value, np.ndarray) or hasattr(value, "columns"):
        return value.copy() if hasattr(value, "copy") else value
    return value


def _row_count(result: Any) -> int:
    """Return the number of rows of an output; 1 for a single prediction."""
    try:
        return len(result) if isinstance(result, np.ndarray) or is_column(result) else 1
    except TypeError:  # an array without a dimension
        return 1
