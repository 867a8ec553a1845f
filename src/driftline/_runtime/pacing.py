"""Pauses that let other threads run: CPython hands the interpreter over only every 5 ms by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["PIECE_OBSERVATIONS", "Throttle", "with_pauses"]

PAUSE_SECONDS = 0.0001
"""Seconds of the shortest pause: enough for another thread to wake and take the interpreter."""

PAUSE_FACTOR = 4.0
"""Seconds of pause for each second of work, so that a round takes a fifth of the interpreter."""

MAX_PAUSE_SECONDS = 0.01
"""
Seconds of the longest pause. A piece takes about a millisecond. One that took longer, in a user function, must not
delay the next for several times as long.
"""

PIECE_OBSERVATIONS = 32
"""Observations that a collection reports between two pauses: about a millisecond of the SDK's work."""

_T = TypeVar("_T")


class Throttle:
    """
    A pause between two pieces of a thread's work, in proportion to the CPU time of the last piece.

    Args:
        pressed: whether the backlog is so large that only the shortest pause is allowed.
    """

    __slots__ = ("_pressed", "_worked_until")

    def __init__(self, pressed: Callable[[], bool]) -> None:
        self._pressed = pressed
        self._worked_until = time.thread_time()

    def __call__(self) -> bool:
        """Pause. Return whether the thread is pressed for time."""
        worked, pressed = time.thread_time() - self._worked_until, self._pressed()
        longest = min(max(PAUSE_SECONDS, PAUSE_FACTOR * worked), MAX_PAUSE_SECONDS)
        time.sleep(PAUSE_SECONDS if pressed else longest)
        self._worked_until = time.thread_time()
        return pressed


def with_pauses(items: Sequence[_T]) -> Iterator[_T]:
    """Yield the items, with a pause after every few. The consumer works on each before the next."""
    for start in range(0, len(items), PIECE_OBSERVATIONS):
        yield from items[start : start + PIECE_OBSERVATIONS]
        if start + PIECE_OBSERVATIONS <= len(items):
            time.sleep(PAUSE_SECONDS)
