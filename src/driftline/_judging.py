"""Windows judged one after the other: scores, states, and what changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from driftline._binning import Layout
from driftline._capture import Report
from driftline._scoring import NamedDistance, Scorer, named_distances
from driftline._values import FeatureStatus, Score, StateChange, Window
from driftline._window import WindowCounts
from driftline.detection import Rule, next_status
from driftline.reference import Reference

__all__ = ["Judging"]


class Judging:
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
        self._length = window.label
        self._features = reference.watched
        self._min_rows = rule.min_rows
        self._scorer = Scorer(reference.watched, layout, (*distances, *named_distances(wanted)), report)
        self._judge = rule.prepare(reference.watched, layout, window)
        self._clock = clock
        self._changed = changed
        self.reset()

    def reset(self) -> None:
        """Forget scores and states: the child of a fork starts here."""
        self.lock = threading.RLock()
        self._last: float = self._clock()
        self.scores: tuple[Score, ...] = ()
        self.status: dict[str, FeatureStatus] = {
            feature.name: FeatureStatus("insufficient_data", None, None, 0, "no window yet")
            for feature in self._features
        }
        self.window: WindowCounts | None = None

    def judge(self, windows: Sequence[WindowCounts]) -> None:
        """Judge windows in the order given, evenly spread over the time since the last judgement."""
        if not windows:
            return
        now = self._clock()
        elapsed, self._last = (now - self._last) / len(windows), now
        for window in windows:
            scores = self._scorer(window, self._length)
            evidence = self._judge(window, scores, elapsed)
            before = self.status
            # New objects each time: whoever reads them meanwhile sees one judgement, whole.
            self.status = {
                feature.name: next_status(before[feature.name], one, self._min_rows)
                for feature, one in zip(self._features, evidence, strict=True)
            }
            self.scores, self.window = scores, window
            for name, status in self.status.items():
                if status.state != before[name].state:
                    self._changed(StateChange(name, before[name].state, status, self._length))
