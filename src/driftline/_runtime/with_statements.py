"""Tells whether a ``with`` statement still runs, also if an interrupt ended it without a call of ``__exit__``."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any

__all__ = ["ExitMethod", "Held"]


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
    def ended(self) -> bool:
        """Whether the ``with`` statement has ended. False for `contextlib.ExitStack`, which holds no such method."""
        return self._exit_method is not None and self._exit_method() is None

    def observe(self, method: MethodType) -> None:
        """Observe the ``with`` statement that has looked up this method, unless an earlier one has."""
        if self._exit_method is None:
            self._exit_method = weakref.ref(method)


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
        held.observe(method)
        return method
