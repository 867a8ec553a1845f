"""`SelfCheck`: tests blocks of a reference's rows against the rest, which shows whether its rows are dependent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._significance.components import LOCATION, SHAPE
from driftline._significance.dependence import Dependence
from driftline._significance.inflation import difference_inflation
from driftline._significance.two_sample import TwoSample
from driftline._windows.ring import MIN_BLOCKS
from driftline.reference._trend import ADVICE, Trend
from driftline.typing import Counts, Floats

__all__ = ["CHECK_LEVEL", "ClusterCheck", "SelfCheck", "check_block_rows", "log_check", "self_check"]

_log = logging.getLogger("driftline")

CHECK_ROWS = 1_000
"""Rows of a block if there are enough rows for `MIN_BLOCKS` blocks; windows usually have about this size."""

MAX_CHECKED = 32
"""Most blocks that are tested; testing all features of a block takes some milliseconds."""

CHECK_LEVEL = 0.01
"""Largest p-value of an alarm. Per feature, one of a hundred blocks of independent rows has an alarm."""

MIN_WHOLE = 50.0
"""
Fewest effective rows of a reference without a warning. The mean of 50 rows has a standard error of 0.14 standard
deviations. The smallest shift that counts as a drift by default is 0.22.
"""

CLUMP_SHARE = 0.8
"""Share of the variance inflation of a block that shorter blocks must show, for `SelfCheck.clump`."""

MIN_INFLATION = 1.5
"""Smallest variance for which rows are called dependent, as a multiple of the variance of independent rows."""


@dataclass(frozen=True, slots=True)
class ClusterCheck:
    """
    What the keys of the training data show, such as the ids of users.

    Attributes:
        column: name of the column of keys, or "cluster" if a function returned them.
        keys: number of keys.
        size: rows of a key, weighted by rows.
        feature: name of the feature whose rows depend most on their key.
        factor: variance of its mean over all rows, as a multiple of that of independent rows.
    """

    column: str
    keys: int
    size: float
    feature: str
    factor: float

    @property
    def words(self) -> str:
        """A part of a sentence that says what the keys show, with its figures."""
        owned = f"{self.keys:,} keys of {self.column} have {self.size:.1f} rows each, weighted by rows"
        if self.factor < MIN_INFLATION:
            return f"{owned}, which hardly depend on each other"
        return f"{owned}: {self.factor:.1f} rows of {self.feature} tell as much as 1 independent one"


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """
    The result of testing blocks of a reference's rows against the rest, feature by feature.

    Attributes:
        block_rows: rows of a block.
        blocks: number of blocks that were tested.
        independent: share of the tests (one per block and feature) with a p-value of at most `CHECK_LEVEL`, if rows are
            assumed to be independent.
        corrected: the same share, if the dependence of rows is taken into account.
        feature: name of the feature whose rows depend most on each other.
        worth: effective rows of a block of that feature: the number of independent rows with the same variance.
        growing: number of features whose variance inflation still grows at the longest blocks. The reference is too
            short to estimate it.
        clusters: what the keys of the rows show; None if the reference was fitted without ``cluster=``.
        whole: effective rows of the whole reference in that feature; 0 if they are not known, as in files of release
            0.1. If its variance inflation still grows, it has fewer.
        clump: rows of the shortest blocks that show most of the variance inflation; 0 if they are not known.
        trend: the level that moves most within the reference, further than its rows' dependence explains; None if there
            is no such trend.
    """

    block_rows: int
    blocks: int
    independent: float
    corrected: float
    feature: str
    worth: float
    growing: int
    clusters: ClusterCheck | None = None
    whole: float = 0.0
    clump: int = 0
    trend: Trend | None = None

    @property
    def words(self) -> str:
        """A sentence that says whether rows depend on each other and show a trend, with the figures behind it."""
        clauses = [self._blocks]
        if self.trend is not None:
            clauses.append(f"{self.trend.words}: {ADVICE}")
        if self.clusters is not None:
            clauses.append(self.clusters.words)
        return "; ".join(clauses)

    @property
    def warning(self) -> str:
        """What a monitor says of the reference when it starts; empty if there is nothing to warn of."""
        if self.trend is not None:
            return f"{self.trend.words}: {ADVICE}"
        if 0.0 < self.whole < MIN_WHOLE:
            return (
                f"the reference is too short: all its rows of {self.feature} tell as much as {self._whole} independent "
                "ones, because they come in clumps or change slowly; expected more rows, or drifts are found late"
            )
        return ""

    @property
    def _whole(self) -> str:
        return f"{'at most ' if self.growing else ''}{self.whole:.0f}"

    @property
    def _blocks(self) -> str:
        """What the blocks show, with the figures behind it."""
        if self.blocks < MIN_BLOCKS:
            return (
                f"too short to know how rows depend on each other: {self.blocks} blocks of {self.block_rows} rows, "
                f"expected {MIN_BLOCKS}; the monitor learns it from its first windows"
            )
        shares = (
            f"tested against the rest, {self.independent:.1%} of {self.blocks} blocks have p <= {CHECK_LEVEL:g} if "
            f"rows are taken as independent, {self.corrected:.1%} with their dependence"
        )
        if self.block_rows < MIN_INFLATION * self.worth or self.independent < MIN_INFLATION * CHECK_LEVEL:
            return (
                f"rows are independent ({shares}); if they were shuffled, the monitor learns the dependence of traffic "
                "from its first windows"
            )
        worth = f"{self.worth:.0f} independent ones" if round(self.worth) != 1 else "a single independent one"
        size = f"{self.block_rows} rows of {self.feature} tell as much as {worth}"
        if self.clump:
            size += f" ({self.block_rows / self.worth:.0f} as much as one), in clumps of up to about {self.clump} rows"
        if self.whole:
            size += f", and the whole reference as much as {self._whole}"
        short = f"; too short: the variance inflation of {self.growing} features still grows at its longest blocks"
        return f"rows are dependent: {size} ({shares}){short if self.growing else ''}"


def log_check(check: SelfCheck, rows: int) -> None:
    """Log the result for a reference of *rows* rows, as a warning if it has one."""
    _log.log(logging.WARNING if check.warning else logging.INFO, "reference of %d rows: %s", rows, check.words)


def check_block_rows(rows: int) -> int:
    """Return the rows per block that `self_check` uses for *rows* rows of training data."""
    return max(1, min(CHECK_ROWS, rows // MIN_BLOCKS))


def self_check(
    features: Sequence[Feature],
    layout: Layout,
    blocks: Counts,
    block_rows: int,
    dependence: Dependence | None,
    expected: Callable[[int], Floats],
    trend: Trend | None = None,
) -> SelfCheck:
    """
    Test blocks of consecutive rows against the rest of the reference.

    Args:
        features: the features, with the counts of the whole reference.
        layout: the bins of the features.
        blocks: counts of consecutive blocks, shape (blocks, bins).
        block_rows: rows of each block.
        dependence: the dependence of the rows; None if there are too few of them.
        expected: called with the index of a block. Returns the counts to compare the block with, shape (bins,). They
            still contain the block itself, which this function subtracts.
        trend: the trend that was found.

    Returns:
        The result. If *dependence* is None, or there are too few blocks, nothing is tested: the fields ``independent``
        and ``corrected`` are 0.
    """
    if dependence is None or len(blocks) < MIN_BLOCKS:
        return SelfCheck(block_rows, len(blocks), 0.0, 0.0, "", float(block_rows), 0, trend=trend)
    alarms = np.zeros(2)
    tests = 0
    checked = np.linspace(0, len(blocks) - 1, min(len(blocks), MAX_CHECKED)).astype(int).tolist()
    tester, growth = TwoSample(features, layout), dependence.inflation_curve()
    for index in checked:
        rest = np.maximum(expected(index) - blocks[index], 0.0)
        tests += len(features)
        of_difference = difference_inflation(
            growth, block_rows, np.maximum(np.add.reduceat(rest, layout.offsets), 1.0)[:, None]
        )
        for column, inflation in enumerate((None, of_difference)):
            p = tester(blocks[index], inflation, rest).p
            alarms[column] += float((p <= CHECK_LEVEL).sum())
    factors = growth(block_rows).factor[:, [LOCATION, SHAPE]].max(axis=1)
    rows = sum(features[0].counts)
    worst = int(np.argmax(factors))
    return SelfCheck(
        block_rows,
        len(checked),
        float(alarms[0] / tests),
        float(alarms[1] / tests),
        features[worst].name,
        float(block_rows / factors[worst]),
        int(growth.still_grows().sum()),
        None,
        _rounded(rows / float(growth(rows).factor[worst, [LOCATION, SHAPE]].max())),
        _clump_rows(dependence, worst, block_rows) if factors[worst] >= MIN_INFLATION else 0,
        trend,
    )


def _clump_rows(dependence: Dependence, feature: int, rows: int) -> int:
    """Return the rows of the shortest blocks that show most of the variance inflation of blocks of *rows* rows."""
    factors = np.fmax(dependence.factors[:, feature, LOCATION], dependence.factors[:, feature, SHAPE])
    within = dependence.lengths <= max(rows, dependence.lengths[0])
    largest = np.nanmax(np.where(within, factors, np.nan), initial=1.0)
    return int(dependence.lengths[int(np.argmax(np.nan_to_num(factors) >= CLUMP_SHARE * largest))])


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
