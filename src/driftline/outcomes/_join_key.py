"""`join_key`: the string under which the id of a prediction is stored."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["join_key"]

MAX_KEY_LENGTH = 64
"""Most characters of a join key. A longer id is replaced by its SHA-256 digest, so that memory is bounded."""

MAX_KEY_BITS = 4_096
"""Most bits of an integer that is written in decimal, well below Python's limit of 4,300 digits."""


def join_key(prediction_id: object) -> str:
    """
    Return the string under which an id is stored: at most 64 characters that UTF-8 can encode.

    An id has the same key after a conversion to JSON, a URL, a database or a column of floats, and back.

    >>> join_key(17) == join_key("17") == join_key(17.0)
    True
    """
    if prediction_id.__class__ is str:
        key: str = prediction_id
    else:
        if isinstance(prediction_id, (float, np.floating)) and prediction_id.is_integer():
            prediction_id = int(prediction_id)
        if isinstance(prediction_id, int) and prediction_id.bit_length() > MAX_KEY_BITS:
            prediction_id = hex(prediction_id)  # the time for decimals grows with the square of the digits
        key = str.__str__(str(prediction_id))  # a __str__ may return an object of a subclass, which SQLite refuses
    if len(key) <= MAX_KEY_LENGTH and key.isascii():
        return key
    return _long_key(key)


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
