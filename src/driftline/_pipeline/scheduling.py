"""One thread at a time evaluates windows. Others wait a limited time, because a user's distance may never return."""

from __future__ import annotations

import time
from collections.abc import Callable

from driftline._runtime.floats import without_float_errors
from driftline._runtime.guard import Guard
from driftline._runtime.watched_lock import POLL_SECONDS, TIMEOUT_SECONDS
from driftline._runtime.worker import Worker
from driftline._windows.panes import Panes
from driftline.detection._evaluator import WindowEvaluator
from driftline.detection._streaming import StreamEvaluator

__all__ = ["EvaluationTurns", "WorkerRounds"]

WAIT_PENDING = 128
"""Pending windows beyond which a caller waits for the thread that evaluates, so that memory stays fixed."""

COLLECTION_SECONDS = 0.5
"""
Seconds that a metric collection waits for pending evaluations. Later results go out with the next collection.

Counts are complete either way, except for rows that must pass through user functions.
"""


class EvaluationTurns:
    """
    Evaluates the windows of one reference, in one thread at a time.

    `Pipeline.settle` and `Pipeline.flush` ignore floating-point errors. Here only `evaluate_overdue` does, in callers.

    Args:
        evaluator: evaluates windows. Its lock admits one thread at a time.
        panes: the completed windows that are pending.
        detectors: the stream detectors, which callers feed if there is no worker thread.
        guard: reports evaluations that do not return.
    """

    __slots__ = ("_detectors", "_evaluator", "_guard", "_panes")

    def __init__(
        self, evaluator: WindowEvaluator, panes: Panes, detectors: StreamEvaluator | None, guard: Guard
    ) -> None:
        self._evaluator, self._panes, self._detectors, self._guard = evaluator, panes, detectors, guard

    @property
    def stuck(self) -> bool:
        """Whether an evaluation does not return."""
        return self._evaluator.lock.stuck

    def evaluate(self, pause: Callable[[], bool] | None = None) -> None:
        """
        Evaluate the pending windows. If another thread evaluates, wait for it.

        If the other thread makes no progress, report it and evaluate none.

        *pause* is as for `WindowEvaluator.evaluate`.
        """
        with self._evaluator.lock.hold() as held:
            if held:
                self._evaluate_pending(pause)
        if not held:
            self._report_stuck()

    def _evaluate_pending(self, pause: Callable[[], bool] | None = None) -> None:
        """Evaluate the pending windows. The caller holds the evaluator's lock."""
        windows = self._panes.pop_windows()
        if windows:
            self._evaluator.evaluate(windows, pause=pause)
            self._panes.divide(wanted=self._evaluator.learning)

    def evaluate_partial(self) -> bool:
        """Evaluate the rows so far if the first window is not complete. Return whether any row was evaluated."""
        partial = self._panes.pop_partial()
        if partial is None or not partial.rows:
            return False
        with self._evaluator.lock.hold() as held:
            if held:
                self._evaluator.evaluate([partial], incomplete=True)
        if not held:
            self._report_stuck()
        return held

    @without_float_errors
    def evaluate_overdue(self, threaded: bool) -> None:  # noqa: FBT001 - a callback of `Backpressure`
        """
        Evaluate pending windows in a caller's thread, unless another thread is evaluating.

        If more than `WAIT_PENDING` are pending, the caller waits for the other thread. If that thread does not return,
        the windows are dropped and reported.

        Args:
            threaded: whether there is a worker thread. If not, the caller feeds the detectors too.
        """
        pending, lock = len(self._panes.pending), self._evaluator.lock
        if pending > WAIT_PENDING:
            self.evaluate()
            if self.stuck and (dropped := len(self._panes.pop_windows())):
                self._guard.report("judging", f"{dropped} windows are dropped, since an evaluation does not return")
        elif pending:
            with lock.hold(blocking=False) as held:
                if held:
                    self._evaluate_pending()
        if self._detectors is not None and not threaded:
            self._detectors.feed()

    def reset(self) -> None:
        """Clear scores and states, as the child of a fork must, and learn the dependence of rows again if needed."""
        self._evaluator.reset()
        self._panes.divide(wanted=self._evaluator.learning)

    def _report_stuck(self) -> None:
        """Report that the thread that evaluates makes no progress."""
        self._guard.report(
            "judging", f"no window evaluated for {TIMEOUT_SECONDS:g} s: does one of your distances hang?"
        )


class WorkerRounds:
    """
    Counts the rounds of the worker thread, so that a collection can wait for one.

    Attributes:
        awaited: whether a collection waits. The worker thread then takes no long pauses.
    """

    __slots__ = ("_begun", "_ended", "_requested", "awaited")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start at zero, as the child of a fork must."""
        self.awaited = False
        self._begun = self._ended = 0
        self._requested: tuple[int, float] | None = None

    def run(self, settle: Callable[[], None]) -> None:
        """Run *settle* as one round of the worker thread, and count the round."""
        self._begun += 1
        try:
            settle()
        finally:
            self._ended = self._begun

    def request(self, worker: Worker) -> tuple[int, float]:
        """Wake the worker thread. Return the number of the round that `wait_for_next` awaits, and until when."""
        self.awaited = True
        requested = self._begun + 1, time.monotonic() + COLLECTION_SECONDS
        self._requested = requested
        worker.wake()
        return requested

    def wait_for_next(self, worker: Worker, is_stuck: Callable[[], bool]) -> None:
        """
        Wait until the worker thread has completed a round that begins now, or that began after `request`.

        The wait ends early after `COLLECTION_SECONDS`, when the worker thread stops, or when *is_stuck* returns True.
        """
        wanted, end = self._requested or self.request(worker)
        self._requested = None
        while self._ended < wanted and worker.running and not is_stuck() and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        self.awaited = False
