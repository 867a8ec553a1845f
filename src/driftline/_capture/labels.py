"""Labels of the values of categorical features: the same for the same value at fit and while serving."""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import math
import re
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from driftline._runtime.guard import is_contained
from driftline.typing import Label

__all__ = [
    "DATES",
    "MAX_LABEL",
    "decode_bytes",
    "is_missing",
    "label_of",
    "old_bytes_label",
    "plain_label",
    "shorten_label",
]

DATES = (dt.date, dt.time, dt.timedelta, np.datetime64, np.timedelta64)
"""Types of dates and times. They are no features, because traffic never has the dates of training data."""

PLAIN = frozenset({bool, int, float, str, bytes})
"""Types of most outcomes and ids. Their values are plain."""

MAX_LABEL = 128
"""Most characters of a label. With it, 8,000 labels of a feature take at most a megabyte, in memory and in a file."""

DIGEST_BYTES = 8
"""Bytes of the digest in a shortened label. Of a million different labels, two have the same with probability 3e-8."""

SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
"""Two halves of one character. JSON joins them, so a label has the character itself."""

MAX_BITS = 400
"""Most bits of an integer that is its own label, so that it has fewer digits than `MAX_LABEL`."""

MAX_NUMBER = int(sys.float_info.max)
"""Largest number that a float holds."""


def is_missing(value: object) -> bool:
    """Return whether a value is None, or like nan, NaT and NA: it differs from itself or raises when compared."""
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124
    except BaseException as error:
        if not is_contained(error):
            raise
        # pandas.NA; a value of the host may raise anything
        return True


def label_of(value: object) -> Label:
    """
    Return the category of a value as a plain string, number or boolean, which JSON does not change.

    The label of a label is that label. A number has the same label at every width of float, as a `Decimal` and as a
    `Fraction`. Bytes have the label of the string that they encode, because string tensors hold bytes.
    """
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return str(value)  # the item of one in nanoseconds would be an integer
    if isinstance(value, np.generic):
        # A long double is its own item.
        value = float(value) if isinstance(value, np.longdouble) else value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return _float_label(value)
    # A member of an enumeration may also be a string or a number. Its label is that string or number.
    if isinstance(value, str):
        return shorten_label(str.__str__(value))
    if isinstance(value, int):
        return _integer_label(value)
    if isinstance(value, bytes):
        return shorten_label(decode_bytes(value))
    if isinstance(value, (Decimal, Fraction)) and -MAX_NUMBER <= value <= MAX_NUMBER:
        return _integer_label(int(value)) if value == int(value) else _float_label(float(value))
    if isinstance(value, Decimal) and value.is_infinite():
        return _float_label(float(value))
    return shorten_label(str(value))


def plain_label(value: Any) -> Any:
    """Return the Python value of a scalar of pyarrow, as its columns yield, and any other value as it is."""
    if type(value) in PLAIN or not hasattr(type(value), "as_py"):
        return value
    return value.as_py()


def shorten_label(label: str) -> str:
    """
    Return a string of at most `MAX_LABEL` characters: a longer one is its beginning, "…" and a digest of the whole.

    Strings with the same beginning stay different categories.
    """
    if SURROGATES.search(label):
        label = label.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if len(label) <= MAX_LABEL:
        return label
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[: 2 * DIGEST_BYTES]
    return f"{label[: MAX_LABEL - len(digest) - 1]}…{digest}"


def old_bytes_label(label: object) -> Label | None:
    """Return the label of the bytes whose label was *label* in release 0.1, which wrote them as in Python source."""
    if not isinstance(label, str) or not label.startswith(("b'", 'b"')):
        return None
    try:
        value = ast.literal_eval(label)
    except (ValueError, SyntaxError):
        return None
    return label_of(value) if isinstance(value, bytes) else None


def decode_bytes(value: bytes) -> str:
    """Return the string that bytes encode as UTF-8; the bytes as in Python source if they encode none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return repr(value)


def _integer_label(value: int) -> Label:
    """Return an integer; a float if it is large and equal to one; else a digest, because JSON readers round it."""
    if value.bit_length() <= MAX_BITS:
        return int(value)
    if abs(value) <= MAX_NUMBER and float(value) == value:
        return float(value)
    # Python refuses to write an integer of more than 4,300 digits as a decimal number.
    return shorten_label(hex(value))


def _float_label(value: float) -> Label:
    """
    Return the shortest decimal of the narrowest float that holds a value exactly, or "inf" or "-inf".

    So 0.1 has the same label as a float64, as a float32 (0.10000000149…) and as a float16 (0.0999755859375).
    """
    if not math.isfinite(value):
        return str(float(value))
    if not value.is_integer():
        with np.errstate(all="ignore"):
            for narrow in (np.float16(value), np.float32(value)):
                if float(narrow) == value:
                    return float(str(narrow))
    return float(value)
