"""MLServer: a runtime whose requests and responses of the Open Inference Protocol are monitored."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from driftline import ConfigurationError, Monitor, configure_otlp, flush
from driftline.integrations import _open_inference

__all__ = ["monitored"]


def monitored(
    monitor: Monitor,
    kind: Any = None,
    *,
    setup: Callable[[], object] | None = configure_otlp,
    output: Callable[[Any], Any] | None = None,
) -> Any:
    """
    Decorate the class of a runtime: ``@monitored(monitor)`` above ``class Delay(mlserver.MLModel)``.

    The inputs of a request are the features, by their names. The first output of the response is the prediction. What
    was served is sent when the model is unloaded, which the server does before it ends.

    Args:
        monitor: the monitor.
        kind: the class, if it is not decorated.
        setup: called in each process before the model is loaded. If None, OpenTelemetry is set up elsewhere.
        output: returns the prediction from the response.

    Raises:
        ConfigurationError: the value is no class with ``load``, ``predict`` and ``unload``.
    """
    if kind is None:
        return functools.partial(monitored, monitor, setup=setup, output=output)
    if not isinstance(kind, type) or not all(hasattr(kind, name) for name in ("load", "predict", "unload")):
        msg = f"monitored({kind!r}): expected a subclass of MLModel"
        raise ConfigurationError(msg)
    runtime: Any = kind
    load, unload = runtime.load, runtime.unload

    @functools.wraps(load)
    async def begin(self: Any) -> Any:
        if setup is not None:
            setup()
        return await load(self)

    @functools.wraps(unload)
    async def end(self: Any) -> Any:
        try:
            return await unload(self)
        finally:
            await asyncio.to_thread(flush)

    runtime.load, runtime.unload = begin, end
    runtime.predict = monitor.instrument(
        runtime.predict,
        features=lambda payload: _open_inference.columns(payload.inputs),
        output=output or (lambda response: _open_inference.prediction(response.outputs)),
    )
    return kind
