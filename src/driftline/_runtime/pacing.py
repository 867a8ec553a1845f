"""Pauses of a thread that let others run, because CPython switches threads only every 5 ms by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["PIECE_OBSERVATIONS", "Throttle", "with_pauses"]

PAUSE_SECONDS = 0.0001
"""Seconds of the shortest pause. It is long enough for another thread to start running."""

PAUSE_FACTOR = 4.0
"""Seconds of pause for each second of work, so that the thread uses a fifth of the interpreter's time."""

MAX_PAUSE_SECONDS = 0.01
"""
Seconds of the longest pause. A piece of work takes about a millisecond. If it takes longer, in a user function, the
pause must not grow in proportion.
"""

PIECE_OBSERVATIONS = 32
"""Number of observations that a metric collection reports between two looks at the clock: 0.4 ms of the SDK's work."""

PIECE_SECONDS = 0.0002
"""Seconds of work after which a collection pauses. The SDK works longer on 32 observations, a fast consumer less."""

_T = TypeVar("_T")


class Throttle:
    """
    Pauses a thread between two pieces of its work, in proportion to the CPU time of the last piece.

    Args:
        pressed: returns whether the backlog is so large that only the shortest pause is allowed.
    """

    __slots__ = ("_pressed", "_worked_until")

    def __init__(self, pressed: Callable[[], bool]) -> None:
        self._pressed = pressed
        self._worked_until = time.thread_time()

    def __call__(self) -> bool:
        """Pause. Return whether the pause was the shortest one, because the backlog is so large."""
        worked, pressed = time.thread_time() - self._worked_until, self._pressed()
        longest = min(max(PAUSE_SECONDS, PAUSE_FACTOR * worked), MAX_PAUSE_SECONDS)
        time.sleep(PAUSE_SECONDS if pressed else longest)
        self._worked_until = time.thread_time()
        return pressed


def with_pauses(items: Sequence[_T]) -> Iterator[_T]:
    """
    Yield the items, and pause between pieces of them so that other threads run.

    A piece has `PIECE_OBSERVATIONS` items. The shortest pause follows when `PIECE_SECONDS` of work have passed since
    the last pause. The consumer has then processed the piece.
    """
    worked_until = time.thread_time()
    for start in range(0, len(items), PIECE_OBSERVATIONS):
        yield from items[start : start + PIECE_OBSERVATIONS]
        if time.thread_time() - worked_until >= PIECE_SECONDS:
            time.sleep(PAUSE_SECONDS)
            worked_until = time.thread_time()
