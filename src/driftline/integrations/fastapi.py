"""FastAPI: routes whose body is a pydantic model are monitored, and the lifespan flushes."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import typing
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, overload

from driftline import ConfigurationError, Monitor, flush

__all__ = ["instrument", "lifespan"]

F = TypeVar("F", bound=Callable[..., Any])


@overload
def instrument(monitor: Monitor, endpoint: F, **arguments: Any) -> F: ...
@overload
def instrument(monitor: Monitor, endpoint: None = None, **arguments: Any) -> Callable[[F], F]: ...
def instrument(
    monitor: Monitor,
    endpoint: Any = None,
    *,
    body: str | None = None,
    features: Callable[[Any], Any] | None = None,
    output: Callable[[Any], Any] | str | None = None,
    **arguments: Any,
) -> Any:
    """
    Monitor a path function: the fields of its pydantic body are the features, whatever its other parameters are.

    Write it below the decorator of the route: ``@app.post("/delay")``, then ``@instrument(monitor)``. The signature
    stays as it is, so FastAPI validates and documents the route as before. A request that FastAPI refuses is no
    prediction. A list of models is a batch: each model is one prediction.

    Args:
        monitor: the monitor.
        endpoint: the path function, plain or async, if it is not decorated.
        body: the name of the parameter that has the features. If None, the only one whose type is a pydantic model or
            a list of them.
        features: returns the features from the body. If None, the body has them.
        output: returns the prediction from the result, or the name of its field or key. If None, the result is the
            prediction.
        arguments: other arguments of `Monitor.instrument`. Their functions get the arguments of the path function by
            keyword.

    Raises:
        ConfigurationError: no parameter or several ones can be the body, or an argument has a wrong type.
    """
    if endpoint is None:
        return functools.partial(instrument, monitor, body=body, features=features, output=output, **arguments)
    name = _body_of(endpoint, body)
    names = list(inspect.signature(endpoint).parameters)
    index = names.index(name)
    if isinstance(output, str):
        output = functools.partial(_field, output)

    def read(*args: Any, **kwargs: Any) -> Any:
        value = kwargs[name] if name in kwargs else args[index]
        return value if features is None else features(value)

    return monitor.instrument(endpoint, features=read, output=output, **arguments)


def lifespan(
    inner: Callable[[Any], contextlib.AbstractAsyncContextManager[Any]] | None = None,
) -> Callable[[Any], contextlib.AbstractAsyncContextManager[Any]]:
    """
    Return a lifespan that flushes when the application stops: ``FastAPI(lifespan=lifespan())``.

    uvicorn ends a process by the signal that it received, without ``atexit``. The lifespan ends after the last request.

    Args:
        inner: the lifespan of the application, which ends first. If None, it has none.
    """

    @contextlib.asynccontextmanager
    async def flushing(app: Any) -> AsyncIterator[Any]:
        import anyio.to_thread  # noqa: PLC0415 - FastAPI needs it

        try:
            async with contextlib.nullcontext() if inner is None else inner(app) as state:
                yield state
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(flush)

    return flushing


def _body_of(endpoint: Any, body: str | None) -> str:
    """
    Return the name of the parameter with the features.

    Raises:
        ConfigurationError: there is no such parameter, or there are several.
    """
    from pydantic import BaseModel  # noqa: PLC0415 - FastAPI needs it

    parameters = inspect.signature(endpoint).parameters
    if body is not None:
        if body not in parameters:
            msg = f"body={body!r}: expected a parameter of the path function, which has {[*parameters]}"
            raise ConfigurationError(msg)
        return body
    hints = typing.get_type_hints(endpoint)
    models = [name for name in parameters if _is_model(hints.get(name), BaseModel)]
    if len(models) != 1:
        function = getattr(endpoint, "__qualname__", repr(endpoint))
        msg = f"{function} has {models or 'no parameters'} whose type is a pydantic model: expected body=, a name"
        raise ConfigurationError(msg)
    return models[0]


def _is_model(hint: Any, base: type) -> bool:
    """Return whether a type is a pydantic model, an optional one or a list of them."""
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
        return issubclass(hint, base)
    return typing.get_origin(hint) in {list, typing.Union, types.UnionType} and any(
        _is_model(each, base) for each in typing.get_args(hint)
    )


def _field(name: str, result: Any) -> Any:
    """Return the field or the key of a result, and of each result of a batch."""
    if isinstance(result, list):
        return [_field(name, each) for each in result]
    return result[name] if isinstance(result, dict) else getattr(result, name)
