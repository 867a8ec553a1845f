"""Registers callbacks for forks and for the end of a process, however the process was started."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Protocol

from driftline._runtime.abandoned import finish_abandoned, forget_abandoned

__all__ = [
    "Component",
    "at_exit",
    "at_exit_of_children",
    "flush_components",
    "hook_forks",
    "in_children",
    "register",
]

_in_children: list[Callable[[], object]] = []
_hooked: list[bool] = []


FINISH_SECONDS = 2.0
"""Seconds that the exit waits for threads that finish monitors which were dropped. One takes a few milliseconds."""


class Component(Protocol):
    """An object with state that the child of a fork must not keep, and with work to finish when a process ends."""

    def flush(self) -> None:
        """Finish the pending work."""
        ...

    def end(self) -> None:
        """Give up what must not outlive the process, after all components have been flushed. Never raise."""
        ...

    def after_fork(self) -> None:
        """Delete the state, in the child of a fork."""
        ...


_components: weakref.WeakSet[Component] = weakref.WeakSet()
_registered = False


def register(component: Component) -> None:
    """Flush and end a component when a process ends. Call its `after_fork` in children. Keep only a weak reference."""
    global _registered  # noqa: PLW0603 - hooks of the process, once per process: importing driftline installs none
    _components.add(component)
    if not _registered:
        _registered = True
        at_exit(_end_components)
        in_children(_empty_components)


def flush_components() -> tuple[object, ...]:
    """Flush the components. Return the providers of OpenTelemetry that they were given, by their ``providers``."""
    finish_abandoned(wait=FINISH_SECONDS)
    components = list(_components)
    for component in components:
        component.flush()
    return tuple(provider for component in components for provider in getattr(component, "providers", ()))


def _end_components() -> None:
    flush_components()
    for component in list(_components):
        component.end()


def _empty_components() -> None:
    forget_abandoned()
    for component in list(_components):
        component.after_fork()


def hook_forks() -> None:
    """
    Install the hook that runs the callbacks of `in_children` in the child of a fork. If it is installed, do nothing.

    Hooks of all libraries run in the order of their installation. Monitors must be empty before OpenTelemetry's thread
    collects from them in the child, so `configure_otlp` calls this first.
    """
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked.append(True)
        os.register_at_fork(after_in_child=_run_in_child)


def in_children(function: Callable[[], object]) -> None:
    """Call a function in every child that is forked from now on."""
    hook_forks()
    _in_children.append(function)


def _run_in_child() -> None:
    for function in _in_children:
        function()


def at_exit(function: Callable[[], object]) -> None:
    """
    Call a function when this process ends, and when a child ends that is forked from now on.

    It is called before all functions of ``atexit`` that are registered until the process ends, such as those that shut
    a provider down: a provider may be set up after the monitors that use it.
    """
    atexit.register(function)
    at_exit_of_children(function, first=True)

    def register_last() -> None:
        atexit.unregister(function)
        atexit.register(function)

    # Python calls these functions before those of ``atexit``, which it calls in reverse order. The standard library's
    # thread pools are its only users, so its absence only means the order of registration.
    before_atexit = getattr(threading, "_register_atexit", None)
    if before_atexit is not None:
        with contextlib.suppress(RuntimeError):  # the process is ending already
            before_atexit(register_last)


def at_exit_of_children(function: Callable[[], object], *, first: bool = False) -> None:
    """
    Call a function when a process that multiprocessing started ends: this one, or a child forked from now on.

    If it was forked, such a process skips the functions of ``atexit``. It runs the finalizers of multiprocessing
    instead. In a process that multiprocessing did not start, *function* is not called.

    Args:
        function: called without arguments, possibly more than once.
        first: whether to call it before the functions that were registered here without *first*.
    """
    priority = 10 if first else 0
    _add_finalizer(function, priority)
    if hasattr(os, "register_at_fork"):
        registered: list[bool] = []

        def after_fork() -> None:
            multiprocessing_util = sys.modules.get("multiprocessing.util")
            if multiprocessing_util is not None and not registered:
                registered.append(True)
                # A child deletes its finalizers when it starts, and then calls the functions registered here.
                multiprocessing_util.register_after_fork(after_fork, lambda _: _add_finalizer(function, priority))

        os.register_at_fork(after_in_child=after_fork)


def _add_finalizer(function: Callable[[], object], priority: int) -> None:
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        sys.modules["multiprocessing.util"].Finalize(None, function, exitpriority=priority)
