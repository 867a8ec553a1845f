"""The keys of rows, such as the ids of users, as the numbers of buckets; and what `cluster=` may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import CategoricalColumn, as_objects
from driftline._capture.labels import is_missing
from driftline._capture.placeholders import describe_type
from driftline._runtime import validation as check
from driftline._runtime.call_keys import key_bucket, key_digest
from driftline._runtime.guard import Report, is_contained
from driftline.errors import ConfigurationError
from driftline.typing import Column

__all__ = ["NO_KEY", "Buckets", "Cluster", "ClusterKeys", "check_cluster", "digests_of"]

Cluster: TypeAlias = "str | Callable[[Any], object]"
"""The argument ``cluster=``: the name of a column, or a function of a row that returns the key."""

Buckets: TypeAlias = NDArray[np.int16]
"""Shape (rows,), the bucket of the key of each row, or `NO_KEY`."""

NO_KEY = -1
"""The bucket of a row without a key."""

MAX_EXACT = 2.0**53
"""Smallest float beyond which two integers may be the same float."""


def check_cluster(name: str, value: object) -> Cluster:
    """
    Return the argument ``cluster=`` of this name, if it is the name of a column or a function.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(value, str):
        if value:
            return value
        check.reject(name, value, "the name of a column, or a function of a row")
    return check.function(name, value, "the name of a column, or a function of a row")


def digests_of(column: Column) -> tuple[list[int | None], str]:
    """
    Return a digest below 2^64 of each key of a column, and the type of a key that has none; else "".

    The digest of a missing key, and of one of a wrong type, is None. Equal keys of any library have the same digest
    (see `key_digest`). A float that is a whole number is that number, because pandas stores integers with missing
    values as floats.
    """
    if isinstance(column, CategoricalColumn):
        by_code, wrong = digests_of([*column.labels, None])
        return [by_code[code] for code in np.maximum(column.codes, -1).tolist()], wrong
    known: dict[tuple[type, object], int | None] = {}
    digests: list[int | None] = []
    wrong = ""
    for key in as_objects(column):
        digest = None
        try:
            pair = key.__class__, key
            if pair in known:
                digest = known[pair]
            elif not is_missing(key):
                digest = known[pair] = key_digest(_exact(key), "")
        except BaseException as error:
            if not is_contained(error):
                raise
            # a list or another value that is no key; a __hash__ or __str__ of the host that raises
            wrong = describe_type(key)
        digests.append(digest)
    return digests, wrong


def _exact(key: object) -> object:
    """Return a float that is a whole number as an integer, and any other key as it is."""
    if isinstance(key, (float, np.floating)) and key.is_integer() and abs(key) < MAX_EXACT:
        return int(key)
    return key


class ClusterKeys:
    """
    Reads the keys of rows as buckets.

    Args:
        cluster: the name of a column, or a user function of a row.
        names: the names of the captured columns, the key's column among them.
        report: called with a place and a message for keys of a wrong type, and if the function raises.
    """

    __slots__ = ("_function", "_index", "_names", "_report")

    def __init__(self, cluster: Cluster, names: tuple[str, ...], report: Report) -> None:
        self._names, self._report = names, report
        self._function = None if isinstance(cluster, str) else cluster
        self._index = names.index(cluster) if isinstance(cluster, str) else -1

    def __call__(self, columns: Sequence[Column | None], rows: int) -> Buckets:
        """Return the buckets of *rows* rows, whose captured columns are *columns*; None for one that is missing."""
        column = self.keys(columns, rows)
        if column is None:
            return np.full(rows, NO_KEY, dtype=np.int16)
        digests, wrong = digests_of(column)
        if wrong:
            self._report("key", f"a key of type {wrong} in cluster=: expected a string, bytes, an integer or a UUID")
        buckets = (NO_KEY if digest is None else key_bucket(digest) for digest in digests)
        return np.fromiter(buckets, dtype=np.int16, count=rows)

    def of_row(self, row: tuple[object, ...]) -> int:
        """Return the bucket of one captured row. It is faster than a batch of one row."""
        if self._function is None:
            key = row[self._index]
            if key.__class__ is str or key.__class__ is int:
                return key_bucket(key_digest(key, ""))
        return int(self([(value,) for value in row], 1)[0])

    def keys(self, columns: Sequence[Column | None], rows: int) -> Column | None:
        """Return the key of each row, or None if no row has one."""
        if self._function is None:
            return columns[self._index]
        values: list[Iterable[object]] = [[None] * rows if each is None else as_objects(each) for each in columns]
        return [self._call(partial(dict, zip(self._names, row, strict=True))) for row in zip(*values, strict=True)]

    def _call(self, make_row: Callable[[], dict[str, object]]) -> object:
        try:
            return self._function(MappingProxyType(make_row()))  # type: ignore[misc] # there is a function
        except BaseException as error:
            if not is_contained(error):
                raise
            # The class alone: the message may quote the row, which must not leave the process.
            self._report("key", f"cluster= raised {type(error).__name__}, the row has no key")
            return None


def column_index(name: str, names: Sequence[str]) -> int:
    """
    Return the index of the column of keys.

    Raises:
        ConfigurationError: there is no such column.
    """
    if name not in names:
        msg = f"cluster={name!r}: no such column, expected a name from {list(names)}, or a function of a row"
        raise ConfigurationError(msg)
    return names.index(name)
