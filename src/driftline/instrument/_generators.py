"""Wrappers of generators: each generator is one prediction."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeAlias

from driftline.instrument._call import OpenCall, Plan, leave
from driftline.instrument._open_blocks import in_call

__all__ = ["Begin", "async_generator", "async_steps", "generator", "steps"]

Begin: TypeAlias = Callable[..., "tuple[OpenCall | Uncounted, Any]"]
"""A function of a call's arguments that returns (the call to record, the generator that yields the values)."""


class Uncounted:
    """Replaces `OpenCall` for a generator within another call, because only that call is recorded."""

    span = None

    def resume(self) -> None:
        """Make no span current."""

    def suspend(self) -> None:
        """Make no span current."""

    def finish(self, result: Any) -> None:
        """Record nothing."""

    def fail(self, error: BaseException) -> None:
        """Record nothing."""


def generator(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """
    Return the wrapper of a generator function: each generator is one prediction.

    The output is the last value that the generator yields, also if the consumer abandons it. Calls within the generator
    belong to its prediction. Calls of the consumer between two values do not.
    """
    return functools.wraps(function)(steps(plan, _beginning(plan, function)))


def async_generator(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the wrapper of an async generator function, with the rules of `generator`."""
    return functools.wraps(function)(async_steps(plan, _beginning(plan, function)))


def _beginning(plan: Plan, function: Callable[..., Any]) -> Begin:
    def begin(*args: Any, **kwargs: Any) -> tuple[OpenCall | Uncounted, Any]:
        if in_call(plan.call_flag.get(), plan.open_blocks):
            return Uncounted(), function(*args, **kwargs)
        call = plan.call(args, kwargs)
        try:
            return call, function(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise

    return begin


def steps(plan: Plan, begin: Begin) -> Callable[..., Generator[Any, Any, Any]]:
    """
    Return a generator function that passes on all that the generator of *begin* and its consumer do to each other.

    It is no ``yield from``, which would close the inner generator where the consumer throws GeneratorExit, and would
    leave flag and span set while the consumer has the value.
    """
    call_flag = plan.call_flag

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        call, inner = begin(*args, **kwargs)
        traced = call.span is not None
        last: Any = None
        sent: Any = None
        thrown: list[BaseException] = []  # no local variable, which would make a cycle with the traceback
        while True:
            left = bool(thrown) and isinstance(thrown[0], GeneratorExit)
            flag, token = [True], None
            try:
                token = call_flag.set(flag)
                if traced:
                    call.resume()
                last = inner.throw(thrown.pop()) if thrown else inner.send(sent)
            except StopIteration as stop:
                call.finish(last)
                return stop.value
            except BaseException as error:
                if left and isinstance(error, GeneratorExit):
                    call.finish(last)
                else:
                    call.fail(error)
                raise
            finally:
                # First of all, so that no interrupt can come before it.
                flag[0] = False
                leave(call_flag, token)
                if traced:
                    call.suspend()
            try:
                sent = yield last
            except BaseException as error:  # noqa: BLE001 - the consumer threw it; the generator may handle it
                thrown.append(error)

    return wrapper


def async_steps(plan: Plan, begin: Begin) -> Callable[..., AsyncGenerator[Any, Any]]:
    """Return an async generator function that does as `steps`."""
    call_flag = plan.call_flag

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        call, inner = begin(*args, **kwargs)
        traced = call.span is not None
        last: Any = None
        sent: Any = None
        thrown: list[BaseException] = []
        while True:
            left = bool(thrown) and _leaves(thrown[0])
            flag, token = [True], None
            try:
                token = call_flag.set(flag)
                if traced:
                    call.resume()
                last = await (inner.athrow(thrown.pop()) if thrown else inner.asend(sent))
            except StopAsyncIteration:
                call.finish(last)
                return
            except BaseException as error:
                if left and _leaves(error):
                    call.finish(last)
                else:
                    call.fail(error)
                raise
            finally:
                # First of all, so that no interrupt can come before it.
                flag[0] = False
                leave(call_flag, token)
                if traced:
                    call.suspend()
            try:
                sent = yield last
            except BaseException as error:  # noqa: BLE001 - as above
                thrown.append(error)

    return wrapper


def _leaves(error: BaseException) -> bool:
    """
    Return whether a consumer that throws this into a suspended async generator wants no more values.

    A loop that ends cancels the tasks that would close the generators without a reference.
    """
    asyncio = sys.modules.get("asyncio")  # loaded already if the error is its own
    return isinstance(error, GeneratorExit) or (asyncio is not None and isinstance(error, asyncio.CancelledError))
