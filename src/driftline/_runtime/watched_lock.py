"""A lock that nobody waits for without end: a function of the user's may be under way within it, and never return."""

from __future__ import annotations

import threading
import time

__all__ = ["WatchedLock"]

SECONDS = 5.0
"""How long somebody waits while nothing at all moves on."""

POLL_SECONDS = 0.001
"""Between two looks whether something has: a part of the work, or a round of our thread, takes about as long."""


class WatchedLock:
    """
    A re-entrant lock; whoever holds it says with `moves_on` that the work does.

    Once somebody has waited in vain nobody waits any more, until it is free again.
    """

    __slots__ = ("_lock", "_moves", "_stuck", "_vain")

    def __init__(self) -> None:
        # Re-entrant: forgetting a value may run a finalizer of the host, and that may predict.
        self._lock = threading.RLock()
        self._moves = 0
        self._stuck = False
        self._vain = -1

    def acquire(self) -> bool:
        """Take it, whoever has it; False where that does not come to its end."""
        while not self._stuck:
            before = self._moves
            if self._lock.acquire(timeout=SECONDS):
                return True
            self._stuck = self._moves == before
        if self._lock.acquire(blocking=False):
            self._stuck = False
            return True
        return False

    def lives(self) -> bool:
        """Whether it is free, or the work within it moves on: waits no longer than it takes to know."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
            return True
        return self.progress()

    def progress(self) -> bool:
        """Wait until a part of the work is done; False where none is. Until one is nobody waits twice."""
        before, end = self._moves, time.monotonic() + SECONDS
        if self._vain == before:
            return False
        while self._moves == before:
            if time.monotonic() > end:
                self._vain = before
                return False
            time.sleep(POLL_SECONDS)
        return True

    def release(self) -> None:
        """Give it back."""
        self._lock.release()

    def moves_on(self) -> None:
        """A part of the work is done."""
        self._moves += 1
