"""Late labels to accuracy counts, and the accuracy that can be estimated before they arrive."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from driftline._values import Correct, Counts, OutcomeCounts

__all__ = ["OutcomeStore", "OutcomeTally", "estimated_accuracy"]

REMEMBERED = 100_000
"""Predictions that wait for their outcome at most: about 20 MB of ids and outputs."""

PANE_OUTCOMES, PANES = 500, 10
"""Realised accuracy is that of the last 5,000 outcomes or so, in steps of 500."""


def estimated_accuracy(outcomes: OutcomeCounts, current: Counts) -> float | None:
    """
    Accuracy expected of a window from its predictions alone: Σ q_b A_b.

    ``q_b`` is the share of the window's predictions in bin b, ``A_b`` the reference's accuracy there: the idea of
    confidence-based performance estimation, from counts. It holds while a score goes on meaning what it meant
    (covariate shift), and knows nothing of concept shift. None where no prediction falls into a bin of known accuracy.

    >>> estimated_accuracy(OutcomeCounts((10, 10), (9, 5)), np.array([30, 10]))
    0.8
    """
    known = np.array(outcomes.known, dtype=np.float64)
    usable = known > 0
    rows = float(current[usable].sum())
    if not rows:
        return None
    accuracy = np.array(outcomes.correct)[usable] / known[usable]
    return float((current[usable] * accuracy).sum() / rows)


@dataclass(frozen=True, slots=True)
class OutcomeTally:
    """Outcomes by result since the start, and realised accuracy: all of them, and the latest."""

    results: dict[str, int]
    recent_known: int
    recent_correct: int

    @property
    def known(self) -> int:
        """Outcomes that could be called right or wrong."""
        return self.results.get("correct", 0) + self.results.get("incorrect", 0)

    @property
    def correct(self) -> int:
        """Outcomes that the prediction got right."""
        return self.results.get("correct", 0)

    @property
    def accuracy(self) -> float | None:
        """Share of the latest outcomes that the prediction got right; None before the first."""
        return self.recent_correct / self.recent_known if self.recent_known else None


class OutcomeStore:
    """
    Joins predictions with outcomes by id, within bounded memory.

    Args:
        correct: decides whether a prediction was right; None: outcomes are matched, not judged.
        capacity: predictions that wait at most; beyond it the oldest one expires.

    Attributes:
        heard: told each prediction, its outcome, and whether it was right (None: nothing says what right is).
    """

    __slots__ = ("_capacity", "_correct", "_done", "_lock", "_open", "_panes", "_results", "_waiting", "heard")

    def __init__(self, correct: Correct | None, capacity: int = REMEMBERED) -> None:
        self.heard: Callable[[object, object, bool | None], None] | None = None
        self._correct = correct
        self._capacity = capacity
        self.reset()

    def reset(self) -> None:
        """Forget everything: the child of a fork starts here."""
        # Re-entrant: forgetting an output may run a finalizer of the host, and that may predict.
        self._lock = threading.RLock()
        self._waiting: OrderedDict[object, object] = OrderedDict()
        self._done: OrderedDict[object, None] = OrderedDict()
        self._results: dict[str, int] = {}
        self._panes: deque[tuple[int, int]] = deque(maxlen=PANES)
        self._open = [0, 0]

    def judge_by(self, correct: Correct | None) -> None:
        """Set what is right, once a reference has been learnt."""
        self._correct = correct

    def remember(self, prediction_id: object, output: object) -> None:
        """Keep an output until its outcome arrives."""
        with self._lock:
            self._waiting[prediction_id] = output
            if len(self._waiting) > self._capacity:
                self._waiting.popitem(last=False)
                self._count("expired")

    def resolve(self, prediction_id: object, actual: object) -> str:
        """Join an outcome with its prediction: the result that was counted."""
        with self._lock:
            if prediction_id not in self._waiting:
                result = "duplicate" if prediction_id in self._done else "unmatched"
                self._count(result)
                return result
            output = self._waiting.pop(prediction_id)
            self._done[prediction_id] = None
            if len(self._done) > self._capacity:
                self._done.popitem(last=False)
            if self._correct is None:
                self._count("matched")
        if self._correct is None:
            self._tell(output, actual, None)
            return "matched"
        # A user's function runs outside the lock; when it raises, the outcome was matched and not judged.
        try:
            right = bool(self._correct(output, actual))
        except Exception:
            with self._lock:
                self._count("matched")
            raise
        result = "correct" if right else "incorrect"
        with self._lock:
            self._count(result)
            self._open[0] += 1
            self._open[1] += right
            if self._open[0] >= PANE_OUTCOMES:
                self._panes.append((self._open[0], self._open[1]))
                self._open = [0, 0]
        self._tell(output, actual, right)
        return result

    def _tell(self, output: object, actual: object, right: bool | None) -> None:  # noqa: FBT001 - three states
        if self.heard is not None:
            self.heard(output, actual, right)

    def read(self) -> OutcomeTally:
        """The counts so far."""
        with self._lock:
            known = self._open[0] + sum(pane[0] for pane in self._panes)
            correct = self._open[1] + sum(pane[1] for pane in self._panes)
            return OutcomeTally(dict(self._results), known, correct)

    def _count(self, result: str) -> None:
        self._results[result] = self._results.get(result, 0) + 1
