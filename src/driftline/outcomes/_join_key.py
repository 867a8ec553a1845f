"""`join_key`: the string under which the id of a prediction is stored."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import numpy as np

from driftline._capture.labels import decode_bytes, plain_label
from driftline._runtime.guard import returning_on_error

__all__ = ["join_key"]

MAX_KEY_LENGTH = 64
"""Most characters of a join key. A longer id is replaced by its SHA-256 digest, so that memory is bounded."""

MAX_KEY_BITS = 4_096
"""Most bits of an integer that is written in decimal, well below Python's limit of 4,300 digits."""


def join_key(prediction_id: object) -> str:
    """
    Return the string under which an id is stored: at most 64 characters that UTF-8 can encode.

    An id has the same key after a conversion to JSON, a URL, a database, a column of floats or bytes, and back. Bytes
    have the key of the string that they encode, a member of an enumeration of strings or integers that of its value.

    >>> join_key(17) == join_key("17") == join_key(17.0) == join_key(b"17")
    True
    """
    if prediction_id.__class__ is str:
        key: str = prediction_id
    else:
        # A __str__ may return an object of a subclass, which SQLite refuses.
        key = str.__str__(_as_string(prediction_id))
    if len(key) <= MAX_KEY_LENGTH and key.isascii():
        return key
    return _long_key(key)


def _as_string(prediction_id: Any) -> str:
    """Return an id as a string."""
    prediction_id = plain_label(prediction_id)
    if isinstance(prediction_id, str):
        return str.__str__(prediction_id)
    if isinstance(prediction_id, bytes):
        return decode_bytes(prediction_id)
    if isinstance(prediction_id, (float, np.floating, Decimal)) and _is_whole(prediction_id):
        prediction_id = int(prediction_id)
    if isinstance(prediction_id, int) and not isinstance(prediction_id, bool):
        # The time for decimals grows with the square of the digits.
        return hex(prediction_id) if prediction_id.bit_length() > MAX_KEY_BITS else int.__repr__(prediction_id)
    return str(prediction_id)


@returning_on_error(False)  # noqa: FBT003 - the default
def _is_whole(number: Any) -> bool:
    """Return whether a number is an integer; False for nan and infinity, and for a decimal with a large exponent."""
    if isinstance(number, Decimal):
        return number.is_finite() and number.adjusted() < MAX_KEY_LENGTH and number == number.to_integral_value()
    return bool(number.is_integer())


def _long_key(key: str) -> str:
    """Return a short id as it is, and the digest of a long one, or of one with half a surrogate pair."""
    try:
        # A character above U+FFFF, and its two halves as some JSON libraries leave them, are one id.
        key = key.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        is_text = False
    else:
        is_text = True
    if is_text and len(key) <= MAX_KEY_LENGTH:
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
