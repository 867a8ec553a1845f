"""`SelfCheck`: tests blocks of a reference's rows against the rest, which shows whether its rows are dependent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._significance.components import LOCATION, SHAPE
from driftline._significance.dependence import Dependence
from driftline._significance.two_sample import TwoSample
from driftline._windows.ring import MIN_BLOCKS
from driftline.typing import Counts, Floats

__all__ = ["CHECK_LEVEL", "SelfCheck", "check_block_rows", "self_check"]

CHECK_ROWS = 1_000
"""Rows of a block if there are enough rows for `MIN_BLOCKS` blocks; windows usually have about this size."""

MAX_CHECKED = 32
"""Most blocks that are tested; testing all features of a block takes some milliseconds."""

CHECK_LEVEL = 0.01
"""Largest p-value of an alarm. Per feature, one of a hundred blocks of independent rows has an alarm."""

MIN_INFLATION = 1.5
"""Smallest variance for which rows are called dependent, as a multiple of the variance of independent rows."""


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
    """

    block_rows: int
    blocks: int
    independent: float
    corrected: float
    feature: str
    worth: float
    growing: int

    @property
    def words(self) -> str:
        """A sentence that says whether rows depend on each other, with the figures behind it."""
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
        size = f"{self.block_rows} rows of {self.feature} tell as much as {self.worth:.0f} independent ones"
        short = f"; too short: the variance inflation of {self.growing} features still grows at its longest blocks"
        return f"rows are dependent: {size} ({shares}){short if self.growing else ''}"


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

    Returns:
        The result. If *dependence* is None, or there are too few blocks, nothing is tested: the fields ``independent``
        and ``corrected`` are 0.
    """
    if dependence is None or len(blocks) < MIN_BLOCKS:
        return SelfCheck(block_rows, len(blocks), 0.0, 0.0, "", float(block_rows), 0)
    alarms = np.zeros(2)
    tests = 0
    checked = np.linspace(0, len(blocks) - 1, min(len(blocks), MAX_CHECKED)).astype(int).tolist()
    tester, growth = TwoSample(features, layout), dependence.inflation_curve()
    for index in checked:
        rest = np.maximum(expected(index) - blocks[index], 0.0)
        tests += len(features)
        for column, inflation in enumerate((None, growth)):
            p = tester(blocks[index], block_rows, inflation, rest).p
            alarms[column] += float((p <= CHECK_LEVEL).sum())
    factors = growth(block_rows).factor[:, [LOCATION, SHAPE]].max(axis=1)
    worst = int(np.argmax(factors))
    return SelfCheck(
        block_rows,
        len(checked),
        float(alarms[0] / tests),
        float(alarms[1] / tests),
        features[worst].name,
        float(block_rows / factors[worst]),
        int(growth.still_grows().sum()),
    )
