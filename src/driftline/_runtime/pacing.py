"""How threads of our own, and collections, leave the interpreter to others: by itself it changes hands late."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["Throttle", "in_pieces"]

PAUSE = 0.0001
"""Seconds between two pieces of a round: time enough for another thread to wake and take the interpreter."""

REST, LONGEST_REST = 4.0, 0.01
"""
Seconds of rest for one of work, so that the pieces of a round take a fifth of the interpreter, and at most at once:
pieces take a millisecond, and one that took longer, in a function of the user's, must not put off the next.
"""

AT_ONCE = 32
"""Observations that a collection takes between two pauses: a millisecond of the SDK's."""

_T = TypeVar("_T")


class Throttle:
    """
    Leaves the interpreter to who waits for it, after each piece of a round: of itself it changes hands after 5 ms only.

    Args:
        pressed: whether so much waits that a round has no time to rest.
    """

    __slots__ = ("_pressed", "_since")

    def __init__(self, pressed: Callable[[], bool]) -> None:
        self._pressed = pressed
        self._since = time.thread_time()

    def __call__(self) -> bool:
        """Rest, in proportion to the work of this thread since the last time; whether the round is pressed for time."""
        worked, pressed = time.thread_time() - self._since, self._pressed()
        time.sleep(PAUSE if pressed else min(max(PAUSE, REST * worked), LONGEST_REST))
        self._since = time.thread_time()
        return pressed


def in_pieces(found: Iterable[_T]) -> Iterator[_T]:
    """What was found, with a pause after every few: who takes it works on each before the next."""
    for number, one in enumerate(found, 1):
        yield one
        if not number % AT_ONCE:
            time.sleep(PAUSE)
