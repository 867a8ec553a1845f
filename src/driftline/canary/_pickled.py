"""`PickledCanary`: canaries travel to other processes as their configuration, and begin there without evidence."""

from __future__ import annotations

from typing import Any, TypeVar

from driftline._runtime.arrivals import arrive, enlist, new_key
from driftline._runtime.by_value import check_functions

__all__ = ["PickledCanary"]

Kind = TypeVar("Kind", bound="PickledCanary")


class PickledCanary:
    """
    The part of a canary that pickles and copies it.

    Where the canary lives already a pickle arrives as that canary. Elsewhere it begins without evidence. A copy is the
    canary itself.
    """

    _ended: bool
    _key: str
    _arguments: dict[str, Any]

    def _let_travel(self, arguments: dict[str, Any]) -> None:
        """Let pickles of this canary arrive as it in this process. *arguments* are the variables of `__init__`."""
        self._arguments = {name: value for name, value in arguments.items() if name not in {"self", "__class__"}}
        self._key, self._ended = new_key(), False
        enlist(self._key, self)

    @property
    def ended(self) -> bool:
        """Whether the canary has ended in this process."""
        raise NotImplementedError

    @property
    def share(self) -> float | None:
        """The candidate's share of the calls."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = {**self._arguments, "share": self.share}
        check_functions(arguments)
        return _arrive, (self._key, type(self), arguments)

    def __copy__(self: Kind) -> Kind:  # noqa: PYI019 - typing has Self since Python 3.11
        return self

    def __deepcopy__(self: Kind, memo: object) -> Kind:  # noqa: PYI019 - as above
        return self


def _arrive(key: str, kind: type[PickledCanary], arguments: dict[str, Any]) -> PickledCanary:
    """Return the canary with this key in this process. If there is none, make it."""

    def make() -> PickledCanary:
        canary = kind(**arguments)
        canary._key = key  # noqa: SLF001 - of this class
        return canary

    return arrive(key, make)
