"""The decorator of predict functions: the wrapper behaves as the function does, and records each call."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from driftline._runtime import validation as check
from driftline._runtime.by_value import check_functions
from driftline.errors import ConfigurationError
from driftline.instrument._arguments import feature_extractor, parameters_of, without_self
from driftline.instrument._call import Plan, Target, leave
from driftline.instrument._fast_path import any_arguments, coroutine, one_argument
from driftline.instrument._generators import async_generator, generator
from driftline.instrument._keys import key_extractor
from driftline.instrument._late_results import finish, is_late
from driftline.instrument._open_blocks import CO_ITERABLE_COROUTINE, on_stack
from driftline.instrument._stand_in import stand_in

__all__ = ["Decorator", "instrument"]

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Decorator(Protocol):
    """A decorator that keeps the types of a function: its parameters, its result, and the kind of method it is."""

    @overload
    def __call__(self, function: staticmethod[P, R], /) -> staticmethod[P, R]: ...
    @overload
    def __call__(self, function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
    @overload
    def __call__(self, function: F, /) -> F: ...
    def __call__(self, function: Any, /) -> Any:
        """Return the instrumented function."""
        ...


def instrument(
    target: Target,
    function: Any,
    *,
    features: Callable[..., Any] | None = None,
    output: Callable[[Any], Any] | None = None,
    prediction_id: Callable[..., Any] | None = None,
    user_id: Callable[..., str] | None = None,
    key: Callable[..., object] | str | None = None,
) -> Any:
    """
    Return the wrapper of a predict function, or the function itself if *target* is not enabled.

    `Monitor.instrument` documents the other arguments.

    Raises:
        ConfigurationError: the value cannot be called, or no argument can be the features.
    """
    if isinstance(function, (staticmethod, classmethod)):
        inner = instrument(
            target,
            function.__func__,
            features=features,
            output=output,
            prediction_id=prediction_id,
            user_id=user_id,
            key=key,
        )
        return type(function)(inner)
    if not callable(function) or isinstance(function, type):
        msg = f"instrument({function!r}): expected a function, a method or another callable object"
        raise ConfigurationError(msg)
    for name, value in (
        ("features", features),
        ("output", output),
        ("prediction_id", prediction_id),
        ("user_id", user_id),
    ):
        check.optional(check.function, name, value)
    parameters = parameters_of(function)
    skip = 1 if parameters and parameters[0].name in {"self", "cls"} else 0
    if features is not None:
        extract = without_self(features, skip)
    else:
        extract = feature_extractor(target.reference, function, parameters, skip)
    keys = key_extractor(key, extract, parameters, skip)
    if not target.enabled:
        return function
    plan = Plan(
        target,
        extract,
        output,
        None if prediction_id is None else without_self(prediction_id, skip),
        None if user_id is None else without_self(user_id, skip),
        keys,
    )
    simple = target.tracing is None and prediction_id is None and output is None and keys is None
    wrapper = _wrapper(plan, function, parameters, simple=simple)
    if isinstance(function, _FUNCTIONS):
        return wrapper

    arguments = {
        "features": features,
        "output": output,
        "prediction_id": prediction_id,
        "user_id": user_id,
        "key": key,
    }
    return stand_in(function, {"__call__": wrapper}, _Instrument(target, arguments))


class _Instrument:
    """
    Instruments the copy of a callable object, and the object that arrives in a pickle.

    Args:
        target: records the calls.
        arguments: the keyword arguments of `instrument`.
    """

    def __init__(self, target: Target, arguments: dict[str, Any]) -> None:
        self._target, self._arguments = target, arguments

    def __call__(self, function: Any) -> Any:
        return instrument(self._target, function, **self._arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        check_functions(self._arguments)
        return _Instrument, (self._target, self._arguments)


_FUNCTIONS = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)
"""The classes of functions. The wrapper replaces them. It cannot replace an object with attributes and methods."""


def _wrapper(plan: Plan, function: Any, parameters: list[inspect.Parameter], *, simple: bool) -> Callable[..., Any]:
    """Return the function that calls *function* and records each call. *simple*: no span, id, key or ``output=``."""
    called = function if inspect.isroutine(function) or isinstance(function, functools.partial) else function.__call__
    if inspect.isasyncgenfunction(called):
        return async_generator(plan, function)
    if inspect.isgeneratorfunction(called) and not _code_flags(called) & CO_ITERABLE_COROUTINE:
        return generator(plan, function)
    if inspect.iscoroutinefunction(called):
        return coroutine(plan, function) if simple else _coroutine(plan, function)
    if not simple:
        return _plain(plan, function)
    alone = (
        plan.first == 0
        and len(parameters) == 1
        and parameters[0].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        and inspect.isfunction(function)
    )
    return one_argument(plan, function, parameters[0]) if alone else any_arguments(plan, function)


def _code_flags(function: Any) -> int:
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return 0 if code is None else int(code.co_flags)


def _plain(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:  # noqa: C901 - handlers at the limit of recursion
    """Return the wrapper of a plain function with a span, an id, a key or ``output=``."""
    call_flag, open_blocks = plan.call_flag, plan.open_blocks

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: C901 - as above
        outer = call_flag.get()
        if (outer is not None and outer[0]) or (open_blocks and on_stack(open_blocks)):
            return function(*args, **kwargs)
        flag, token = [True], None
        try:
            call = plan.call(args, kwargs)
        except RecursionError:
            call = None
        if call is None:
            plan.target.overflows.append(("capture", None))
            return function(*args, **kwargs)
        try:
            token = call_flag.set(flag)
            call.attach()
            result = function(*args, **kwargs)
        except BaseException as error:
            try:
                call.fail(error)
            except RecursionError:
                plan.target.overflows.append(("failure", None))
            raise
        else:
            late = False
            try:
                late = is_late(result)
                if not late:
                    call.finish(result)
            except RecursionError:
                plan.target.overflows.append(("output", None))
            if not late:
                return result
        finally:
            # First of all, so that no interrupt can come before it. The functions above may be interrupted.
            flag[0] = False
            if token is not None:
                call_flag.reset(token)
        call.detach()
        return finish(call, result, flag)

    return wrapper


def _coroutine(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:  # noqa: C901 - as `_plain`
    """Return the wrapper of a coroutine function with a span, an id, a key or ``output=``."""
    call_flag, open_blocks = plan.call_flag, plan.open_blocks

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        outer = call_flag.get()
        if (outer is not None and outer[0]) or (open_blocks and on_stack(open_blocks)):
            return await function(*args, **kwargs)
        flag, token = [True], None
        try:
            call = plan.call(args, kwargs)
        except RecursionError:
            call = None
        if call is None:
            plan.target.overflows.append(("capture", None))
            return await function(*args, **kwargs)
        try:
            token = call_flag.set(flag)
            call.attach()
            result = await function(*args, **kwargs)
        except BaseException as error:  # a cancelled task is a failed prediction
            try:
                call.fail(error)
            except RecursionError:
                plan.target.overflows.append(("failure", None))
            raise
        else:
            late = False
            try:
                late = is_late(result)
                if not late:
                    call.finish(result)
            except RecursionError:
                plan.target.overflows.append(("output", None))
            if not late:
                return result
        finally:
            # First of all, so that no interrupt can come before it.
            flag[0] = False
            leave(call_flag, token)
        call.detach()
        return finish(call, result, flag)

    return wrapper
