"""The hidden variance of each part of a look, with or without keys of rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._significance.block_scores import BlockScores
from driftline._significance.components import LOCATION, MISSING, PARTS, SHAPE, SPREAD
from driftline._significance.dependence import Dependence
from driftline._significance.hidden import Hidden, WholeSpread, WindowSpread, most_hidden
from driftline._significance.inflation import Inflation
from driftline._significance.long_run import LongRun
from driftline._significance.moves import Moves
from driftline._windows.ring import WindowCounts
from driftline.typing import Counts, Floats

__all__ = ["HiddenParts"]

HIDDEN_SHARED = 0.25
"""Share of the hidden variance of location that spread and shape may have too."""

MOST_ALIKE = 64.0
"""
Largest factor by which the rows of the reference count as alike where its variance is compared with that of blocks.
With more, what hides in states would count as chance of the reference.
"""

RAREST_STATE, MOST_UNKNOWN = 0.05, 0.05
"""
Smallest share of time of a state that may hide, and the largest share of rows that such a state need not explain. A
state that is a share s of the reference has no more than 1 / s times its share of rows in any bin.
"""

VARIES = 1.5
"""Factor up to which rows count as independent, so that a look is no separate state. Chance hardly exceeds it."""


class HiddenParts:
    """
    Returns how much may hide from a look.

    Without keys, the variance within short blocks is compared with that of the reference. With keys, rows of a block
    are alike because they are of the same key, which is known. So the variance within whole panes is compared, less
    what keys make of it: what hides then is what the rows of a pane have in common, whatever their key.

    Args:
        features: the watched features, in the order of *layout*.
        layout: the layout of their bins.
        scores: computes the scores of blocks.
        rates: shape (features, 2), the rates of the reference.
        reference_rows: rows of the reference.
        panes: number of panes of a window.
        longest: number of windows of the longest look.
        seasonal: whether the season of a window says which variance to expect.
        ordered: the dependence of training data that are known to be in the order of time. If None, it is not known.
        keyed: whether looks come with what keys cause.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        layout: Layout,
        scores: BlockScores,
        rates: Floats,
        *,
        reference_rows: float,
        panes: int,
        longest: int,
        seasonal: bool,
        ordered: Dependence | None,
        keyed: bool,
    ) -> None:
        self._moved, self._bins, self._size = Moves.share(features, layout), layout.total, len(features)
        self._scores, self._rates, self._reference_rows = scores, rates, reference_rows
        self._panes, self._longest = panes, longest
        self._seasonal, self._ordered, self._keyed = seasonal, ordered, keyed
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self._hidden = Hidden(
            self._moved,
            self._rates[:, 1],
            self._reference_rows,
            self._longest * self._panes,
            seasonal=self._seasonal,
        )
        self._latest_whole: WholeSpread | None = None
        self._rows = self._steps = 0

    def add(self, blocks: Counts, rows: int, total: Floats | None) -> None:
        """
        Add a pane.

        Args:
            blocks: shape (blocks, bins + 1), counts of its blocks.
            rows: its rows.
            total: shape (features, 2), the variances that the season expects. If None, there are no seasons.
        """
        self._latest_whole = None
        self._rows += rows
        self._steps += 1
        units = blocks.sum(axis=0)[None] if self._keyed else blocks
        self._hidden.add(WindowSpread.of(self._scores.within(units), total), rows)

    def drop_latest(self, features: NDArray[np.bool_], rows: int) -> None:
        """Take the latest pane out of what is known of features that drift, shape (features,)."""
        self._hidden.drop_latest(features, rows)

    def __call__(
        self,
        windows: int,
        window: WindowCounts,
        run: LongRun,
        look: tuple[Floats, Floats],
        by_key: tuple[Inflation, Inflation] | None,
    ) -> Floats:
        """
        Return the hidden variance of each part, shape (features, parts).

        Args:
            windows: number of windows of the look.
            window: its counts.
            run: the long-run variance.
            look: shape (features, parts), the variance of the mean of as many rows, times their number; shape
                (features, 2), the rates of the look.
            by_key: the inflations that keys cause: that of the look, and that of the reference. If None, none.
        """
        factor, rates = look
        if self._latest_whole is None:
            self._latest_whole = self._whole(run, by_key)
        varies = 1.0 - np.minimum(1.0, VARIES / factor.T[[LOCATION, MISSING]])
        most = None if self._ordered is None else most_hidden(self._ordered, window.rows)
        of_location, of_missing = self._hidden(windows * self._panes, self._latest_whole, varies, most)
        hidden = np.zeros((self._size, PARTS))
        if of_location.any():
            # What the reference has hardly ever had is no state of it.
            padded = np.append(window.counts[: self._bins], 0)
            of_location = of_location * (self._scores.unknown_share(padded, RAREST_STATE) <= MOST_UNKNOWN)
            hidden[:, LOCATION] = of_location
            hidden[:, SPREAD] = hidden[:, SHAPE] = HIDDEN_SHARED * of_location
        hidden[:, MISSING] = np.where(rates[:, 1] < self._rates[:, 1], of_missing, 0.0)
        return hidden

    def _whole(self, run: LongRun, by_key: tuple[Inflation, Inflation] | None) -> WholeSpread:
        """Return what all rows so far say. The arguments are as above."""
        unit = self._rows / self._steps if self._keyed else float(run.lengths[0])
        of_unit, of_reference = run.at(unit)[0], run.at(self._reference_rows)[0]
        if by_key is not None:
            of_unit = np.maximum(of_unit, by_key[0].factor)
            of_reference = np.maximum(of_reference, by_key[1].factor)
        effective = self._reference_rows / np.minimum(of_reference.T[[SPREAD, MISSING]], MOST_ALIKE)
        return self._hidden.whole(of_unit.T[[LOCATION, MISSING]] / unit, unit, effective)
