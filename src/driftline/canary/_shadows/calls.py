"""The calls that a shadow repeats, and the account of those that are pending."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from driftline._runtime import validation as check
from driftline._runtime.shadow_watch import ShadowWatch

__all__ = ["LOST_SECONDS", "Backlog", "Limits", "ShadowCall"]

MAX_SIZE = 100_000
"""Largest number of calls that may be pending."""

LOST_SECONDS = 1.0
"""Seconds from which a call that no thread and no task has was lost by an interrupt. A step takes microseconds."""

RECOUNT = 100
"""Least number of calls after which sizes are added up again."""

MAX_CONCURRENCY = 1_000
"""Largest number of threads or tasks. A larger one is a mistake for the number of pending calls."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The resources that a shadow may take.

    Attributes:
        size: calls that may be pending, without those that run.
        max_bytes: bytes of the inputs and outputs of all calls that are pending or run.
        share: the share of the calls that is repeated, in (0, 1].
        concurrency: calls that run at the same time: threads, or tasks of each event loop.
        timeout: seconds that a call may take. Python cannot end a thread, so it holds for calls that await.
        max_load: cores that the candidate may take on average; None for no limit.

    Raises:
        ConfigurationError: a value has a wrong type or is out of bounds.
    """

    size: int
    max_bytes: int
    share: float
    concurrency: int
    timeout: float
    max_load: float | None

    def __post_init__(self) -> None:
        check.integer("size", self.size, at_least=1, at_most=MAX_SIZE)
        check.integer("max_bytes", self.max_bytes, at_least=1)
        check.number("share", self.share, above=0, at_most=1)
        check.integer("concurrency", self.concurrency, at_least=1, at_most=MAX_CONCURRENCY)
        check.optional(check.number, "max_load", self.max_load, above=0)


class ShadowCall:
    """
    A call of the baseline that the candidate repeats.

    Attributes:
        args: copies of the positional arguments.
        kwargs: copies of the keyword arguments.
        context: a copy of the caller's context, from before the call.
        size: bytes of the input, and of the output once it is known.
        expected: a copy of the baseline's output.
        comparable: whether there is such an output. It is False if the baseline raised.
        rows: rows of the baseline's output.
        watch: the watch of the call, once it begins; None if no monitor of the candidate is in this process.
        calls_before: calls of the candidate's monitor before this one, if they are to be compared with those after it.
        backlog: the account in which the call is pending; None before and afterwards.
        added_at: the monotonic time at which it was added there.
    """

    __slots__ = (
        "added_at",
        "args",
        "backlog",
        "calls_before",
        "comparable",
        "context",
        "expected",
        "kwargs",
        "rows",
        "size",
        "watch",
    )

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], context: contextvars.Context, size: int) -> None:
        self.args, self.kwargs, self.context, self.size = args, kwargs, context, size
        self.expected: Any = None
        self.comparable = False
        self.rows = 1
        self.watch: ShadowWatch | None = None
        self.calls_before: int | None = None
        self.backlog: Backlog | None = None
        self.added_at = 0.0


class Backlog:
    """
    The calls of one shadow in one process that have not ended.

    An interrupt in the caller's thread, such as the time-out of a task queue, may come between any two steps. Therefore
    the sets are what counts, and `drop_lost` finds the calls that an interrupt has kept from the threads and tasks.

    Args:
        limits: how many calls may be pending.
    """

    __slots__ = ("_begun", "_calls", "_limits", "_lock", "_missing", "_size", "_until_recount")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Re-entrant, because the garbage collector may run a finalizer of the host here, which may call the model.
        self._lock = threading.RLock()
        self._calls: set[ShadowCall] = set()
        self._begun: set[ShadowCall] = set()
        self._missing: set[ShadowCall] = set()
        self._size, self._until_recount = 0, RECOUNT

    @property
    def unfinished(self) -> int:
        """The number of calls that have not ended."""
        return len(self._calls)

    def is_full(self) -> bool:
        """Return whether no further call may be pending."""
        return len(self._calls) - len(self._begun) >= self._limits.size

    def is_too_large(self, size: int) -> bool:
        """Return whether there is no room for a call of *size* bytes."""
        if self._size + size <= self._limits.max_bytes:
            return False
        self._recount()
        return self._size + size > self._limits.max_bytes

    def add(self, call: ShadowCall) -> bool:
        """Add a pending call, and return True. Return False if there is no room."""
        with self._lock:
            if self.is_full() or self.is_too_large(call.size):
                return False
            call.added_at, call.backlog = time.monotonic(), self
            self._calls.add(call)
            self._size += call.size
            self._until_recount -= 1
            if self._until_recount <= 0:
                self._recount()
        return True

    def begin(self, call: ShadowCall) -> None:
        """Take note that a pending call begins."""
        self._begun.add(call)

    def end(self, call: ShadowCall) -> bool:
        """Take note that a call has ended, and return True. Return False if it ended before, or in another process."""
        with self._lock:
            self._begun.discard(call)
            if call.backlog is not self:
                return False
            call.backlog = None
            self._calls.discard(call)
            self._size = self._size - call.size if self._calls else 0
        return True

    def drop_lost(self, held: Collection[ShadowCall]) -> list[ShadowCall]:
        """
        Remove and return the calls that should be in *held*, those of the threads and tasks, and are not.

        They were not in the last look either, because a call is in no list for a moment when it begins.
        """
        before = time.monotonic() - LOST_SECONDS
        missing = {call for call in tuple(self._calls) if call.added_at < before and call not in held}
        lost, self._missing = missing & self._missing, missing
        return [call for call in lost if self.end(call)]

    def _recount(self) -> None:
        """Add the sizes up again, of which an interrupt may have kept one from the sum."""
        with self._lock:
            self._size = sum(call.size for call in self._calls)
            self._until_recount = max(RECOUNT, len(self._calls))
