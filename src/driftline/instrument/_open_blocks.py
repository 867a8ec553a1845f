"""
Blocks that a generator has opened: what its consumer does between two values does not belong to them.

A context variable cannot tell the two apart, because a generator runs in the context of its consumer. So such a block
is found by the frame of its generator, which is on the stack while the generator runs.
"""

from __future__ import annotations

import sys
import weakref
from types import FrameType
from typing import Any, TypeAlias

__all__ = ["ENTERING", "GENERATORS", "OpenBlocks", "add_block", "generator_frame", "in_call", "on_stack"]

OpenBlocks: TypeAlias = dict[int, "weakref.ref[Any]"]
"""
The blocks that generators have open, by ``id`` of the generator's frame.

A reference to a frame would keep alive what its local variables refer to. The id of a frame is unique while the block
lives, because the block is one of the values of the frame.
"""

CO_GENERATOR, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR = 0x20, 0x100, 0x200
"""Flags of code objects, as in `inspect`."""

GENERATORS = CO_GENERATOR | CO_ASYNC_GENERATOR

ENTERING = {"__enter__", "__aenter__", "enter_context", "enter_async_context"}
"""Names of functions that open a block for their caller: other context managers, and `contextlib.ExitStack`."""


def generator_frame(frame: FrameType | None) -> FrameType | None:
    """
    Return the frame of the generator that opens a block, or None if a function or a coroutine does.

    Args:
        frame: the frame that enters the block. A context manager enters it for its caller. So does a generator that a
            context manager is made of, such as one of `contextlib.contextmanager`.
    """
    while frame is not None:
        code = frame.f_code
        flags = code.co_flags
        if flags & GENERATORS and not flags & CO_ITERABLE_COROUTINE:
            consumer = frame.f_back
            if consumer is None or consumer.f_code.co_name not in ENTERING:
                return frame
            frame = consumer
        elif code.co_name in ENTERING:
            frame = frame.f_back
        else:
            return None
    return None


def add_block(blocks: OpenBlocks, frame: FrameType, block: Any) -> int:
    """Add a block that the generator of *frame* opens. Return its key, which goes when the block does."""
    key = id(frame)

    def remove(reference: weakref.ref[Any]) -> None:
        if blocks.get(key) is reference:
            del blocks[key]

    blocks[key] = weakref.ref(block, remove)
    return key


def on_stack(blocks: OpenBlocks) -> bool:
    """Return whether a generator that has a block open runs at the moment, and has led to this call."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, and in every CPython
    while frame is not None:
        reference = blocks.get(id(frame))
        block = None if reference is None else reference()
        if block is not None and not block.statement_ended:
            return True
        frame = frame.f_back
    return False


def in_call(flag: list[bool] | None, blocks: OpenBlocks) -> bool:
    """Return whether a call or block is under way here, to which a new one belongs."""
    return (flag is not None and flag[0]) or (bool(blocks) and on_stack(blocks))
