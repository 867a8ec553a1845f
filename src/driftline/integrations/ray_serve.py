"""Ray Serve: a deployment that sets OpenTelemetry up in each replica, and flushes when the replica ends."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

from driftline import ConfigurationError, configure_otlp, flush

__all__ = ["flushing"]

C = TypeVar("C", bound=type)


@overload
def flushing(kind: C, *, setup: Callable[[], object] | None = configure_otlp) -> C: ...
@overload
def flushing(kind: None = None, *, setup: Callable[[], object] | None = configure_otlp) -> Callable[[C], C]: ...
def flushing(kind: Any = None, *, setup: Callable[[], object] | None = configure_otlp) -> Any:
    """
    Decorate the class of a deployment: write it below ``@serve.deployment``, and above ``@serve.ingress``.

    Ray ends the process of a replica without ``atexit``. It calls the ``__del__`` of the deployment after the last
    request, so that flushes. Decorated methods and monitors of the module travel to the replicas by themselves::

        @serve.deployment
        @flushing
        class Delay:
            @monitor.instrument
            def predict(self, features): ...

    Args:
        kind: the class, if it is not decorated.
        setup: called in each replica before the class is created. If None, OpenTelemetry is set up elsewhere.

    Raises:
        ConfigurationError: the value is no class. A function cannot flush, because Ray tells it nothing about its end.
    """
    if kind is None:
        return functools.partial(flushing, setup=setup)
    if not isinstance(kind, type):
        msg = f"flushing({kind!r}): expected a class, below @serve.deployment"
        raise ConfigurationError(msg)
    inherited = getattr(kind, "__del__", None)

    def end(self: Any) -> None:
        try:
            if inherited is not None:
                inherited(self)
        finally:
            flush()

    async def end_async(self: Any) -> None:
        try:
            await cast("Any", inherited)(self)
        finally:
            flush()

    class Flushing(kind):  # type: ignore[misc] # the class is known when the module of the user runs
        __del__ = end_async if inspect.iscoroutinefunction(inherited) else end

        @functools.wraps(kind.__init__)  # type: ignore[misc] # of the class, which is no instance
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            if setup is not None:
                setup()
            super().__init__(*args, **kwargs)

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(Flushing, name, getattr(kind, name))
    return cast("type", Flushing)
