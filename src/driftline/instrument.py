"""The surface: a decorator and a context manager around a predict function, and nothing that the host would notice."""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from driftline._capture import Captured
from driftline._frames import is_table
from driftline.errors import ConfigurationError
from driftline.otel import current_context, error_type

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from driftline.otel import Tracing
    from driftline.reference import Reference

__all__ = ["PredictionCall", "Target", "instrument"]

Pick: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Any]
_UNSET = object()


class Target(Protocol):
    """What the surface needs of a monitor."""

    active: ContextVar[list[bool] | None]
    enabled: bool
    tracing: Tracing | None
    reference: Reference | None

    def capture(self, features: Any) -> Captured:
        """Read and copy the features of a call."""
        ...

    def done(self, captured: Captured, output: Any, seconds: float, context: object, prediction_id: object) -> None:
        """Take down a call that returned."""
        ...

    def failed(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised."""
        ...

    def caught(self, place: str, error: Exception) -> None:
        """Count an error of a function that the user gave."""
        ...


class PredictionCall:
    """
    One prediction as a context manager.

    Attributes:
        output: what the model returned; set it within the block.
    """

    __slots__ = ("_captured", "_context", "_id", "_span", "_start", "_target", "_token", "_user", "output")

    def __init__(self, target: Target, features: Any, prediction_id: object, user_id: str | None) -> None:
        self._target = target
        self._id = prediction_id
        self._user = user_id
        self._span: Any = None
        self._token: object = None
        self.output: Any = _UNSET
        # Read and copied now: what the caller does to its features afterwards changes nothing.
        self._captured = target.capture(features) if target.enabled else None

    @property
    def id(self) -> Any:
        """The id under which the outcome is told: the one given, or one made at the first reading."""
        if self._id is None:
            self._id = uuid.uuid4().hex
        return self._id

    def __enter__(self) -> Self:
        tracing = self._target.tracing
        if tracing is not None and self._target.enabled:
            try:
                self._span = tracing.start(str(self.id), self._user)
                self._token = tracing.attach(self._span)
            except Exception as error:  # noqa: BLE001 - the guard
                self._target.caught("span", error)
        self._context = current_context()
        self._start = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._start
        target = self._target
        if not target.enabled:
            return
        if error is not None:
            target.failed(self._captured, seconds, self._context, error_type(error))
        elif self.output is _UNSET:
            target.done(self._captured, None, seconds, self._context, None)
        else:
            target.done(self._captured, self.output, seconds, self._context, self._id)
        if self._span is not None and target.tracing is not None:
            try:
                target.tracing.end(self._span, self._token, error)
            except Exception as caught:  # noqa: BLE001 - the guard
                target.caught("span", caught)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class _Plan:
    """All that is decided when a function is decorated: where its features, output and ids are."""

    __slots__ = ("_pick", "_prediction_id", "_user_id", "active", "output", "target")

    def __init__(
        self,
        target: Target,
        pick: Pick,
        output: Callable[[Any], Any] | None,
        prediction_id: Pick | None,
        user_id: Pick | None,
    ) -> None:
        self.target = target
        self._pick = pick
        self.output = output
        self._prediction_id = prediction_id
        self._user_id = user_id
        self.active = target.active

    def capture(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Captured:
        try:
            return self.target.capture(self._pick(args, kwargs))
        except Exception as error:  # noqa: BLE001 - the user's extractor
            self.target.caught("features", error)
            return None

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _OpenCall:
        return _OpenCall(self, args, kwargs)

    def ids(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[object, str | None]:
        try:
            given = None if self._prediction_id is None else self._prediction_id(args, kwargs)
            user = None if self._user_id is None else self._user_id(args, kwargs)
        except Exception as error:  # noqa: BLE001 - the user's functions
            self.target.caught("prediction_id", error)
            return None, None
        return given, user

    def done(self, captured: Captured, result: Any, seconds: float, context: object, prediction_id: object) -> None:
        if self.output is not None:
            try:
                result = self.output(result)
            except Exception as error:  # noqa: BLE001 - the user's function
                result = None
                self.target.caught("output", error)
        self.target.done(captured, result, seconds, context, prediction_id)


class _OpenCall:
    """One call from its start to its end: what generators, ids and spans need, and the plain call does without."""

    __slots__ = ("captured", "context", "plan", "prediction_id", "span", "start", "token")

    def __init__(self, plan: _Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.plan = plan
        self.captured = plan.capture(args, kwargs)
        self.prediction_id, user = plan.ids(args, kwargs)
        self.span: Any = None
        self.token: object = None
        tracing = plan.target.tracing
        if tracing is not None:
            try:
                self.span = tracing.start(_span_id(self.prediction_id), user)
            except Exception as error:  # noqa: BLE001 - the guard
                plan.target.caught("span", error)
        self.context = current_context() if self.span is None or tracing is None else tracing.context_of(self.span)
        self.start = perf_counter()

    def attach(self) -> None:
        """Make the span current; not for generators, whose body shares the context of whoever resumes them."""
        tracing = self.plan.target.tracing
        if self.span is not None and tracing is not None:
            self.token = tracing.attach(self.span)

    def done(self, result: Any) -> None:
        self.plan.done(self.captured, result, perf_counter() - self.start, self.context, self.prediction_id)
        self._end(None)

    def failed(self, error: BaseException) -> None:
        self.plan.target.failed(self.captured, perf_counter() - self.start, self.context, error_type(error))
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        tracing = self.plan.target.tracing
        if self.span is not None and tracing is not None:
            try:
                tracing.end(self.span, self.token, error)
            except Exception as caught:  # noqa: BLE001 - the guard
                self.plan.target.caught("span", caught)


def instrument(
    target: Target,
    function: Any,
    *,
    features: Callable[..., Any] | None = None,
    output: Callable[[Any], Any] | None = None,
    prediction_id: Callable[..., Any] | None = None,
    user_id: Callable[..., str] | None = None,
) -> Any:
    """
    Wrap a predict function for *target*; `Monitor.instrument` documents the arguments.

    Raises:
        ConfigurationError: not callable, or no argument that could be the features.
    """
    if isinstance(function, (staticmethod, classmethod)):
        inner = instrument(
            target,
            function.__func__,
            features=features,
            output=output,
            prediction_id=prediction_id,
            user_id=user_id,
        )
        return type(function)(inner)
    if not callable(function) or isinstance(function, type):
        msg = f"instrument({function!r}): expected a function, a method or another callable object"
        raise ConfigurationError(msg)
    for what, given in (
        ("features", features),
        ("output", output),
        ("prediction_id", prediction_id),
        ("user_id", user_id),
    ):
        if given is not None and not callable(given):
            msg = f"{what}={given!r}: expected a function"
            raise ConfigurationError(msg)
    parameters = _parameters(function)
    skip = 1 if parameters and parameters[0].name in {"self", "cls"} else 0
    pick = _arguments(features, skip) if features is not None else _picker(target, function, parameters, skip)
    if not target.enabled:
        return function
    plan = _Plan(
        target,
        pick,
        output,
        None if prediction_id is None else _arguments(prediction_id, skip),
        None if user_id is None else _arguments(user_id, skip),
    )
    called = function if inspect.isroutine(function) or isinstance(function, functools.partial) else function.__call__
    if inspect.isasyncgenfunction(called):
        return _async_generator(plan, function)
    if inspect.isgeneratorfunction(called):
        return _generator(plan, function)
    if inspect.iscoroutinefunction(called):
        return _coroutine(plan, function)
    simple = target.tracing is None and prediction_id is None and output is None
    return _fast(plan, function) if simple else _plain(plan, function)


def _fast(plan: _Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """The common case, straight down: no span, no id, the output as it is."""
    active, capture, done, failed = plan.active, plan.capture, plan.target.done, plan.target.failed

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        outer = active.get()
        if outer is not None and outer[0]:
            return function(*args, **kwargs)
        captured = capture(args, kwargs)
        # A list and not a flag: a task started within the call inherits the context, and must not stay within for ever.
        within = [True]
        token = active.set(within)
        context = current_context()
        start = perf_counter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            failed(captured, perf_counter() - start, context, error_type(error))
            raise
        finally:
            within[0] = False
            active.reset(token)
        done(captured, result, perf_counter() - start, context, None)
        return result

    return wrapper


def _plain(plan: _Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    active = plan.active

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        outer = active.get()
        if outer is not None and outer[0]:
            return function(*args, **kwargs)
        call = plan.call(args, kwargs)
        within = [True]
        token = active.set(within)
        call.attach()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        else:
            call.done(result)
            return result
        finally:
            within[0] = False
            active.reset(token)

    return wrapper


def _coroutine(plan: _Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    active = plan.active

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        outer = active.get()
        if outer is not None and outer[0]:
            return await function(*args, **kwargs)
        call = plan.call(args, kwargs)
        within = [True]
        token = active.set(within)
        call.attach()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:  # a cancelled task is a prediction that failed
            call.failed(error)
            raise
        else:
            call.done(result)
            return result
        finally:
            within[0] = False
            active.reset(token)

    return wrapper


def _generator(plan: _Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    """A generator is one prediction; its output is the last value it yielded, also when it is abandoned half-way."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        call = plan.call(args, kwargs)
        last: Any = None
        inner = function(*args, **kwargs)
        try:
            sent: Any = None
            thrown: BaseException | None = None
            while True:
                try:
                    last = inner.send(sent) if thrown is None else inner.throw(thrown)
                except StopIteration as stop:
                    call.done(last)
                    return stop.value
                thrown = None
                try:
                    sent = yield last
                except GeneratorExit:
                    inner.close()
                    call.done(last)
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: the function's to handle
                    thrown, sent = error, None
        except GeneratorExit:
            raise
        except BaseException as error:
            call.failed(error)
            raise

    return wrapper


def _async_generator(plan: _Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        call = plan.call(args, kwargs)
        last: Any = None
        inner = function(*args, **kwargs)
        try:
            sent: Any = None
            thrown: BaseException | None = None
            while True:
                try:
                    last = await (inner.asend(sent) if thrown is None else inner.athrow(thrown))
                except StopAsyncIteration:
                    call.done(last)
                    return
                thrown = None
                try:
                    sent = yield last
                except GeneratorExit:
                    await inner.aclose()
                    call.done(last)
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: the function's to handle
                    thrown, sent = error, None
        except GeneratorExit:
            raise
        except BaseException as error:
            call.failed(error)
            raise

    return wrapper


# --- where the features are ------------------------------------------------------------------------------------------


def _parameters(function: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # A builtin without a signature: its first argument is taken.
        return [inspect.Parameter("features", inspect.Parameter.POSITIONAL_ONLY)]


def _arguments(function: Callable[..., Any], skip: int) -> Pick:
    """The user's function of the call's arguments, without the self of a method."""
    if skip:
        return lambda args, kwargs: function(*args[skip:], **kwargs)
    return lambda args, kwargs: function(*args, **kwargs)


def _picker(target: Target, function: Any, parameters: list[inspect.Parameter], skip: int) -> Pick:
    """Features are the first argument, unless the parameters themselves are named like features."""
    usable = [
        parameter
        for parameter in parameters[skip:]
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL
        and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    keywords = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    if not usable and not keywords:
        name = getattr(function, "__qualname__", repr(function))
        msg = f"{name} takes no argument by name: expected features=, a function that takes them from the call"
        raise ConfigurationError(msg)
    names = tuple(parameter.name for parameter in usable)
    defaults = {one.name: one.default for one in usable if one.default is not inspect.Parameter.empty}
    by_name = _by_name(names, defaults, skip)
    if target.reference is not None:
        known = {feature.name for feature in target.reference.features}
        if not usable or known & set(names):
            return by_name
        return _first(names[0], defaults.get(names[0]), skip)
    if not usable:
        return by_name
    first = _first(names[0], defaults.get(names[0]), skip)

    def undecided(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # The reference is yet to be learnt, so only the values can tell: a plain number or text is one feature of many.
        value = first(args, kwargs)
        return by_name(args, kwargs) if _is_plain(value) else value

    return undecided


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, (str, bytes, int, float, type(None)))
        and not isinstance(value, Mapping)
        and not is_table(value)
    )


def _first(name: str, default: Any, skip: int) -> Pick:
    def pick(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[skip] if len(args) > skip else kwargs.get(name, default)

    return pick


def _by_name(names: tuple[str, ...], defaults: dict[str, Any], skip: int) -> Pick:
    def pick(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return {**defaults, **dict(zip(names, args[skip:], strict=False)), **kwargs}

    return pick


def _span_id(prediction_id: object) -> str:
    if prediction_id is None:
        return uuid.uuid4().hex
    return prediction_id if isinstance(prediction_id, str) else str(prediction_id)[:200]
