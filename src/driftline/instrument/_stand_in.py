"""Objects that stand for another one: they are it in all but a few methods."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import BuiltinMethodType, MethodType
from typing import Any

__all__ = ["stand_in"]

_OWN = {
    *("__class__", "__new__", "__init__", "__init_subclass__", "__subclasshook__", "__class_getitem__"),
    *("__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__dict__", "__slots__", "__weakref__"),
    *("__del__", "__doc__", "__module__", "__mro_entries__", "__getstate__", "__setstate__", "__sizeof__"),
    *("__reduce__", "__reduce_ex__", "__copy__", "__deepcopy__", "__get__", "__set__", "__delete__", "__set_name__"),
}
"""Special names that a class of stand-ins does not pass on, or not as the others."""


def stand_in(original: Any, methods: Mapping[str, Callable[..., Any]]) -> Any:
    """
    Return an object that behaves like *original*, but for the special methods of *methods*.

    Attributes are read from the original and written to it. ``isinstance`` says the class of the original. A method
    that returns the original returns the stand-in. The original is the attribute ``__wrapped__``.

    Args:
        original: the object.
        methods: functions without ``self``, by the name of the special method that they replace.
    """
    kind = type(original)
    names = {name for parent in kind.__mro__ for name in vars(parent) if name.startswith("__") and name.endswith("__")}
    namespace: dict[str, Any] = {"__slots__": ("__weakref__",)}

    def itself(result: Any) -> Any:
        return substitute if result is original else result

    def passed_on(name: str) -> Callable[..., Any]:
        def method(_: Any, *args: Any, **kwargs: Any) -> Any:
            return itself(getattr(original, name)(*args, **kwargs))

        return method

    def get(_: Any, name: str) -> Any:
        if name == "__wrapped__":
            return original
        if name in methods:
            return methods[name]
        value = getattr(original, name)
        if type(value) in {MethodType, BuiltinMethodType} and value.__self__ is original:
            return functools.wraps(value)(lambda *args, **kwargs: itself(value(*args, **kwargs)))
        return value

    for name in names - _OWN:
        unavailable = getattr(kind, name, None) is None
        namespace[name] = None if unavailable else passed_on(name)
    namespace |= {name: staticmethod(method) for name, method in methods.items()}
    namespace["__getattribute__"] = get
    namespace["__setattr__"] = lambda _, name, value: setattr(original, name, value)
    namespace["__delattr__"] = lambda _, name: delattr(original, name)
    if "__get__" in names:  # it binds like a function, so a class may have it as a method
        namespace["__get__"] = _bind
    substitute = type(kind.__name__, (), namespace)()
    return substitute


def _bind(self: Any, instance: object, _owner: type | None = None) -> Any:
    return self if instance is None else MethodType(self, instance)
