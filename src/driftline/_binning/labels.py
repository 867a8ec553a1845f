"""Labels of the values of categorical features."""

from __future__ import annotations

import math

import numpy as np

from driftline.typing import Label

__all__ = ["is_missing", "label_of"]


def is_missing(value: object) -> bool:
    """Return whether a value is None, or like nan, NaT and NA: it differs from itself or raises when compared."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124
    except Exception:  # noqa: BLE001 - pandas.NA; a value of the host may raise anything
        return True


def label_of(value: object) -> Label:
    """Return the category of a value as a plain string, number or boolean, which JSON does not change."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    # A member of an enumeration may also be a string or a number. Its label is that string or number.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    return str(value)
