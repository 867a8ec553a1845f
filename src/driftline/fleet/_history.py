"""`BlockHistory`: the latest blocks of a fleet, and what arrived late in them."""

from __future__ import annotations

import numpy as np

from driftline.fleet._blocks import TOLERANCE, Blocks
from driftline.typing import Counts

__all__ = ["BlockHistory"]


class BlockHistory:
    """
    Keeps the latest blocks of a fleet.

    Args:
        step: seconds of a block.
        bins: number of bins.
        most: number of blocks that are kept.
        unit: blocks of a window. Only whole windows are dropped, so that a replay has the same windows.

    Attributes:
        blocks: the blocks that are kept, as they were added last. None before the first.
    """

    def __init__(self, step: float, bins: int, most: int, unit: int) -> None:
        self._step, self._bins, self._most, self._unit = step, bins, most, unit
        self.blocks: Blocks | None = None

    def add(self, blocks: Blocks) -> tuple[Blocks, Counts]:
        """
        Add consecutive blocks, and return those that are new, and what the others have more than before.

        The time between the latest block and the first new one becomes unknown blocks, unless it is longer than what is
        kept. Blocks from before what is kept are ignored.

        Args:
            blocks: the blocks.

        Returns:
            The new blocks; and a difference of shape (bins,), which is negative where a store has lost counts.

        Raises:
            ValueError: the blocks have another step or other bins, or lie between those that were added before.
        """
        known = self.blocks
        offset = self._offset(blocks)
        if known is None:
            self.blocks = self._latest(blocks)
            return blocks, np.zeros(self._bins, dtype=np.int64)
        first = max(0, offset)
        blocks = blocks[first - offset :]
        again, fresh = blocks[: max(0, len(known) - first)], blocks[max(0, len(known) - first) :]
        late = np.zeros(self._bins, dtype=np.int64)
        if len(again):
            part = slice(first, first + len(again))
            late = (again.counts - known.counts[part]).sum(axis=0)
            known = known.replaced(part, again)
        if len(fresh):
            gap = first - len(known)
            if gap > self._most:
                known = fresh
            else:
                known, size = known + fresh, len(known)
                fresh = known[size:]
        self.blocks = self._latest(known)
        return fresh, late

    def _latest(self, blocks: Blocks) -> Blocks:
        return blocks[max(0, len(blocks) - self._most) // self._unit * self._unit :]

    def _offset(self, blocks: Blocks) -> int:
        """Return the index of the first block among those that are kept; 0 if none are."""
        if abs(blocks.step - self._step) > TOLERANCE * self._step or blocks.counts.shape[1] != self._bins:
            msg = (
                f"blocks of {blocks.step:g} s and {blocks.counts.shape[1]} bins: expected {self._step:g} s and "
                f"{self._bins} bins"
            )
            raise ValueError(msg)
        if self.blocks is None:
            return 0
        offset = (blocks.start - self.blocks.start) / self._step
        if abs(offset - round(offset)) > TOLERANCE * max(1.0, abs(offset)):
            msg = f"blocks from {blocks.start:.3f} s on: expected a multiple of {self._step:g} s after the others"
            raise ValueError(msg)
        return round(offset)
