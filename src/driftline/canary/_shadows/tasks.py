"""`LoopTasks`: background tasks that repeat the calls of async functions, on the event loop of the caller."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from driftline._runtime.guard import GuardedBlock
from driftline.canary._shadows.calls import Backlog, Limits, ShadowCall
from driftline.canary._shadows.candidate import Candidate
from driftline.canary._shadows.steps import CandidateRun, retrieve_interrupts
from driftline.canary._shadows.throttle import Throttle

__all__ = ["Lane", "LoopTasks", "running_loop"]


class Lane:
    """
    The calls of one event loop. All methods run in the thread of that loop.

    Args:
        loop: the event loop.
        owner: the tasks of all loops.

    Attributes:
        loop: as above.
        waiting: calls that have not begun.
        running: calls that have. They are the strong references of their tasks, of which a loop has weak ones only.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: LoopTasks) -> None:
        self.loop, self._owner = loop, owner
        self.waiting: deque[ShadowCall] = deque()
        self.running: set[CandidateRun] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self.waiting) + len(self.running)

    def fill(self) -> None:
        """Begin pending calls, as many as may run."""
        owner = self._owner
        while self.waiting and len(self.running) < owner.limits.concurrency:
            seconds = owner.throttle.delay()
            if seconds > 0.0:
                if self._timer is None:
                    self._timer = self.loop.call_later(seconds, self._resume)
                return
            self._begin(self.waiting.popleft())
        if not len(self):
            owner.forget(self)

    def _resume(self) -> None:
        self._timer = None
        self.fill()

    def _begin(self, call: ShadowCall) -> None:
        owner = self._owner
        owner.backlog.begin(call)
        run = CandidateRun(call, owner.candidate, owner.limits.timeout, owner.on_step, self._on_end, self._on_lost)
        started = False
        try:
            with GuardedBlock(owner.on_error, "shadow"):
                owner.candidate.begin(call)
                self.running.add(run)
                # In the caller's context, as of the call. Task factories of all versions accept this.
                task = call.context.run(self.loop.create_task, run)
                run.task, run.submitting, started = task, False, True
                with suppress(AttributeError):  # private; without it, a host that drops its loop reads a warning
                    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
        finally:
            if not started:
                self.running.discard(run)
                owner.end(call)

    def _on_end(self, run: CandidateRun, cancelled: bool) -> None:  # noqa: FBT001 - a callback
        self.running.discard(run)
        owner = self._owner
        if owner.end(run.call) and cancelled:
            owner.on_cancelled(run.reason, run.call.rows)
        if cancelled:
            # The loop ends. A task that began now would not end before it.
            self.drop_waiting(run.reason)
        self.fill()

    def _on_lost(self, run: CandidateRun) -> None:
        self.running.discard(run)
        self._owner.on_lost(run)

    def drop_waiting(self, reason: str) -> None:
        """Drop the calls that have not begun."""
        owner = self._owner
        while self.waiting:
            call = self.waiting.popleft()
            if owner.end(call):
                owner.on_cancelled(reason, call.rows)

    def cancel(self, reason: str) -> None:
        """Drop the calls that have not begun, and cancel those that have."""
        self.drop_waiting(reason)
        for run in tuple(self.running):
            run.cancel(reason)
        self.fill()

    def discard(self) -> None:
        """Drop all calls, because the loop is closed."""
        self.drop_waiting("")
        while self.running:
            run = self.running.pop()
            with GuardedBlock(self._owner.on_error, "shadow"):
                run.discard()
            if self._owner.end(run.call):  # it had not begun
                self._owner.on_cancelled("", run.call.rows)


class LoopTasks:
    """
    The calls of async functions, per event loop.

    Args:
        candidate: the candidate.
        limits: the number of tasks per loop, and their time-out.
        backlog: the account of pending calls.
        throttle: the pauses between calls.
        on_step: called with the seconds in which the candidate held an event loop.
        on_cancelled: called with (reason, rows) for a call that was cancelled; the reason is empty if its loop ended.
        on_lost: called if a candidate ignores its cancellation.
        on_error: called with ("shadow", error) if a task cannot be created.
    """

    def __init__(
        self,
        candidate: Candidate,
        limits: Limits,
        backlog: Backlog,
        throttle: Throttle,
        on_step: Callable[[float], None],
        on_cancelled: Callable[[str, int], None],
        on_lost: Callable[[], None],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self.candidate, self.limits, self.backlog, self.throttle = candidate, limits, backlog, throttle
        self.on_step, self.on_cancelled, self.on_error = on_step, on_cancelled, on_error
        self._on_lost = on_lost
        self._lanes: dict[int, Lane] = {}
        self._lost: set[CandidateRun] = set()

    def put(self, call: ShadowCall, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a call that is in the backlog, or let it wait. The caller runs in the thread of the loop."""
        lane = self._lanes.get(id(loop))
        if lane is None or lane.loop is not loop:
            self.discard_closed()
            lane = self._lanes[id(loop)] = Lane(loop, self)
        lane.waiting.append(call)
        lane.fill()

    def end(self, call: ShadowCall) -> bool:
        """Take note that a call has ended. Return False if it ended before, or in another process."""
        self.candidate.discard(call)
        return self.backlog.end(call)

    def on_lost(self, run: CandidateRun) -> None:
        """Let go of a call that cannot be ended."""
        self._lost.add(run)
        self.end(run.call)
        self._on_lost()

    def held(self) -> set[ShadowCall]:
        """Return the calls that wait or run."""
        held: set[ShadowCall] = set()
        for lane in self.lanes():
            held.update(lane.waiting.copy(), [run.call for run in lane.running.copy()])
        return held

    def forget(self, lane: Lane) -> None:
        """Remove a loop without calls."""
        if self._lanes.get(id(lane.loop)) is lane:
            del self._lanes[id(lane.loop)]

    def lanes(self) -> list[Lane]:
        """Return the loops that have calls."""
        return list(self._lanes.values())

    def discard_closed(self, *, at_exit: bool = False) -> None:
        """Drop the calls of loops that were closed without an end of their tasks; *at_exit*, also of stopped loops."""
        retrieve_interrupts()
        for lane in self.lanes():
            if lane.loop.is_closed() or (at_exit and not lane.loop.is_running()):
                self.forget(lane)
                lane.discard()

    def cancel(self, reason: str) -> None:
        """Cancel the calls of all loops, from any thread."""
        current = running_loop()
        for lane in self.lanes():
            if lane.loop is current:
                lane.cancel(reason)
                continue
            with suppress(RuntimeError):  # it is closed
                lane.loop.call_soon_threadsafe(lane.cancel, reason)
        self.discard_closed()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of asyncio that runs in this thread; None without one, or under another library."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
