"""Evaluates windows one after the other at several lengths: scores, states and state changes."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from driftline._binning.layout import Layout
from driftline._binning.rejects import Rejects
from driftline._binning.selection import NewRows
from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._runtime.guard import Report
from driftline._runtime.watched_lock import WatchedLock
from driftline._seasons.calendar import CELLS
from driftline._seasons.expectation import Expectation
from driftline._seasons.seasons import short_window
from driftline._significance.cluster_learner import ClusterLearner
from driftline._significance.dependence import Dependence
from driftline._significance.history import History
from driftline._significance.learned import Learned
from driftline._significance.learner import Learner, Seed
from driftline._windows.ring import BLOCKS, WindowCounts
from driftline._windows.window import Window
from driftline.detection._evaluation import EvaluatedLength, Evaluation
from driftline.detection._evidence_table import EvidenceTable, clearly_stable
from driftline.detection._explanation import describe_shift
from driftline.detection._lazy import Lazy
from driftline.detection._rules import Evidence, Look, Rule
from driftline.detection._scoring import NamedDistance, Scorer, resolve_distances
from driftline.detection._states import Episode, update_status
from driftline.detection._statuses import Statuses
from driftline.reference import Reference
from driftline.results import FeatureStatus, Score, StateChange
from driftline.typing import Counts

__all__ = ["WindowEvaluator"]

DUE_SHARE = 8
"""A look is evaluated again when an eighth of its windows are new. That delays an alarm by a sixteenth on average."""

LONGEST_SCORED = 16
"""Longest look, in windows, whose distances are computed and exported. Longer ones only serve the test."""

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
        learned: what earlier monitors, or this one with another reference, have learned about dependence. The traffic
            of the reference counts for features that it lacks. If None, nothing.
        silence: why this evaluator has no states. If it is not empty, distances are computed and the rule is not
            applied; every state is ``insufficient_data`` for this reason.

    Attributes:
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
        learned: Learned | None = None,
        clusters: ClusterLearner | None = None,
        silence: str = "",
    ) -> None:
        self._rejects, self._clusters, self._silence = rejects, clusters, silence
        further = [name for name in rule.distances if name not in {distance.name for distance in distances}]
        lengths = [length for length in rule.lengths if length <= LONGEST_SCORED] if silence else rule.lengths
        self._labels = {length: window.label_of(length) for length in lengths}
        self._panes = window.panes
        self._features = watched = reference.watched
        self._min_rows = rule.min_rows
        self._seed = (learned or Learned({})).completed(Learned.of(watched, reference.traffic))
        seasons = reference.seasons
        self._layout = layout
        self._seasonal = Expectation(seasons, watched, layout) if seasons and seasons.kinds else None
        self._new_rows = NewRows(watched)
        self._history = self._history_of(reference, window, max(rule.lengths)) if rule.tests and not silence else None
        self._scorer = Scorer(watched, layout, (*distances, *resolve_distances(further)), report)
        self._apply_rule = rule.prepare(watched, layout, window)
        self._clock = clock
        self._on_change = on_change
        if seasons and (warning := short_window(seasons, reference.rows, window.rows, window.seconds)):
            _log.warning("%s", warning)
        self.reset()

    def reset(self) -> None:
        """Delete scores, states and what was learned. The child of a fork calls this before any other."""
        self.lock = WatchedLock()
        self._evaluated_at: float = self._clock()
        self._whole_windows: deque[WindowCounts] = deque(maxlen=max(self._labels))
        self._panes_seen = 0
        self._since = dict.fromkeys(self._labels, (0, 0.0))
        self._scores: dict[int, Sequence[Score]] = {}
        self._evidence: dict[int, Sequence[Evidence]] = {}
        self._compared: dict[int, tuple[WindowCounts, NDArray[np.float64] | None]] = {}
        self._explanations: dict[str, Callable[[], str]] = {}
        self._episodes = [Episode() for _ in self._features]
        self._drifting = np.zeros(len(self._features), dtype=np.bool_)
        self._unreadable: frozenset[str] = frozenset()
        reason = self._silence or "no window yet"
        unknown = FeatureStatus("insufficient_data", None, None, 0, reason)
        self._keep(Statuses.of({feature.name: unknown for feature in self._features}))
        if self._history is not None:
            self._history.reset()

    def _history_of(self, reference: Reference, window: Window, longest: int) -> History:
        """Return what is known before the first row: the order of the training data, and what was learned before."""
        seeds = []
        if reference.dependence is not None:
            seeds.append(Seed.of_reference(reference.dependence))
        if (learned := self._seed.dependence(self._features)) is not None:
            seeds.append(Seed.of_traffic(learned))
        blocks = max(BLOCKS, window.panes)
        return History(
            self._features,
            self._layout,
            panes=window.panes,
            blocks=blocks,
            longest=longest,
            reference_rows=reference.rows,
            learner=Learner(
                np.array([each.bins.size for each in self._features], dtype=np.float64) - 4.0, blocks, seeds
            ),
            seasonal=self._seasonal,
            # Only times tell independent rows from shuffled ones, which look independent too.
            ordered=None if reference.seasons is None else reference.dependence,
            keyed=self._clusters is not None,
        )

    @property
    def status(self) -> dict[str, FeatureStatus]:
        """
        The state of each feature, by name.

        Each evaluation replaces the dict, so that a reader never sees a mixture of two evaluations. It is made when it
        is read, because there may be many windows between two exports.
        """
        return self._status()

    @property
    def evaluation(self) -> object:
        """What is another object after each evaluation, and only then."""
        return self._status

    @property
    def scores(self) -> tuple[Score, ...]:
        """The latest scores of each window length, the shortest length first; empty before the first evaluation."""
        return tuple([score for _, scores in sorted(self._scores.items()) for score in scores])

    @property
    def reliable_scores(self) -> tuple[Score, ...]:
        """The scores that are exported: of at least ``min_rows`` rows, and of a feature that has enough data."""
        least, unreadable = self._min_rows, self._unreadable
        return tuple([score for score in self.scores if score.rows >= least and score.feature not in unreadable])

    def evaluation_details(self) -> Evaluation:
        """Return the states with what they follow from. Another thread should not evaluate meanwhile."""
        evidence = dict(self._evidence)
        lengths = {
            length: EvaluatedLength(self._labels[length], *compared, evidence.get(length, ()))
            for length, compared in sorted(dict(self._compared).items())
        }
        explained = [episode.explained for episode in self._episodes]
        return Evaluation(self.status, self.scores, lengths, explained, tuple(self._whole_windows))

    @property
    def learning(self) -> bool:
        """Whether the dependence of rows is learned. If it is, `evaluate` needs windows with blocks."""
        return self._history is not None

    @property
    def dependence(self) -> Dependence | None:
        """The dependence of the rows served; None if too few were served or the rule needs none."""
        return None if self._history is None else self._history.dependence

    @property
    def learned(self) -> Learned:
        """All that is known about dependence, to be passed on as *learned*: of earlier windows and those served."""
        keys = None if self._clusters is None else self._clusters.correlations
        return self._seed.updated(Learned.of(self._features, self.dependence, keys))

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
            usable = self._usable(window)
            unusable = np.zeros(len(self._features), dtype=np.bool_)
            unusable[list(usable[1])] = True
            if self._history is not None:
                self._history.add(window, unusable)
            for length, (panes, seconds) in self._since.items():
                self._since[length] = panes + 1, seconds + elapsed
            for length, counts in self._due_lengths(window, incomplete=incomplete):
                self._evaluate_length(length, *(usable if counts is window else self._usable(counts)))
                if pause is not None and len(windows) == 1:
                    pause()
            self.lock.heartbeat()
            if self._silence:
                self._update_rows(usable[0].counts, unusable)
            else:
                self._update_states(unusable)

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

        Length 1 is always due. A longer one is due whenever an eighth of it is new, once there are enough windows. The
        long ones take turns, so that no evaluation has all of them.
        """
        due = [(1, window)]
        if incomplete:
            return due
        self._panes_seen += 1
        if self._panes_seen % self._panes:
            return due
        # Without blocks, and for most windows in a quarter of the memory. No count exceeds the number of rows.
        small = window.counts.astype(np.min_scalar_type(window.rows))
        self._whole_windows.append(WindowCounts(small, window.rows, (), window.rejected))
        recent = list(self._whole_windows)
        bins, whole = len(window.counts), self._panes_seen // self._panes
        longer = [
            length
            for turn, length in enumerate(self._labels)
            if 1 < length <= len(recent) and (whole + turn) % _windows_between(length) == 0
        ]
        return [*due, *((length, WindowCounts.sum(recent[-length:], bins)) for length in longer)]

    def _evaluate_length(self, length: int, counts: WindowCounts, unusable: Mapping[int, str]) -> None:
        """Score the usable counts of this many windows, and apply the rule. *unusable* is as `_usable` returns it."""
        panes, seconds = self._since[length]
        self._since[length] = 0, 0.0
        # A first look gets no more of the budget than the later ones. What it alone would find is mostly a reference
        # that is off by chance, and all later looks would go on finding that.
        if panes > (most := _windows_between(length) * self._panes):
            panes, seconds = most, seconds * most / panes
        # Without counts a feature has no score, and no part in the level that the features share.
        expected = None
        if self._seasonal is not None:
            cells = slice(self._layout.total, self._layout.total + CELLS)
            expected = self._new_rows(self._seasonal(counts.counts[cells]))
        scores: Sequence[Score] = ()
        if length <= LONGEST_SCORED:
            scores = self._scorer(counts, self._labels[length], expected)
            self._scores = {**self._scores, length: scores}
        if self._silence:
            return
        self._compared[length] = counts, expected
        by_key = None
        if self._clusters is not None:
            by_key = self._clusters.inflations(counts.counts[-KEY_BUCKETS:], counts.rows, length)
        history = self._history
        difference = None if history is None else history.look(length, counts, by_key)
        rows_to_see = None if history is None else history.rows_to_see
        evidence = self._apply_rule(Look(counts, length, panes, seconds, scores, expected, difference, rows_to_see))
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

    def _update_rows(self, counts: Counts, unusable: NDArray[np.bool_]) -> None:
        """Update the rows of the states, which are unknown. *unusable* is as for `_update_states`."""
        self._unreadable = frozenset(
            feature.name for feature, unread in zip(self._features, unusable, strict=True) if unread
        )
        known = {
            feature.name: FeatureStatus("insufficient_data", None, None, int(counts[bins].sum()), self._silence)
            for feature, bins in zip(self._features, self._layout.slices, strict=True)
        }
        self._keep(Statuses.of(known))

    def _keep(self, statuses: Statuses) -> None:
        """Let *statuses* be the states from now on."""
        self._statuses, self._status = statuses, Lazy(statuses.by_name)

    def _update_states(self, unusable: NDArray[np.bool_]) -> None:
        """
        Derive the states from the latest evidence of each length, and report the changes.

        Args:
            unusable: shape (features,), features whose values in the latest window cannot be evaluated.
        """
        before, names = self._statuses.states, self._statuses.names
        whole, size = self._panes_seen // self._panes, len(self._features)
        begun, ended = np.zeros(size, dtype=np.intp), np.zeros(size, dtype=np.bool_)
        drifting = unusable.copy()
        stable, make_stable = clearly_stable(list(self._evidence.values()), self._drifting, self._min_rows)
        known: dict[str, FeatureStatus] = {}
        for index in np.flatnonzero(~stable).tolist():
            name = names[index]
            evidence = {length: by_feature[index] for length, by_feature in self._evidence.items()}
            earlier = self._episodes[index]
            status, episode = update_status(earlier, evidence, whole, self._min_rows)
            known[name], self._episodes[index] = status, episode
            self._drifting[index] = episode.length > 0
            if episode.length:
                drifting[index] = True
                begun[index] = 0 if earlier.length else episode.length
            elif earlier.length:
                ended[index] = True
            if episode.explained:
                self._explanations[name] = self._explanation(index, status, episode.explained)
        self._keep(statuses := Statuses(names, stable.tolist(), known, make_stable))
        shortest = self._evidence[1]
        self._unreadable = frozenset()
        if not isinstance(shortest, EvidenceTable):
            self._unreadable = frozenset(
                feature.name for feature, each in zip(self._features, shortest, strict=True) if each.unusable
            )
        if self._history is not None:
            self._history.change(begun, ended, drifting)
        if (after := statuses.states) == before:
            return
        for name, earlier_state, state in zip(names, before, after, strict=True):
            if state != earlier_state:
                self._on_change(StateChange(name, earlier_state, self.status[name], self._labels[1]))

    def _explanation(self, index: int, status: FeatureStatus, length: int) -> Callable[[], str]:
        """Return a function that describes, without category names, how the window of a length shifted a feature."""
        counts, expected = self._compared[length]
        bins = self._layout.slices[index]
        # Copies, so that a drift does not keep the counts of all other features in memory.
        usual = None if expected is None else expected[bins].copy()
        current = counts.counts[bins].copy()
        return partial(describe_shift, self._features[index], current, status.components, labels=False, expected=usual)


def _windows_between(length: int) -> int:
    """Return the windows between two evaluations of a length, in windows."""
    return max(1, length // DUE_SHARE)
