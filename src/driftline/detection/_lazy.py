"""Values made when they are asked for: of hundreds of features at several lengths few ever are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

__all__ = ["LazySequence"]

Value_co = TypeVar("Value_co", covariant=True)


class LazySequence(Sequence[Value_co]):
    """
    A sequence that makes its values at the first look at them, and equals the tuple of them.

    Args:
        make: makes them, of things that do not change. Two threads that look first at once both make them.
        arguments: what it is called with.

    >>> LazySequence(divmod, 7, 2)
    (3, 1)
    """

    __slots__ = ("_arguments", "_made", "_make")

    def __init__(self, make: Callable[..., tuple[Value_co, ...]], *arguments: object) -> None:
        self._make, self._arguments = make, arguments
        self._made: tuple[Value_co, ...] | None = None

    def _all(self) -> tuple[Value_co, ...]:
        if self._made is None:
            self._made = self._make(*self._arguments)
        return self._made

    @overload
    def __getitem__(self, place: int) -> Value_co: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Value_co]: ...

    def __getitem__(self, place: int | slice) -> Value_co | Sequence[Value_co]:
        return self._all()[place]

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
