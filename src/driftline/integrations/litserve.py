"""LitServe: the processes that run the model flush when the server ends."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from driftline import ConfigurationError, configure_otlp, flush_at_stop

__all__ = ["flushing"]

C = TypeVar("C", bound=type)


def flushing(kind: Any = None, *, setup: Callable[[], object] | None = configure_otlp) -> Any:
    """
    Decorate a ``LitAPI``: its processes set OpenTelemetry up, and flush when LitServe ends them.

    LitServe ends the processes of the model by SIGTERM, without ``atexit``. Decorate ``predict`` with
    ``monitor.instrument``: of a batch each row is one prediction::

        @flushing
        class Delay(ls.LitAPI):
            @monitor.instrument
            def predict(self, features): ...

    Args:
        kind: the class, if it is not decorated.
        setup: called in each process of the model before its ``setup``. If None, OpenTelemetry is set up elsewhere.

    Raises:
        ConfigurationError: the value is no class with ``setup``.
    """
    if kind is None:
        return functools.partial(flushing, setup=setup)
    if not isinstance(kind, type) or not callable(getattr(kind, "setup", None)):
        msg = f"flushing({kind!r}): expected a subclass of LitAPI, which has setup()"
        raise ConfigurationError(msg)
    inherited: Callable[..., Any] = kind.setup  # type: ignore[attr-defined] # as the line above says

    @functools.wraps(inherited)
    def prepare(self: Any, device: str) -> Any:
        if setup is not None:
            setup()
        flush_at_stop()
        return inherited(self, device)

    kind.setup = prepare  # type: ignore[attr-defined] # as above
    return kind
