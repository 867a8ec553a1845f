"""The flag of a block, by which calls within it are known. No interrupt leaves it set."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftline.instrument._block import PredictionCall

__all__ = ["BlockFlag", "ExitMethod"]


class BlockFlag(list[bool]):
    """
    The flag of a block: True until the ``with`` statement ends, however it ends.

    An interrupt may come at the start of ``__exit__``, before it can do anything. But the statement holds the method
    ``__exit__`` while its block runs, and drops it then.
    """

    __slots__ = ("exit_method",)

    exit_method: Callable[[], object] | None

    def __init__(self, exit_method: Callable[[], object] | None) -> None:
        super().__init__((True,))
        self.exit_method = exit_method

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(index) and (self.exit_method is None or self.exit_method() is not None)


class ExitMethod:
    """
    The method ``__exit__`` of `PredictionCall`. The call keeps a weak reference to the one that a ``with`` looks up.

    ``ExitStack`` looks it up in the class. There is no such reference then.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __get__(self, call: PredictionCall | None, kind: type | None = None) -> Callable[..., Any]:
        if call is None:
            return self._function
        method = MethodType(self._function, call)
        if call.exit_method is None:
            call.exit_method = weakref.ref(method)
        return method
