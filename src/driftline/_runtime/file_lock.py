"""A lock that processes of one host hold while they read a file and replace it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["lock_file"]

POLL_SECONDS = 0.01
"""Seconds between two tries to lock a file that another process has locked."""


@contextmanager
def lock_file(path: Path, seconds: float) -> Iterator[bool]:
    """
    Hold the lock of a file, which `write_file` may replace meanwhile. An absent file is created empty.

    The lock ends with the process, also if that is killed. Where the platform or the file system has no such locks, as
    Windows, the file counts as locked: `write_file` still replaces it in one step.

    Args:
        path: the file.
        seconds: seconds to wait for another process, at most.

    Returns:
        a context manager, whose value is whether the file is locked.

    Raises:
        OSError: the file cannot be opened or created, or is no regular file.
    """
    if fcntl is None:
        yield True
        return
    descriptor = _open_locked(path, time.monotonic() + seconds)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _release(descriptor)


def _open_locked(path: Path, end: float) -> int | None:
    """Return a descriptor of the locked file, or None if it is still locked at the monotonic time *end*."""
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
        keep = False
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                msg = "it is no regular file"
                raise OSError(msg)
            # A file that was replaced while this process waited is no longer the one to write.
            keep = _try_lock(descriptor) and _is_at(path, status)
        finally:
            if not keep:
                _release(descriptor)
        if keep:
            return descriptor
        if time.monotonic() >= end:
            return None
        time.sleep(POLL_SECONDS)


def _try_lock(descriptor: int) -> bool:
    """Lock an open file. Return False if another descriptor has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # this file system has no locks
    return True


def _is_at(path: Path, status: os.stat_result) -> bool:
    """Return whether the file at a path is the one with this status."""
    try:
        return os.path.samestat(path.stat(), status)
    except FileNotFoundError:
        return False


def _release(descriptor: int) -> None:
    """Unlock and close a file. A child that was forked meanwhile holds a copy of the descriptor, which is no lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:
        pass
    finally:
        os.close(descriptor)
