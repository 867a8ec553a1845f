"""A shadow: the candidate predicts on a copy of each input in the background, and only its agreement is counted."""

from __future__ import annotations

import contextvars
import functools
import inspect
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np

from driftline._capture.tables import is_column
from driftline._runtime.guard import GuardedBlock, returning_on_error
from driftline.typing import Correct

__all__ = ["Agree", "Shadow", "default_agreement"]

Agree: TypeAlias = "Callable[[Any, Any], Any]"
"""(baseline's output, candidate's output) to whether they agree, or to one such value per row."""

RELATIVE_TOLERANCE = 0.01
"""Part of the baseline's output within which two numbers that are no probabilities agree."""

_FAILED = object()
_STOP = object()


def default_agreement(correct: Correct | None) -> Agree:
    """
    Return the default test of whether two outputs agree.

    Labels agree when they are equal, probabilities on the same side of 0.5, other numbers within one per cent.

    Args:
        correct: the reference's rule for right predictions; None for numbers that are no probabilities.
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
    A bounded queue of inputs, and the thread that calls the candidate with them.

    Args:
        candidate: the function on trial.
        agree: returns whether two outputs agree.
        size: inputs that the queue holds at most; further ones are dropped.
        on_compared: called with (rows compared, rows that agreed).
        on_dropped: called with the number of rows of an input that was dropped.
        on_error: called with (place, error) when a copy, *agree* or the queue fails.
    """

    def __init__(
        self,
        candidate: Callable[..., Any],
        agree: Agree,
        size: int,
        on_compared: Callable[[int, int], None],
        on_dropped: Callable[[int], None],
        on_error: Callable[[str, Exception], None],
    ) -> None:
        self._candidate, self._agree, self._size = candidate, agree, size
        self._on_compared, self._on_dropped, self._on_error = on_compared, on_dropped, on_error
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Set up an empty queue without a thread: at first, and in the child of a fork."""
        self._lock = threading.Lock()
        self._queue: queue.Queue[Any] = queue.Queue(self._size)
        self._running = False

    def wrap(self, baseline: Callable[..., Any]) -> Callable[..., Any]:
        """Return the baseline with the same behaviour; the thread repeats each of its calls with the candidate."""
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
            self._enqueue(arguments, result)
            return result

        return serve

    def flush(self, seconds: float) -> bool:
        """Wait at most *seconds* until the queue is processed; return whether it is."""
        pending = self._queue
        with pending.all_tasks_done:
            return pending.all_tasks_done.wait_for(lambda: not pending.unfinished_tasks, seconds)

    def close(self, seconds: float) -> None:
        """Process the queue for at most *seconds*, and end the thread."""
        self.flush(seconds)
        self._closed = True
        with self._lock:
            if self._running:
                # Full only behind a candidate that hangs; the thread is a daemon.
                with suppress(queue.Full):
                    self._queue.put_nowait(_STOP)

    # --- the caller's thread -----------------------------------------------------------------------------------------

    def _copy_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Copy the input before the baseline may change it; None when nothing is to be predicted."""
        if self._closed:
            return None
        with GuardedBlock(self._on_error, "shadow"):
            return (
                tuple(_copy(value) for value in args),
                {name: _copy(value) for name, value in kwargs.items()},
                contextvars.copy_context(),
            )
        return None

    def _enqueue(self, arguments: Any, result: Any) -> None:
        if arguments is None:
            return
        with GuardedBlock(self._on_error, "shadow"):
            if not self._running:
                self._start_thread()
            try:
                self._queue.put_nowait((*arguments, _copy(result)))
            except queue.Full:
                self._on_dropped(_row_count(result))

    def _start_thread(self) -> None:
        with self._lock:
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, args=(self._queue,), name="driftline-shadow", daemon=True).start()

    # --- the shadow's thread -----------------------------------------------------------------------------------------

    def _run(self, pending: queue.Queue[Any]) -> None:
        while True:
            item = pending.get()
            try:
                if item is _STOP:
                    return
                self._compare(*item)
            finally:
                pending.task_done()

    def _compare(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], context: contextvars.Context, expected: Any
    ) -> None:
        # The candidate's monitor counts its errors.
        result = returning_on_error(_FAILED)(context.run)(self._predict, args, kwargs)
        if expected is _FAILED or result is _FAILED:
            return
        with GuardedBlock(self._on_error, "agree"):
            agrees = np.ravel(self._agree(expected, result))
            self._on_compared(len(agrees), int(np.count_nonzero(agrees)))

    def _predict(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = self._candidate(*args, **kwargs)
        if not inspect.iscoroutine(result):
            return result
        import asyncio  # noqa: PLC0415 - a sixth of importing numpy, paid only by shadows that are coroutines

        return asyncio.run(result)


def _copy(value: Any) -> Any:
    """Copy what hosts reuse: dicts and lists with the lists, arrays and dicts in them, arrays, frames."""
    if value.__class__ is dict:
        return {name: _copy(inner) if isinstance(inner, (list, np.ndarray)) else inner for name, inner in value.items()}
    if value.__class__ is list:
        return [dict(inner) if inner.__class__ is dict else inner for inner in value]
    if isinstance(value, np.ndarray) or hasattr(value, "columns"):
        return value.copy() if hasattr(value, "copy") else value
    return value


def _row_count(result: Any) -> int:
    try:
        return len(result) if isinstance(result, np.ndarray) or is_column(result) else 1
    except TypeError:  # an array without a dimension
        return 1
