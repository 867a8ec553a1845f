"""A reference held against itself: what each block of its rows would say about the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._significance.components import LOCATION, SHAPE
from driftline._significance.dependence import Dependence
from driftline._significance.two_sample import TwoSample
from driftline._windows.ring import LEAST_BLOCKS
from driftline.typing import Counts, Floats

__all__ = ["CHECK_LEVEL", "SelfCheck", "check_block_rows", "self_check"]

CHECK_ROWS = 1_000
"""Rows of a block of the check, where there are enough for eight: the size of window that people think in."""

MOST_CHECKED = 32
"""Blocks: each is a test of all features, some milliseconds."""

CHECK_LEVEL = 0.01
"""Of independent rows one block in a hundred is beyond it, per feature."""

WORTH_SAYING = 1.5
"""Variance, as a multiple of that of independent rows, below which rows are called independent."""


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """
    What the rows of a reference say about each other.

    Attributes:
        block_rows: rows of a block.
        blocks: how many were held against the rest.
        independent: share of tests (a block and a feature each) beyond `CHECK_LEVEL` if rows were independent.
        corrected: the same with the dependence of the rows taken into account.
        feature: the one whose rows depend most on each other.
        worth: how many independent rows a block's rows of that feature are worth.
        growing: features whose scatter still grows at the longest blocks: the reference is too short to know it.
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
        """The check as a sentence."""
        if self.blocks < LEAST_BLOCKS:
            return (
                f"too short to know how rows depend on each other: {self.blocks} blocks of {self.block_rows} rows, "
                f"needs {LEAST_BLOCKS}; that is learnt from the first windows served"
            )
        shares = (
            f"of {self.blocks} blocks held against the rest {self.independent:.1%} are beyond p {CHECK_LEVEL:g} if "
            f"rows are taken as independent, {self.corrected:.1%} with their dependence"
        )
        if self.block_rows < WORTH_SAYING * self.worth or self.independent < WORTH_SAYING * CHECK_LEVEL:
            return (
                f"rows are independent ({shares}); if they were shuffled, the dependence of traffic is learnt from the "
                "first windows served"
            )
        short = f"; too short: the scatter of {self.growing} features still grows at its longest blocks" * bool(
            self.growing
        )
        worth = f"{self.block_rows} rows of {self.feature} are worth {self.worth:.0f}"
        return f"rows are dependent: {worth} ({shares}){short}"


def check_block_rows(rows: int) -> int:
    """Rows of a block of the check for so many rows of training data."""
    return max(1, min(CHECK_ROWS, rows // LEAST_BLOCKS))


def self_check(
    features: Sequence[Feature],
    layout: Layout,
    blocks: Counts,
    block_rows: int,
    dependence: Dependence | None,
    expected: Callable[[int], Floats],
) -> SelfCheck:
    """
    Hold blocks of consecutive rows against the rest of the reference.

    Args:
        features: with the counts of the whole reference.
        layout: where their bins lie.
        blocks: shape (blocks, bins), consecutive.
        block_rows: rows of each.
        dependence: what their scatter says.
        expected: the counts of the reference, over all bins, that the block of a number is to be held against, its own
            rows among them.
    """
    if dependence is None or len(blocks) < LEAST_BLOCKS:
        return SelfCheck(block_rows, len(blocks), 0.0, 0.0, "", float(block_rows), 0)
    flagged = np.zeros(2)
    tests = 0
    chosen = np.linspace(0, len(blocks) - 1, min(len(blocks), MOST_CHECKED)).astype(int).tolist()
    tester, growth = TwoSample(features, layout), dependence.inflation_curve()
    for number in chosen:
        rest = np.maximum(expected(number) - blocks[number], 0.0)
        tests += len(features)
        for column, inflation in enumerate((None, growth)):
            p = tester(blocks[number], block_rows, inflation, rest).p
            flagged[column] += float((p <= CHECK_LEVEL).sum())
    factors = growth(block_rows).factor[:, [LOCATION, SHAPE]].max(axis=1)
    worst = int(np.argmax(factors))
    return SelfCheck(
        block_rows,
        len(chosen),
        float(flagged[0] / tests),
        float(flagged[1] / tests),
        features[worst].name,
        float(block_rows / factors[worst]),
        int(growth.still_grows().sum()),
    )
