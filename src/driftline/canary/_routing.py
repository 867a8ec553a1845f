"""The choice of the variant that serves a call: at random, or by a hash of a key."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from driftline._runtime.call_keys import key_bucket, key_digest
from driftline._runtime.guard import GuardedBlock
from driftline.canary._key_context import BoundBucket, Buckets, keep_bucket

__all__ = ["Side", "choose_side", "hash_key", "route_calls", "split_at_random"]

Side: TypeAlias = Literal["baseline", "candidate"]


def hash_key(key: object, salt: str) -> float:
    """
    Return a number in [0, 1) that depends only on *key* and *salt*.

    It is the same in every process, on every machine and with every version of Python.

    Args:
        key: a string, bytes, an integer or a UUID. An integer or UUID has the hash of its string.
        salt: another salt gives other numbers; only its first 64 bytes count.

    Raises:
        TypeError: the key has another type, whose string may differ between processes.

    >>> round(hash_key("customer 7", salt="flights"), 6)
    0.745286
    """
    return _position(key_digest(key, salt))


def _position(digest: int) -> float:
    # The highest 53 bits, so that the division is exact and the result below 1.
    return (digest >> 11) / 2**53


def choose_side(share: float, key: object, salt: str) -> tuple[Side, int | None]:
    """
    Return the variant that serves one call, the candidate with the probability *share*; and the bucket of the key.

    The hash of a key never changes. A key that the candidate serves therefore stays with it while the share grows.

    Args:
        share: the candidate's share of the calls, in [0, 1].
        key: see `hash_key`. If None, the choice is random.
        salt: see `hash_key`.

    Raises:
        TypeError: the key has a wrong type.
    """
    if key is None:
        position, bucket = random.random(), None  # noqa: S311 - no secret
    else:
        digest = key_digest(key, salt)
        position, bucket = _position(digest), key_bucket(digest)
    return "candidate" if position < share else "baseline", bucket


def split_at_random(
    share: Callable[[], float | None],
    baseline: Callable[..., Any],
    candidate: Callable[..., Any],
    buckets: Buckets,
) -> Callable[..., Any]:
    """
    Return a function that passes each call to *baseline* or *candidate* at random; it is async if *baseline* is.

    The call has no key, also if an earlier one of the thread or task has.

    Args:
        share: returns the candidate's share of the calls; None is 0.
        baseline: the function of the baseline.
        candidate: the function of the candidate.
        buckets: the variables that hold the bucket of the key of the calls that follow.
    """
    draw = random.random

    def choose() -> Callable[..., Any]:
        return candidate if draw() < (share() or 0.0) else baseline

    def is_keyed() -> bool:
        for variable in buckets:  # noqa: SIM110 - `any` costs each call as much as the rest of this function
            if variable.get() is not None:
                return True
        return False

    if inspect.iscoroutinefunction(baseline):

        @functools.wraps(baseline)
        async def serve_async(*args: Any, **kwargs: Any) -> Any:
            if is_keyed():
                with BoundBucket(buckets, None):
                    return await choose()(*args, **kwargs)
            return await choose()(*args, **kwargs)

        return serve_async

    @functools.wraps(baseline)
    def serve(*args: Any, **kwargs: Any) -> Any:
        if is_keyed():
            with BoundBucket(buckets, None):
                return choose()(*args, **kwargs)
        return choose()(*args, **kwargs)

    return serve


def route_calls(
    route: Callable[[object], Side],
    baseline: Callable[..., Any],
    candidate: Callable[..., Any],
    key: Callable[..., object],
    buckets: Buckets,
    on_error: Callable[[str, BaseException], None],
) -> Callable[..., Any]:
    """
    Return a function that passes each call to *baseline* or *candidate* by its key; it is async if *baseline* is.

    The call, and no later one, has the key that *route* got.

    Args:
        route: returns the variant for a key, and sets *buckets*.
        baseline: the function of the baseline; it also serves calls for which *key* or *route* raises.
        candidate: the function of the candidate.
        key: called with the arguments of a call, returns its key.
        buckets: the variables that hold the bucket of the key of the calls that follow.
        on_error: called with ("route", error) when *key* or *route* raises.
    """

    def choose(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any]:
        with GuardedBlock(on_error, "route"):
            return candidate if route(key(*args, **kwargs)) == "candidate" else baseline
        return baseline

    if inspect.iscoroutinefunction(baseline):

        @functools.wraps(baseline)
        async def serve_async(*args: Any, **kwargs: Any) -> Any:
            with BoundBucket(buckets, None):
                return await choose(args, kwargs)(*args, **kwargs)

        return serve_async

    @functools.wraps(baseline)
    def serve(*args: Any, **kwargs: Any) -> Any:
        with BoundBucket(buckets, None):
            result = choose(args, kwargs)(*args, **kwargs)
            return keep_bucket(result, buckets, buckets[0].get()) if buckets else result

    return serve
