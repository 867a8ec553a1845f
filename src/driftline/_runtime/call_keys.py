"""
The key of a call, such as the id of a customer, as the number of a bucket. The key itself is never kept.

Calls of one key depend on each other. A key always falls into the same bucket, in every process. So the variance
between the counts of buckets gives the design effect of keys.
"""

from __future__ import annotations

import hashlib
from contextvars import ContextVar
from numbers import Integral
from typing import Any, TypeAlias
from uuid import UUID

__all__ = [
    "KEY_BUCKETS",
    "ROW_KEY_BUCKETS",
    "Bucket",
    "bucket_of",
    "key_bucket",
    "key_digest",
    "split_context",
    "with_bucket",
]

KEY_BUCKETS = 128
"""
Buckets of keys, a power of two. Simulated canaries with 64, 128, 256 and 1,024 buckets had the same errors and power
(`docs/canary-statistics.md`); counters of 128 buckets stay within the series that one process may export.
"""

ROW_KEY_BUCKETS = 32
"""
Buckets of the keys of single rows, a divisor of `KEY_BUCKETS`. They only tell how many rows a key has, and leave the
series that one process may export to the bins of features.
"""

DIGEST_BYTES = 8
"""Bytes of the digest of a key."""

Bucket: TypeAlias = "ContextVar[int | None]"
"""
The bucket of the key of the calls that follow in this context; None without a key.

Each monitor has a variable, which the canaries of the monitor set. So calls of other monitors do not get the key.
"""


def key_digest(key: object, salt: str) -> int:
    """
    Return a number below 2^64 that depends only on *key* and *salt*, in every process and with every Python.

    Args:
        key: a string, bytes, an integer (also one of NumPy) or a UUID. An integer or UUID has the digest of its string.
        salt: another salt gives other numbers; only its first 64 bytes count.

    Raises:
        TypeError: the key has another type, whose string may differ between processes.
    """
    if isinstance(key, bytes):
        data = b"b" + key
    elif isinstance(key, (str, Integral, UUID)) and not isinstance(key, bool):
        data = b"s" + str(key).encode()
    else:
        msg = f"a key of type {type(key).__name__}: expected a string, bytes, an integer or a UUID"
        raise TypeError(msg)
    return int.from_bytes(hashlib.blake2b(data, digest_size=DIGEST_BYTES, key=salt.encode()[:64]).digest(), "big")


def key_bucket(digest: int) -> int:
    """
    Return the bucket of a key, from 0 to `KEY_BUCKETS` - 1.

    Args:
        digest: the result of `key_digest`. Its lowest bits are used; the choice of a variant uses the highest 53.
    """
    return digest % KEY_BUCKETS


def split_context(context: Any) -> tuple[Any, int | None]:
    """
    Return (OpenTelemetry context, bucket of the key) of a call.

    Both travel in one field of an entry, so that calls without a key take no more memory than before: an integer is a
    bucket, a tuple has both, and everything else is a context.
    """
    kind = context.__class__
    if kind is int:
        return None, context
    return context if kind is tuple else (context, None)


def with_bucket(context: Any, bucket: int | None) -> Any:
    """Return what a call keeps of this OpenTelemetry context and bucket. See `split_context`."""
    if bucket is None:
        return context
    # An empty context makes no exemplar, and a tuple would be scanned by Python's garbage collector.
    return (context, bucket) if context else bucket


def bucket_of(context: Any) -> int | None:
    """Return the bucket of the key of a call, or None if the call has no key. See `split_context`."""
    return split_context(context)[1]
