"""Objects whose last user has gone, and whose counts are still to be exported."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import Protocol

__all__ = ["Abandoned", "abandon", "finish_abandoned", "forget_abandoned"]


class Abandoned(Protocol):
    """An object that the garbage collector has found to be unused."""

    @property
    def has_thread(self) -> bool:
        """Whether a worker thread runs, which finishes the object."""
        ...

    def finish(self) -> None:
        """Finish the pending work, and hand the counts on. Never raise."""
        ...


_pending: deque[Abandoned] = deque()
_finishing: list[int] = []
"""The threads that finish an object at this moment."""

POLL_SECONDS = 0.005
"""Seconds between two looks at `_finishing`. To finish an object takes about as long."""


def abandon(unused: Abandoned) -> None:
    """
    Let another thread finish an object, which lives until then.

    A finalizer calls this, which may run at any line of any thread. So it only appends, which needs no lock.
    """
    _pending.append(unused)


def finish_abandoned(*, threadless: bool = False, wait: float = 0.0) -> None:
    """
    Finish the abandoned objects.

    Args:
        threadless: leave those that have a worker thread to that thread.
        wait: seconds to wait for other threads that finish some. Their counts are handed on then.
    """
    thread = threading.get_ident()
    for _ in range(len(_pending)):
        _finishing.append(thread)
        try:
            unused = _pending.popleft()
            if threadless and unused.has_thread:
                _pending.append(unused)
            else:
                unused.finish()
        except IndexError:  # another thread was faster
            break
        finally:
            with suppress(ValueError):  # the child of a fork in this block
                _finishing.remove(thread)
    end = time.monotonic() + wait
    while any(other != thread for other in _finishing) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)


def forget_abandoned() -> None:
    """Forget the abandoned objects in the child of a fork, because their counts are the parent's."""
    _pending.clear()
    _finishing.clear()
