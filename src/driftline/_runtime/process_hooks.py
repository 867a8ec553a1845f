"""Forks and the end of a process, however it was started."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable

__all__ = ["at_exit", "at_exit_of_children", "hook_forks", "in_children"]

_callbacks: list[Callable[[], object]] = []
_hooked: list[bool] = []


def hook_forks() -> None:
    """
    Take the place in the order of what runs in the child of a fork; what is told to `in_children` later runs there too.

    Monitors must be empty before OpenTelemetry's thread asks them: whoever sets OpenTelemetry up calls this first.
    """
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked.append(True)
        os.register_at_fork(after_in_child=_forked)


def in_children(function: Callable[[], object]) -> None:
    """Have *function* called in every child that is forked from now on."""
    hook_forks()
    _callbacks.append(function)


def _forked() -> None:
    for function in _callbacks:
        function()


def at_exit(function: Callable[[], object]) -> None:
    """Have *function* called when this process ends, and when a child does that is forked from now on."""
    atexit.register(function)
    at_exit_of_children(function, first=True)


def at_exit_of_children(function: Callable[[], object], *, first: bool = False) -> None:
    """
    Have *function* called when a process ends that multiprocessing has started: this one, or a child from now on.

    Those that it forks leave without ``atexit`` and run finalizers instead.

    Args:
        function: may be called more than once.
        first: before the others that were registered here.
    """
    priority = 10 if first else 0
    _finalize(function, priority)
    if hasattr(os, "register_at_fork"):
        asked: list[bool] = []

        def forked() -> None:
            processes = sys.modules.get("multiprocessing.util")
            if processes is not None and not asked:
                asked.append(True)
                # The child forgets the finalizers that it had at the fork, then runs what is registered here.
                processes.register_after_fork(forked, lambda _: _finalize(function, priority))

        os.register_at_fork(after_in_child=forked)


def _finalize(function: Callable[[], object], priority: int) -> None:
    processes = sys.modules.get("multiprocessing")
    if processes is not None and processes.parent_process() is not None:
        sys.modules["multiprocessing.util"].Finalize(None, function, exitpriority=priority)
