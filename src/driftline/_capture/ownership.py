"""`Ownership`: makes captured values independent of the caller, who may change them, and of their size."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from driftline._capture.captured import Batch, Captured
from driftline._capture.labels import DATES, MAX_LABEL, label_of, shorten_label
from driftline._capture.outputs import SCALARS
from driftline._capture.placeholders import Unreadable
from driftline._runtime.guard import is_contained

__all__ = ["Ownership", "copy_value", "is_small", "keep_value", "own_value", "shorten"]

TRIAL_READS = 32
"""Reads that are inspected before a reader is trusted. A service has rows of the same types nearly always."""

IMMUTABLE = (int, float, complex, np.number, np.bool_, Decimal, Fraction, Enum, *DATES)
"""Types whose values are small and never change, so that they are kept as they are."""

CONTAINERS = (list, tuple, set, frozenset, Mapping)
"""Types that are no single value, and may be large."""

MAX_ITEMS, MAX_DEPTH = 32, 3
"""Most items, and most levels of containers within containers, of a value that takes little memory."""

Holder: TypeAlias = "Callable[[Any], object]"


def shorten(value: Any) -> Any:
    """Return a string as its label if it is longer than `MAX_LABEL` characters, and any other value as it is."""
    return shorten_label(value) if isinstance(value, str) and len(value) > MAX_LABEL else value


def own_value(value: Any) -> object:
    """
    Return a value of a row as one that never changes and is small.

    An array of one element becomes that element, a long string its label. A container and an array of several elements
    become an `Unreadable`.
    """
    kind = type(value)
    if issubclass(kind, str):
        return shorten(value)
    if kind in SCALARS or issubclass(kind, IMMUTABLE):
        return value
    if issubclass(kind, (bytes, bytearray)):
        return value if kind is bytes and len(value) <= MAX_LABEL else label_of(value)
    if issubclass(kind, np.ndarray):
        return own_value(_only_element(value)) if value.size == 1 else Unreadable(value)
    if issubclass(kind, CONTAINERS):
        return Unreadable(value)
    return _own_tensor(value) if hasattr(kind, "__array__") else value


def is_small(value: Any, depth: int = 0) -> bool:
    """Return whether a value is a container or an array of few items, none of which is long."""
    kind = type(value)
    if issubclass(kind, np.ndarray):
        return bool(value.size <= MAX_ITEMS and value.dtype.itemsize <= MAX_LABEL)
    if issubclass(kind, (str, bytes, bytearray)):
        return len(value) <= MAX_LABEL
    if not issubclass(kind, CONTAINERS) or depth == MAX_DEPTH:
        return True
    items = [*value, *value.values()] if issubclass(kind, Mapping) else value
    return len(value) <= MAX_ITEMS and all(is_small(item, depth + 1) for item in items)


def _only_element(array: Any) -> object:
    return None if np.ma.is_masked(array) else np.asarray(array).reshape(-1)[0]


def _own_tensor(value: Any) -> object:
    try:
        array = np.asarray(value)
    except BaseException as error:
        if not is_contained(error):
            raise
        return value  # a tensor on another device, or a value of the host
    return own_value(array) if array.dtype != object else value


def copy_value(value: Any) -> object:
    """Return a copy of a value that a user function reads: whole, whatever its type, so that it may be large."""
    kind = type(value)
    if kind in SCALARS or not issubclass(kind, (np.ndarray, list, dict, set, bytearray)):
        return value
    try:
        return copy.deepcopy(value)
    except BaseException as error:
        if not is_contained(error):
            raise
        return value  # an item of the host that cannot be copied


def keep_value(value: Any) -> object:
    """Return a value to learn from: a copy, or the label of a long string. Its type stays, for the errors of a fit."""
    if isinstance(value, np.ndarray) and value.size == 1:
        return own_value(value)
    return shorten(copy_value(value))


class Ownership:
    """
    Decides whether values can be kept as they are, which is fast, and otherwise replaces or copies them.

    Args:
        names: names of the columns, in the order of the reference.
        hold: returns what is kept of a value.
        vectors: names of the columns that a `VectorReader` copies.
        trial: number of reads without other values than plain ones after which the reader is trusted. If 0, never.

    Attributes:
        trusted: whether all values so far were plain, for long enough. If so, reads need no inspection.
    """

    __slots__ = ("_hold", "_known", "_left", "_own", "trusted")

    def __init__(
        self,
        names: tuple[str, ...],
        hold: Holder = own_value,
        vectors: Collection[str] = (),
        trial: int = TRIAL_READS,
    ) -> None:
        self._known = frozenset(names)
        self._hold = hold
        self._own = tuple(name not in vectors for name in names) if vectors else None
        self._left = trial
        self.trusted = False

    def distrust(self) -> None:
        """Inspect every read from now on."""
        self._left, self.trusted = 0, False

    def is_plain(self, captured: Captured) -> bool:
        """Return whether a captured row has only small values that never change, and no unknown ones."""
        kind = type(captured)
        if kind is dict:
            return self._known.issuperset(captured) and self._are_plain(captured.values())  # type: ignore[arg-type, union-attr]
        return kind is not tuple or self._are_plain(captured)  # type: ignore[arg-type]

    def _are_plain(self, values: Collection[object]) -> bool:
        if self._own is not None:
            values = [value for value, own in zip(values, self._own, strict=True) if own]
        kinds = set(map(type, values))
        if not SCALARS.issuperset(kinds):
            return False
        if self._hold is copy_value or kinds.isdisjoint({str, np.str_}):
            return True
        return all(len(value) <= MAX_LABEL for value in values if isinstance(value, str))

    def own(self, captured: Captured, align: Callable[[Any], Captured]) -> Captured:
        """
        Return captured features that the caller cannot change.

        Args:
            captured: what a reader returned.
            align: brings a dict into the order of the reference.
        """
        if type(captured) is list:
            return [*map(self._own_row, captured)]
        if type(captured) is Batch:
            columns = [self._own_column(index, column) for index, column in enumerate(captured.columns)]
            if all(map(operator.is_, columns, captured.columns)):
                self._count_plain()
                return captured
            self.distrust()
            return Batch(columns, captured.rows)
        if type(captured) is dict and not self.is_plain(captured):
            self.distrust()
            captured = align(captured)
        return self._own_row(captured)  # type: ignore[no-any-return]

    def _own_row(self, row: Any) -> Any:
        if self.is_plain(row):
            self._count_plain()
            return row
        self.distrust()
        if self._own is None:
            return tuple(map(self._hold, row))
        return tuple([self._hold(value) if own else value for value, own in zip(row, self._own, strict=True)])

    def _count_plain(self) -> None:
        if self._left > 0:
            self._left -= 1
            self.trusted = self._left == 0

    def _own_column(self, index: int, column: Any) -> Any:
        if not isinstance(column, (list, tuple)) or (self._own is not None and not self._own[index]):
            return column
        return column if self._are_plain_items(column) else tuple(map(self._hold, column))

    def _are_plain_items(self, column: Sequence[object]) -> bool:
        kinds = set(map(type, column))
        return SCALARS.issuperset(kinds) and (
            kinds.isdisjoint({str, np.str_})
            or max(len(value) for value in column if isinstance(value, str)) <= MAX_LABEL
        )
