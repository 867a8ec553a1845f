"""Tells whether a ``with`` statement still runs, also if an interrupt ended it without a call of ``__exit__``."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import FrameType, MethodType
from typing import Any

__all__ = ["ExitMethod", "Held", "RunningBlock"]


class Held:
    """
    An object whose ``with`` statement may be observed. Its ``__exit__`` is an `ExitMethod`.

    Python cannot promise that ``__exit__`` does its work: an interrupt may come at its start. But a ``with`` statement
    holds the method while its block runs, and drops it however the block ends.
    """

    __slots__ = ("_exit_method",)

    _exit_method: weakref.ref[MethodType] | None

    def __init__(self) -> None:
        self._exit_method = None

    @property
    def statement_ended(self) -> bool:
        """Whether the ``with`` statement has ended. False for `contextlib.ExitStack`, which holds no such method."""
        return self._exit_method is not None and self._exit_method() is None


class ExitMethod:
    """
    A method ``__exit__`` or ``__aexit__`` of a `Held`, used as a decorator.

    ``with`` looks it up before it calls ``__enter__``. `contextlib.ExitStack` looks it up in the class instead.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, held: Held | None, kind: type | None = None) -> Callable[..., Any]:
        if held is None:
            return self._function
        method = MethodType(self._function, held)
        if held._exit_method is None:  # noqa: SLF001 - of this module; else an earlier statement has looked it up
            held._exit_method = weakref.ref(method)  # noqa: SLF001
        return method


class RunningBlock:
    """
    Tells whether a block of code runs already, in a frame that has led to this call. One thread at a time uses it.

    ``with running:`` marks the block of a frame. A mark that an interrupt has left has no effect, because a frame that
    has ended is on no stack.
    """

    __slots__ = ("_frame",)

    def __init__(self) -> None:
        self._frame: FrameType | None = None

    def is_running(self) -> bool:
        """Return whether the marked frame is one of those that have led to this call."""
        if self._frame is None:
            return False
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, and in every CPython
        while frame is not None and frame is not self._frame:
            frame = frame.f_back
        return frame is not None

    def __enter__(self) -> None:
        self._frame = sys._getframe(1)  # noqa: SLF001 - as above

    def __exit__(self, *_: object) -> None:
        self._frame = None
