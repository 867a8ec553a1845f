"""`KeyedReader`: reads the features of a call, and the buckets of the keys of its rows as a last column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from driftline._capture.captured import Batch, Captured, Unread
from driftline._capture.clusters import NO_KEY, ClusterKeys
from driftline._capture.columns import Row
from driftline._capture.outputs import SCALARS
from driftline._capture.reader import FeatureReader

__all__ = ["KeyedReader"]


class KeyedReader:
    """
    Reads the features of a call, and adds the buckets of the keys of its rows as a last column.

    Keys become buckets within the call, so that no buffer holds a key, except where it is a feature as well.

    Args:
        reader: reads the features together with the column of keys. It aligns dicts within the call (``late=False``).
        keys: reads the keys from what *reader* returns.
        column: index of the column of keys if it is no feature, so that it is removed; else None.
        bare: reads features without the column of keys. It reads rows without names that are one value shorter than
            *reader* expects. They have no keys. None if *column* is None.

    Attributes:
        width: the number of captured columns, without the column of keys and that of buckets.
    """

    __slots__ = ("_bare", "_column", "_keys", "_names", "_reader", "width")

    def __init__(
        self, reader: FeatureReader, keys: ClusterKeys, column: int | None, bare: Callable[[Any], Captured] | None
    ) -> None:
        self._reader, self._keys, self._column, self._bare = reader, keys, column, bare
        self._names = len(reader.names)
        self.width = self._names - (column is not None)

    def __call__(self, features: Any) -> Captured:
        """Read the features of one call. If they cannot be read, report it and return an `Unread`."""
        if self._bare is not None and _width_without_names(features) == self.width:
            return self._with_buckets(self._bare(features), keyed=False)
        return self._with_buckets(self._reader(features), keyed=True)

    def _with_buckets(self, captured: Captured, *, keyed: bool) -> Captured:
        """Return captured features with a last column of buckets, which are all `NO_KEY` unless they are *keyed*."""
        if isinstance(captured, Unread):
            return captured
        if isinstance(captured, Batch):
            columns = list(captured.columns)
            buckets = self._keys(columns, captured.rows) if keyed else np.full(captured.rows, NO_KEY, dtype=np.int16)
            if keyed and self._column is not None:
                del columns[self._column]
            return Batch([*columns, buckets], captured.rows)
        if not isinstance(captured, list) and keyed:
            row = _values_of(captured)
            bucket = self._keys.of_row(row)
            at = self._column
            return (*row, bucket) if at is None else (*row[:at], *row[at + 1 :], bucket)
        rows = [_values_of(row) for row in (captured if isinstance(captured, list) else [captured])]
        if keyed and rows:
            buckets = self._keys([*zip(*rows, strict=True)], len(rows))
            if self._column is not None:
                at = self._column
                rows = [(*row[:at], *row[at + 1 :]) for row in rows]
        else:
            buckets = np.full(len(rows), NO_KEY, dtype=np.int16)
        result: list[Row] = [(*row, bucket) for row, bucket in zip(rows, buckets.tolist(), strict=True)]
        return result if isinstance(captured, list) else result[0]


def _values_of(row: Any) -> tuple[object, ...]:
    return tuple(np.frombuffer(row).tolist()) if isinstance(row, bytes) else row


def _width_without_names(features: Any) -> int:
    """Return the number of values of a row of an array or a sequence without names, or -1 for other features."""
    if isinstance(features, np.ndarray):
        return features.shape[-1] if features.ndim in {1, 2} and features.dtype.names is None else -1
    if not isinstance(features, (list, tuple)) or hasattr(features, "_fields") or not features:
        return -1
    first = features[0]
    if type(first) in SCALARS:
        return len(features)
    return len(first) if isinstance(first, (list, tuple, np.ndarray)) and not hasattr(first, "_fields") else -1
