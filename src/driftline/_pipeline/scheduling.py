"""Who judges, and who waits for whom: a distance of the user's may never come to its end, and nobody waits for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

from driftline._recording.recorder import Recorder
from driftline._runtime.guard import Guard
from driftline._runtime.watched_lock import POLL_SECONDS, TIMEOUT_SECONDS
from driftline._runtime.worker import Worker
from driftline._windows.ring import WindowCounts
from driftline.detection._evaluator import WindowEvaluator

__all__ = ["EvaluationTurns"]

MOST_PENDING = 128
"""Completed windows that wait before a caller waits for the one who is judging: memory stays fixed."""

COLLECTION_SECONDS = 0.5
"""
How long a collection does: what is judged meanwhile goes out with the next one. Counts are complete either way, but for
rows on their way through functions of the user's.
"""


class EvaluationTurns:
    """
    Gives one thread at a time the turn to judge, and counts the rounds of our own.

    Args:
        guard: told when a judgement does not come to its end.

    Attributes:
        awaited: whether a collection waits for a round, which is not to rest then.
    """

    __slots__ = ("_begun", "_ended", "_guard", "_stuck", "awaited")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.reset()

    def reset(self) -> None:
        """Start anew: the child of a fork."""
        self._stuck = self.awaited = False
        self._begun = self._ended = 0

    def judge(
        self, judging: WindowEvaluator | None, recorder: Recorder, pause: Callable[[], bool] | None = None
    ) -> None:
        """Judge the complete windows as soon as no other thread does; *pause* as in `WindowEvaluator.evaluate`."""
        if judging is not None and self._taken(judging):
            try:
                windows = list(recorder.windows())
                if windows:
                    judging.evaluate(windows, pause=pause)
                    recorder.divide(wanted=judging.learning)
            finally:
                judging.lock.release()

    def judge_partial(self, judging: WindowEvaluator | None, partial: WindowCounts | None) -> bool:
        """Judge what there is of a first window; whether there was anything."""
        if judging is None or partial is None or not partial.rows or not self._taken(judging):
            return False
        try:
            judging.evaluate([partial], partial=True)
        finally:
            judging.lock.release()
        return True

    def overdue(self, judging: WindowEvaluator | None, recorder: Recorder) -> None:
        """
        Judge windows in a caller's thread, unless somebody is at it just now.

        Where more wait than may the caller waits too, and they are left out where a judgement does not end.
        """
        waiting = len(recorder.pending)
        if not waiting or judging is None:
            return
        if waiting > MOST_PENDING:
            self.judge(judging, recorder)
            if self._stuck and (left := len(list(recorder.windows()))):
                self._guard.report("judging", f"{left} windows are left out, a judgement does not end")
        elif judging.lock.acquire(blocking=False):
            try:
                self.judge(judging, recorder)
            finally:
                judging.lock.release()

    def round(self, settle: Callable[[], None]) -> None:
        """One round of our own thread."""
        self._begun += 1
        try:
            settle()
        finally:
            self._ended = self._begun

    def collect(self, thread: Worker | None, drain: Callable[[], None], settle: Callable[..., None]) -> None:
        """
        Settle for a collection: wait for a round of our own thread, as long as one may, and count what is left.

        Args:
            thread: ours, if there is one.
            drain: counts what waits, but for rows that functions of the user's are in the way of.
            settle: as `driftline._pipeline.pipeline.Pipeline.settle`.
        """
        if thread is None or thread.stopped:
            settle()
        elif not thread.running:
            # Nobody has predicted in this process, or somebody is about to start it: functions of the user's are its.
            settle(foreign=True)
        else:
            self.awaited = True
            end, wanted = time.monotonic() + COLLECTION_SECONDS, self._begun + 1
            thread.wake()
            while self._ended < wanted and thread.running and not self._stuck and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
            self.awaited = False
            drain()

    def _taken(self, judging: WindowEvaluator) -> bool:
        self._stuck = not judging.lock.acquire()
        if self._stuck:
            self._guard.report(
                "judging", f"no window evaluated for {TIMEOUT_SECONDS:g} s: does one of your distances hang?"
            )
        return not self._stuck
