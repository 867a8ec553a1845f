"""The candidate predicts on the same input, off the caller's path; its answer is compared and thrown away."""

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
from driftline.typing import Correct

__all__ = ["Agree", "Shadow", "agreement"]

Agree: TypeAlias = "Callable[[Any, Any], Any]"
"""(baseline's output, candidate's output) to whether they agree, or to one such answer per row."""

NEAR = 0.01
"""Numbers that are no probabilities agree within one per cent of the baseline's."""

_FAILED = object()
_STOP = object()


def agreement(correct: Correct | None) -> Agree:
    """
    When two outputs agree, unless the user says so.

    Labels that are equal, probabilities on the same side of 0.5, other numbers within one per cent.

    Args:
        correct: what is right by the reference's predictions; None for numbers that are no probabilities.
    """

    def agree(baseline: Any, candidate: Any) -> Any:
        ours, theirs = np.asarray(baseline), np.asarray(candidate)
        if ours.ndim and ours.shape != theirs.shape:
            msg = f"outputs of shapes {ours.shape} and {theirs.shape} cannot be compared"
            raise TypeError(msg)
        if ours.dtype.kind not in "fiu" or theirs.dtype.kind not in "fiu":
            return ours == theirs
        if correct is None:
            return np.isclose(theirs, ours, rtol=NEAR, atol=0.0)
        if ours.dtype.kind == "f":
            return (ours >= 0.5) == (theirs >= 0.5)  # noqa: PLR2004 - the usual cut
        return ours == theirs

    return agree


class Shadow:
    """
    A bounded queue of inputs, and the thread that works it off with the candidate.

    Args:
        candidate: the function on trial.
        agree: whether two outputs agree.
        size: inputs that wait at most; what comes beyond is counted and not predicted.
        compared: told of (rows compared, rows that agreed).
        dropped: told of rows that found the queue full.
        caught: told of what *agree* raises.
    """

    def __init__(
        self,
        candidate: Callable[..., Any],
        agree: Agree,
        size: int,
        compared: Callable[[int, int], None],
        dropped: Callable[[int], None],
        caught: Callable[[str, Exception], None],
    ) -> None:
        self._candidate, self._agree, self._size = candidate, agree, size
        self._compared, self._dropped, self._caught = compared, dropped, caught
        self._closed = False
        self.after_fork()

    def after_fork(self) -> None:
        """Start empty and without a thread: in the child of a fork, and at first."""
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Any] = queue.Queue(self._size)
        self._running = False

    def around(self, baseline: Callable[..., Any]) -> Callable[..., Any]:
        """The baseline as it is, each of whose calls the candidate makes too, later."""
        if inspect.iscoroutinefunction(baseline):

            @functools.wraps(baseline)
            async def serve_async(*args: Any, **kwargs: Any) -> Any:
                taken = self._take(args, kwargs)
                try:
                    result = await baseline(*args, **kwargs)
                except Exception:
                    self._put(taken, _FAILED)
                    raise
                self._put(taken, result)
                return result

            return serve_async

        @functools.wraps(baseline)
        def serve(*args: Any, **kwargs: Any) -> Any:
            taken = self._take(args, kwargs)
            try:
                result = baseline(*args, **kwargs)
            except Exception:
                self._put(taken, _FAILED)
                raise
            self._put(taken, result)
            return result

        return serve

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits any more, at most so long; whether that has come."""
        waiting = self._waiting
        with waiting.all_tasks_done:
            return waiting.all_tasks_done.wait_for(lambda: not waiting.unfinished_tasks, seconds)

    def close(self, seconds: float) -> None:
        """Work off what waits, at most so long, and end the thread."""
        self.flush(seconds)
        self._closed = True
        with self._lock:
            if self._running:
                # Full only behind a candidate that hangs; the thread is a daemon.
                with suppress(queue.Full):
                    self._waiting.put_nowait(_STOP)

    # --- on the caller's path ----------------------------------------------------------------------------------------

    def _take(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Copy the input before the baseline may change it."""
        if self._closed:
            return None
        try:
            return (
                tuple(_copied(value) for value in args),
                {name: _copied(value) for name, value in kwargs.items()},
                contextvars.copy_context(),
            )
        except Exception as error:  # noqa: BLE001 - the copy of a host's object
            self._caught("shadow", error)
            return None

    def _put(self, taken: Any, result: Any) -> None:
        if taken is None:
            return
        try:
            if not self._running:
                self._start()
            self._waiting.put_nowait((*taken, _copied(result)))
        except queue.Full:
            self._dropped(_rows(result))
        except Exception as error:  # noqa: BLE001 - the guard
            self._caught("shadow", error)

    def _start(self) -> None:
        with self._lock:
            if not self._running:
                self._running = True
                threading.Thread(target=self._work, args=(self._waiting,), name="driftline-shadow", daemon=True).start()

    # --- off it ------------------------------------------------------------------------------------------------------

    def _work(self, waiting: queue.Queue[Any]) -> None:
        while True:
            item = waiting.get()
            try:
                if item is _STOP:
                    return
                self._one(*item)
            finally:
                waiting.task_done()

    def _one(self, args: tuple[Any, ...], kwargs: dict[str, Any], context: contextvars.Context, expected: Any) -> None:
        try:
            result = context.run(self._predict, args, kwargs)
        except Exception:  # noqa: BLE001 - the candidate's monitor has counted it
            return
        if expected is _FAILED:
            return
        try:
            agrees = np.ravel(self._agree(expected, result))
            self._compared(len(agrees), int(np.count_nonzero(agrees)))
        except Exception as error:  # noqa: BLE001 - the user's function
            self._caught("agree", error)

    def _predict(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = self._candidate(*args, **kwargs)
        if not inspect.iscoroutine(result):
            return result
        import asyncio  # noqa: PLC0415 - a sixth of importing numpy, paid only by shadows that are coroutines

        return asyncio.run(result)


def _copied(value: Any) -> Any:
    """Copies of what hosts reuse: dicts and lists with what stands in them, arrays, frames."""
    if value.__class__ is dict:
        return {
            name: _copied(inner) if isinstance(inner, (list, np.ndarray)) else inner for name, inner in value.items()
        }
    if value.__class__ is list:
        return [dict(inner) if inner.__class__ is dict else inner for inner in value]
    if isinstance(value, np.ndarray) or hasattr(value, "columns"):
        return value.copy() if hasattr(value, "copy") else value
    return value


def _rows(result: Any) -> int:
    try:
        return len(result) if isinstance(result, np.ndarray) or is_column(result) else 1
    except TypeError:  # an array without a dimension
        return 1
