"""`Shadow`: repeats the baseline's calls with the candidate, and counts how often their outputs agree."""

from __future__ import annotations

import contextvars
import functools
import inspect
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from driftline._capture.libraries import is_column
from driftline._capture.outputs import SCALARS
from driftline._runtime.guard import GuardedBlock
from driftline._runtime.late_results import Late, late_kind
from driftline.canary._shadows.blocking import BLOCK_SECONDS, MAX_BLOCKS, BlockCounter
from driftline.canary._shadows.calls import LOST_SECONDS, Backlog, Limits, ShadowCall
from driftline.canary._shadows.candidate import Candidate
from driftline.canary._shadows.copies import deep_copy
from driftline.canary._shadows.ending import close_at_exit
from driftline.canary._shadows.pool import ThreadPool
from driftline.canary._shadows.sizes import size_of
from driftline.canary._shadows.throttle import Throttle

if TYPE_CHECKING:
    from driftline.canary._shadows.tasks import LoopTasks

__all__ = ["Copy", "Hooks", "Shadow"]

Copy: TypeAlias = 'Callable[[Any], Any] | Literal["deep"] | None'
"""How inputs and outputs are copied: a user function, driftline's own, or not at all."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """
    What a shadow calls.

    Attributes:
        on_error: called with ("agree" or "shadow", error) to count an error.
        on_dropped: called with (reason, rows) for rows that the candidate did not predict.
        report: called with ("shadow", message, subject) to count a problem, and to log its message once a subject.
    """

    on_error: Callable[[str, BaseException], None]
    on_dropped: Callable[[str, int], None]
    report: Callable[[str, str, str], None]


class Shadow:
    """
    Repeats the calls of one baseline: in threads if it is a plain function, on the caller's event loop if it is async.

    Args:
        candidate: the candidate.
        limits: what the candidate may take.
        copy: how inputs and outputs are copied.
        hooks: called when calls are dropped, and when something fails.
    """

    def __init__(self, candidate: Candidate, limits: Limits, copy: Copy, hooks: Hooks) -> None:
        self._candidate, self._limits, self._hooks = candidate, limits, hooks
        self._copy: Callable[[Any], Any] | None = deep_copy if copy == "deep" else copy
        # Bound here, so that every reason is in one place.
        self._drop_share = functools.partial(hooks.on_dropped, "shadow_share")
        self._drop_stopped = functools.partial(hooks.on_dropped, "shadow_stopped")
        self._drop_full = functools.partial(hooks.on_dropped, "shadow")
        self._drop_large = functools.partial(hooks.on_dropped, "shadow_bytes")
        self._drop_loop = functools.partial(hooks.on_dropped, "shadow_loop")
        self._drop_ended = functools.partial(hooks.on_dropped, "shadow_ended")
        self._closed = self._stopped = False
        self.reset()
        close_at_exit(self)

    def reset(self) -> None:
        """Drop all calls, at the start and in the child of a fork. The next call starts a thread or a task."""
        self._candidate.reset()
        self._throttle = Throttle(self._limits.max_load)
        self._backlog = Backlog(self._limits)
        self._pool = ThreadPool(self._candidate, self._limits, self._backlog, self._throttle, self._hooks.on_error)
        self._tasks: LoopTasks | None = None
        self._blocks = BlockCounter()
        self._next_look = 0.0

    # --- the caller's side -------------------------------------------------------------------------------------------

    def wrap(self, baseline: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that behaves like *baseline*, and repeats each call with the candidate."""
        if inspect.iscoroutinefunction(baseline):

            @functools.wraps(baseline)
            async def serve_async(*args: Any, **kwargs: Any) -> Any:
                call = self._prepare(args, kwargs)
                try:
                    result = await baseline(*args, **kwargs)
                except Exception:
                    self._submit(call, None, failed=True, in_loop=True)
                    raise
                self._submit(call, result, in_loop=True)
                return result

            return serve_async

        @functools.wraps(baseline)
        def serve(*args: Any, **kwargs: Any) -> Any:
            call = self._prepare(args, kwargs)
            try:
                result = baseline(*args, **kwargs)
            except Exception:
                self._submit(call, None, failed=True)
                raise
            late = late_kind(type(result))
            if late is None:
                self._submit(call, result)
                return result
            return self._follow(call, result, late)

        return serve

    def _follow(self, call: ShadowCall | Callable[[int], None] | None, result: Any, late: Late) -> Any:
        """Submit a call when the output is known that *result* leads to. Return what the caller gets."""
        if call is None:
            return result
        if late == "coroutine":

            async def awaited() -> Any:
                try:
                    output = await result
                except Exception:
                    self._submit(call, None, failed=True, in_loop=True)
                    raise
                self._submit(call, output, in_loop=True)
                return output

            return awaited()
        in_loop = hasattr(result, "__await__")
        if late == "future":

            def on_done(future: Any) -> None:
                # `exception()` of asyncio would keep it from logging an exception that the host never reads.
                failed = future.cancelled() or getattr(future, "_exception", None) is not None
                self._submit(call, None if failed else future.result(), failed=failed, in_loop=in_loop)

            result.add_done_callback(on_done)
            return result
        self._submit(call, None, failed=True, in_loop=in_loop or late == "async generator")
        with GuardedBlock(self._hooks.on_error, "agree"):
            msg = f"the baseline returns a {type(result).__name__}: outputs of an iteration are not compared"
            raise TypeError(msg)
        return result

    def _prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ShadowCall | Callable[[int], None] | None:
        """
        Copy the arguments of a call and its context, before the baseline can change them.

        Returns:
            The call. If it is not repeated: a function that counts its rows as dropped, or None to count nothing.
        """
        if self._closed:
            return None
        if self._stopped:
            return self._drop_stopped
        limits = self._limits
        if limits.share < 1.0 and random.random() >= limits.share:  # noqa: S311 - no secret
            return self._drop_share
        backlog = self._backlog
        if backlog.is_full():
            self._drop_lost()
            self._report_hanging()
            return self._drop_full
        with GuardedBlock(self._hooks.on_error, "shadow"):
            size = size_of(*args, *kwargs.values())
            if backlog.is_too_large(size):
                return self._drop_large
            copy = self._copy
            if copy is not None:
                args = tuple(map(copy, args))
                kwargs = {name: copy(value) for name, value in kwargs.items()}
            return ShadowCall(args, kwargs, contextvars.copy_context(), size)
        return None

    def _submit(
        self,
        call: ShadowCall | Callable[[int], None] | None,
        result: Any,
        *,
        failed: bool = False,
        in_loop: bool = False,
    ) -> None:
        """
        Let the candidate repeat a call of the baseline.

        Args:
            call: from `_prepare`.
            result: the output of the baseline.
            failed: whether the baseline raised, or returned what cannot be compared.
            in_loop: whether the candidate runs in an event loop.
        """
        if call is None or self._closed:
            return
        with GuardedBlock(self._hooks.on_error, "shadow"):
            rows = 1 if failed else _count_rows(result)
            if not isinstance(call, ShadowCall):
                call(rows)
                return
            call.rows, call.comparable = rows, not failed
            if call.comparable:
                call.size += size_of(result)
                call.expected = result if self._copy is None else self._copy(result)
            if in_loop:
                self._submit_to_loop(call)
            elif self._admit(call):
                admitted = False
                try:
                    self._pool.put(call)
                    admitted = True
                finally:
                    if not admitted:
                        self._backlog.end(call)

    def _submit_to_loop(self, call: ShadowCall) -> None:
        from driftline.canary._shadows.tasks import LoopTasks, running_loop  # noqa: PLC0415 - asyncio takes a sixth of the time of importing numpy

        loop = running_loop()
        if loop is None:
            self._drop_loop(call.rows)
            self._hooks.report(
                "shadow",
                "no event loop of asyncio runs here, as under trio: the candidate does not repeat async calls. Under "
                "trio, pass plain functions to canary.shadow",
                "no loop",
            )
            return
        if self._tasks is None:
            self._tasks = LoopTasks(
                self._candidate,
                self._limits,
                self._backlog,
                self._throttle,
                self._on_step,
                self._on_cancelled,
                self._on_lost,
                self._hooks.on_error,
            )
        if self._admit(call):
            self._blocks.calls += 1
            self._tasks.put(call, loop)

    def _admit(self, call: ShadowCall) -> bool:
        backlog = self._backlog
        if backlog.add(call):
            return True
        (self._drop_full if backlog.is_full() else self._drop_large)(call.rows)
        return False

    # --- what the candidate does -------------------------------------------------------------------------------------

    def _on_step(self, seconds: float) -> None:
        """Charge a step in which the candidate held the event loop. Stop if it blocks the loop again and again."""
        self._throttle.spend(seconds)
        if self._blocks.add(seconds) and not self._stopped:
            self._stop(
                f"the shadow has stopped: the candidate blocked the event loop for {seconds:.2f} s, and {MAX_BLOCKS} "
                f"times for more than {BLOCK_SECONDS} s, which delays all live calls. Await such work with "
                "asyncio.to_thread, or pass plain functions to canary.shadow, which run in a thread",
            )

    def _on_lost(self) -> None:
        self._stop(
            "the shadow has stopped: the candidate neither ended within its time-out nor when it was cancelled and "
            "closed. Let it pass on asyncio.CancelledError"
        )

    def _stop(self, message: str) -> None:
        self._stopped = True
        self._hooks.report("shadow", message, "stopped")
        if self._tasks is not None:
            self._tasks.cancel("shadow_stopped")

    def _on_cancelled(self, reason: str, rows: int) -> None:
        if reason == "shadow_stopped":
            self._drop_stopped(rows)
            return
        self._drop_ended(rows)
        if not reason:
            self._hooks.report(
                "shadow",
                "an event loop ended before the candidate did, so calls are not repeated. Before the loop ends, await "
                "canary.aflush(); a program that runs a loop per call needs plain functions",
                "ended",
            )

    def _report_hanging(self) -> None:
        if self._pool.hung_seconds() > self._limits.timeout:
            self._hooks.report(
                "shadow",
                f"the candidate has not returned for {self._limits.timeout:g} s, and Python cannot end its thread: no "
                "further call is repeated until it does. Give what it waits for a time-out",
                "hanging",
            )

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether no call is pending or runs."""
        return self._backlog.unfinished == 0

    @property
    def runs_in_threads(self) -> bool:
        """Whether a thread is in a call of the candidate."""
        return self._pool.running > 0

    def unthrottled(self) -> AbstractContextManager[None]:
        """Let calls begin without pauses, while something waits for their end."""
        return self._throttle.suspended()

    def makes_progress(self) -> bool:
        """Return whether pending calls can end. Those of the loop in this thread, and of stopped loops, cannot."""
        self._drop_lost()
        tasks, pool = self._tasks, self._pool
        if tasks is None or pool.running or pool.held() is None:
            return True
        from driftline.canary._shadows.tasks import running_loop  # noqa: PLC0415 - loaded already

        tasks.discard_closed()
        current, lanes = running_loop(), tasks.lanes()
        if any(lane.loop is current for lane in lanes):
            self._hooks.report(
                "shadow",
                "flush() and close() cannot wait for calls of the event loop in whose thread they run: await "
                "canary.aflush() or canary.aclose()",
                "flush",
            )
        # A lane is gone a moment before its last call is.
        return not lanes or any(lane.loop.is_running() and lane.loop is not current for lane in lanes)

    def _drop_lost(self) -> None:
        """Drop the calls that an interrupt has kept from the threads and tasks. Look for them once a second."""
        now = time.monotonic()
        held = None if now < self._next_look else self._pool.held()
        if held is None:
            return
        self._next_look = now + LOST_SECONDS
        if self._tasks is not None:
            held.update(self._tasks.held())
        for call in self._backlog.drop_lost(held):
            self._candidate.discard(call)

    def close(self) -> None:
        """End threads and tasks. Pending calls are dropped, and later ones are not repeated."""
        self._closed = True
        self._pool.close()
        if self._tasks is not None:
            self._tasks.cancel("shadow_ended")

    def close_at_exit(self) -> None:
        """End the threads after their present calls, and drop the calls of loops that do not run."""
        self._closed = True
        self._pool.close()
        if self._tasks is not None:
            self._tasks.discard_closed(at_exit=True)


def _count_rows(result: Any) -> int:
    """Return the number of rows of an output; 1 for a single prediction."""
    if type(result) in SCALARS:
        return 1
    try:
        return len(result) if isinstance(result, np.ndarray) or is_column(result) or hasattr(result, "columns") else 1
    except TypeError:  # an array without a dimension
        return 1
