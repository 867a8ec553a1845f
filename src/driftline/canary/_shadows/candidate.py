"""`Candidate`: begins and ends calls, records those that its monitor does not see, and compares outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from driftline._runtime.guard import GuardedBlock
from driftline._runtime.shadow_watch import ShadowRecorder
from driftline.canary._shadows.agreement import Agree, count_agreeing
from driftline.canary._shadows.calls import ShadowCall

__all__ = ["Candidate"]

Recording: TypeAlias = Literal["unknown", "here", "elsewhere"]
"""
Who records calls that no function of the candidate's monitor has seen in their context. "elsewhere": threads without
that context, such as those of an executor.
"""


class Candidate:
    """
    The predict function of a candidate, and what follows from its calls.

    Args:
        function: the predict function.
        agree: called with (baseline's output, candidate's output), returns whether they agree.
        recorder: records calls for the candidate's monitor. If None, that monitor is in another process.
        count_calls: returns the number of calls that the candidate's monitor has recorded.
        on_compared: called with (rows compared, rows that agreed) for each compared call.
        on_error: called with ("agree", error) if outputs cannot be compared.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        agree: Agree,
        recorder: ShadowRecorder | None,
        count_calls: Callable[[], int],
        on_compared: Callable[[int, int], None],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self.function = function
        self._agree, self._recorder, self._count_calls = agree, recorder, count_calls
        self._on_compared, self._on_error = on_compared, on_error
        self._recording: Recording = "unknown"
        self._probe: ShadowCall | None = None

    def reset(self) -> None:
        """Forget the call under way that shows where calls are recorded, in the child of a fork."""
        self._probe = None

    def begin(self, call: ShadowCall) -> None:
        """Prepare the context of a call."""
        if self._recorder is None:
            return
        call.watch = call.context.run(self._recorder.watch_shadow)
        if self._recording == "unknown" and self._probe is None:
            self._probe = call
            call.calls_before = self._count_calls()

    def succeed(self, call: ShadowCall, output: Any, seconds: float, contains: Callable[[BaseException], bool]) -> None:
        """End a call that returned *output*, and compare it. *contains* returns whether an exception is reported."""
        self._record(call, seconds, None)
        if not call.comparable:
            return
        with GuardedBlock(self._on_error, "agree", contains):
            self._on_compared(*count_agreeing(self._agree(call.expected, output)))

    def fail(self, call: ShadowCall, error: BaseException, seconds: float) -> None:
        """End a call that raised."""
        self._record(call, seconds, error)

    def discard(self, call: ShadowCall) -> None:
        """End a call of which nothing is recorded."""
        if self._probe is call:
            self._probe = None

    def _record(self, call: ShadowCall, seconds: float, error: BaseException | None) -> None:
        """Record a call unless the function that it calls is instrumented and has done so."""
        recorder, watch = self._recorder, call.watch
        if recorder is None or watch is None:
            return
        try:
            if watch.deferred is not None:
                recorder.record_shadow(call.rows, watch.deferred, error or TimeoutError())
            elif watch.recorded:
                self._recording = "here"
            elif self._is_recorded_here(call):
                recorder.record_shadow(call.rows, seconds, error)
        finally:
            self.discard(call)

    def _is_recorded_here(self, call: ShadowCall) -> bool:
        if self._recording == "unknown" and call.calls_before is not None:
            self._recording = "elsewhere" if self._count_calls() > call.calls_before else "here"
            if self._recording == "here" and self._recorder is not None:
                self._recorder.report(
                    "shadow",
                    "the candidate's function is not instrumented by its monitor: its calls, errors and durations "
                    "count, its features and predictions do not. Pass monitor.instrument(function) to canary.shadow",
                    "uninstrumented",
                )
        return self._recording == "here"
