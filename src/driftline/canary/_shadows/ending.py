"""Waits for the calls of several shadows: for a flush, and when the process ends."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

from driftline._runtime.process_hooks import at_exit
from driftline._runtime.watched_lock import POLL_SECONDS

__all__ = ["close_at_exit", "flush_all"]

EXIT_SECONDS = 1.0
"""Seconds that the end of the process waits for calls in threads. Code of an extension that it cuts off may abort."""


class Ending(Protocol):
    """A shadow, as far as its end is concerned."""

    @property
    def is_idle(self) -> bool:
        """Whether no call is pending or runs."""
        ...

    @property
    def runs_in_threads(self) -> bool:
        """Whether a thread is in a call of the candidate."""
        ...

    def unthrottled(self) -> AbstractContextManager[None]:
        """Let calls begin without pauses."""
        ...

    def makes_progress(self) -> bool:
        """Return whether pending calls can end."""
        ...

    def close_at_exit(self) -> None:
        """End the threads after their present calls, and drop the calls of loops that do not run."""
        ...


def flush_all(shadows: Sequence[Ending], seconds: float) -> bool:
    """
    Wait at most *seconds* until all calls have ended; return whether they have.

    It does not wait for a shadow that makes no progress: the others have the whole time.
    """
    end = time.monotonic() + seconds
    with ExitStack() as stack:
        for shadow in shadows:
            stack.enter_context(shadow.unthrottled())
        while any([not shadow.is_idle and shadow.makes_progress() for shadow in shadows]):  # noqa: C419 - all are asked
            if time.monotonic() >= end:
                break
            time.sleep(POLL_SECONDS)
    return all(shadow.is_idle for shadow in shadows)


_open: weakref.WeakSet[Ending] = weakref.WeakSet()
_registered: list[bool] = []


def close_at_exit(shadow: Ending) -> None:
    """Close the threads of a shadow when the process ends. Keep only a weak reference."""
    _open.add(shadow)
    if not _registered:
        _registered.append(True)
        at_exit(close_all)


def close_all() -> None:
    """Close the threads of all shadows, and wait a little for the calls that run in them."""
    shadows = list(_open)
    for shadow in shadows:
        shadow.close_at_exit()
    end = time.monotonic() + EXIT_SECONDS
    while any(shadow.runs_in_threads for shadow in shadows) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
