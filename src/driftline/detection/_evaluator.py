"""Windows judged one after the other, at several lengths at once: scores, states, and what changed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache, partial, reduce

import numpy as np
from numpy.typing import NDArray

from driftline._binning.layout import Layout
from driftline._capture.reader import Report
from driftline._seasons.expectation import Expectation, short_window
from driftline._significance.burn_in import BurnIn
from driftline._significance.dependence import Dependence
from driftline._significance.inflation import Inflation, larger_inflation
from driftline._windows.ring import WindowCounts
from driftline._windows.window import Window
from driftline.detection._explanation import describe_shift
from driftline.detection._rules import Evidence, Look, Rule
from driftline.detection._scoring import NamedDistance, Scorer, named_distances
from driftline.detection._states import Episode, update_status
from driftline.reference import Reference
from driftline.results import FeatureStatus, Score, StateChange

__all__ = ["WindowEvaluator"]

LENGTHS_KEPT = 16
"""Numbers of rows for which an inflation is remembered: those of the reference and of windows of rows are few."""

_log = logging.getLogger("driftline")


class WindowEvaluator:
    """
    Judges the windows of one reference and remembers the last scores and states.

    Args:
        reference: what windows are compared with.
        layout: where the bins of its features lie.
        window: its length is the scores' length, its cadence the rule's.
        rule: what counts as drift.
        distances: what is computed; distances that only the rule wants are added.
        clock: seconds.
        changed: told when a feature changes its state.
        report: told of a user's distance or rule that raises.
    """

    def __init__(
        self,
        reference: Reference,
        layout: Layout,
        window: Window,
        rule: Rule,
        distances: Sequence[NamedDistance],
        clock: Callable[[], float],
        changed: Callable[[StateChange], None],
        report: Report,
    ) -> None:
        wanted = [name for name in rule.distances if name not in {distance.name for distance in distances}]
        self._labels = {length: window.label_of(length) for length in rule.lengths}
        self._panes = window.panes
        self._features = reference.watched
        self._min_rows = rule.min_rows
        known = [one.inflation_curve() for one in (reference.dependence, reference.traffic) if one is not None]
        self._known = _largest(known)
        self._inflated: tuple[Dependence | None, Callable[[float], Inflation] | None] = None, self._known
        learns = rule.tests and reference.traffic is None
        seasons = reference.seasons
        self._layout = layout
        self._seasonal = Expectation(seasons, reference.watched, layout) if seasons and seasons.kinds else None
        self._burn_in = BurnIn(reference.watched, layout, seasonal=self._seasonal) if learns else None
        self._scorer = Scorer(reference.watched, layout, (*distances, *named_distances(wanted)), report)
        self._judge = rule.prepare(reference.watched, layout, window)
        self._clock = clock
        self._changed = changed
        if seasons and (said := short_window(seasons, reference.rows, window.rows, window.seconds)):
            _log.warning("%s", said)
        self.reset()

    def reset(self) -> None:
        """Forget scores and states: the child of a fork starts here."""
        self.lock = threading.RLock()
        self._last: float = self._clock()
        self._whole: deque[WindowCounts] = deque(maxlen=max(self._labels))
        self._passed = 0
        self._since = dict.fromkeys(self._labels, (0, 0.0))
        self._scores: dict[int, Sequence[Score]] = {}
        self._evidence: dict[int, tuple[Evidence, ...]] = {}
        self._looked: dict[int, tuple[WindowCounts, NDArray[np.float64] | None]] = {}
        self._episodes = [Episode() for _ in self._features]
        self.status: dict[str, FeatureStatus] = {
            feature.name: FeatureStatus("insufficient_data", None, None, 0, "no window yet")
            for feature in self._features
        }
        self.last_window: WindowCounts | None = None
        if self._burn_in is not None:
            self._burn_in.reset()

    @property
    def scores(self) -> tuple[Score, ...]:
        """The scores of the last look at each length."""
        return tuple(score for _, scores in sorted(self._scores.items()) for score in scores)

    @property
    def learning(self) -> bool:
        """Whether blocks of rows are wanted, to learn how they depend on each other."""
        return self._burn_in is not None and not self._burn_in.complete

    @property
    def dependence(self) -> Dependence | None:
        """What the first windows served say about how rows depend on each other."""
        return None if self._burn_in is None else self._burn_in.dependence

    def evaluate(
        self, windows: Sequence[WindowCounts], *, partial: bool = False, pause: Callable[[], bool] | None = None
    ) -> None:
        """
        Judge windows in the order given, evenly spread over the time since the last judgement.

        Args:
            windows: whole ones, each one pane further than the one before.
            partial: it is what there is of a first window, judged at its own length and not remembered.
            pause: called after each length, to let others have the interpreter, unless several windows wait.
        """
        if not windows:
            return
        now = self._clock()
        # A clock that went back has not made time go back.
        elapsed, self._last = max(0.0, now - self._last) / len(windows), now
        for window in windows:
            # Of a reference whose rows were shuffled the first window tells all that is known. What comes later is
            # learnt from when it has been judged, and not from features that drift: a drift is not how rows scatter.
            untold = self._burn_in is not None and self._burn_in.dependence is None
            if self._burn_in is not None and untold:
                self._burn_in.learn(window.blocks, window=not partial)
            for length, (panes, seconds) in self._since.items():
                self._since[length] = panes + 1, seconds + elapsed
            for length, counts in self._looked_at(window, partial=partial):
                self._look(length, counts)
                if pause is not None and len(windows) == 1:
                    pause()
            self.last_window = window
            self._settle()
            if self._burn_in is not None and not untold:
                drifting = np.array([one.state == "drifting" for one in self.status.values()])
                self._burn_in.learn(window.blocks, drifting, window=not partial)

    def explain_without_labels(self, name: str, status: FeatureStatus) -> str:
        """What moved in the window that *status* tells of, in words that name no category."""
        for feature, bins in zip(self._features, self._layout.slices, strict=True):
            if feature.name != name:
                continue
            for counts, expected in self._looked.values():
                current = counts.counts[bins]
                if current.sum() == status.rows:
                    usual = None if expected is None else expected[bins]
                    return describe_shift(feature, current, status.components, labels=False, expected=usual)
        return name

    def _looked_at(self, window: WindowCounts, *, partial: bool) -> list[tuple[int, WindowCounts]]:
        """The lengths that are due, each with its counts: longer ones move by whole windows."""
        due = [(1, window)]
        if partial:
            return due
        self._passed += 1
        if self._passed % self._panes:
            return due
        self._whole.append(window)
        recent = list(self._whole)
        for length in self._labels:
            if 1 < length <= len(recent):
                parts = recent[-length:]
                counts = np.add.reduce([part.counts for part in parts])
                due.append((length, WindowCounts(counts, sum(part.rows for part in parts))))
        return due

    def _look(self, length: int, counts: WindowCounts) -> None:
        panes, seconds = self._since[length]
        self._since[length] = 0, 0.0
        expected = None if self._seasonal is None else self._seasonal(counts.counts[self._layout.total :])
        scores = self._scorer(counts, self._labels[length], expected)
        self._scores = {**self._scores, length: scores}
        self._looked = {**self._looked, length: (counts, expected)}
        self._evidence[length] = self._judge(Look(counts, length, panes, seconds, scores, self._inflation(), expected))

    def _inflation(self) -> Callable[[float], Inflation] | None:
        live = self.dependence
        if live is not self._inflated[0]:
            known = [] if self._known is None else [self._known]
            if live is not None and self._burn_in is not None:
                known.append(partial(live.inflation_curve(), whole=self._burn_in.window_rows))
            self._inflated = live, _largest(known)
        return self._inflated[1]

    def _settle(self) -> None:
        """States from the last look at each length; new objects each time: readers see one judgement, whole."""
        before, status = self.status, {}
        whole, note = self._passed // self._panes, self._note()
        for place, feature in enumerate(self._features):
            evidence = {length: each[place] for length, each in self._evidence.items()}
            status[feature.name], self._episodes[place] = update_status(
                self._episodes[place], evidence, whole, self._min_rows, note
            )
        self.status = status
        for name, one in status.items():
            if one.state != before[name].state:
                self._changed(StateChange(name, before[name].state, one, self._labels[1]))

    def _note(self) -> str:
        """How far the learning of the dependence is, as long as it goes on."""
        one = self._burn_in
        if one is None or one.complete:
            return ""
        return f"; learning how rows depend on each other: {one.windows} of {one.of} windows"


def _largest(known: Sequence[Callable[[float], Inflation]]) -> Callable[[float], Inflation] | None:
    """
    The inflation that is never smaller than any of them says; None where nothing is known.

    Computed once for each number of rows: it is the larger part of a judgement.
    """
    if not known:
        return None

    @lru_cache(maxsize=LENGTHS_KEPT)
    def inflation(rows: float) -> Inflation:
        return reduce(larger_inflation, (one(rows) for one in known))

    return inflation
