"""`Throttle`: pauses between the calls of a candidate, so that it takes a limited share of a core."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Throttle"]

BURST_SECONDS = 0.1
"""Seconds of an idle shadow that are credited to its next calls."""

MIN_PAUSE_SECONDS = 0.005
"""Shortest pause, as long as the switch interval of Python. Shorter ones add up first."""


class Throttle:
    """
    Computes when the next call of the candidate may begin.

    Args:
        max_load: cores that all calls together may take on average; None for no limit.
    """

    __slots__ = ("_lock", "_max_load", "_resume_at", "_suspensions")

    def __init__(self, max_load: float | None) -> None:
        self._max_load, self._lock, self._resume_at = max_load, threading.RLock(), 0.0
        # A set, because threads add to it, and an interrupt may come.
        self._suspensions: set[object] = set()

    def spend(self, seconds: float) -> None:
        """Add the *seconds* of a core that a call took."""
        if self._max_load is None:
            return
        with self._lock:
            self._resume_at = max(self._resume_at, time.monotonic() - BURST_SECONDS) + seconds / self._max_load

    def delay(self) -> float:
        """Return the seconds until the next call may begin; 0 if it may begin now."""
        seconds = self._resume_at - time.monotonic()
        return 0.0 if seconds < MIN_PAUSE_SECONDS or self._suspensions else seconds

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let calls begin without pauses, while something waits for their end."""
        key = object()
        try:
            self._suspensions.add(key)
            yield
        finally:
            self._suspensions.discard(key)
