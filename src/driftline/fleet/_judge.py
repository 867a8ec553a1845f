"""`FleetJudge`: evaluates the blocks of a fleet with the code with which a monitor evaluates its own windows."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.layout import Layout
from driftline._pipeline.redaction import without_categories
from driftline._seasons.calendar import CELLS, HOUR
from driftline._seasons.clock import WeekClock
from driftline._seasons.zones import TimeZone
from driftline._significance.learned import Learned
from driftline._windows.ring import BLOCKS, TimeRing
from driftline._windows.window import Window
from driftline.detection import FalseAlarms, Rule
from driftline.detection._evaluator import WindowEvaluator
from driftline.detection._rules import check_rule
from driftline.detection._scoring import DEFAULT_DISTANCES, resolve_distances
from driftline.errors import ConfigurationError
from driftline.fleet._blocks import Blocks, settle
from driftline.fleet._history import BlockHistory
from driftline.reference import Reference
from driftline.results import DriftState, FeatureStatus, Score, StateChange, worst_state
from driftline.typing import Counts, Distance

_log = logging.getLogger("driftline")

__all__ = ["HISTORY_WINDOWS", "FleetJudge", "FleetResult", "block_seconds"]

HISTORY_WINDOWS = 64
"""Windows that are kept and replayed: as many as the longest look of `FalseAlarms` has."""


@dataclass(frozen=True, slots=True)
class FleetResult:
    """
    The states of all features of a fleet after its latest window.

    Attributes:
        state: that of the model: ``"drifting"`` if any feature drifts; else ``"insufficient_data"`` if any has this
            state or none has been evaluated; else ``"stable"``.
        features: the state of each feature, by name.
        scores: the distances of the latest windows.
        rows: rows of the latest window.
        processes: number of processes that exported in a block of the window, of the block with most of them.
        start: Unix time in seconds at which the latest window starts; nan before the first.
        end: Unix time in seconds at which it ends; nan before the first.
        windows: number of windows that have been evaluated.
    """

    state: DriftState
    features: Mapping[str, FeatureStatus]
    scores: tuple[Score, ...]
    rows: int
    processes: int
    start: float
    end: float
    windows: int


class FleetJudge:
    """
    Evaluates what all processes of a fleet have counted, as if one monitor had seen all rows.

    Args:
        reference: the reference of the processes.
        window: a window of time.
        rule: decides which features drift.
        distances: names of distances or functions, as for a monitor.
        on_change: called when a feature changes its state. The name and the reason may hold a category.
        learned: what is known about the dependence of rows, as `learned` of an earlier `FleetJudge`. If None, nothing.
        history: the `history` of an earlier `FleetJudge`. Its blocks are evaluated again, without calls of *on_change*,
            so that this one knows what the earlier one did.

    Attributes:
        step: seconds of a block. Blocks that are fed must have this step.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    def __init__(
        self,
        reference: Reference,
        window: Window | None = None,
        rule: Rule | None = None,
        *,
        distances: Sequence[str | Distance] = DEFAULT_DISTANCES,
        on_change: Callable[[StateChange], None] | None = None,
        learned: Learned | None = None,
        history: Blocks | None = None,
    ) -> None:
        self._window = Window("1h") if window is None else window
        self.step = block_seconds(reference, self._window)
        pane, seconds = self._window.pane_seconds or 0.0, self._window.seconds or 0.0
        self._features = {feature.name: feature for feature in reference.watched}
        self._layout = Layout(reference.watched)
        seasons = reference.seasons
        self._now = 0.0
        self._week = None
        if seasons is not None and seasons.kinds:
            self._week = WeekClock(lambda: self._now, TimeZone(seasons.timezone))
        self._on_change, self._muted = on_change, history is not None
        self._evaluator = WindowEvaluator(
            reference,
            self._layout,
            self._window,
            check_rule(FalseAlarms() if rule is None else rule),
            resolve_distances(distances),
            lambda: self._now,
            self._change,
            lambda place, message: _log.warning("%s: %s", place, message),
            learned=learned,
        )
        bins = self._layout.total + (0 if self._week is None else CELLS)
        self._ring = TimeRing(self._window.panes, bins, pane)
        self._ring.divide = self._evaluator.learning
        in_window = round(seconds / self.step)
        self._history = BlockHistory(self.step, self._layout.total, HISTORY_WINDOWS * in_window, in_window)
        self._exporting: deque[int] = deque(maxlen=in_window)
        self._whole = True
        self._carried: Counts = np.zeros(self._layout.total, dtype=np.int64)
        self._latest = FleetResult("insufficient_data", self._evaluator.status, (), 0, 0, math.nan, math.nan, 0)
        if history is not None:
            self.feed(history)
        self._muted = False

    @property
    def history(self) -> Blocks | None:
        """The blocks of the last 64 windows, those of a window that is not complete included. None before the first."""
        return self._history.blocks

    @property
    def fed_until(self) -> float | None:
        """Unix time in seconds at which the latest block ends; None before the first."""
        return None if self.history is None else self.history.end

    @property
    def reread_from(self) -> float:
        """
        Unix time in seconds from which on blocks are to be read again; minus infinity before the first.

        The last window is read again, because some exports arrive late.
        """
        history = self.history
        if history is None:
            return -math.inf
        return history.end - min(round((self._window.seconds or 0.0) / self.step), len(history)) * self.step

    @property
    def learned(self) -> Learned:
        """What is known about the dependence of rows, to be passed to a later `FleetJudge`."""
        return self._evaluator.learned

    @property
    def reliable_scores(self) -> tuple[Score, ...]:
        """The scores of the latest windows that a monitor would export: of features with enough rows."""
        return self._evaluator.reliable_scores if self._latest.scores else ()

    def result(self) -> FleetResult:
        """Return the states after the latest window. Reasons may hold names of categories."""
        return self._latest

    def without_categories(self, name: str, status: FeatureStatus) -> FeatureStatus:
        """Return the latest status of a feature, or the one of a `StateChange`, without names of categories."""
        return without_categories(self._features[name], status, self._evaluator)

    def latest_counts(self) -> Counts | None:
        """Return the rows of the latest window over the bins of all features, shape (bins,); None before the first."""
        recent = self._evaluator.evaluation_details().recent
        return recent[-1].counts[: self._layout.total] if recent else None

    def feed(self, blocks: Blocks) -> None:
        """
        Count blocks, and evaluate the windows that they complete.

        The first block starts the first window. Blocks of a time that was fed before may be fed again, as they are now
        known: the difference, which is what arrived late, counts in the next block.

        Args:
            blocks: consecutive blocks. The time since the latest one that was fed counts as unknown.

        Raises:
            ValueError: the blocks have another step or other bins, or lie between those that were fed.
        """
        if not len(blocks):
            return
        before = self.fed_until
        blocks, late = self._history.add(blocks)
        self._carried = self._carried + late
        if not len(blocks):
            return
        if before is None:
            self._now = blocks.start
            self._evaluator.reset()
        elif blocks.start > before + self.step / 2.0:
            # More than all windows of the history are unknown, the one that is not complete included.
            self._exporting.clear()
        more = blocks.counts
        if self._carried.any():
            more = more.copy()
            more[0] += self._carried
        counts, self._carried = settle(more)
        sizes = np.array(self._layout.offsets)
        # A row is in one bin of each feature, except for a prediction that failed and for features without series.
        rows = np.add.reduceat(counts, sizes, axis=1).max(axis=1).tolist()
        for index, block in enumerate(counts):
            start = blocks.start + index * blocks.step
            self._advance(start)
            if self._week is not None:
                self._week.advance()
                block = self._week.append_cells(block, rows[index])  # noqa: PLW2901 - the same block with its hour
            self._ring.add(block, rows[index])
            self._exporting.append(int(blocks.exporting[index]))
            self._whole = self._whole and bool(blocks.whole[index])
        self._advance(blocks.end)

    def _advance(self, now: float) -> None:
        """Close what ends by a time, and evaluate the window that this completes, if anything is known about it."""
        self._now = now
        for window in self._ring.advance(now):
            whole, self._whole = self._whole, True
            if not any(self._exporting):
                self._latest = self._unknown(now)
                continue
            if not whole:
                # Rows that were counted at a wrong time would pass as a pattern of the traffic.
                window.blocks = ()
            self._evaluator.evaluate([window])
            self._latest = self._result(window.rows, now)

    def _result(self, rows: int, end: float) -> FleetResult:
        features = self._evaluator.status
        return FleetResult(
            worst_state(status.state for status in features.values()),
            features,
            self._evaluator.scores,
            rows,
            max(self._exporting),
            end - (self._window.seconds or 0.0),
            end,
            self._latest.windows + 1,
        )

    def _unknown(self, end: float) -> FleetResult:
        """Return the result of a window in which no process has exported."""
        unknown = FeatureStatus("insufficient_data", None, None, 0, f"no process has exported for {self._window.label}")
        return FleetResult(
            "insufficient_data",
            dict.fromkeys(self._features, unknown),
            (),
            0,
            0,
            end - (self._window.seconds or 0.0),
            end,
            self._latest.windows,
        )

    def _change(self, change: StateChange) -> None:
        if self._on_change is not None and not self._muted:
            self._on_change(change)


def block_seconds(reference: Reference, window: Window) -> float:
    """
    Return the seconds of a block of time, of which a window has at least `BLOCKS`. With seasons, it is at most an hour.

    Args:
        reference: the reference of the processes.
        window: the window.

    Raises:
        ConfigurationError: the window is not one of time.
    """
    pane, seconds = window.pane_seconds, window.seconds
    if pane is None or seconds is None:
        msg = f"window={window.label!r}: expected a window of time, such as Window('1h')"
        raise ConfigurationError(msg)
    longest = seconds / BLOCKS
    if reference.seasons is not None and reference.seasons.kinds:
        longest = min(longest, HOUR)
    return pane / math.ceil(pane / longest)
