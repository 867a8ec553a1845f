"""`Trend`: a level that moves within the training data, further than neighbouring blocks of rows explain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import CategoricalBins, Feature
from driftline._capture.columns import as_floats
from driftline._seasons.expectation import OrderedRows
from driftline.typing import Column, Counts, Floats

__all__ = ["ADVICE", "Figure", "Trend", "TrendSearch"]

Figure: TypeAlias = Literal["median", "mean", "share"]

MANY_BLOCKS, FEW_BLOCKS = 32, 16
"""Number of blocks of consecutive rows: with `MANY_BLOCK_ROWS` rows in a block or more, and with fewer rows."""

MANY_BLOCK_ROWS, FEW_BLOCK_ROWS = 128, 32
"""
Fewest rows of a block. Rows of an AR(1) series of coefficient 0.95 are almost independent over 128 rows. In blocks of
fewer rows, a normal distribution does not describe the mean.
"""

CRITICAL = {MANY_BLOCKS: (0.82, 0.39), FEW_BLOCKS: (0.64, 0.47)}
"""
(a, b) of the critical value a - b log10(p) of `_statistic`, by number of blocks. Simulated with a million series of
independent blocks: for p of 1e-2, 1e-3, 1e-4 and 1e-5 it is 1.55, 1.95, 2.34 and 2.67 with 32 blocks, and 1.54, 2.01,
2.47 and 2.93 with 16.
"""

TREND_LEVEL = 0.01
"""Largest probability that a reference of independent rows has any trend."""

MIN_SHIFT = 0.2
"""Smallest trend that is reported, in standard deviations. A smaller one hardly moves the level of a window."""

MIN_EXPECTED = 5.0
"""Smallest expected number of rows of a category, or with missing values, in a block, for a test of their share."""


@dataclass(frozen=True, slots=True)
class Trend:
    """
    A level that moves within the training data.

    Attributes:
        feature: name of the feature whose level moves most.
        of: what has the *figure*: ``"values"``, ``"missing values"``, or a category by its number, ``"category 0"``.
            Its label might be personal data.
        figure: ``"median"`` or ``"mean"`` of the values, or the ``"share"`` of rows.
        before: the figure in the first *row* rows.
        after: the figure in all later rows.
        shift: the move, in standard deviations. Of values, those of their ranks, turned into normal scores.
        row: number of rows before the level moves most. The move may be slow.
        features: number of features that show a trend.
    """

    feature: str
    of: str
    figure: Figure
    before: float
    after: float
    shift: float
    row: int
    features: int

    @property
    def words(self) -> str:
        """A clause that names the move, with its figures."""
        what = self.of if self.figure == "share" else self.figure
        of = f"the share of {what}" if self.figure == "share" else f"the {what}"
        before, after = (
            f"{each:.1%}" if self.figure == "share" else f"{each:.4g}" for each in (self.before, self.after)
        )
        others = f", as in {self.features - 1} other features" if self.features > 1 else ""
        return (
            f"the order of the rows shows a trend{others}: {of} of {self.feature} is {before} in the first {self.row} "
            f"rows and {after} in the rows after them ({self.shift:+.2g} σ), more than neighbouring blocks explain"
        )


ADVICE = (
    "if the rows are sorted or grouped, pass time= or shuffle them; if they are in the order of time, traffic will "
    "differ too: fit to the rows that are most like it"
)
"""What to do about a trend."""


def _choose_blocks(rows: int) -> int:
    """Return the number of blocks of consecutive rows that a trend is searched in; 0 for too few rows."""
    if rows >= MANY_BLOCKS * MANY_BLOCK_ROWS:
        return MANY_BLOCKS
    return FEW_BLOCKS if rows >= FEW_BLOCKS * FEW_BLOCK_ROWS else 0


class TrendSearch:
    """
    Searches training data for a trend, one feature after the other.

    The data are divided into blocks of consecutive rows. The test compares the cumulative sums of the blocks' means
    with the differences of neighbouring blocks (see `_statistic`).

    Args:
        rows: rows of the training data.
        ordered: their order by time, and their seasons. If None, their order is that of the columns.

    Attributes:
        blocks: number of blocks; 0 if there are too few rows for a test.
        block_rows: rows of each block. Rows after the last block count as later rows.
    """

    def __init__(self, rows: int, ordered: OrderedRows | None) -> None:
        self.blocks = _choose_blocks(rows)
        self.block_rows = rows // self.blocks if self.blocks else 0
        self._order = None if ordered is None else ordered.order
        self._expectation = None if ordered is None else ordered.expectation
        # Rows of each block by hour of the week.
        self._cells = None if ordered is None or not self.blocks else ordered.cell_counts(self.block_rows)
        self._tests = 0
        self._candidates: list[tuple[float, Trend]] = []

    def add(self, feature: Feature, bins: slice, numbers: NDArray[np.intp], column: Column) -> None:
        """
        Search a feature. Without blocks, do nothing.

        Args:
            feature: the feature.
            bins: its bins among those of all features.
            numbers: shape (rows,), bin numbers of consecutive rows.
            column: the values of the rows, in the order of the training data.
        """
        if not self.blocks:
            return
        expected = None
        if self._expectation is not None and self._cells is not None:
            expected = self._expectation.of_feature(bins, self._cells)
        size = feature.bins.size
        block_of_row = np.repeat(np.arange(self.blocks), self.block_rows)
        counts = np.bincount(block_of_row * size + numbers[: len(block_of_row)], minlength=self.blocks * size)
        for number, levels in _levels(feature, counts.reshape(self.blocks, size), expected):
            self._tests += 1
            statistic, split = _statistic(levels)
            shift, row = float(levels[split:].mean() - levels[:split].mean()), split * self.block_rows
            if abs(shift) < MIN_SHIFT or statistic < self._critical(1):
                continue
            figure: Figure = "share"
            if number is None:
                of, values = "values", as_floats(column)
                figure, before, after = _figures(values if self._order is None else values[self._order], row)
            else:
                of = "missing values" if number == feature.bins.missing else f"category {number}"
                before, after = _means((numbers == number).astype(np.float64), row)
            if math.isfinite(before) and math.isfinite(after):
                self._candidates.append((statistic, Trend(feature.name, of, figure, before, after, shift, row, 1)))

    def _critical(self, tests: int) -> float:
        """Return the critical value of each of this number of tests."""
        constant, slope = CRITICAL[self.blocks]
        return constant - slope * math.log10(TREND_LEVEL / tests)

    def result(self) -> Trend | None:
        """Return the largest significant trend of the features that were added; None if there is none."""
        if not self._candidates:
            return None
        critical = self._critical(self._tests)
        trends = [trend for statistic, trend in self._candidates if statistic > critical]
        if not trends:
            return None
        largest = max(trends, key=lambda trend: abs(trend.shift))
        return replace(largest, features=len({trend.feature for trend in trends}))


def _levels(feature: Feature, counts: Counts, expected: Floats | None) -> Iterator[tuple[int | None, Floats]]:
    """
    Yield the levels of the parts of a feature in each block: the bin of each part, and levels of shape (blocks,).

    Levels have the unit of a standard deviation of the rows, and a mean near 0. Missing values are a part, and so is
    each category. Numbers have one more part, without a bin: their mean normal score.
    """
    rows, total, bins = counts.sum(axis=1), counts.sum(axis=0), feature.bins
    shares = total / total.sum()
    for number in (
        (*range(len(bins.categories)), bins.missing) if isinstance(bins, CategoricalBins) else (bins.missing,)
    ):
        share = float(shares[number])
        if min(share, 1 - share) * rows[0] >= MIN_EXPECTED:
            usual = share if expected is None else expected[:, number]
            yield number, (counts[:, number] / rows - usual) / math.sqrt(share * (1 - share))
    if isinstance(bins, CategoricalBins):
        return
    scores = _normal_scores(total[:-1])
    if scores.any():
        levels = counts[:, :-1] @ scores / np.maximum(counts[:, :-1].sum(axis=1), 1)
        if expected is not None:
            present = expected[:, :-1]
            levels -= present @ scores / np.maximum(present.sum(axis=1), np.finfo(np.float64).tiny)
        yield None, levels


def _normal_scores(counts: Counts) -> Floats:
    """Return normal scores of the middle ranks of bins, shape (bins,): mean 0 and variance 1, or all 0 for one bin."""
    total = counts.sum()
    if (counts > 0).sum() < 2:  # noqa: PLR2004 - one bin has no variance
        return np.zeros(len(counts))
    ranks = (np.cumsum(counts) - counts / 2) / total
    normal = NormalDist()
    scores = np.array([normal.inv_cdf(min(max(rank, 1e-9), 1 - 1e-9)) for rank in ranks.tolist()])
    scores -= counts @ scores / total
    deviation: Floats = scores / math.sqrt(counts @ scores**2 / total)
    return deviation


def _statistic(levels: Floats) -> tuple[float, int]:
    """
    Return the statistic of the test for a trend, and the number of blocks before the level moves most.

    The statistic is the largest absolute cumulative sum of the levels, over what their variance explains (Ploberger &
    Krämer 1992). The variance is half of the mean squared difference of neighbours (von Neumann 1941), which a trend
    hardly enlarges: of single blocks or of pairs, whichever is larger. Pairs show dependence that reaches the next
    block.

    Args:
        levels: shape (blocks,), an even number.
    """
    sums = np.cumsum(levels - levels.mean())[:-1]
    split = int(np.argmax(np.abs(sums))) + 1
    pairs = levels.reshape(-1, 2).mean(axis=1)
    variance = max(float((np.diff(levels) ** 2).mean()) / 2, float((np.diff(pairs) ** 2).mean()))
    # Levels that do not vary at all, but for rounding, have no trend.
    least = np.finfo(np.float64).eps
    return abs(float(sums[split - 1])) / math.sqrt(max(len(levels) * variance, least)), split


def _figures(values: Floats, row: int) -> tuple[Figure, float, float]:
    """Return the medians of the first *row* values and of the others. If they are equal, return their means."""
    usable = np.where(np.isfinite(values), values, np.nan)
    parts = [part[~np.isnan(part)] for part in (usable[:row], usable[row:])]
    before, after = (float(np.median(part)) if len(part) else math.nan for part in parts)
    return ("mean", *_means(usable, row)) if before == after else ("median", before, after)


def _means(values: Floats, row: int) -> tuple[float, float]:
    """Return the means of the first *row* values and of the others, without nan; nan if there are none."""
    before, after = (part[~np.isnan(part)] for part in (values[:row], values[row:]))
    return float(before.mean()) if len(before) else math.nan, float(after.mean()) if len(after) else math.nan
