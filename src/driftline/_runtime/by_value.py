"""Functions that a pickle cannot hold by name: lambdas, and functions within functions."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping
from types import FrameType, FunctionType
from typing import Any

from driftline._runtime import validation as check

__all__ = ["check_functions"]


def check_functions(arguments: Mapping[str, Any]) -> None:
    """
    Check that the pickler at work can store all functions among these arguments.

    A class calls this in its ``__reduce__``.

    Raises:
        ConfigurationError: an argument is or has a function without a name in its module, and the pickler stores
            functions by name.
    """
    for name, value in arguments.items():
        for function in _functions(value):
            if not _has_name(function) and not _stores_code():
                expected = (
                    "a function that is defined in a module, because pickle stores the names of functions. cloudpickle "
                    "stores lambdas and functions within functions too"
                )
                check.reject(name, function, expected)


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yield the functions that are the value, or that a mapping, a sequence or a `functools.partial` has."""
    while isinstance(value, functools.partial):
        value = value.func
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _functions(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _functions(each)


def _has_name(function: FunctionType) -> bool:
    """Return whether its module has the function under its name."""
    scope: Any = sys.modules.get(function.__module__ or "")
    for name in function.__qualname__.split("."):
        scope = getattr(scope, name, None)
    return scope is function


def _stores_code() -> bool:
    """
    Return whether a pickler at work stores functions by value, as cloudpickle and dill do.

    Those are classes in Python, whose method ``dump`` is on the stack. The picklers of the standard library are in C,
    or leave functions to ``save_global``.
    """
    pickle = sys.modules.get("pickle")
    if pickle is None:
        return True
    picklers = (pickle.Pickler, pickle._Pickler)  # noqa: SLF001 - the same class in Python, from which others derive
    by_name = pickle._Pickler.dispatch[FunctionType]  # noqa: SLF001 - as above
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, and in every CPython
    while frame is not None:
        kind = type(frame.f_locals.get("self"))
        if issubclass(kind, picklers) and (
            hasattr(kind, "reducer_override") or getattr(kind, "dispatch", {}).get(FunctionType, by_name) is not by_name
        ):
            return True
        frame = frame.f_back
    return False
