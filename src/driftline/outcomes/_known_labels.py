"""Tells a label from the sign that it is not known yet, and a corrected label from the same one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from driftline._runtime.guard import returning_on_error

__all__ = ["is_same_label", "is_unknown"]

PLAIN = frozenset({bool, int, str, bytes})
"""Types whose values are always labels."""

ABSENT = frozenset({"NAType", "NaTType"})
"""Names of the classes of ``pandas.NA``, ``pandas.NaT`` and their like in other libraries."""


def is_unknown(value: Any) -> bool:
    """
    Return whether a value says that a label is not known yet: None, nan, NaT, NA, a masked element, or a null.

    So does an array or list of one such element.
    """
    kind = type(value)
    if kind in PLAIN:
        return False
    if value is None or kind is float:
        return value is None or value != value  # noqa: PLR0124
    return _is_unknown_object(value)


@returning_on_error(False)  # noqa: FBT003 - the default
def _is_unknown_object(value: Any) -> bool:
    """Return the same for any other value. A value of the host that raises is a label."""
    kind = type(value)
    if kind.__name__ in ABSENT or value is np.ma.masked:
        return True
    if isinstance(value, np.ndarray):
        return value.size == 1 and (np.ma.is_masked(value) or is_unknown(np.asarray(value).reshape(-1)[0]))
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, (Mapping, str, set, frozenset)):
        return False
    if hasattr(kind, "as_py"):
        return is_unknown(value.as_py())
    if isinstance(value, (list, tuple)):
        return len(value) == 1 and is_unknown(value[0])
    # A scalar, or a tensor of one element. The comparison of a larger one has no truth, and raises.
    return bool(value != value)  # noqa: PLR0124


@returning_on_error(False)  # noqa: FBT003 - the default
def is_same_label(label: Any, other: Any) -> bool:
    """
    Return whether an outcome that arrives again is the same label, such as True and 1. If not, it is a correction.

    Two labels whose comparison raises are different.
    """
    if isinstance(label, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(label, other)
    return label is other or bool(label == other)
