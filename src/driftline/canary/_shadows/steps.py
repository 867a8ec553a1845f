"""`CandidateRun`: one call of an async candidate, as the coroutine of a task that measures each step."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from driftline._runtime.guard import is_no_interrupt
from driftline._runtime.late_results import late_kind
from driftline._runtime.shadow_watch import never
from driftline.canary._shadows.calls import ShadowCall
from driftline.canary._shadows.candidate import Candidate

__all__ = ["CandidateRun", "retrieve_interrupts"]

CLEANUP_SECONDS = 2.0
"""
Seconds that a candidate may take to end after it was cancelled, such as to return a connection to its pool. Then it is
closed. An event loop that ends waits that long at most.
"""

TELLS_CANCELLED = sys.version_info >= (3, 11)
"""Whether a task knows how often it was cancelled, which scopes within the candidate take back."""


class CandidateRun(Coroutine[Any, Any, None]):
    """
    One call of an async candidate.

    An object and no coroutine function: Python warns about a coroutine that was never awaited, which is no fault of the
    host if its loop ends before the task begins. No exception leaves the task but a cancellation or an interrupt.

    Args:
        call: the call.
        candidate: the candidate.
        timeout: seconds that the call may take.
        on_step: called with the seconds of each step in which the candidate held the event loop.
        on_end: called with (this run, whether it was cancelled from outside) when it ends.
        on_lost: called if the candidate does not even end when it is closed.

    Attributes:
        call: as above.
        task: the task, once it is known.
        submitting: whether the task is being created. An eager task factory begins it within the caller's step.
        reason: a value of ``ml.monitor.reason``, for a run that is cancelled.
    """

    def __init__(
        self,
        call: ShadowCall,
        candidate: Candidate,
        timeout: float,
        on_step: Callable[[float], None],
        on_end: Callable[[CandidateRun, bool], None],
        on_lost: Callable[[CandidateRun], None],
    ) -> None:
        self.call, self._candidate, self._timeout = call, candidate, timeout
        self._on_step, self._on_end, self._on_lost = on_step, on_end, on_lost
        self.task: asyncio.Task[None] | None = None
        self.submitting = True
        self._timed_out = self._abandoned = self._discarding = self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._cleanup: asyncio.TimerHandle | None = None
        self._steps = self._run()

    # --- the coroutine -----------------------------------------------------------------------------------------------

    def send(self, value: Any) -> Any:
        """Run the next step, as a coroutine does."""
        return self._steps.send(value)

    def throw(self, kind: Any, value: Any = None, _: Any = None, /) -> Any:
        """Raise an exception where the coroutine waits."""
        error = kind if value is None else value
        try:
            return self._steps.throw(error)
        finally:
            del kind, value, error  # its traceback holds this frame

    def close(self) -> None:
        """End the coroutine."""
        self._steps.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._steps

    def _run(self) -> Generator[Any, Any, None]:
        while self.submitting:
            yield None
        candidate, call = self._candidate, self.call
        if call.watch is not None:
            call.watch.is_cancelled = self._is_cancelled
        start = time.perf_counter()
        cancelled = True
        try:
            output = yield from self._drive()
        except BaseException as error:
            if self._goes_on(error):
                raise
            cancelled = False
            candidate.fail(call, TimeoutError() if self._timed_out else error, time.perf_counter() - start)
        else:
            cancelled = False
            candidate.succeed(call, output, time.perf_counter() - start, is_no_interrupt)
        finally:
            self._end(cancelled=cancelled)

    def _goes_on(self, error: BaseException) -> bool:
        """Return whether an exception leaves the task: its cancellation, the end of the coroutine, or an interrupt."""
        if _is_interrupt(error):
            _interrupted.append(self.task)
            return True
        return self._is_closed or (isinstance(error, asyncio.CancelledError) and self._is_cancelled())

    def _end(self, *, cancelled: bool) -> None:
        for timer in (self._timer, self._cleanup):
            if timer is not None:
                timer.cancel()
        if self.call.watch is not None:
            self.call.watch.is_cancelled = never
        self._on_end(self, cancelled)
        self.task = None  # a cycle otherwise, which keeps the input until garbage is collected

    def _drive(self) -> Generator[Any, Any, Any]:
        """Call the candidate and await its result, step by step."""
        call = self.call
        result = self._timed(functools.partial(self._candidate.function, *call.args, **call.kwargs))
        iterator = self._timed(functools.partial(_iterate, result))
        if iterator is None:
            return self._timed(functools.partial(_exhaust, result))
        advance: Callable[[], Any] | None = functools.partial(next, iterator)
        while True:
            try:
                waited_for = self._timed(advance)
            except StopIteration as stop:
                return stop.value
            finally:
                advance = None  # it may hold the exception whose traceback holds this frame
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._timeout, self._expire)
            try:
                yield waited_for
            except BaseException as error:
                self._is_closed = self._is_closed or isinstance(error, GeneratorExit)
                if self._is_closed or self._abandoned:
                    self._discarding = not self._timed_out
                    # Without its task, as when garbage is collected, the candidate needs its context all the same.
                    call.context.run(_close, iterator)
                    raise
                if isinstance(error, asyncio.CancelledError):
                    self._limit_cleanup()
                if not hasattr(iterator, "throw"):
                    raise
                advance = functools.partial(iterator.throw, error)
            else:
                advance = functools.partial(next, iterator)

    def _timed(self, step: Any) -> Any:
        start = time.perf_counter()
        try:
            return step()
        finally:
            del step  # as above
            self._on_step(time.perf_counter() - start)

    def discard(self) -> None:
        """End the coroutine of a loop that was closed or is never to go on."""
        self._is_closed = True
        self._steps.close()

    # --- cancellation ------------------------------------------------------------------------------------------------

    def cancel(self, reason: str) -> None:
        """Cancel the task. The call counts as dropped for *reason*."""
        self.reason = reason
        if self.task is not None and not self.task.done():
            self.task.cancel()
            self._limit_cleanup()

    reason = ""

    def _is_cancelled(self) -> bool:
        """Return whether the host cancels the task, and neither a scope within the candidate nor the time-out."""
        if self._discarding:
            return True
        return not self._timed_out and self._cancellations() > 0

    def _cancellations(self) -> int:
        if not TELLS_CANCELLED:
            return 1  # a candidate that cancels itself is taken for one that the host cancels
        return 0 if self.task is None else self.task.cancelling()  # type: ignore[attr-defined] # of Python 3.11

    def _expire(self) -> None:
        if self.task is None or self.task.done():
            return
        if TELLS_CANCELLED and self._cancellations():
            # It is being cancelled already. A scope within the candidate may take that back.
            self._timer = asyncio.get_running_loop().call_later(CLEANUP_SECONDS, self._expire)
            return
        self._timed_out = True
        self.task.cancel()
        self._limit_cleanup()

    def _limit_cleanup(self) -> None:
        """Let the candidate end within `CLEANUP_SECONDS`, unless a scope within it takes the cancellation back."""
        if self._cleanup is None and not (TELLS_CANCELLED and self._cancellations() == 0):
            self._cleanup = asyncio.get_running_loop().call_later(CLEANUP_SECONDS, self._abandon)

    def _abandon(self) -> None:
        self._cleanup = None
        if self.task is None or self.task.done() or not (self._timed_out or self.reason or self._cancellations()):
            return
        if self._abandoned:
            self._on_lost(self)
            return
        self._abandoned = True
        self.task.cancel()
        self._cleanup = asyncio.get_running_loop().call_later(CLEANUP_SECONDS, self._abandon)


_interrupted: list[asyncio.Task[None] | None] = []
"""Tasks that an interrupt has ended. Their loop may not go on, which would call them back."""


def retrieve_interrupts() -> None:
    """Take the interrupts out of their tasks, because asyncio logs exceptions that nothing has taken out."""
    for task in tuple(_interrupted):
        if task is not None and task.done() and not task.cancelled():
            task.exception()
    _interrupted.clear()


def _iterate(result: Any) -> Any:
    """Return the iterator of steps that a result is awaited by, or None if it is no awaitable."""
    late = late_kind(type(result))
    if late is None or (late == "generator" and not inspect.isawaitable(result)):
        return None
    if late == "async generator":
        return _last(result).__await__()
    if late == "future" and not hasattr(result, "__await__"):
        result = asyncio.wrap_future(result)
    if late == "generator":
        return iter(result)
    return result.__await__()


def _exhaust(result: Any) -> Any:
    """Return the last value of a generator, and any other result itself."""
    if late_kind(type(result)) is None:
        return result
    return functools.reduce(lambda _, value: value, result, None)


async def _last(values: Any) -> Any:
    last = None
    async for value in values:
        last = value
    return last


def _is_interrupt(error: BaseException) -> bool:
    """
    Return whether an exception of the candidate is an interrupt, which goes on to the host.

    A task keeps all exceptions but those of two classes, also if a signal handler raises them.
    """
    return isinstance(error, (KeyboardInterrupt, SystemExit)) and not is_no_interrupt(error)


def _close(iterator: Any) -> None:
    """Close the candidate, which has not ended after its cancellation."""
    if not hasattr(iterator, "close"):
        return
    try:
        iterator.close()
    except BaseException as error:  # it ignores the end, or raises in a finally clause
        if _is_interrupt(error):
            raise
