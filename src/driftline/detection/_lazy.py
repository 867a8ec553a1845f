"""Values that are computed at the first access, because most of them are never read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

__all__ = ["Lazy", "LazySequence"]

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)


class Lazy(Generic[Value]):
    """
    A value that is computed when it is called for the first time.

    Args:
        compute: returns the value, which is not None. It must be pure: two threads may both call it.

    >>> Lazy(lambda: 7)()
    7
    """

    __slots__ = ("_compute", "_value")

    def __init__(self, compute: Callable[[], Value]) -> None:
        self._compute = compute
        self._value: Value | None = None

    def __call__(self) -> Value:
        """Return the value."""
        value = self._value
        if value is None:
            self._value = value = self._compute()
        return value


class LazySequence(Sequence[Value_co]):
    """
    A sequence that computes its values at the first access and then equals the tuple of them.

    Args:
        compute: returns the tuple of values. It must be pure: two threads that access the sequence for the first time
            together may both call it.
        arguments: positional arguments of *compute*. They must not change.

    >>> LazySequence(divmod, 7, 2)
    (3, 1)
    """

    __slots__ = ("_arguments", "_compute", "_values")

    def __init__(self, compute: Callable[..., tuple[Value_co, ...]], *arguments: object) -> None:
        self._compute, self._arguments = compute, arguments
        self._values: tuple[Value_co, ...] | None = None

    def _all(self) -> tuple[Value_co, ...]:
        if self._values is None:
            self._values = self._compute(*self._arguments)
        return self._values

    @overload
    def __getitem__(self, index: int) -> Value_co: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Value_co]: ...

    def __getitem__(self, index: int | slice) -> Value_co | Sequence[Value_co]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Value_co]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, LazySequence) else other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self._all(),)
