"""
Results that stand for a prediction to come: coroutines, tasks, futures and generators that a function returns.

What a function is does not say what it returns: a decorator of retries around a coroutine function is a plain function,
and so are lambdas, partials and methods of clients. The type of the result does. The call ends with what it stands for.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter
from types import CoroutineType
from typing import Any, TypeAlias

from driftline._runtime.guard import GuardedBlock, is_contained
from driftline._runtime.late_results import MAX_KINDS, Late, late_kind
from driftline.instrument._call import OpenCall, Plan, leave
from driftline.instrument._generators import async_steps, steps
from driftline.instrument._open_blocks import CO_ITERABLE_COROUTINE, in_call
from driftline.instrument._stand_in import stand_in

__all__ = ["conclude", "is_late"]

Follow: TypeAlias = Callable[[OpenCall, Any, "list[bool]"], Any]
"""A function of (call, result, flag of the call) that returns what the caller gets, and later ends the call."""


class _Kinds(dict[type, "Follow | None"]):
    """A dict that pickles as the variable of this module: the closures of decorated functions have its method."""

    def __reduce__(self) -> str:
        return "kinds"


kinds = _Kinds()
"""By class of result: how to follow it, or None if it is the prediction itself."""


def is_late(result: object) -> bool:
    """Return whether a result is awaited or iterated before there is a prediction."""
    return _follow_of(type(result)) is not None


def conclude(
    plan: Plan, flag: list[bool], buffer: Any, captured: Any, result: Any, seconds: float, context: object
) -> Any:
    """
    Record a call of the fast path that returned *result* after *seconds*. Return what the caller gets.

    That is the result itself, or an object that does the same and ends the call when it is awaited or iterated.
    """
    follow = _follow_of(type(result))
    if follow is None:
        plan.target.record(buffer, captured, result, seconds, context, None)
        return result
    plan.call_flag.set(None)  # *flag* is what tasks have that the call has started. It may become True again.
    return follow(OpenCall.begun(plan, buffer, captured, seconds, context), result, flag)


def finish(call: OpenCall, result: Any, flag: list[bool]) -> Any:
    """End a call that returned *result*, as `conclude` does, after its flag is reset and its span no longer current."""
    call.seconds = perf_counter() - call.start
    follow = _follow_of(type(result))
    if follow is None:
        call.finish(result)
        return result
    return follow(call, result, flag)


def _follow_of(kind: type) -> Follow | None:
    try:
        return kinds[kind]
    except BaseException as error:
        # A new class, or one whose metaclass has no hash, or one that raises.
        if type(error) is not KeyError and not is_contained(error):
            raise
        hashable = type(error) is KeyError
    late = late_kind(kind)
    follow = None if late is None else _FOLLOW[late]
    if hashable:
        if len(kinds) >= MAX_KINDS:
            kinds.clear()
        kinds[kind] = follow
    return follow


def _follow_coroutine(call: OpenCall, result: Any, _: list[bool]) -> Any:
    coroutine = _await(call, _Unstarted(result))
    _take_name(coroutine, result)
    return coroutine


class _Started:
    """A coroutine that is awaited."""

    __slots__ = ("_coroutine",)

    def __init__(self, coroutine: Any) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Any:
        # From now on without a finalizer: Python discards an interrupt in one.
        self.__class__ = _Started
        coroutine, self._coroutine = self._coroutine, None
        return coroutine.__await__()


class _Unstarted(_Started):
    """A coroutine that is closed with the one that would have awaited it: Python warns once, or not after a close."""

    __slots__ = ()

    def __del__(self) -> None:
        coroutine = getattr(self, "_coroutine", None)  # none if an interrupt came before
        if type(coroutine) is CoroutineType and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            coroutine.close()


def _follow_generator(call: OpenCall, result: Any, _: list[bool]) -> Any:
    code = getattr(result, "gi_code", None)
    if code is not None and code.co_flags & CO_ITERABLE_COROUTINE:  # of `types.coroutine`
        return _await(call, result)
    generator = steps(call.plan, lambda: (call, result))()
    _take_name(generator, result)
    return generator


def _follow_async_generator(call: OpenCall, result: Any, _: list[bool]) -> Any:
    generator = async_steps(call.plan, lambda: (call, result))()
    _take_name(generator, result)
    return generator


def _take_name(generator: Any, result: Any) -> None:
    for name in ("__name__", "__qualname__"):
        value = getattr(result, name, None)
        if isinstance(value, str):
            setattr(generator, name, value)


async def _await(call: OpenCall, result: Any) -> Any:
    """Await a result, and end its call with the outcome. The time before the await does not count."""
    plan = call.plan
    if in_call(plan.call_flag.get(), plan.open_blocks):
        call.drop()
        return await result
    call.start = perf_counter() - call.seconds
    flag, token = [True], None
    try:
        token = plan.call_flag.set(flag)
        call.attach()
        awaited = await result
    except BaseException as error:  # a cancelled task is a failed prediction
        call.fail(error)
        raise
    finally:
        # First of all, so that no interrupt can come before it.
        flag[0] = False
        leave(plan.call_flag, token)
        call.detach()
    return finish(call, awaited, flag)


def _follow_future(call: OpenCall, result: Any, flag: list[bool]) -> Any:
    """Let a future or task end its call. The caller gets the same object."""
    if result.done():
        _end(call, flag, result)
    else:
        flag[0] = True  # for the task that the future is, or that fulfils it
        result.add_done_callback(partial(_end, call, flag))
    return result


def _end(call: OpenCall, flag: list[bool], future: Any) -> None:
    flag[0] = False
    with GuardedBlock(call.plan.target.report_error, "record"):
        if future.cancelled():
            # Loaded already. Its own `result()` would take the exception out of the future.
            library = "asyncio" if hasattr(future, "_asyncio_future_blocking") else "concurrent.futures"
            call.fail(sys.modules[library].CancelledError())
            return
        # `exception()` of asyncio would keep it from logging an exception that the host never reads.
        error = future._exception if hasattr(future, "_exception") else future.exception()  # noqa: SLF001
        if error is not None:
            call.fail(error)
        else:
            call.finish(future.result())


def _follow_awaitable(call: OpenCall, result: Any, _: list[bool]) -> Any:
    """Return an object that is the result in all but its first await, which ends the call."""
    first = [True]

    def wait() -> Any:
        if not first[0]:
            return result.__await__()
        first[0] = False
        return _await(call, result).__await__()

    return stand_in(result, {"__await__": wait})


_FOLLOW: dict[Late, Follow] = {
    "coroutine": _follow_coroutine,
    "future": _follow_future,
    "awaitable": _follow_awaitable,
    "generator": _follow_generator,
    "async generator": _follow_async_generator,
}
