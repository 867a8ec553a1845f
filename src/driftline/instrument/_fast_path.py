"""
The fast path of a call: wrappers for functions without a span, an id or ``output=``.

Three wrappers repeat the same steps: a shared function would cost a call, which takes longer than most of the steps.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from time import perf_counter
from typing import Any

from driftline._capture.outputs import SCALARS
from driftline._capture.reader import Captured
from driftline._recording.buffer import ROWS
from driftline.instrument._call import Plan
from driftline.otel import current_context, error_type

__all__ = ["any_arguments", "coroutine", "one_argument"]


def one_argument(plan: Plan, function: Callable[..., Any], parameter: inspect.Parameter) -> Callable[..., Any]:
    """
    Return a wrapper that calls *function* and records each call as *plan* says.

    The function has one *parameter*, the features, so the wrapper need not pack and unpack arguments.
    """
    target = plan.target
    get_flag, set_flag = plan.call_flag.get, plan.call_flag.set

    def wrapper(features: Any) -> Any:
        outer = get_flag()
        if outer is not None and outer[0]:
            return function(features)
        buffer = target.buffer
        captured: Captured
        try:
            if features.__class__ is buffer.inline and len(features) == buffer.width:
                captured = features.copy()
                if captured[buffer.first].__class__ not in SCALARS:
                    captured = target.capture(buffer, features)
            else:
                captured = buffer.readers[features.__class__](features)
        except Exception:  # noqa: BLE001 - a new class, or an error that the monitor then reports
            captured = target.capture(buffer, features)
        context = current_context() if buffer.exemplars else None
        # A list, because a task that is started within the call inherits the context and may outlive the call. The
        # previous value is None or the list of a call that has ended. Both mean "no call", so nothing is reset.
        flag = [True]
        set_flag(flag)
        start = perf_counter()
        try:
            result = function(features)
        except BaseException as error:
            seconds = perf_counter() - start
            flag[0] = False
            target.record_failure(buffer, captured, seconds, context, error_type(error))
            raise
        seconds = perf_counter() - start
        flag[0] = False
        if result.__class__ in SCALARS and captured.__class__ in ROWS:
            try:
                buffer.append((captured, result, seconds, context))
                if len(buffer.entries) >= buffer.limit:
                    target.relieve()
            except Exception as error:  # noqa: BLE001 - the guard
                target.report_error("record", error)
        else:
            target.record(buffer, captured, result, seconds, context, None)
        return result

    # With the parameter's name, a call by keyword works and a wrong call raises the same message.
    names = (parameter.name, *wrapper.__code__.co_varnames[1:])
    wrapper.__code__ = wrapper.__code__.replace(co_varnames=names)
    wrapper.__defaults__ = function.__defaults__
    return functools.wraps(function)(wrapper)


def any_arguments(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper that calls *function*, which is no coroutine function, and records each call as *plan* says."""
    target, first, capture = plan.target, plan.first, plan.capture
    get_flag, set_flag = plan.call_flag.get, plan.call_flag.set

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        outer = get_flag()
        if outer is not None and outer[0]:
            return function(*args, **kwargs)
        buffer = target.buffer
        if len(args) > first:
            features = args[first]
            try:
                captured = buffer.readers[features.__class__](features)
            except Exception:  # noqa: BLE001 - a new class, or an error that the monitor then reports
                captured = target.capture(buffer, features)
        else:
            captured = capture(buffer, args, kwargs)
        context = current_context() if buffer.exemplars else None
        flag = [True]
        set_flag(flag)
        start = perf_counter()
        try:
            result = function(*args, **kwargs) if kwargs else function(*args)
        except BaseException as error:
            seconds = perf_counter() - start
            flag[0] = False
            target.record_failure(buffer, captured, seconds, context, error_type(error))
            raise
        seconds = perf_counter() - start
        flag[0] = False
        if captured.__class__ in ROWS and result.__class__ in SCALARS:
            try:
                buffer.append((captured, result, seconds, context))
                if len(buffer.entries) >= buffer.limit:
                    target.relieve()
            except Exception as error:  # noqa: BLE001 - the guard
                target.report_error("record", error)
        else:
            target.record(buffer, captured, result, seconds, context, None)
        return result

    return wrapper


def coroutine(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper that awaits *function*, a coroutine function, and records each call as *plan* says."""
    target, first, capture = plan.target, plan.first, plan.capture
    get_flag, set_flag = plan.call_flag.get, plan.call_flag.set

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        outer = get_flag()
        if outer is not None and outer[0]:
            return await function(*args, **kwargs)
        buffer = target.buffer
        if len(args) > first:
            features = args[first]
            try:
                captured = buffer.readers[features.__class__](features)
            except Exception:  # noqa: BLE001 - a new class, or an error that the monitor then reports
                captured = target.capture(buffer, features)
        else:
            captured = capture(buffer, args, kwargs)
        context = current_context() if buffer.exemplars else None
        flag = [True]
        set_flag(flag)
        start = perf_counter()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:  # a cancelled task is a failed prediction
            seconds = perf_counter() - start
            flag[0] = False
            target.record_failure(buffer, captured, seconds, context, error_type(error))
            raise
        seconds = perf_counter() - start
        flag[0] = False
        if captured.__class__ in ROWS and result.__class__ in SCALARS:
            try:
                buffer.append((captured, result, seconds, context))
                if len(buffer.entries) >= buffer.limit:
                    target.relieve()
            except Exception as error:  # noqa: BLE001 - the guard
                target.report_error("record", error)
        else:
            target.record(buffer, captured, result, seconds, context, None)
        return result

    return wrapper
