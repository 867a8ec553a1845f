"""`BlockCounter`: whether a candidate blocks the event loop again and again."""

from __future__ import annotations

from collections import deque

__all__ = ["BLOCK_SECONDS", "MAX_BLOCKS", "BlockCounter"]

BLOCK_SECONDS = 0.1
"""
Seconds of a step of a candidate from which it blocks the event loop. In its debug mode, asyncio logs callbacks of this
duration: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.slow_callback_duration
"""

MAX_BLOCKS = 3
"""Blocking steps within `BLOCK_CALLS` calls that are too many. A cold start, or a pause of the machine, is one."""

BLOCK_CALLS = 1_000
"""Calls of the candidate over which blocking steps are counted."""


class BlockCounter:
    """
    Counts the steps in which a candidate blocked the event loop.

    Attributes:
        calls: calls of the candidate so far.
    """

    __slots__ = ("_blocks", "calls")

    def __init__(self) -> None:
        self.calls = 0
        self._blocks: deque[int] = deque(maxlen=MAX_BLOCKS)

    def add(self, seconds: float) -> bool:
        """Add a step that took *seconds*. Return whether it is one of too many that block."""
        if seconds < BLOCK_SECONDS:
            return False
        self._blocks.append(self.calls)
        return len(self._blocks) == MAX_BLOCKS and self.calls - self._blocks[0] < BLOCK_CALLS
