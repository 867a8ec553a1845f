"""`Hooks`: the functions of a library that an instrumentor wraps, and their originals."""

from __future__ import annotations

import functools
import pkgutil
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import wrapt

from driftline._runtime.guard import GuardedBlock

__all__ = ["Hook", "Hooks", "Wrapper"]

Wrapper: TypeAlias = "Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]"
"""A function that gets the original, the object it is bound to or None, and the arguments; it calls the original."""


class HookedMethod(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    """A hooked method of an object. It is pickled as the object and the name of the method."""

    def __reduce_ex__(self, protocol: object) -> Any:
        return getattr, (self._self_instance, self.__name__)


class HookedFunction(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A hooked function. It is pickled by its name, so that a process without the hook gets the original."""

    __bound_function_wrapper__ = HookedMethod

    def __init__(self, original: Any, wrapper: Wrapper, enabled: Callable[[], bool], name: str) -> None:
        super().__init__(original, wrapper, enabled)
        self._self_name = name

    def __reduce_ex__(self, protocol: object) -> Any:
        return pkgutil.resolve_name, (self._self_name,)


@dataclass(frozen=True, slots=True)
class Hook:
    """
    A function to wrap.

    Attributes:
        module: the module that holds it.
        name: its name in the module: ``"load"``, or ``"Booster.load_model"``.
        wrapper: called instead of it.
    """

    module: str
    name: str
    wrapper: Wrapper


class Hooks:
    """
    The hooks of one instrumentor. Modules that are not imported yet are wrapped when they are.

    Args:
        hooks: the functions to wrap.
        caught: guards the installation of a hook, which must not break the import of a module.

    Attributes:
        active: whether wrappers do anything. Copies of a wrapper that a program keeps call their original otherwise.
    """

    def __init__(self, hooks: Iterable[Hook], caught: GuardedBlock) -> None:
        self.active = False
        self._hooks = tuple(hooks)
        self._caught = caught
        self._installed: list[tuple[Any, str, HookedFunction, Any]] = []
        self._lock = threading.RLock()

    def install(self) -> None:
        """Wrap the functions of all modules that are imported, and of the others once they are."""
        self.active = True
        for module in dict.fromkeys(hook.module for hook in self._hooks):
            if module in sys.modules:
                self.on_import(module)
            else:
                _await_import(module, self)

    def remove(self) -> None:
        """Restore the originals, but where another library has wrapped the wrapper, which then calls the original."""
        self.active = False
        with self._lock:
            for owner, attribute, wrapper, original in reversed(self._installed):
                if vars(owner).get(attribute) is not wrapper:
                    continue
                if original is _INHERITED:
                    delattr(owner, attribute)
                else:
                    setattr(owner, attribute, original)
            self._installed.clear()

    def on_import(self, module: str) -> None:
        """Wrap the functions of a module that is imported."""
        for hook in self._hooks:
            if hook.module == module and self.active:
                with self._caught:
                    self._wrap(hook)

    def _wrap(self, hook: Hook) -> None:
        path, _, attribute = hook.name.rpartition(".")
        owner = functools.reduce(getattr, path.split(".") if path else (), sys.modules[hook.module])
        with self._lock:
            original = vars(owner).get(attribute, _INHERITED)
            if isinstance(original, HookedFunction):
                return
            function = getattr(owner, attribute) if original is _INHERITED else original
            wrapper = HookedFunction(function, hook.wrapper, self._is_active, f"{hook.module}:{hook.name}")
            setattr(owner, attribute, wrapper)
            self._installed.append((owner, attribute, wrapper, original))

    def _is_active(self) -> bool:
        return self.active


_INHERITED = object()
"""In place of an original that a class inherits, so that restoring it deletes the wrapper."""

_awaited: dict[str, weakref.WeakSet[Hooks]] = {}
"""Hooks by the module that they wait for. The import hook of a module is registered once in a process."""


def _await_import(module: str, hooks: Hooks) -> None:
    awaiting = _awaited.get(module)
    if awaiting is None:
        awaiting = _awaited[module] = weakref.WeakSet()
        wrapt.register_post_import_hook(functools.partial(_on_import, module), module)
    awaiting.add(hooks)


def _on_import(module: str, _: object) -> None:
    for hooks in list(_awaited[module]):
        hooks.on_import(module)
