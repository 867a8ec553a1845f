"""Counts the outcomes of one model, version and variant, since the start and in a window, and evaluates limits."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from driftline._binning.bins import (
    CategoricalBins,
    Feature,
    OutcomeCounts,
)
from driftline._binning.label_scheme import LabelScheme
from driftline._binning.prediction_kind import is_probable, kind_of
from driftline._runtime.floats import without_float_errors
from driftline._windows.outcome_tables import OutcomeTables
from driftline.outcomes._classes import default_classes, frequent_classes
from driftline.outcomes._cohorts import CohortChanges, OutcomeCohorts
from driftline.outcomes._estimate import estimated_accuracy, graded_confidences
from driftline.outcomes._grading import HEADER_SIZE, UNREADABLE, Grader, GradingResult
from driftline.outcomes._known_labels import is_unknown
from driftline.outcomes._limits import (
    ACCURACY_STATUS,
    Limit,
    describe_unreadable,
    evaluate_limit,
    limits_for,
    outcomes_needed,
)
from driftline.outcomes._metrics import performance
from driftline.outcomes._panes import OutcomePanes, SerialRange
from driftline.outcomes._performance import Performance
from driftline.outcomes._policy import OutcomePolicy
from driftline.outcomes._snapshot import OutcomeSnapshot
from driftline.outcomes._tally import OutcomeTally
from driftline.results import (
    FeatureStatus,
    StateChange,
    replaced,
)
from driftline.typing import (
    Correct,
)

__all__ = ["Ledger"]


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
        labels: as for `set_reference`.
        since: Unix time from which predictions are counted by time before a canary begins.

    Attributes:
        classes: labels with precision, recall and F1, from the policy or else from the reference. May be empty.
        form: what an output may be.
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
        labels: LabelScheme | None = None,
        since: float = 0.0,
    ) -> None:
        self._policy = policy
        self._correct = correct
        self._on_state_change = on_state_change
        self._on_error = on_error
        self._on_pair = on_pair
        self._prediction = prediction
        self._reference = outcomes
        self._reference_labels = labels
        self._cohorts = OutcomeCohorts(since)
        self._derive_limits()
        self.reset()

    def set_reference(
        self, prediction: Feature | None, outcomes: OutcomeCounts | None, labels: LabelScheme | None = None
    ) -> None:
        """
        Use a new reference for limits and classes. Totals stay, but the window and the states start empty.

        Args:
            prediction: the prediction feature of the reference; None if it has none.
            outcomes: outcomes by bin of the prediction in the reference; None if it has none.
            labels: how the outcomes of the reference are read; None if it does not say.
        """
        with self._lock:
            # The callback must still see the limits that these states belong to.
            for change in replaced(self.status, self._window_length):
                self._on_state_change(change)
            earlier = self.totals()
            if self._prediction is not None and (prediction is None or prediction.bins != self._prediction.bins):
                # Counts over different bins have no sum, even if the number of bins is the same.
                earlier = replace(earlier, bins=np.zeros((0, 2), dtype=np.int64))
            self._prediction, self._reference, self._reference_labels = prediction, outcomes, labels
            self._derive_limits()
            self._start_window(earlier)

    def _derive_limits(self) -> None:
        probable = kind_of(self._prediction) == "probability"
        self._labels = _complete(self._policy.labels_over(self._reference_labels, probable=probable), self._prediction)
        numeric = self._prediction is not None and not isinstance(self._prediction.bins, CategoricalBins)
        self.form = replace(self._labels.form, labels=self._labels.kind in {None, "label"} and not numeric)
        self.classes = self._policy.classes or default_classes(self._prediction)
        if self._labels.kind == "probability" or (self._labels.kind is None and self.classes == (True,)):
            # Its classes are counted under True, whatever the labels are.
            self.classes = (True,)
        self._limits = limits_for(self._policy.limits, self._policy.max_drop, self._reference, self.classes)
        if self._limits:
            # The import of scipy takes half a second, so it happens here and not while serving.
            import scipy.special  # noqa: F401, PLC0415

    def reset(self) -> None:
        """Drop all counts and states, as the child of a fork must."""
        self._lock = threading.RLock()
        # The user function runs under this lock and never under the other, so it cannot block readers.
        self._grading_lock = threading.RLock()
        self._cohorts.reset()
        self._start_window(OutcomeSnapshot())

    def _start_window(self, earlier: OutcomeSnapshot) -> None:
        """Start with an empty window and no states. *earlier* holds the totals so far, which are kept."""
        self._grader = Grader(self._labels.kind, self._correct, self._prediction, self.classes, self._labels)
        self._earlier = earlier
        # What was counted last, and how many of its pairs were passed on.
        self._counted: object = None
        self._passed = 0
        self._results: Counter[str] = Counter()
        self._totals = np.zeros(self._grader.size, dtype=np.int64)
        self._panes = OutcomePanes(self._grader.size, self._policy.window.panes, self._pane_size)
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
                cuts = [0, *range(self._panes.room, len(pairs), self._pane_size), len(pairs)]
            return [grader.grade(pairs[start:stop]) for start, stop in pairwise(cuts)]

    def regrade(self, output: object, previous: object, actual: object) -> tuple[GradingResult, GradingResult]:
        """Grade a prediction with its outcome before and after a correction, without adding the counts."""
        with self._grading_lock:
            with self._lock:
                grader = self._grader
            return grader.grade([(output, previous)]), grader.grade([(output, actual)])

    def add_pairs(self, pairs: Sequence[tuple[object, object]]) -> None:
        """Grade (prediction, outcome) pairs that need no join, and add their counts. Unknown outcomes are pending."""
        known = [pair for pair in pairs if not is_unknown(pair[1])]
        if len(known) < len(pairs):
            self.add_results({"pending": len(pairs) - len(known)})
        pairs = known
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

    def add_grading(
        self, grading: GradingResult, results: Mapping[str, int], serials: SerialRange | None = None
    ) -> None:
        """
        Add the counts of graded pairs to totals and window, and *results* to the number of outcomes by result.

        A second call with the same grading, after an interrupt, adds only what the first call did not.

        Args:
            grading: the counts.
            results: number of outcomes by result.
            serials: first and last serial number of the pairs. If None, their outcomes cannot be corrected.
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
                    self._earlier, self._results, self._counted, self._passed = earlier, total, grading, 0
                else:
                    panes = self._panes
                    ranges = panes.serials_with(serials)
                    # Without a call, so that no interrupt comes between.
                    self._totals += counts
                    panes.open += counts
                    panes.open_serials = ranges
                    self._cached_performance, self._limits_are_stale = None, True
                    self._results, self._counted, self._passed = total, grading, 0
            self._panes.close_if_full()
        if self._on_pair is not None:
            for output, actual, is_correct in grading.parsed[passed:]:
                self._passed = passed = passed + 1
                self._on_pair(output, actual, is_correct)

    def add_correction(self, before: GradingResult, after: GradingResult, serial: int) -> None:
        """
        Replace the counts of a pair whose outcome has changed, in totals and window.

        If the pair has left the window, the window does not change. If another process counted the pair, the totals of
        this process change all the same, so that the sum over processes is right. A second call with the same
        gradings, after an interrupt, adds nothing.

        Args:
            before: the grading of the pair with the outcome before.
            after: its grading with the new outcome.
            serial: the serial number of the pair.
        """
        change = after.counts - before.counts
        with self._lock:
            if after is self._counted:
                return
            if after.grader is not self._grader:
                late = replace(after.grader.snapshot(change), bins=np.zeros((0, 2), dtype=np.int64))
                self._earlier, self._counted = self._earlier + late, after
                return
            pane = self._panes.find(serial)
            # Without a call, as above.
            self._totals += change
            if pane is not None:
                pane += change
                self._cached_performance, self._limits_are_stale = None, True
            self._counted = after

    def add_cohorts(self, changes: CohortChanges) -> None:
        """Add counts by the time of the prediction. The same object again, after an interrupt, adds nothing."""
        with self._lock:
            self._cohorts.add(changes)

    def count_cohorts(self, since: float) -> None:
        """Let a canary that began at a Unix time have counts of the predictions since then."""
        with self._lock:
            self._cohorts.start(since)

    def report_errors(self, errors: Iterable[BaseException]) -> None:
        """Pass exceptions that a value or the user function raised to the callback *on_error*."""
        for error in errors:
            self._on_error("outcome", error)

    @property
    def _pane_size(self) -> int:
        return self._policy.window.pane_rows or 1

    # --- reading -----------------------------------------------------------------------------------------------------

    def tally(self) -> OutcomeTally:
        """Return the outcomes by result since the start, and the graded outcomes of the window."""
        with self._lock:
            header = self._panes.open[:HEADER_SIZE] + sum(pane[:HEADER_SIZE] for pane in self._panes.closed)
            results = Counter(self._results)
            results.update(self._earlier.results)
            known, correct = self._grader.graded(self._totals)
            earlier = self._earlier
            return OutcomeTally(
                dict(results),
                *self._grader.graded(header),
                int(header[UNREADABLE]),
                earlier.known + known,
                earlier.correct + correct,
            )

    def totals(self) -> OutcomeSnapshot:
        """Return all counts since the start."""
        with self._lock:
            return self._earlier + self._grader.snapshot(self._totals, self._results)

    def cohorts(self, since: float | None = None) -> OutcomeTables:
        """Return predictions with an id, and their outcomes, by their time. *since* is when the canary began."""
        with self._lock:
            return self._cohorts.read(since)

    def window(self) -> OutcomeSnapshot:
        """Return the counts of the window. Its number of outcomes by result is empty."""
        with self._lock:
            return self._grader.snapshot(self._panes.open + sum(self._panes.closed))

    @without_float_errors
    def performance(self) -> tuple[Performance, ...]:
        """Return the metrics of the window. They are cached until the next outcome."""
        with self._lock:
            if self._cached_performance is None:
                # Of a probability, whatever the labels are, the class is True.
                classes = (True,) if self._grader.kind == "probability" else self.classes
                self._cached_performance = performance(self.window(), classes or frequent_classes(self.window()))
            return self._cached_performance

    def evaluate_limits(self) -> None:
        """Update the states of the limits and report changes, if outcomes have arrived since the last evaluation."""
        with self._lock:
            if not self._limits_are_stale:
                return
            self._limits_are_stale = False
            panes = [self._grader.snapshot(pane) for pane in (*self._panes.closed, self._panes.open) if pane.any()]
            previous = self.status
            self.status = {
                limit.name: evaluate_limit(
                    limit,
                    panes,
                    previous.get(limit.name),
                    self._policy.panes_per_alarm,
                    self._expected_accuracy,
                    outcomes_needed(limit, self._policy.window.rows or 1),
                )
                for limit in self._limits
            }
            if not self._limits and panes and (window := self.window()).unreadable:
                # Without a limit there is no state. This one says why there is no accuracy.
                rows = window.known + window.unreadable
                reason = describe_unreadable(window)
                self.status[ACCURACY_STATUS] = FeatureStatus("insufficient_data", None, None, rows, reason)
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
    def labels(self) -> LabelScheme:
        """How outcomes are read. Its kind is None as long as only the first outcomes can decide it."""
        return self._labels

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
        confidences = graded_confidences(self._reference, window.scores)
        estimate = estimated_accuracy(self._reference, window.bins[:, 0], bins, confidences)
        return None if estimate is None else estimate.value


def _complete(labels: LabelScheme, prediction: Feature | None) -> LabelScheme:
    """Return how outcomes are read, with the kind of the predictions of the reference if they alone decide it."""
    if labels.kind is not None or prediction is None or is_probable(prediction):
        # Numbers from 0 to 1 may be probabilities or quantities. The outcomes decide.
        return labels
    return replace(labels, kind=kind_of(prediction))
