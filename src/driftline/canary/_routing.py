"""Which variant serves a call: by chance, or always the same one for a key."""

from __future__ import annotations

import functools
import hashlib
import inspect
import random
from collections.abc import Callable
from typing import Any, Literal, TypeAlias
from uuid import UUID

from driftline.errors import ConfigurationError

__all__ = ["Side", "bucket_of", "check_functions", "chosen", "split_function"]

Side: TypeAlias = Literal["baseline", "candidate"]

DIGEST = 8
"""Bytes of a key's hash: shares are exact to 2⁻⁶⁴."""


def bucket_of(key: object, salt: str) -> float:
    """
    A number in [0, 1) that is the same for a key in every process, on every machine and with every Python.

    Keys are text, bytes, whole numbers and UUIDs. A key in the candidate's part stays there while the share grows.

    Raises:
        TypeError: a key of another type, which has no text that is sure to stay the same.

    >>> round(bucket_of("customer 7", salt="flights"), 6)
    0.745286
    """
    if isinstance(key, bytes):
        data = b"b" + key
    elif isinstance(key, (str, int, UUID)) and not isinstance(key, bool):
        data = b"s" + str(key).encode()
    else:
        msg = f"a key of type {type(key).__name__}: expected text, bytes, a whole number or a UUID"
        raise TypeError(msg)
    digest = hashlib.blake2b(data, digest_size=DIGEST, key=salt.encode()[:64]).digest()
    # 53 bits, so that the division is exact and the result below 1.
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def chosen(share: float, key: object, salt: str) -> Side:
    """The variant for one call: by chance without a key."""
    draw = random.random() if key is None else bucket_of(key, salt)  # noqa: S311 - no secret
    return "candidate" if draw < share else "baseline"


def check_functions(baseline: object, candidate: object) -> None:
    """
    Two functions of one kind.

    Raises:
        ConfigurationError: they are not.
    """
    for what, function in (("baseline", baseline), ("candidate", candidate)):
        if not callable(function) or isinstance(function, type):
            msg = f"{what}={function!r}: expected a function"
            raise ConfigurationError(msg)
    if inspect.iscoroutinefunction(baseline) != inspect.iscoroutinefunction(candidate):
        msg = "baseline and candidate: expected two plain functions or two async ones"
        raise ConfigurationError(msg)


def split_function(
    route: Callable[[object], Side],
    baseline: Callable[..., Any],
    candidate: Callable[..., Any],
    key: Callable[..., object] | None,
    caught: Callable[[str, Exception], None],
) -> Callable[..., Any]:
    """One function that calls the one or the other; *key* takes the call's arguments."""

    def of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any]:
        given = None
        if key is not None:
            try:
                given = key(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the user's function
                caught("route", error)
                return baseline
        return candidate if route(given) == "candidate" else baseline

    if inspect.iscoroutinefunction(baseline):

        @functools.wraps(baseline)
        async def serve_async(*args: Any, **kwargs: Any) -> Any:
            return await of(args, kwargs)(*args, **kwargs)

        return serve_async

    @functools.wraps(baseline)
    def serve(*args: Any, **kwargs: Any) -> Any:
        return of(args, kwargs)(*args, **kwargs)

    return serve
