"""KServe: a model whose requests and responses, of either protocol, are monitored."""

from __future__ import annotations

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
    Decorate the class of a model: ``@monitored(monitor)`` above ``class Delay(kserve.Model)``.

    Of the protocol V1 the ``instances`` are the rows and the ``predictions`` are their predictions; of the Open
    Inference Protocol the inputs are the features, by name, and the first output is the prediction. When the server is
    asked to stop, everything is sent before it ends.

    Args:
        monitor: the monitor.
        kind: the class, if it is not decorated.
        setup: called before the model is created. If None, OpenTelemetry is set up elsewhere.
        output: returns the prediction from the response.

    Raises:
        ConfigurationError: the value is no class with ``predict`` and ``stop``.
    """
    if kind is None:
        return functools.partial(monitored, monitor, setup=setup, output=output)
    if not isinstance(kind, type) or not all(hasattr(kind, name) for name in ("predict", "stop")):
        msg = f"monitored({kind!r}): expected a subclass of kserve.Model"
        raise ConfigurationError(msg)
    model: Any = kind
    create, stop = model.__init__, model.stop

    @functools.wraps(create)
    def begin(self: Any, *args: Any, **kwargs: Any) -> None:
        if setup is not None:
            setup()
        create(self, *args, **kwargs)

    @functools.wraps(stop)
    def end(self: Any) -> None:
        try:
            stop(self)
        finally:
            flush()

    model.__init__, model.stop = begin, end
    model.predict = monitor.instrument(model.predict, features=_features, output=output or _prediction)
    return kind


def _features(payload: Any, *_: Any, **__: Any) -> Any:
    """Return the rows of a request."""
    if isinstance(payload, dict):
        return payload.get("instances", payload.get("inputs", payload))
    return _open_inference.columns(payload.inputs)


def _prediction(response: Any) -> Any:
    """Return the predictions of a response."""
    if isinstance(response, dict):
        return response.get("predictions", response)
    return _open_inference.prediction(response.outputs)
