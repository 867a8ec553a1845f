"""`ShadowWatch`: whether a call of a shadow was recorded by a monitor, and which failures are none of the model."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

__all__ = ["ShadowRecorder", "ShadowWatch", "current_watch", "never", "watch_call"]

CANCELLED = frozenset({"CancelledError", "asyncio.exceptions.CancelledError", "GeneratorExit"})
"""Types of error, as ``error.type`` has them, by which a call ends that the host has cancelled."""


class ShadowWatch(list[bool]):
    """
    The flag of one call of a shadow, in the context variable ``call_flag`` of a monitor: a list of one False.

    Decorated functions and blocks of that monitor read the flag before they record a call. So it is known that they do.
    They do not report that, because their fast path has no time for it.

    Attributes:
        owner: the object whose functions and blocks record calls of the monitor.
        recorded: whether such a function or block has begun in the context of the call.
        deferred: seconds of a failure that was not recorded, because the call was cancelled; None without one.
        is_cancelled: returns whether the call is being cancelled from outside of the candidate.
    """

    # Set right after the construction, which then is that of `list`, in C.
    __slots__ = ("deferred", "is_cancelled", "owner", "recorded")

    owner: object
    recorded: bool
    deferred: float | None
    is_cancelled: Callable[[], bool]

    def __getitem__(self, index: Any) -> Any:
        self.recorded = True
        return False

    def defers(self, owner: object, seconds: float, error: str) -> bool:
        """
        Return whether a failure must not be recorded, because the shadow ends the call and not the model.

        Args:
            owner: the object that would record it.
            seconds: how long the call took.
            error: the type of the error.
        """
        if owner is not self.owner or error not in CANCELLED or not self.is_cancelled():
            return False
        self.deferred = seconds
        return True


class ShadowRecorder(Protocol):
    """
    The part of a monitor that records what a shadow does with its variant.

    Attributes:
        enabled: whether anything is recorded.
    """

    enabled: bool

    def watch_shadow(self) -> ShadowWatch:
        """Watch whether the call of a shadow that begins in this context is recorded."""
        ...

    def record_shadow(self, rows: int, seconds: float, error: BaseException | None) -> None:
        """Record a call of a shadow that nothing has recorded, without its features. *error* is what it raised."""
        ...

    def drop(self, reason: str, rows: int) -> None:
        """Add the number of *rows* that a shadow skipped to ``ml.monitor.rows.dropped``, with the *reason*."""
        ...

    def report(self, where: str, message: str, subject: str) -> None:
        """Count a problem under the place *where*, and log *message* if it is the first of that place and subject."""
        ...


current_watch: ContextVar[ShadowWatch | None] = ContextVar("driftline.shadow_watch", default=None)
"""In the context of a shadow's call, its watch."""


def never() -> bool:
    """Return False, as for a call that nothing can cancel."""
    return False


def watch_call(call_flag: ContextVar[list[bool] | None], owner: object) -> ShadowWatch:
    """Watch the call that begins in this context, and return its watch."""
    watch = ShadowWatch((False,))
    watch.owner, watch.recorded, watch.deferred, watch.is_cancelled = owner, False, None, never
    call_flag.set(watch)
    current_watch.set(watch)
    return watch
