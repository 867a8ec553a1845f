"""
The fast path of a call: wrappers for functions without a span, an id or ``output=``.

Three wrappers repeat the same steps: a shared function would cost a call, which takes longer than most of the steps.

Only functions in C, which need no further frame, run in the handlers of ``RecursionError``. Such an error comes at the
limit of the host's recursion: the answer of the model must not be lost there.
"""

# ruff: noqa: BLE001, C901, PLR0912, PLR0915 - one long function without calls, whose handlers raise in their functions
from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from time import perf_counter
from typing import Any

from driftline._capture.outputs import SCALARS
from driftline._recording.buffer import ROWS
from driftline.instrument._call import Plan
from driftline.instrument._late_results import conclude, kinds
from driftline.instrument._open_blocks import on_stack

__all__ = ["any_arguments", "coroutine", "one_argument"]


def one_argument(plan: Plan, function: Callable[..., Any], parameter: inspect.Parameter) -> Callable[..., Any]:
    """
    Return a wrapper that calls *function* and records each call as *plan* says.

    The function has one *parameter*, the features, so the wrapper need not pack and unpack arguments.
    """
    target = plan.target
    get_flag, set_flag, open_blocks, kind_of = plan.call_flag.get, plan.call_flag.set, plan.open_blocks, kinds.get

    def wrapper(features: Any) -> Any:
        outer = get_flag()
        if (outer is not None and outer[0]) or (open_blocks and on_stack(open_blocks)):
            return function(features)
        buffer = target.buffer
        captured: Any
        context: object
        seconds: float | None
        try:
            if type(features) is buffer.inline and len(features) == buffer.width:
                captured = features.copy()
                if type(captured[buffer.first]) not in SCALARS:
                    captured = target.capture(buffer, features)
            else:
                captured = buffer.readers[type(features)](features)
            context = buffer.read_context() if buffer.read_context else None
        except BaseException as error:
            try:
                captured, context = plan.capture_anew(error, buffer, features)
            except RecursionError:
                captured = context = None
                target.overflows.append(("capture", None))
        # A list, because a task that is started within the call inherits the context and may outlive the call. The
        # previous value is None or the list of a call that has ended. Both mean "no call", so nothing is reset.
        #
        # Interrupts arrive after a call in this frame, or at a jump back, but nowhere else. So none can come between
        # the call of `set_flag` and the ``try``, or between the end of *function* and ``flag[0] = False``.
        flag, start = [True], perf_counter()
        try:
            set_flag(flag)
            result = function(features)
        except BaseException as error:
            flag[0] = False
            try:
                plan.record_failure(buffer, captured, perf_counter() - start, context, error)
            except RecursionError:
                target.overflows.append(("failure", None))
            raise
        flag[0] = False
        seconds = perf_counter() - start  # None once the call is recorded, or its record has begun
        try:
            if type(result) in SCALARS and captured.__class__ in ROWS:
                buffer.append((captured, result, seconds, context))
                seconds = None
                if len(buffer.entries) >= buffer.limit:
                    target.relieve()
            elif kind_of(type(result), conclude) is None:
                spent, seconds = seconds, None
                target.record(buffer, captured, result, spent, context, None)
            else:
                spent, seconds = seconds, None
                result = conclude(plan, flag, buffer, captured, result, spent, context)
        except BaseException as error:
            try:
                plan.record_anew(error, buffer, captured, result, seconds, context)
            except RecursionError:
                target.overflows.append(("record", seconds))
        return result

    # With the parameter's name, a call by keyword works and a wrong call raises the same message.
    names = (parameter.name, *wrapper.__code__.co_varnames[1:])
    wrapper.__code__ = wrapper.__code__.replace(co_varnames=names)
    wrapper.__defaults__ = function.__defaults__
    return functools.wraps(function)(wrapper)


def any_arguments(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper that calls *function*, which is no coroutine function, and records each call as *plan* says."""
    target, first, capture = plan.target, plan.first, plan.capture
    get_flag, set_flag, open_blocks, kind_of = plan.call_flag.get, plan.call_flag.set, plan.open_blocks, kinds.get

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        outer = get_flag()
        if (outer is not None and outer[0]) or (open_blocks and on_stack(open_blocks)):
            return function(*args, **kwargs)
        buffer = target.buffer
        captured: Any
        context: object
        seconds: float | None
        try:
            if len(args) > first:
                features = args[first]
                captured = buffer.readers[type(features)](features)
            else:
                captured = capture(buffer, args, kwargs)
            context = buffer.read_context() if buffer.read_context else None
        except BaseException as error:
            try:
                captured, context = plan.extract_anew(error, buffer, args, kwargs)
            except RecursionError:
                captured = context = None
                target.overflows.append(("capture", None))
        flag, start = [True], perf_counter()
        try:
            set_flag(flag)
            result = function(*args, **kwargs) if kwargs else function(*args)
        except BaseException as error:
            flag[0] = False
            try:
                plan.record_failure(buffer, captured, perf_counter() - start, context, error)
            except RecursionError:
                target.overflows.append(("failure", None))
            raise
        flag[0] = False
        seconds = perf_counter() - start
        try:
            if type(result) in SCALARS and captured.__class__ in ROWS:
                buffer.append((captured, result, seconds, context))
                seconds = None
                if len(buffer.entries) >= buffer.limit:
                    target.relieve()
            elif kind_of(type(result), conclude) is None:
                spent, seconds = seconds, None
                target.record(buffer, captured, result, spent, context, None)
            else:
                spent, seconds = seconds, None
                result = conclude(plan, flag, buffer, captured, result, spent, context)
        except BaseException as error:
            try:
                plan.record_anew(error, buffer, captured, result, seconds, context)
            except RecursionError:
                target.overflows.append(("record", seconds))
        return result

    return wrapper


def coroutine(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper that awaits *function*, a coroutine function, and records each call as *plan* says."""
    target, first, capture = plan.target, plan.first, plan.capture
    get_flag, set_flag, open_blocks, kind_of = plan.call_flag.get, plan.call_flag.set, plan.open_blocks, kinds.get

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        outer = get_flag()
        if (outer is not None and outer[0]) or (open_blocks and on_stack(open_blocks)):
            return await function(*args, **kwargs)
        buffer = target.buffer
        captured: Any
        context: object
        seconds: float | None
        try:
            if len(args) > first:
                features = args[first]
                captured = buffer.readers[type(features)](features)
            else:
                captured = capture(buffer, args, kwargs)
            context = buffer.read_context() if buffer.read_context else None
        except BaseException as error:
            try:
                captured, context = plan.extract_anew(error, buffer, args, kwargs)
            except RecursionError:
                captured = context = None
                target.overflows.append(("capture", None))
        flag, start = [True], perf_counter()
        try:
            set_flag(flag)
            result = await function(*args, **kwargs)
        except BaseException as error:  # a cancelled task is a failed prediction
            flag[0] = False
            try:
                plan.record_failure(buffer, captured, perf_counter() - start, context, error)
            except RecursionError:
                target.overflows.append(("failure", None))
            raise
        flag[0] = False
        seconds = perf_counter() - start
        try:
            if type(result) in SCALARS and captured.__class__ in ROWS:
                buffer.append((captured, result, seconds, context))
                seconds = None
                if len(buffer.entries) >= buffer.limit:
                    target.relieve()
            elif kind_of(type(result), conclude) is None:
                spent, seconds = seconds, None
                target.record(buffer, captured, result, spent, context, None)
            else:
                spent, seconds = seconds, None
                result = conclude(plan, flag, buffer, captured, result, spent, context)
        except BaseException as error:
            try:
                plan.record_anew(error, buffer, captured, result, seconds, context)
            except RecursionError:
                target.overflows.append(("record", seconds))
        return result

    return wrapper
