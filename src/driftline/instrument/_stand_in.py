"""Objects that stand for another one: they are it in all but a few methods."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

__all__ = ["stand_in"]

_OWN = {
    *("__class__", "__new__", "__init__", "__init_subclass__", "__subclasshook__", "__class_getitem__"),
    *("__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__dict__", "__slots__", "__weakref__"),
    *("__del__", "__doc__", "__module__", "__mro_entries__", "__getstate__", "__setstate__", "__sizeof__"),
    *("__reduce__", "__get__", "__set__", "__delete__", "__set_name__"),
}
"""Special names that a class of stand-ins does not pass on, or not as the others."""

_COPYING = {"__copy__", "__deepcopy__", "__reduce_ex__"}
"""The special methods of stand-ins themselves."""

_METHODS = {MethodType, BuiltinMethodType, FunctionType}
"""Classes of bound methods. A function is one if it is that of a stand-in, which has ``__self__`` as a method has."""


def stand_in(
    original: Any, methods: Mapping[str, Callable[..., Any]], rebuild: Callable[[Any], Any] | None = None
) -> Any:
    """
    Return an object that behaves like *original*, but for the special methods of *methods*.

    Attributes are read from the original and written to it. ``isinstance`` says the class of the original. A method
    that returns the original returns the stand-in. The original is the attribute ``__wrapped__``.

    Args:
        original: the object.
        methods: functions without ``self``, by the name of the special method that they replace.
        rebuild: makes the stand-in of a copy, in `copy.copy`, `copy.deepcopy`, and where a pickle arrives. If None, a
            copy has none, and the stand-in cannot be pickled, because what *methods* do stays in this process.
    """
    kind = type(original)
    names = {name for parent in kind.__mro__ for name in vars(parent) if name.startswith("__") and name.endswith("__")}

    def itself(result: Any) -> Any:
        return substitute if result is original else result

    def passed_on(name: str) -> Callable[..., Any] | None:
        if getattr(kind, name, None) is None:  # switched off, as ``__hash__ = None`` does
            return None
        return lambda _, *args, **kwargs: itself(getattr(original, name)(*args, **kwargs))

    def read(self: Any, name: str) -> Any:
        if name == "__wrapped__":
            return original
        if name in methods:
            return methods[name]
        if name in _COPYING:
            return object.__getattribute__(self, name)
        value = getattr(original, name)
        if type(value) not in _METHODS or getattr(value, "__self__", None) is not original:
            return value
        method: Any = functools.wraps(value)(lambda *args, **kwargs: itself(value(*args, **kwargs)))
        method.__self__ = substitute
        return method

    namespace: dict[str, Any] = {
        "__slots__": ("__weakref__",),
        **{name: passed_on(name) for name in names - _OWN},
        **{name: staticmethod(method) for name, method in methods.items()},
        **_copying(original, rebuild),
        "__getattribute__": read,
        "__setattr__": lambda _, name, value: setattr(original, name, value),
        "__delattr__": lambda _, name: delattr(original, name),
    }
    if "__get__" in names:  # it binds like a function, so a class may have it as a method
        namespace["__get__"] = _bind
    substitute = type(kind.__name__, (), namespace)()
    return substitute


def _copying(original: Any, rebuild: Callable[[Any], Any] | None) -> dict[str, Callable[..., Any]]:
    def again(copied: Any) -> Any:
        return copied if rebuild is None else rebuild(copied)

    def reduce(*_: Any) -> Any:
        if rebuild is not None:
            return rebuild, (original,)
        name = type(original).__name__
        msg = f"an instrumented {name} cannot be pickled: pickle the object itself, its attribute __wrapped__"
        raise TypeError(msg)

    return {
        "__copy__": lambda _: again(copy.copy(original)),
        "__deepcopy__": lambda _, memo: again(copy.deepcopy(original, memo)),
        "__reduce_ex__": reduce,
    }


def _bind(self: Any, instance: object, _owner: type | None = None) -> Any:
    return self if instance is None else MethodType(self, instance)
