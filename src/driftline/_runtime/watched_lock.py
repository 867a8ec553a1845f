"""A lock with a watchdog. Callers do not wait for a holder without progress, such as a hanging user function."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from driftline._runtime.with_statements import ExitMethod, Held

__all__ = ["POLL_SECONDS", "TIMEOUT_SECONDS", "WatchedLock"]

TIMEOUT_SECONDS = 5.0
"""Seconds that a caller waits for a heartbeat of the holder, at most."""

POLL_SECONDS = 0.001
"""Seconds between two checks for a heartbeat of the holder. A piece of its work takes about as long."""


class WatchedLock:
    """
    A re-entrant lock whose holder reports progress with `heartbeat`.

    ``with lock.hold() as held:`` waits as long as there is a heartbeat at least every `TIMEOUT_SECONDS`. After one
    timeout, later callers do not wait at all until the holder has released the lock.

    The lock belongs to a ``with`` statement. If an interrupt ends that statement without a release, the lock is free
    for the next caller. No lock of `threading` can promise this once a function in Python acquires it.

    Attributes:
        stuck: whether the last wait timed out.
    """

    __slots__ = ("_heartbeats", "_holder", "_mutex", "_stalled_at", "stuck")

    def __init__(self) -> None:
        # Held for single steps by ``with`` statements, which acquire and release it in C, where no interrupt comes.
        # Re-entrant, because the garbage collector may run a finalizer of the host here, which may call the model.
        self._mutex = threading.RLock()
        self._holder: _Hold | None = None
        self._heartbeats = 0
        self._stalled_at = -1
        self.stuck = False

    def hold(self, *, blocking: bool = True) -> _Hold:
        """
        Return a context manager that acquires the lock. Its value is whether the lock was acquired.

        Args:
            blocking: whether to wait. If False, the value is False when another thread holds the lock.
        """
        return _Hold(self, blocking=blocking)

    def take(self, hold: _Hold) -> bool:
        """Let *hold* own the lock if it is free, or was left by an interrupt. Return whether its thread owns it now."""
        with self._mutex:
            holder = self._holder
            if holder is None or holder.statement_ended:
                self._holder = hold
                self.stuck = False
                return True
            return holder.thread == hold.thread

    def wait_to_take(self, hold: _Hold) -> bool:
        """Do as `take`, but wait for another thread while it reports progress. Set `stuck` if it does not."""
        seconds, before, end = POLL_SECONDS / 32, self._heartbeats, time.monotonic() + TIMEOUT_SECONDS
        while not self.stuck:
            time.sleep(seconds)
            if self.take(hold):
                return True
            seconds = min(POLL_SECONDS, 2 * seconds)
            if self._heartbeats != before:
                before, end = self._heartbeats, time.monotonic() + TIMEOUT_SECONDS
            elif time.monotonic() > end:
                self.stuck = True
        return False

    def release(self, hold: _Hold) -> None:
        """Free the lock if *hold* owns it. An inner ``with`` statement of the same thread does not."""
        if self._holder is hold:
            self._holder = None

    def heartbeat(self) -> None:
        """Report progress. The holder calls this after each piece of its work."""
        self._heartbeats += 1

    def is_responsive(self) -> bool:
        """Return whether the lock is free or its holder makes progress. Wait for a heartbeat if necessary."""
        with self.hold(blocking=False) as held:
            if held:
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


class _Hold(Held):
    """
    One ``with`` statement that acquires a lock.

    Args:
        lock: the lock.
        blocking: whether to wait for it.

    Attributes:
        thread: the thread of the statement.
    """

    __slots__ = ("_blocking", "_lock", "thread")

    def __init__(self, lock: WatchedLock, *, blocking: bool) -> None:
        super().__init__()
        self._lock, self._blocking = lock, blocking
        self.thread = threading.get_ident()

    def __enter__(self) -> bool:
        lock = self._lock
        return lock.take(self) or (self._blocking and lock.wait_to_take(self))

    @ExitMethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release(self)
