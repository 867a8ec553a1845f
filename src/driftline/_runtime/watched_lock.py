"""A lock with a watchdog: callers do not wait for a holder without progress, such as a user function that hangs."""

from __future__ import annotations

import threading
import time

__all__ = ["POLL_SECONDS", "TIMEOUT_SECONDS", "WatchedLock"]

TIMEOUT_SECONDS = 5.0
"""Seconds that a caller waits while the holder of the lock makes no progress."""

POLL_SECONDS = 0.001
"""Seconds between two looks at the holder's progress. A part of its work takes about as long."""


class WatchedLock:
    """
    A re-entrant lock whose holder reports progress with `heartbeat`.

    `acquire` waits as long as heartbeats come. After one timeout, later callers do not wait until the lock is released.

    Attributes:
        stuck: whether the last `acquire` timed out.
    """

    __slots__ = ("_heartbeats", "_lock", "_stalled_at", "stuck")

    def __init__(self) -> None:
        # Re-entrant: the garbage collector may run a finalizer of the host here, and that may predict.
        self._lock = threading.RLock()
        self._heartbeats = 0
        self._stalled_at = -1
        self.stuck = False

    def acquire(self, *, blocking: bool = True) -> bool:
        """
        Acquire the lock. Return False if its holder makes no progress.

        Args:
            blocking: if False, return False as well when another thread holds the lock.
        """
        while blocking and not self.stuck:
            before = self._heartbeats
            if self._lock.acquire(timeout=TIMEOUT_SECONDS):
                return True
            self.stuck = self._heartbeats == before
        if self._lock.acquire(blocking=False):
            self.stuck = False
            return True
        return False

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def heartbeat(self) -> None:
        """Report progress. The holder calls this after each part of its work."""
        self._heartbeats += 1

    def is_responsive(self) -> bool:
        """Return whether the lock is free or its holder makes progress. Wait only until that is known."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
            return True
        return self.wait_for_heartbeat()

    def wait_for_heartbeat(self) -> bool:
        """
        Wait for the next heartbeat. Return False if none comes within the timeout.

        After one timeout, later callers do not wait until a heartbeat has come.
        """
        before, end = self._heartbeats, time.monotonic() + TIMEOUT_SECONDS
        if self._stalled_at == before:
            return False
        while self._heartbeats == before:
            if time.monotonic() > end:
                self._stalled_at = before
                return False
            time.sleep(POLL_SECONDS)
        return True
