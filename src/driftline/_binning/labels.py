"""Values to the labels of categories."""

from __future__ import annotations

import math

import numpy as np

from driftline.typing import (
    Label,
)

__all__ = [
    "is_missing",
    "label_of",
]


def is_missing(value: object) -> bool:
    """Whether a value is None, nan, NaT or NA: missing values do not equal themselves, or do not want to say."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124
    except Exception:  # noqa: BLE001 - pandas.NA; the values are the host's and may raise anything
        return True


def label_of(value: object) -> Label:
    """The label under which a value is remembered, the same before and after it was written as JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    # A member of an enumeration may be a text or a number too: it is that.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    return str(value)
