"""Evaluates windows one after the other at several lengths: scores, states and state changes."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache, partial, reduce

import numpy as np
from numpy.typing import NDArray

from driftline._binning.layout import Layout
from driftline._binning.rejects import Rejects
from driftline._binning.selection import NewRows
from driftline._runtime.guard import Report
from driftline._runtime.watched_lock import WatchedLock
from driftline._seasons.expectation import Expectation, short_window
from driftline._significance.burn_in import BurnIn
from driftline._significance.dependence import Dependence
from driftline._significance.inflation import Inflation, larger_inflation
from driftline._windows.ring import WindowCounts
from driftline._windows.window import Window
from driftline.detection._explanation import describe_shift
from driftline.detection._rules import Evidence, Look, Rule
from driftline.detection._scoring import NamedDistance, Scorer, resolve_distances
from driftline.detection._states import Episode, update_status
from driftline.reference import Reference
from driftline.results import FeatureStatus, Score, StateChange
from driftline.typing import Counts

__all__ = ["WindowEvaluator"]

INFLATION_CACHE = 16
"""Numbers of rows whose inflation is cached. The reference and each window length add one or a few."""

_log = logging.getLogger("driftline")


class WindowEvaluator:
    """
    Evaluates the windows of one reference and holds the latest scores and states.

    Args:
        reference: the reference to compare windows with.
        layout: the layout of the bins of its features.
        window: the window of the monitor. It labels the length of each score, and the rule reads how often windows
            complete.
        rule: decides from counts and scores which features drift.
        distances: the distances to compute. The evaluator adds those that only the rule reads.
        clock: returns seconds.
        on_change: called when a feature changes its state.
        report: called with a value of ``ml.monitor.place`` and a message when a user function raises.
        rejects: says which features of a window cannot be evaluated, because their values are of a wrong type. If None,
            all can.

    Attributes:
        status: the state of each feature, by name. Each evaluation replaces the dict, so that a reader never sees a
            mixture of two evaluations.
        lock: the thread that calls `evaluate` must hold it. `evaluate` calls its `heartbeat` after each window.
    """

    def __init__(
        self,
        reference: Reference,
        layout: Layout,
        window: Window,
        rule: Rule,
        distances: Sequence[NamedDistance],
        clock: Callable[[], float],
        on_change: Callable[[StateChange], None],
        report: Report,
        rejects: Rejects | None = None,
    ) -> None:
        self._rejects = rejects
        further = [name for name in rule.distances if name not in {distance.name for distance in distances}]
        self._labels = {length: window.label_of(length) for length in rule.lengths}
        self._panes = window.panes
        self._features = watched = reference.watched
        self._min_rows = rule.min_rows
        curves = [each.inflation_curve() for each in (reference.dependence, reference.traffic) if each is not None]
        self._reference_inflation = _largest_of(curves)
        self._learned: Dependence | None = None
        self._inflation = self._reference_inflation
        learns = rule.tests and reference.traffic is None
        seasons = reference.seasons
        self._layout = layout
        self._seasonal = Expectation(seasons, watched, layout) if seasons and seasons.kinds else None
        self._new_rows = NewRows(watched)
        self._burn_in = BurnIn(watched, layout, seasonal=self._seasonal) if learns else None
        self._scorer = Scorer(watched, layout, (*distances, *resolve_distances(further)), report)
        self._apply_rule = rule.prepare(watched, layout, window)
        self._clock = clock
        self._on_change = on_change
        if seasons and (warning := short_window(seasons, reference.rows, window.rows, window.seconds)):
            _log.warning("%s", warning)
        self.reset()

    def reset(self) -> None:
        """Delete scores, states and what the burn-in has learned. The child of a fork calls this before any other."""
        self.lock = WatchedLock()
        self._evaluated_at: float = self._clock()
        self._whole_windows: deque[WindowCounts] = deque(maxlen=max(self._labels))
        self._panes_seen = 0
        self._since = dict.fromkeys(self._labels, (0, 0.0))
        self._scores: dict[int, Sequence[Score]] = {}
        self._evidence: dict[int, tuple[Evidence, ...]] = {}
        self._compared: dict[int, tuple[WindowCounts, NDArray[np.float64] | None]] = {}
        self._explanations: dict[str, Callable[[], str]] = {}
        self._episodes = [Episode() for _ in self._features]
        self.status: dict[str, FeatureStatus] = {
            feature.name: FeatureStatus("insufficient_data", None, None, 0, "no window yet")
            for feature in self._features
        }
        if self._burn_in is not None:
            self._burn_in.reset()

    @property
    def scores(self) -> tuple[Score, ...]:
        """The latest scores of each window length, the shortest length first; empty before the first evaluation."""
        return tuple([score for _, scores in sorted(self._scores.items()) for score in scores])

    @property
    def reliable_scores(self) -> tuple[Score, ...]:
        """The scores that are exported: of at least ``min_rows`` rows, and of a feature that has enough data."""
        unknown = {name for name, status in self.status.items() if status.state == "insufficient_data"}
        least = self._min_rows
        return tuple([score for score in self.scores if score.rows >= least and score.feature not in unknown])

    @property
    def learning(self) -> bool:
        """Whether the dependence of rows is still being learned. While it is, `evaluate` needs windows with blocks."""
        return self._burn_in is not None and not self._burn_in.complete

    @property
    def dependence(self) -> Dependence | None:
        """The dependence of rows in the first windows served; None if too few were served or the rule needs none."""
        return None if self._burn_in is None else self._burn_in.dependence

    def evaluate(
        self, windows: Sequence[WindowCounts], *, incomplete: bool = False, pause: Callable[[], bool] | None = None
    ) -> None:
        """
        Evaluate windows in order, and update scores and states.

        The time since the last evaluation is divided equally among the windows.

        Args:
            windows: complete windows, each one pane further than the one before. If empty, nothing happens.
            incomplete: whether *windows* holds only a first window that is not complete. It is evaluated by itself, and
                longer windows do not include it.
            pause: called after each length if there is a single window, so that other threads can run.
        """
        if not windows:
            return
        now = self._clock()
        # A clock that was set back must not give a negative time.
        elapsed, self._evaluated_at = max(0.0, now - self._evaluated_at) / len(windows), now
        for window in windows:
            # If the rows of the reference were shuffled, the first window is all that is known about dependence, so
            # the burn-in learns from it before the evaluation. It learns from later windows after their evaluation, and
            # not from drifting features: a drift is not dependence.
            first = self._burn_in is not None and self._burn_in.dependence is None
            unusable = np.zeros(len(self._features), dtype=bool)
            unusable[list(self._usable(window)[1])] = True
            if self._burn_in is not None and first:
                self._burn_in.learn(window.blocks, unusable, window=not incomplete)
            for length, (panes, seconds) in self._since.items():
                self._since[length] = panes + 1, seconds + elapsed
            inflation = self._latest_inflation()
            for length, counts in self._due_lengths(window, incomplete=incomplete):
                self._evaluate_length(length, counts, inflation)
                if pause is not None and len(windows) == 1:
                    pause()
            self.lock.heartbeat()
            self._update_states()
            if self._burn_in is not None and not first:
                drifting = np.array([status.state == "drifting" for status in self.status.values()])
                self._burn_in.learn(window.blocks, drifting | unusable, window=not incomplete)

    def explain_without_labels(self, name: str) -> str:
        """Describe the shift of a feature's latest drift without category names. If it never drifted, return *name*."""
        explain = self._explanations.get(name)
        return name if explain is None else explain()

    def usable_counts(self, window: WindowCounts) -> Counts:
        """Return the counts of a window without values of a wrong type, and without features that have many of them."""
        return self._usable(window)[0].counts

    def _due_lengths(self, window: WindowCounts, *, incomplete: bool) -> list[tuple[int, WindowCounts]]:
        """
        Return each length, in windows, that is due for evaluation after *window*, with the counts of that many windows.

        Length 1 is always due. A longer one is due whenever a whole further window is complete, once there are enough
        windows.
        """
        due = [(1, window)]
        if incomplete:
            return due
        self._panes_seen += 1
        if self._panes_seen % self._panes:
            return due
        self._whole_windows.append(window)
        recent = list(self._whole_windows)
        bins = len(window.counts)
        longer = [length for length in self._labels if 1 < length <= len(recent)]
        return [*due, *((length, WindowCounts.sum(recent[-length:], bins)) for length in longer)]

    def _evaluate_length(
        self, length: int, counts: WindowCounts, inflation: Callable[[float], Inflation] | None
    ) -> None:
        panes, seconds = self._since[length]
        self._since[length] = 0, 0.0
        # Without counts a feature has no score, and no part in the level that the features share.
        counts, unusable = self._usable(counts)
        expected = None
        if self._seasonal is not None:
            expected = self._new_rows(self._seasonal(counts.counts[self._layout.total :]))
        scores = self._scorer(counts, self._labels[length], expected)
        self._scores = {**self._scores, length: scores}
        self._compared[length] = counts, expected
        evidence = self._apply_rule(Look(counts, length, panes, seconds, scores, inflation, expected))
        if unusable:
            unknown = Evidence(enter=False, stay=False, p_value=None, effect=math.nan, rows=0, reason="")
            evidence = tuple(
                unknown._replace(unusable=unusable[index]) if index in unusable else each
                for index, each in enumerate(evidence)
            )
        self._evidence[length] = evidence

    def _usable(self, window: WindowCounts) -> tuple[WindowCounts, dict[int, str]]:
        """Return what can be evaluated of a window, and why some features cannot be: see `Rejects.usable`."""
        if self._rejects is None or window.rejected is None:
            return window, {}
        counts, reasons = self._rejects.usable(window.counts, window.rejected, self._layout.slices)
        return WindowCounts(counts, window.rows), reasons

    def _latest_inflation(self) -> Callable[[float], Inflation] | None:
        """Return a function from a number of rows to their inflation. If no dependence is known, return None."""
        learned = self.dependence
        if learned is not self._learned:
            curves = [] if self._reference_inflation is None else [self._reference_inflation]
            if learned is not None and self._burn_in is not None:
                curves.append(partial(learned.inflation_curve(), whole=self._burn_in.window_rows))
            self._learned, self._inflation = learned, _largest_of(curves)
        return self._inflation

    def _update_states(self) -> None:
        """Derive the states from the latest evidence of each length, and report the changes."""
        before, after = self.status, {}
        whole, note = self._panes_seen // self._panes, self._learning_note()
        for index, feature in enumerate(self._features):
            evidence = {length: by_feature[index] for length, by_feature in self._evidence.items()}
            status, episode = update_status(self._episodes[index], evidence, whole, self._min_rows, note)
            after[feature.name], self._episodes[index] = status, episode
            if episode.explained:
                self._explanations[feature.name] = self._explanation(index, status, episode.explained)
        self.status = after
        for name, status in after.items():
            if status.state != before[name].state:
                self._on_change(StateChange(name, before[name].state, status, self._labels[1]))

    def _explanation(self, index: int, status: FeatureStatus, length: int) -> Callable[[], str]:
        """Return a function that describes, without category names, how the window of a length shifted a feature."""
        counts, expected = self._compared[length]
        bins = self._layout.slices[index]
        # Copies, so that a drift does not keep the counts of all other features in memory.
        usual = None if expected is None else expected[bins].copy()
        current = counts.counts[bins].copy()
        return partial(describe_shift, self._features[index], current, status.components, labels=False, expected=usual)

    def _learning_note(self) -> str:
        """Return how many windows the burn-in has seen, to be appended to a reason; empty if it is complete."""
        burn_in = self._burn_in
        if burn_in is None or burn_in.complete:
            return ""
        return f"; learning how rows depend on each other: {burn_in.windows} of {burn_in.total} windows"


def _largest_of(curves: Sequence[Callable[[float], Inflation]]) -> Callable[[float], Inflation] | None:
    """
    Return a function from a number of rows to the largest inflation of *curves*. If *curves* is empty, return None.

    The function caches its results, because computing the inflation is most of the cost of an evaluation.
    """
    if not curves:
        return None

    @lru_cache(maxsize=INFLATION_CACHE)
    def inflation(rows: float) -> Inflation:
        return reduce(larger_inflation, (curve(rows) for curve in curves))

    return inflation
