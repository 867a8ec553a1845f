"""The methods of watched objects: descriptors that find the method of the object, and wrap it as it is read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType, MethodType
from typing import Any

from driftline._recording.buffer import NO_OUTPUT
from driftline.watching._outputs import explains
from driftline.watching._registry import find

__all__ = ["Method"]

MAX_WRAPPERS = 16
"""Most functions of a method whose wrappers are kept. A class has one, unless its method is made at each access."""


class Method:
    """
    A method of a class of watched objects.

    It reads the method as the object has it: from the object's ``__dict__``, from its class, or from ``__getattr__``.
    So ``hasattr`` says what it said before, also for methods that exist under a condition only.

    Args:
        owner: the class of watched objects.
        name: the name of the method.
        counted: whether its calls are predictions. If False, calls within it are not counted.
    """

    __slots__ = ("_make", "_name", "_owner", "_wrappers")

    def __init__(self, owner: type, name: str, *, counted: bool) -> None:
        self._owner = owner
        self._name = name
        self._make = _counted if counted else _uncounted
        self._wrappers: dict[Any, Callable[..., Any] | None] = {}

    def __get__(self, instance: Any, owner: type | None = None) -> Any:  # noqa: C901 - one frame in tracebacks
        if instance is None:
            return getattr(super(self._owner, owner), self._name)
        name = self._name
        attributes = getattr(instance, "__dict__", None)
        if attributes is not None and name in attributes:
            bound = attributes[name]
        else:
            fallback = getattr(self._owner, "__getattr__", None)
            try:
                bound = getattr(super(self._owner, instance), name)
            except AttributeError:
                if fallback is None:
                    raise
                bound = _MISSING
            if bound is _MISSING:
                bound = fallback(instance, name)  # type: ignore[misc] # it is not None
        watched = find(instance)
        if watched is None or not callable(bound) or watched.calls.here():
            return bound
        if type(bound) is not MethodType or bound.__self__ is not instance or type(bound.__func__) is not FunctionType:
            return bound if _is_late(bound) else self._make(name, bound, instance)
        function = bound.__func__
        if function not in self._wrappers:
            if len(self._wrappers) >= MAX_WRAPPERS:
                self._wrappers.clear()
            self._wrappers[function] = None if _is_late(function) else self._make(name, function)
        wrapper = self._wrappers[function]
        if wrapper is None:
            return MethodType(watched.decorated(function), instance) if self._make is _counted else bound
        return MethodType(wrapper, instance)

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self._name] = value

    def __delete__(self, instance: Any) -> None:
        try:
            del vars(instance)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None


_MISSING: Any = object()


def _is_late(function: Any) -> bool:
    """Return whether a function returns before its body has run: a coroutine function or a generator."""
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    )


def _counted(name: str, function: Callable[..., Any], instance: Any = None) -> Callable[..., Any]:
    """
    Return a function that calls *function* and records each call as a prediction.

    Args:
        name: the name of the method.
        function: the method.
        instance: the object, if *function* does not get it as its first argument.
    """

    @functools.wraps(function)
    def method(*args: Any, **kwargs: Any) -> Any:
        model, arguments = (args[0], args[1:]) if instance is None else (instance, args)
        watched = find(model)
        if watched is None or explains(kwargs) or watched.calls.anywhere(CODE):
            return function(*args, **kwargs)
        try:
            call = watched.begin(model, arguments, kwargs)
        except RecursionError:  # the limit is near, and the function may need fewer frames
            call = None
        if call is None:
            return function(*args, **kwargs)
        opened = watched.calls.enter(counted=True)
        try:
            with call:
                call.output = NO_OUTPUT
                result = function(*args, **kwargs)
                call.output = watched.output(name, model, result, kwargs)
        finally:
            watched.calls.leave(opened)
        return result

    return method


def _uncounted(name: str, function: Callable[..., Any], instance: Any = None) -> Callable[..., Any]:  # noqa: ARG001 - as above
    """Return a function that calls *function*. Calls of the object's other methods within it are not counted."""

    @functools.wraps(function)
    def method(*args: Any, **kwargs: Any) -> Any:
        watched = find(args[0] if instance is None else instance)
        if watched is None:
            return function(*args, **kwargs)
        opened = watched.calls.enter(counted=False)
        try:
            return function(*args, **kwargs)
        finally:
            watched.calls.leave(opened)
            watched.refit()

    return method


def _code_of(maker: Callable[..., Any]) -> CodeType:
    return next(each for each in maker.__code__.co_consts if isinstance(each, CodeType) and each.co_name == "method")


CODE = _code_of(_counted)
"""The code that every call of a watched object runs."""
