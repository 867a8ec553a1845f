"""A lock with a watchdog. Callers do not wait for a holder without progress, such as a hanging user function."""

from __future__ import annotations

import threading
import time

__all__ = ["POLL_SECONDS", "TIMEOUT_SECONDS", "WatchedLock"]

TIMEOUT_SECONDS = 5.0
"""Seconds that a caller waits for a heartbeat of the holder, at most."""

POLL_SECONDS = 0.001
"""Seconds between two checks for a heartbeat of the holder. A piece of its work takes about as long."""


class WatchedLock:
    """
    A re-entrant lock whose holder reports progress with `heartbeat`.

    `acquire` waits as long as there is a heartbeat at least every `TIMEOUT_SECONDS`. After one timeout, later callers
    do not wait at all until the holder has released the lock.

    Attributes:
        stuck: whether the last `acquire` timed out.
    """

    __slots__ = ("_heartbeats", "_lock", "_stalled_at", "stuck")

    def __init__(self) -> None:
        # Re-entrant, because the garbage collector may run a finalizer of the host here, which may call the model.
        self._lock = threading.RLock()
        self._heartbeats = 0
        self._stalled_at = -1
        self.stuck = False

    def acquire(self, *, blocking: bool = True) -> bool:
        """
        Acquire the lock and return True. Return False if its holder makes no progress.

        Args:
            blocking: whether to wait. If False, return False immediately when another thread holds the lock.
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
        """Report progress. The holder calls this after each piece of its work."""
        self._heartbeats += 1

    def is_responsive(self) -> bool:
        """Return whether the lock is free or its holder makes progress. Wait for a heartbeat if necessary."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
            return True
        return self.wait_for_heartbeat()

    def wait_for_heartbeat(self) -> bool:
        """
        Wait for the next heartbeat and return True. Return False if there is none within `TIMEOUT_SECONDS`.

        After one timeout, later callers do not wait, and get False, until the next heartbeat.
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
