"""Wrappers of generator functions: each generator is one prediction."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from driftline.instrument._call import Plan, leave

__all__ = ["async_generator", "generator"]


def generator(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """
    Return the wrapper of a generator function: each generator is one prediction.

    The output is the last value that the generator yields, also if the consumer abandons it. Calls within the generator
    belong to its prediction. Calls of the consumer between two values do not.
    """
    call_flag = plan.call_flag

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        outer = call_flag.get()
        if outer is not None and outer[0]:
            return (yield from function(*args, **kwargs))
        call = plan.call(args, kwargs)
        last: Any = None
        inner = function(*args, **kwargs)
        try:
            sent: Any = None
            thrown: BaseException | None = None
            while True:
                flag, token = [True], None
                try:
                    token = call_flag.set(flag)
                    last = inner.send(sent) if thrown is None else inner.throw(thrown)
                except StopIteration as stop:
                    call.finish(last)
                    return stop.value
                finally:
                    # First of all, so that no interrupt can come before it.
                    flag[0] = False
                    leave(call_flag, flag, token)
                thrown = None
                try:
                    sent = yield last
                except GeneratorExit:
                    inner.close()
                    call.finish(last)
                    raise
                except BaseException as error:  # noqa: BLE001 - the consumer threw it; the function may handle it
                    thrown, sent = error, None
        except GeneratorExit:
            raise
        except BaseException as error:
            call.fail(error)
            raise

    return wrapper


def async_generator(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the wrapper of an async generator function, with the rules of `generator`."""
    call_flag = plan.call_flag

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        outer = call_flag.get()
        # An async generator has no ``yield from``. Within another call the same loop runs, and records nothing.
        call = plan.call(args, kwargs) if outer is None or not outer[0] else _Uncounted()
        last: Any = None
        inner = function(*args, **kwargs)
        try:
            sent: Any = None
            thrown: BaseException | None = None
            while True:
                flag, token = [True], None
                try:
                    token = call_flag.set(flag)
                    last = await (inner.asend(sent) if thrown is None else inner.athrow(thrown))
                except StopAsyncIteration:
                    call.finish(last)
                    return
                finally:
                    # First of all, so that no interrupt can come before it.
                    flag[0] = False
                    leave(call_flag, flag, token)
                thrown = None
                try:
                    sent = yield last
                except GeneratorExit:
                    await inner.aclose()
                    call.finish(last)
                    raise
                except BaseException as error:  # noqa: BLE001 - the consumer threw it; the function may handle it
                    thrown, sent = error, None
        except GeneratorExit:
            raise
        except BaseException as error:
            call.fail(error)
            raise

    return wrapper


class _Uncounted:
    """Replaces `OpenCall` for an async generator within another call, because only that call is recorded."""

    def finish(self, result: Any) -> None:
        """Record nothing."""

    def fail(self, error: BaseException) -> None:
        """Record nothing."""
