"""The names of the features of a call, and the report of names that the reference lacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from driftline._capture.libraries import is_column
from driftline._capture.tables import is_table, open_table
from driftline._runtime.guard import Report

__all__ = ["MAX_UNKNOWN", "UnknownNames", "field_names", "first_names", "is_named", "names_of"]

MAX_UNKNOWN = 1_000
"""Most unknown names that are remembered. A dict whose keys are ids has new names in each call."""

SHOWN_NAMES, SHOWN_CHARACTERS = 10, 60
"""Most names in a report, and most characters of each."""


def names_of(features: Any) -> tuple[str, ...] | None:
    """Return the names of the features of a call, in their order; None if they have no names, as in an array."""
    if isinstance(features, Mapping):
        return tuple(dict.fromkeys(str(name) for name in features))
    if is_table(features):
        names = open_table(features).names
        # A name that two columns share names neither.
        return names and tuple(name for name in dict.fromkeys(names) if names.count(name) == 1)
    if hasattr(features, "_fields"):
        return tuple(features._fields)
    fields = field_names(type(features))
    if fields is not None:
        return fields
    index = getattr(features, "index", None)
    if index is not None and not callable(index) and type(index).__name__ != "RangeIndex":
        return tuple(str(name) for name in index)
    return None


def first_names(features: Any) -> tuple[str, ...]:
    """
    Return the names of the features of a call, in their order: ``"0"``, ``"1"``, … if they have no names.

    A list of rows has the names in its rows. There are no names if the features are empty or cannot be read.
    """
    names = names_of(features)
    if names is not None:
        return names
    if isinstance(features, (list, tuple)) and features:
        if all(map(is_named, features)):
            return tuple(dict.fromkeys(chain.from_iterable(map(first_names, features))))
        if all(map(is_column, features)):
            return first_names(features[0])
    if is_table(features):
        return _numbered(features.shape[1])
    return _numbered(len(features)) if is_column(features) else ()


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def is_named(row: object) -> bool:
    """Return whether a row names its values: a dict, namedtuple, dataclass, pydantic or attrs object, or series."""
    if isinstance(row, Mapping) or hasattr(row, "_fields") or field_names(type(row)) is not None:
        return True
    return is_column(row) and not isinstance(row, (list, tuple, np.ndarray)) and names_of(row) is not None


def field_names(kind: type) -> tuple[str, ...] | None:
    """Return the names of the fields of a dataclass, a pydantic model or an attrs class; None for other classes."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    fields = getattr(kind, "model_fields", None)
    if isinstance(fields, Mapping):
        return tuple(fields)
    attributes = getattr(kind, "__attrs_attrs__", None)
    return None if attributes is None else tuple(attribute.name for attribute in attributes)


class UnknownNames:
    """
    Reports names of features that a reference lacks, each once in the life of a monitor.

    A column that is no feature, such as an id, is in every call and is no error.

    Args:
        report: called with "unknown_feature" and a message.
        known: names that are not reported, such as the column of times of the training data.
    """

    __slots__ = ("_known", "_report", "_seen")

    def __init__(self, report: Report, known: Collection[str] = ()) -> None:
        self._report = report
        self._known = frozenset(known)
        self._seen: set[str] = set()

    def knowing(self, known: Collection[str]) -> UnknownNames:
        """Return a report that knows other names, and does not repeat what this one has reported."""
        other = UnknownNames(self._report, known)
        other._seen = self._seen
        return other

    def report(self, names: Iterable[str]) -> None:
        """Report the names that have not been reported; after `MAX_UNKNOWN` names, none."""
        seen = self._seen
        new = [name for name in dict.fromkeys(names) if name not in seen and name not in self._known]
        if not new or len(seen) >= MAX_UNKNOWN:
            return
        seen.update(new[:MAX_UNKNOWN])
        shown = [name[:SHOWN_CHARACTERS] for name in new[:SHOWN_NAMES]]
        more = f" and {len(new) - SHOWN_NAMES} more" if len(new) > SHOWN_NAMES else ""
        self._report(
            "unknown_feature",
            f"features {shown}{more} are not in the reference: not counted. If the training data have them too and "
            "they are no features, name them in ignore= of Reference.fit",
        )
