"""The class of watched objects: a subclass of the object's class that differs in a few methods, and hides itself."""

from __future__ import annotations

import abc
import contextlib
import copyreg
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Generic, cast

from driftline.watching._methods import Method

__all__ = ["set_class", "watched_class"]

UNCOUNTED = ("fit", "partial_fit", "fit_predict", "fit_transform", "score")
"""
Methods that train or evaluate. They call ``predict`` and the like, as early stopping does, and these calls are no
predictions of a service.
"""

_classes: weakref.WeakValueDictionary[tuple[type, tuple[str, ...]], type] = weakref.WeakValueDictionary()
"""By the class of an object and the names of its methods. An entry goes when no object of the class is watched."""

_lock = threading.Lock()

_set_class = cast("Any", object.__dict__["__class__"]).__set__


def _do_nothing(_kind: type, /, **_arguments: Any) -> None:
    """Stand in for ``__init_subclass__``, which may wrap methods or add the new class to a list."""


class _Quiet:
    """Keeps ``__init_subclass__`` of a class that has no ``__dict__`` from running."""

    __slots__ = ()
    __init_subclass__: Any = classmethod(_do_nothing)


def set_class(model: Any, kind: type) -> None:
    """
    Make an object one of class *kind*, also if its class pretends to be another one.

    Raises:
        TypeError: the two classes have other layouts.
    """
    _set_class(model, kind)


def watched_class(model: Any, methods: Iterable[str]) -> type:
    """
    Make *model* an object of a subclass of its class whose *methods* record their calls. Return that subclass.

    Raises:
        TypeError: its class cannot have subclasses of the same layout.
    """
    original = type(model)
    names = tuple(methods)
    with _lock:
        known = _classes.get((original, names))
        if known is not None:
            set_class(model, known)
            return known
        reason = ""
        for bases in _bases(original):
            try:
                kind = _make(original, bases, names)
                set_class(model, kind)
            except TypeError as error:  # noqa: PERF203 - of three
                reason = str(error)  # the error itself would keep the object alive by its traceback
            else:
                _classes[original, names] = kind
                return kind
    raise TypeError(reason)


def _bases(original: type) -> Iterable[tuple[type, ...]]:
    """Return the bases to try for a subclass of the same layout, so that no ``__init_subclass__`` runs."""
    if any("__init_subclass__" in vars(parent) for parent in original.__mro__[:-1] if parent is not Generic):
        yield _Quiet, original
        layout = original
        while layout.__base__ is not None and _layout(layout) == _layout(layout.__base__):
            layout = layout.__base__
        with contextlib.suppress(TypeError):
            parents = (layout.__base__ or object,)
            yield type(layout)("_Quiet", parents, {"__init_subclass__": classmethod(_do_nothing)}), original
    yield (original,)


def _layout(kind: type) -> tuple[int, int, int]:
    return kind.__basicsize__, kind.__dictoffset__, kind.__weakrefoffset__


def _make(original: type, bases: tuple[type, ...], names: tuple[str, ...]) -> type:
    meta = type(original)
    # The methods of further metaclasses may check or list new classes.
    make: Any = abc.ABCMeta.__new__ if issubclass(meta, abc.ABCMeta) else type.__new__
    kind: type = make(
        meta,
        original.__name__,
        bases,
        {
            "__slots__": (),
            "__module__": original.__module__,
            "__qualname__": original.__qualname__,
            "__doc__": original.__doc__,
            "__class__": property(lambda _: original),
        },
    )
    type.__setattr__(kind, "__reduce_ex__", _reducer(kind, original))
    for name in ("__copy__", "__deepcopy__"):
        if hasattr(original, name):
            type.__setattr__(kind, name, _copier(kind, original, name))
    for name in names:
        type.__setattr__(kind, name, Method(kind, name, counted=True))
    for name in UNCOUNTED:
        if name not in names and hasattr(original, name):
            type.__setattr__(kind, name, Method(kind, name, counted=False))
    return kind


def _reducer(kind: type, original: type) -> Callable[[Any, Any], Any]:
    """Return a ``__reduce_ex__`` that says how to make an object of the original class."""

    def __reduce_ex__(self: Any, protocol: Any) -> Any:  # noqa: N807 - its name
        registered = copyreg.dispatch_table.get(original)
        parent: Any = super(kind, self)
        reduced = parent.__reduce_ex__(protocol) if registered is None else registered(self)
        if not isinstance(reduced, tuple):
            return reduced
        function, arguments, *rest = reduced
        swapped = (original if each is kind else each for each in arguments)
        return (original if function is kind else function, tuple(swapped), *rest)

    return __reduce_ex__


def _copier(kind: type, original: type, name: str) -> Callable[..., Any]:
    """Return a ``__copy__`` or ``__deepcopy__`` that returns an object of the original class."""

    def copy(self: Any, *arguments: Any) -> Any:
        copied = getattr(super(kind, self), name)(*arguments)
        if type(copied) is kind and copied is not self:
            set_class(copied, original)
        return copied

    copy.__name__ = name
    return copy
