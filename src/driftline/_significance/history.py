"""What the rows served have shown so far: how their means vary, and where each feature usually is."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._seasons.calendar import CELLS
from driftline._seasons.expectation import Expectation
from driftline._significance.baseline import Baseline, Difference, ReferenceRows
from driftline._significance.block_pyramid import BlockPyramid, LevelSquares, Pair
from driftline._significance.block_scores import BlockScores
from driftline._significance.clumps import RATES, window_clumps
from driftline._significance.components import SHAPE, leading_parts
from driftline._significance.dependence import Dependence
from driftline._significance.expected_shares import ExpectedShares
from driftline._significance.guarded import Guarded
from driftline._significance.hidden_parts import HiddenParts
from driftline._significance.inflation import Inflation
from driftline._significance.learner import Learner
from driftline._significance.own_past import OwnPast
from driftline._windows.ring import WindowCounts
from driftline.typing import Floats

__all__ = ["HIDDEN_FREEDOM", "History"]

MAX_BATCH = 2**18
"""Largest product of the number of bins and the number of pairs of blocks compared in one step."""

MOST_GUARDED, GUARDED_SHARE = 16, 6
"""
Windows that are not learned from until a drift in them would have been seen: at most 16, and fewer at the start, where
one of six windows is guarded.
"""

CUTS, WINDOWS_PER_CUT = 4.0, 500.0
"""
Number of drifts whose ends are cut out of what is learned about a feature, and windows after which one more may be.
States that alternate change more often, and must be learned. With 2, three short drifts hid all later ones.
"""

HIDDEN_FREEDOM = 4.0
"""Degrees of freedom of the hidden variance, which is seen from few states."""

MOST_DOUBLINGS = 24
"""Doublings of the longest block up to which `History.rows_to_see` looks."""

DEPENDENT = 1.3
"""Factor of the shape from which its rows count as dependent, so that its directions are estimated."""


class History:
    """
    Learns from every window how the means of rows vary and where features usually are, and never ends.

    Args:
        features: the watched features, in the order of *layout*.
        layout: the layout of their bins.
        panes: number of panes of a window.
        blocks: number of blocks of a window.
        longest: number of windows of the longest look.
        reference_rows: rows of the reference.
        learner: learns how the means of rows vary.
        seasonal: computes the expected shares of rows from the hours of the week. If None, they do not depend on it.
        ordered: the dependence of training data that are known to be in the order of time. A mean of their rows varies
            no less than a lasting state, so more cannot hide. If None, their order is not known.
        keyed: whether looks come with what rows of the same key cause.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        layout: Layout,
        *,
        panes: int,
        blocks: int,
        longest: int,
        reference_rows: int,
        learner: Learner,
        seasonal: Expectation | None = None,
        ordered: Dependence | None = None,
        keyed: bool = False,
    ) -> None:
        self._bins, self._size = layout.total, len(features)
        self._panes, self._longest = panes, longest
        self._seasonal = seasonal
        self._scores = BlockScores(features, layout)
        self._sizes = np.array(layout.sizes, dtype=np.intp)
        self._reference_rows = float(max(reference_rows, 1))
        self._shares = ExpectedShares(features, layout, seasonal)
        self._usual = self._shares.usual
        self._rates = self._scores.rates(np.append(self._usual, 0.0))
        self._leading = leading_parts(features)
        self._in_window = max(1, int(np.log2(max(blocks, 2))))
        self._learner = learner
        self._hidden = HiddenParts(
            features,
            layout,
            self._scores,
            self._rates,
            reference_rows=self._reference_rows,
            panes=panes,
            longest=longest,
            seasonal=seasonal is not None,
            ordered=ordered,
            keyed=keyed,
        )
        self.reset()

    def reset(self) -> None:
        """Forget everything that was learned, as the child of a fork must."""
        size = self._size
        self._learner.reset()
        self._pyramid = BlockPyramid(self._learner.levels, size)
        self._hidden.reset()
        self._past = OwnPast(self._sizes, self._reference_rows)
        self._guarded: deque[Guarded] = deque()
        self._latest_baseline: Baseline | None = None
        self._clumps: deque[Floats] = deque(maxlen=self._longest * self._panes)
        self._served = np.zeros(self._bins + 1)
        self._served_rows = 0
        self._tokens = np.full(size, CUTS)
        self._cut_off = np.zeros(size, dtype=np.bool_)
        self._steps = 0

    # --- learning ----------------------------------------------------------------------------------------------------

    def add(self, window: WindowCounts, unusable: NDArray[np.bool_]) -> None:
        """
        Add the blocks of a window that no earlier window had.

        Args:
            window: the window, with its blocks.
            unusable: shape (features,), features whose values in this window cannot be evaluated.
        """
        blocks = [block for block in window.blocks if block.rows]
        if not blocks:
            return
        self._steps += 1
        self._latest_baseline = None
        self._tokens = np.minimum(CUTS, self._tokens + 1.0 / (WINDOWS_PER_CUT * self._panes))
        rows = sum(block.rows for block in blocks)
        stacked = np.zeros((len(blocks), self._bins + 1), dtype=np.int64)
        for row, block in zip(stacked, blocks, strict=True):
            row[:-1] = block.counts[: self._bins]
        counts = stacked.sum(axis=0)
        self._served += counts
        self._served_rows += rows
        self._learner.count(len(blocks), rows)
        expected, total = self._usual, None
        # Copies, so that the half that waits for its pair does not keep the others in memory.
        paired = [row.copy() for row in stacked]
        if self._seasonal is not None:
            hours = [block.counts[self._bins : self._bins + CELLS] for block in blocks]
            expected = self._shares.of_hours(np.sum(hours, axis=0))
            total = self._scores.expected_variance(np.append(expected, 0.0))
            paired = [np.concatenate(pair) for pair in zip(stacked, hours, strict=True)]
        self._pyramid.cut(unusable)
        pairs = self._pyramid.add(paired)
        self._pyramid.cut(unusable)
        squares = self._compare(pairs)
        self._hidden.add(stacked, rows, total)
        rates = self._scores.rates(counts)
        events = rates * rows
        factors = window_clumps(squares, rates, self._in_window, partial(self._scores.events, stacked, rows))
        self._clumps.append(np.stack([events, events * factors]))
        usable = ~unusable
        small = counts[:-1].astype(np.min_scalar_type(rows))
        self._guarded.append(Guarded(squares, small, expected, rows, self._steps / self._panes, usable, usable))
        self._learn_old()
        latest: Sequence[LevelSquares] = ()
        if self._guard() == 0:
            # Hardly anything else is known. Events that are rare would explain themselves.
            latest = [each.without(RATES) for each in squares if each.level < self._in_window]
        self._learner.estimate(self._pooled_units(), latest, usable)

    def _guard(self) -> int:
        """Return the number of panes that are not learned from yet."""
        return min(MOST_GUARDED * self._panes, (self._steps + self._panes) // GUARDED_SHARE)

    def _learn_old(self) -> None:
        """
        Learn from the windows that are older than the guard.

        In the first windows, what is usual is learned sooner, and what is not is learned after one more window.
        """
        guard = self._guard()
        if guard <= self._panes:
            if guard == 0:
                self._learn_usual(self._guarded[-1], self._in_window)
            for window in list(self._guarded)[: -max(guard, 1)]:
                self._learn_usual(window, self._learner.levels)
        while len(self._guarded) > max(guard, self._panes + 1):
            old = self._guarded.popleft()
            for squares in old.squares:
                self._learner.learn(squares, old.kept)
            self._past.add(old.counts, old.rows, old.expected, old.quiet, 1.0 / self._panes)

    def _learn_usual(self, window: Guarded, levels: int) -> None:
        """Learn what is usual of a window, at a number of block lengths."""
        for squares in window.take_usual(levels, self._learner.settled.factors, first=self._steps == 1):
            self._learner.learn(squares, window.kept)

    def _compare(self, pairs: Sequence[Pair]) -> list[LevelSquares]:
        """Return the sums of the squared differences of each level."""
        sums: dict[int, Floats] = {}
        width = self._bins + 1
        batch = max(1, MAX_BATCH // width)
        for start in range(0, len(pairs), batch):
            part = pairs[start : start + batch]
            first = np.stack([pair.first for pair in part])
            second = np.stack([pair.second for pair in part])
            expected = None
            if self._seasonal is not None:
                expected = self._shares.of_blocks(first), self._shares.of_blocks(second)
            squares = self._scores.compare(first[:, :width], second[:, :width], self._served, expected)
            valid = np.stack([pair.valid for pair in part])[:, :, None] & np.isfinite(squares)
            squares = np.where(valid, squares, 0.0)
            values = np.empty((len(part), 3, *squares.shape[1:]))
            values[:, 0], values[:, 1] = squares, valid
            np.multiply(squares, squares, out=values[:, 2])
            for pair, each in zip(part, values, strict=True):
                if pair.level in sums:
                    sums[pair.level] += each
                else:
                    sums[pair.level] = each.copy()
        # They are kept until they are learned. The numbers are small.
        small = np.min_scalar_type(len(pairs))
        return [
            LevelSquares(level, whole[0].copy(), whole[1].astype(small), whole[2].copy())
            for level, whole in sorted(sums.items())
        ]

    def change(self, begun: NDArray[np.intp], ended: NDArray[np.bool_], drifting: NDArray[np.bool_]) -> None:
        """
        Take note of the states after the latest window.

        Args:
            begun: shape (features,), for features whose drift began, the windows of the look that showed it; else 0.
            ended: shape (features,), features whose drift ended.
            drifting: shape (features,), features that drift.
        """
        if not self._guarded:
            return
        latest = self._guarded[-1]
        latest.quiet = latest.quiet & ~drifting
        self._hidden.drop_latest(drifting, latest.rows)
        starts = (begun > 0) & (self._tokens >= 1.0)
        # Of a drift, both ends are cut or none: one end alone would count as dependence for ever.
        cut = starts | (ended & self._cut_off)
        self._cut_off = (self._cut_off | starts) & drifting & ~ended
        if not cut.any():
            return
        self._tokens = self._tokens - starts
        self._pyramid.cut(cut)
        now = latest.number
        for window in self._guarded:
            # The drift may have begun, or ended, within the pane before those that showed it.
            since = now - window.number < np.maximum(begun, 1) + 1.0 / self._panes
            window.kept = window.kept & ~(cut & since)
            window.quiet = window.quiet & ~((begun > 0) & since)

    # --- looks -------------------------------------------------------------------------------------------------------

    def look(
        self, windows: int, window: WindowCounts, by_key: tuple[Inflation, Inflation] | None = None
    ) -> Difference | None:
        """
        Return how much a look varies against its baseline. Before the first row, return None.

        Args:
            windows: number of windows of the look.
            window: its counts.
            by_key: the inflations that rows of the same key cause: that of the look, and that of the reference. If
                None, there are no keys.
        """
        if not self._served_rows or not window.rows:
            return None
        rows = float(window.rows)
        factor, freedom = self._learner.run.at(rows)
        rates = self._scores.rates(np.append(window.counts[: self._bins], 0))
        if by_key is None:
            baseline = self._baseline(window)
        else:
            keyed, keyed_reference = by_key
            baseline = self._baseline(window, keyed_reference)
            larger = keyed.factor > factor
            factor, freedom = np.where(larger, keyed.factor, factor), np.where(larger, keyed.freedom, freedom)
        hidden = self._hidden(windows, window, self._learner.run, (factor, rates), by_key)
        variance = factor / rows
        self._add_clumps(variance, window, windows, rates)
        chance = variance + baseline.variance
        whole = chance + hidden
        degrees = whole**2 / np.maximum(chance**2 / freedom + hidden**2 / HIDDEN_FREEDOM, 1e-300)
        independent = (1.0 / rows + 1.0 / baseline.rows)[:, None]
        inflation = whole / independent
        directions = np.where(inflation[:, SHAPE] > DEPENDENT, self._learner.directions(inflation[:, SHAPE]), np.inf)
        return Difference(
            Inflation(inflation, degrees, directions), baseline.counts, np.sqrt(whole), chance / independent
        )

    def _baseline(self, window: WindowCounts, keyed_reference: Inflation | None = None) -> Baseline:
        """Return the baseline of a look. Without seasons and keys, it is the same for all looks after a window."""
        if self._latest_baseline is not None:
            return self._latest_baseline
        expected, rows = self._shares.of_look(window.counts, self._reference_rows)
        reference = ReferenceRows(rows, self._reference_rows, keyed_reference)
        baseline = Baseline.of(expected, reference, self._past, self._learner.run, self._leading)
        if self._seasonal is None and keyed_reference is None:
            self._latest_baseline = baseline
        return baseline

    def _add_clumps(self, variance: Floats, window: WindowCounts, windows: int, rates: Floats) -> None:
        """
        Raise the variance of rates to what clumps show: of increased rates, those of these windows.

        Decreased rates have no clumps. In the first windows, whose rates are not learned yet, all windows show them.
        """
        more = rates > self._rates
        early = self._guard() <= self._panes
        if not early and not more.any():
            return
        factors = np.where(more, _clumps_of(list(self._clumps)[-windows * self._panes :]), 0.0)
        if early:
            factors = np.where(more, factors, _clumps_of(self._clumps))
        for column, part in enumerate(RATES):
            variance[:, part] = np.maximum(variance[:, part], factors[:, column] / window.rows)

    def rows_to_see(self, index: int, shift: float, level: float) -> float:
        """
        Return how many rows would show a shift of a feature with what is known now; inf if the reference is too small.

        Args:
            index: index of the feature.
            shift: the shift, in standard deviations of the leading score.
            level: significance level of a two-sided test.
        """
        from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

        run, part = self._learner.run, int(self._leading[index])
        of_reference = float(run.at(self._reference_rows)[0][index, part]) / self._reference_rows
        rows = np.concatenate([run.lengths, run.lengths[-1] * 2.0 ** np.arange(1, MOST_DOUBLINGS)])
        at = np.minimum(np.arange(len(rows)), len(run.lengths) - 1)
        error = np.sqrt(run.factors[at, index, part] / rows + of_reference)
        critical = -special.stdtrit(run.freedom[:, index, part], level / 2.0)[at]
        enough = np.flatnonzero(critical * error <= shift)
        return float(rows[enough[0]]) if len(enough) else float("inf")

    @property
    def dependence(self) -> Dependence | None:
        """What has been learned of the dependence of rows; None if it is too little."""
        return self._learner.dependence(self._pooled_units())

    # --- shares ------------------------------------------------------------------------------------------------------

    def _pooled_units(self) -> Floats:
        """Return the variances of being out of range and of being missing, over the reference and the rows served."""
        served = self._scores.rates(self._served)
        rows = max(self._served_rows, 1)
        pooled = (self._rates * self._reference_rows + served * rows) / (self._reference_rows + rows)
        return np.maximum(pooled * (1.0 - pooled), 0.5 / (self._reference_rows + rows))


def _clumps_of(windows: Sequence[Floats]) -> Floats:
    """Return the variance factor of rates, shape (features, 2), that windows show together; 1 without events."""
    events, weighted = windows[0] if len(windows) == 1 else sum(list(windows)[1:], start=windows[0])
    factors: Floats = np.where(events > 0, weighted / np.maximum(events, 1e-9), 1.0)
    return factors
