"""Counts the outcomes of one model, version and variant, since the start and in a window, and evaluates limits."""

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
from driftline._runtime.floats import without_float_errors
from driftline.outcomes._grading import CORRECT, GRADED, UNGRADED, Grader, GradingResult
from driftline.outcomes._limits import Limit, evaluate_limit, limits_for, outcomes_needed
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

MAX_DEFAULT_CLASSES = 10
"""Number of the most frequent classes that have precision, recall and F1 if the user names no classes."""


@dataclass(frozen=True, slots=True)
class OutcomeTally:
    """
    The outcomes by result since the start, and the graded outcomes of the window.

    Attributes:
        results: number of outcomes since the start by result, as in the attribute ``ml.outcome.result``.
        recent_known: number of outcomes in the window that graded a prediction as right or wrong.
        recent_correct: number of outcomes in the window whose prediction was right.
    """

    results: Mapping[str, int]
    recent_known: int
    recent_correct: int

    @property
    def known(self) -> int:
        """Number of outcomes since the start that graded a prediction as right or wrong."""
        return self.results.get("correct", 0) + self.results.get("incorrect", 0)

    @property
    def correct(self) -> int:
        """Number of outcomes since the start whose prediction was right."""
        return self.results.get("correct", 0)

    @property
    def accuracy(self) -> float | None:
        """The share of right predictions in the window, from 0 to 1; None before the first graded outcome."""
        return self.recent_correct / self.recent_known if self.recent_known else None


class Ledger:
    """
    Counts pairs of a prediction and its outcome, and evaluates the limits.

    Args:
        policy: the window and the limits.
        correct: user function that returns whether a prediction was right. If None, the kind of prediction decides.
        on_state_change: called when a limit changes its state.
        on_error: called with a value of ``ml.monitor.place`` and the exception that a value or the user function
            raised.
        on_pair: called with each prediction, its outcome, and whether it was right (None for an ungraded quantity).
        prediction: as for `set_reference`.
        outcomes: as for `set_reference`.

    Attributes:
        classes: labels with precision, recall and F1, from the policy or else from the reference. May be empty.
        status: the state of each limit by its name; empty before the first evaluation.
    """

    def __init__(
        self,
        policy: OutcomePolicy,
        correct: Correct | None,
        on_state_change: Callable[[StateChange], None],
        on_error: Callable[[str, BaseException], None],
        on_pair: Callable[[object, object, bool | None], None] | None = None,
        prediction: Feature | None = None,
        outcomes: OutcomeCounts | None = None,
    ) -> None:
        self._policy = policy
        self._correct = correct
        self._on_state_change = on_state_change
        self._on_error = on_error
        self._on_pair = on_pair
        self._prediction = prediction
        self._reference = outcomes
        self._derive_limits()
        self.reset()

    def set_reference(self, prediction: Feature | None, outcomes: OutcomeCounts | None) -> None:
        """
        Use a new reference for limits and classes. Totals stay, but the window and the states start empty.

        Args:
            prediction: the prediction feature of the reference; None if it has none.
            outcomes: outcomes by bin of the prediction in the reference; None if it has none.
        """
        with self._lock:
            # The callback must still see the limits that these states belong to.
            for change in replaced(self.status, self._window_length):
                self._on_state_change(change)
            earlier = self.totals()
            if self._prediction is not None and (prediction is None or prediction.bins != self._prediction.bins):
                # Counts over different bins have no sum, even if the number of bins is the same.
                earlier = replace(earlier, bins=np.zeros((0, 2), dtype=np.int64))
            self._prediction, self._reference = prediction, outcomes
            self._derive_limits()
            self._start_window(earlier)

    def _derive_limits(self) -> None:
        self.classes = self._policy.classes or _default_classes(self._prediction)
        self._limits = limits_for(self._policy.limits, self._policy.max_drop, self._reference, self.classes)
        if self._limits:
            # The import of scipy takes half a second, so it happens here and not while serving.
            import scipy.special  # noqa: F401, PLC0415

    def reset(self) -> None:
        """Drop all counts and states, as the child of a fork must."""
        self._lock = threading.RLock()
        # The user function runs under this lock and never under the other, so it cannot block readers.
        self._grading_lock = threading.RLock()
        self._start_window(OutcomeSnapshot())

    def _start_window(self, earlier: OutcomeSnapshot) -> None:
        """Start with an empty window and no states. *earlier* holds the totals so far, which are kept."""
        self._grader = Grader(
            self._policy.kind or kind_of(self._prediction), self._correct, self._prediction, self.classes
        )
        self._earlier = earlier
        # What was counted last, and how many of its pairs were passed on.
        self._counted: object = None
        self._passed = 0
        self._results: Counter[str] = Counter()
        self._totals = np.zeros(self._grader.size, dtype=np.int64)
        self._closed_panes: deque[Counts] = deque(maxlen=self._policy.window.panes)
        self._open_pane = np.zeros(self._grader.size, dtype=np.int64)
        self._cached_performance: tuple[Performance, ...] | None = ()
        self._limits_are_stale = False
        self.status: dict[str, FeatureStatus] = {}

    def grade(self, pairs: Sequence[tuple[object, object]]) -> list[GradingResult]:
        """
        Grade (prediction, outcome) pairs without adding their counts.

        The pairs are split where a pane becomes full. The list has one result for each part, in order.
        """
        with self._grading_lock:
            with self._lock:
                grader = self._grader
                cuts = [0, *range(self._open_pane_room, len(pairs), self._pane_size), len(pairs)]
            return [grader.grade(pairs[start:stop]) for start, stop in pairwise(cuts)]

    def add_pairs(self, pairs: Sequence[tuple[object, object]]) -> None:
        """Grade (prediction, outcome) pairs that need no join, and add their counts."""
        with self._grading_lock:
            gradings = self.grade(pairs)
            for grading in gradings:
                self.add_grading(grading, grading.results)
        self.report_errors(error for grading in gradings for error in grading.errors)

    def add_results(self, results: Mapping[str, int]) -> None:
        """Add to the number of outcomes by result. The same object again, after an interrupt, adds nothing."""
        with self._lock:
            if results is not self._counted:
                total = self._results.copy()
                total.update(results)
                self._results, self._counted = total, results

    def add_grading(self, grading: GradingResult, results: Mapping[str, int]) -> None:
        """
        Add the counts of graded pairs to totals and window, and *results* to the number of outcomes by result.

        A second call with the same grading, after an interrupt, adds only what the first call did not.
        """
        counts = grading.counts
        with self._lock:
            passed = self._passed if grading is self._counted else 0
            if grading is not self._counted:
                total = self._results.copy()
                total.update(results)
                if grading.grader is not self._grader:
                    # The reference was replaced after this grading. Its bins and its window no longer exist.
                    late = grading.grader.snapshot(counts)
                    earlier = self._earlier + replace(late, bins=np.zeros((0, 2), dtype=np.int64))
                    self._earlier, self._results, self._counted = earlier, total, grading
                else:
                    # Without a call, so that no interrupt comes between.
                    self._totals += counts
                    self._open_pane += counts
                    self._cached_performance, self._limits_are_stale = None, True
                    self._results, self._counted = total, grading
            self._close_full_pane()
        if self._on_pair is not None:
            for output, actual, is_correct in grading.parsed[passed:]:
                self._passed = passed = passed + 1
                self._on_pair(output, actual, is_correct)

    def _close_full_pane(self) -> None:
        # Ungraded pairs count too: the errors of a regression without a user function also need a window.
        if self._open_pane_rows >= self._pane_size:
            closed = deque([*self._closed_panes, self._open_pane], self._closed_panes.maxlen)
            empty = np.zeros(self._grader.size, dtype=np.int64)
            self._closed_panes, self._open_pane = closed, empty

    def report_errors(self, errors: Iterable[BaseException]) -> None:
        """Pass exceptions that a value or the user function raised to the callback *on_error*."""
        for error in errors:
            self._on_error("outcome", error)

    @property
    def _pane_size(self) -> int:
        return self._policy.window.pane_rows or 1

    @property
    def _open_pane_rows(self) -> int:
        return int(self._open_pane[GRADED] + self._open_pane[UNGRADED])

    @property
    def _open_pane_room(self) -> int:
        return max(1, self._pane_size - self._open_pane_rows)

    # --- reading -----------------------------------------------------------------------------------------------------

    def tally(self) -> OutcomeTally:
        """Return the outcomes by result since the start, and the graded outcomes of the window."""
        with self._lock:
            known, correct = (
                int(self._open_pane[index] + sum(pane[index] for pane in self._closed_panes))
                for index in (GRADED, CORRECT)
            )
            results = Counter(self._results)
            results.update(self._earlier.results)
            return OutcomeTally(dict(results), known, correct)

    def totals(self) -> OutcomeSnapshot:
        """Return all counts since the start."""
        with self._lock:
            return self._earlier + self._grader.snapshot(self._totals, self._results)

    def window(self) -> OutcomeSnapshot:
        """Return the counts of the window. Its number of outcomes by result is empty."""
        with self._lock:
            return self._grader.snapshot(self._open_pane + sum(self._closed_panes))

    @without_float_errors
    def performance(self) -> tuple[Performance, ...]:
        """Return the metrics of the window. They are cached until the next outcome."""
        with self._lock:
            if self._cached_performance is None:
                self._cached_performance = performance(self.window(), self.classes or self._frequent_classes())
            return self._cached_performance

    def evaluate_limits(self) -> None:
        """Update the states of the limits and report changes, if outcomes have arrived since the last evaluation."""
        with self._lock:
            if not self._limits_are_stale or not self._limits:
                return
            self._limits_are_stale = False
            panes = [self._grader.snapshot(pane) for pane in (*self._closed_panes, self._open_pane) if pane.any()]
            previous = self.status
            self.status = {
                limit.name: evaluate_limit(
                    limit,
                    panes,
                    previous.get(limit.name),
                    self._policy.threshold,
                    self._expected_accuracy,
                    outcomes_needed(limit, self._policy.window.rows or 1),
                )
                for limit in self._limits
            }
            # A limit without a state yet has none for want of outcomes.
            before = {name: previous[name].state if name in previous else "insufficient_data" for name in self.status}
            changes = [
                StateChange(name, before[name], status, self._window_length)
                for name, status in self.status.items()
                if status.state != before[name]
            ]
        for change in changes:
            self._on_state_change(change)

    @property
    def asks_user(self) -> bool:
        """Whether a user function compares outputs with outcomes, so that it needs them whole."""
        return self._correct is not None

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits of the policy, and the limit on accuracy that is derived from the reference, if there is one."""
        return self._limits

    @property
    def _window_length(self) -> str:
        return f"{self._policy.window.rows} outcomes"

    def _expected_accuracy(self, window: OutcomeSnapshot) -> float | None:
        """Return the accuracy expected from the predictions of a window. None if the reference has no outcomes."""
        if self._reference is None or len(window.bins) != len(self._reference.known):
            return None
        bins = None if self._prediction is None else self._prediction.bins
        estimate = estimated_accuracy(self._reference, window.bins[:, 0], bins)
        return None if estimate is None else estimate.value

    def _frequent_classes(self) -> Sequence[Label]:
        """Return at most `MAX_DEFAULT_CLASSES` classes of the window, the most frequent outcomes first."""
        classes = self.window().classes
        by_frequency = sorted(
            classes,
            key=lambda label: (-classes[label].true_positives - classes[label].false_negatives, str(label)),
        )
        return by_frequency[:MAX_DEFAULT_CLASSES]


def _default_classes(prediction: Feature | None) -> tuple[Label, ...]:
    """Return the classes of a prediction: its first categories, or True for a probability, or else none."""
    if prediction is None or not isinstance(prediction.bins, CategoricalBins):
        return (True,) if kind_of(prediction) == "probability" else ()
    return prediction.bins.categories[:MAX_DEFAULT_CLASSES]
