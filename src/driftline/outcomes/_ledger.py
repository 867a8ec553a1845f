"""What the outcomes of one model, version and variant say: counts since the start, a window of the latest, states."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from driftline._binning.bins import (
    CategoricalBins,
    Feature,
    OutcomeCounts,
)
from driftline._binning.prediction_kind import kind_of
from driftline.outcomes._grading import (
    Graded,
    Grader,
)
from driftline.outcomes._limits import Limit, judge, limits_for
from driftline.outcomes._metrics import Performance, estimated_accuracy, performance
from driftline.outcomes._policy import OutcomePolicy
from driftline.outcomes._snapshot import OutcomeSnapshot
from driftline.results import (
    FeatureStatus,
    StateChange,
    replaced,
)
from driftline.typing import (
    Correct,
    Counts,
    Label,
)

__all__ = ["Ledger", "OutcomeTally"]

NAMED_CLASSES = 10
"""Classes of which precision, recall and F1 are exported unless the user names others: the most frequent ones."""


@dataclass(frozen=True, slots=True)
class OutcomeTally:
    """Outcomes by result since the start, and realised accuracy: all of them, and the latest."""

    results: Mapping[str, int]
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


class Ledger:
    """
    Counts pairs of a prediction and its outcome.

    Args:
        policy: how long the window is, and what is asked.
        correct: decides whether a prediction was right; None: told by the kind of prediction.
        changed: told when a limit changes its state.
        caught: told of what the user's function raises.

    Attributes:
        heard: told each prediction, its outcome, and whether it was right (None: nothing says what right is).
    """

    def __init__(
        self,
        policy: OutcomePolicy,
        correct: Correct | None,
        changed: Callable[[StateChange], None],
        caught: Callable[[str, Exception], None],
    ) -> None:
        self._policy = policy
        self._correct = correct
        self._changed = changed
        self._caught = caught
        self.heard: Callable[[object, object, bool | None], None] | None = None
        self._prediction: Feature | None = None
        self._reference: OutcomeCounts | None = None
        self._settle_limits()
        self.reset()

    def expect(self, prediction: Feature | None, outcomes: OutcomeCounts | None) -> None:
        """Take what a reference knows of predictions and outcomes; what was counted before is kept in the totals."""
        with self._lock:
            # Told while its limits are still what they were.
            for change in replaced(self.status, self._length):
                self._changed(change)
            earlier = self.totals()
            if self._prediction is not None and (prediction is None or prediction.bins != self._prediction.bins):
                # Over other bins there is no sum, not even where there are as many.
                earlier = replace(earlier, bins=np.zeros((0, 2), dtype=np.int64))
            self._prediction, self._reference = prediction, outcomes
            self._settle_limits()
            self._begin(earlier)

    def _settle_limits(self) -> None:
        self.classes = self._policy.classes or _frequent(self._prediction)
        self._limits = limits_for(self._policy.limits, self._policy.max_drop, self._reference, self.classes)
        if self._limits:
            # scipy costs half a second to import: here, and not while serving.
            import scipy.special  # noqa: F401, PLC0415

    def reset(self) -> None:
        """Forget everything that was counted: the child of a fork starts here."""
        self._lock = threading.RLock()
        # Functions of the user's run within this one, and only within this one: whoever reads waits for none of them.
        self._grading = threading.RLock()
        self._begin(OutcomeSnapshot())

    def _begin(self, before: OutcomeSnapshot) -> None:
        self._grader = Grader(
            self._policy.kind or kind_of(self._prediction), self._correct, self._prediction, self.classes
        )
        self._before = before
        self._results: Counter[str] = Counter()
        self._totals = np.zeros(self._grader.size, dtype=np.int64)
        self._closed: deque[Counts] = deque(maxlen=self._policy.window.panes)
        self._open = np.zeros(self._grader.size, dtype=np.int64)
        self._shown: tuple[Performance, ...] | None = ()
        self._stale = False
        self.status: dict[str, FeatureStatus] = {}

    def grade(self, pairs: Sequence[tuple[object, object]]) -> list[Graded]:
        """Count pairs without adding them yet, in parts: the first fits into the open pane, each other into one."""
        with self._grading:
            with self._lock:
                grader, cuts = self._grader, [0, *range(self._room, len(pairs), self._pane), len(pairs)]
            return [grader.grade(pairs[start:stop]) for start, stop in pairwise(cuts)]

    def take(self, pairs: Sequence[tuple[object, object]]) -> None:
        """Count pairs that need no joining."""
        with self._grading:
            graded = self.grade(pairs)
            for one in graded:
                self.add(one, one.results)
        self.report(error for one in graded for error in one.errors)

    def count(self, results: Mapping[str, int]) -> None:
        """Add what became of outcomes."""
        with self._lock:
            self._results.update(results)

    def add(self, graded: Graded, results: Mapping[str, int]) -> None:
        """Add what was graded."""
        counts = graded.counts
        with self._lock:
            self._results.update(results)
            if graded.grader is not self._grader:
                # Graded for a reference that was replaced meanwhile: of its classes and bins, and in no window.
                late = graded.grader.snapshot(counts)
                self._before += replace(late, bins=np.zeros((0, 2), dtype=np.int64))
            else:
                self._add(counts)
        if self.heard is not None:
            for output, actual, right in graded.told:
                self.heard(output, actual, right)

    def _add(self, counts: Counts) -> None:
        self._totals += counts
        self._open += counts
        self._shown, self._stale = None, True
        # Judged or not: without a judge the errors of a regression have a window too.
        if self._held >= self._pane:
            self._closed.append(self._open)
            self._open = np.zeros(self._grader.size, dtype=np.int64)

    def report(self, errors: Iterable[Exception]) -> None:
        """Tell of what the user's function, or a value of the host's, has raised."""
        for error in errors:
            self._caught("outcome", error)

    @property
    def _pane(self) -> int:
        return self._policy.window.pane_rows or 1

    @property
    def _held(self) -> int:
        """Outcomes in the open pane."""
        return int(self._open[0] + self._open[2])

    @property
    def _room(self) -> int:
        """Outcomes that still fit into it."""
        return max(1, self._pane - self._held)

    # --- what is read ------------------------------------------------------------------------------------------------

    def read(self) -> OutcomeTally:
        """Results since the start, and how many of the latest were right."""
        with self._lock:
            known, correct = (int(self._open[place] + sum(pane[place] for pane in self._closed)) for place in (0, 1))
            results = Counter(self._results)
            results.update(self._before.results)
            return OutcomeTally(dict(results), known, correct)

    def totals(self) -> OutcomeSnapshot:
        """The counts since the start."""
        with self._lock:
            return self._before + self._grader.snapshot(self._totals, self._results)

    def window(self) -> OutcomeSnapshot:
        """The counts of the latest outcomes."""
        with self._lock:
            return self._grader.snapshot(self._open + sum(self._closed))

    def performance(self) -> tuple[Performance, ...]:
        """How right the latest predictions were; made anew when there are new outcomes."""
        with self._lock:
            if self._shown is None:
                self._shown = performance(self.window(), self.classes or self._met())
            return self._shown

    def judge(self) -> None:
        """Judge the limits, when outcomes have come since the last time."""
        with self._lock:
            if not self._stale or not self._limits:
                return
            self._stale = False
            panes = [self._grader.snapshot(pane) for pane in (*self._closed, self._open) if pane.any()]
            before = self.status
            self.status = {
                limit.name: judge(limit, panes, before.get(limit.name), self._policy.threshold, self._expected)
                for limit in self._limits
            }
            changes = [
                StateChange(name, before[name].state if name in before else "insufficient_data", one, self._length)
                for name, one in self.status.items()
                if name not in before or one.state != before[name].state
            ]
        for change in changes:
            self._changed(change)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What is asked."""
        return self._limits

    @property
    def _length(self) -> str:
        return f"{self._policy.window.rows} outcomes"

    def _expected(self, window: OutcomeSnapshot) -> float | None:
        if self._reference is None or len(window.bins) != len(self._reference.known):
            return None
        found = estimated_accuracy(self._reference, window.bins[:, 0])
        return None if found is None else found.value

    def _met(self) -> Sequence[Label]:
        """The most frequent classes that were met, where no reference has named any."""
        found = self.window().classes
        often = sorted(found, key=lambda one: (-found[one].true_positives - found[one].false_negatives, str(one)))
        return often[:NAMED_CLASSES]


def _frequent(prediction: Feature | None) -> tuple[Label, ...]:
    if prediction is None or not isinstance(prediction.bins, CategoricalBins):
        return (True,) if kind_of(prediction) == "probability" else ()
    return prediction.bins.categories[:NAMED_CLASSES]
