"""The key of a call whose body runs later, when its coroutine is awaited or its generator iterated."""

from __future__ import annotations

import types
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextvars import Token
from typing import Any, TypeAlias

from driftline._runtime.call_keys import Bucket

__all__ = ["BoundBucket", "Buckets", "keep_bucket"]


Buckets: TypeAlias = "tuple[Bucket, ...]"
"""The variables of both variants that hold the bucket of the key of the calls that follow."""


class BoundBucket:
    """
    Context manager: calls of the block have a key of this bucket, and later ones what they had before.

    Args:
        variables: the variables to set.
        bucket: the bucket, or None for no key.
    """

    __slots__ = ("_bucket", "_tokens", "_variables")

    def __init__(self, variables: Buckets, bucket: int | None) -> None:
        self._variables, self._bucket = variables, bucket
        self._tokens: list[tuple[Bucket, Token[int | None]]] = []

    def __enter__(self) -> None:
        for variable in self._variables:
            self._tokens.append((variable, variable.set(self._bucket)))

    def __exit__(self, *_: object) -> None:
        for variable, token in self._tokens:
            try:  # noqa: SIM105 - `suppress` costs each call more than the rest
                variable.reset(token)
            except ValueError:  # noqa: PERF203 - a coroutine is closed in another task than the one that awaited it
                pass


def keep_bucket(result: Any, variables: Buckets, bucket: int | None) -> Any:
    """
    Return the result of a call, or what does the same and lets the body of the call run with this bucket.

    The body of a coroutine or a generator has not begun when the call returns.
    """
    if bucket is None:
        return result
    kind = type(result)
    if kind is types.CoroutineType:
        return _awaited(result, variables, bucket)
    if kind is types.GeneratorType:
        return _iterated(result, variables, bucket)
    return _async_iterated(result, variables, bucket) if kind is types.AsyncGeneratorType else result


async def _awaited(coroutine: Coroutine[Any, Any, Any], variables: Buckets, bucket: int) -> Any:
    with BoundBucket(variables, bucket):
        return await coroutine


def _iterated(inner: Generator[Any, Any, Any], variables: Buckets, bucket: int) -> Generator[Any, Any, Any]:
    sent: Any = None
    thrown: list[BaseException] = []
    while True:
        try:
            with BoundBucket(variables, bucket):
                value = inner.throw(thrown.pop()) if thrown else inner.send(sent)
        except StopIteration as stop:
            return stop.value
        try:
            sent = yield value
        except BaseException as error:  # noqa: BLE001 - the consumer threw it; the generator may handle it
            thrown.append(error)


async def _async_iterated(inner: AsyncGenerator[Any, Any], variables: Buckets, bucket: int) -> AsyncGenerator[Any, Any]:
    sent: Any = None
    thrown: list[BaseException] = []
    while True:
        try:
            with BoundBucket(variables, bucket):
                value = await (inner.athrow(thrown.pop()) if thrown else inner.asend(sent))
        except StopAsyncIteration:
            return
        try:
            sent = yield value
        except BaseException as error:  # noqa: BLE001 - as above
            thrown.append(error)
