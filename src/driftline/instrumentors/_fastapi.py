"""`FastAPIInstrumentor`: watches configured routes, and flushes when a server stops."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from driftline.instrumentors._hooks import Hook
from driftline.instrumentors._library import LibraryInstrumentor
from driftline.instrumentors._naming import Identity
from driftline.instrumentors._session import UNKNOWN, Session

__all__ = ["FastAPIInstrumentor"]


class FastAPIInstrumentor(LibraryInstrumentor):
    """
    Watches the routes that the configuration names, whose endpoints have one pydantic body.

    The lifespan of every app flushes all monitors of the process when it ends, because ``uvicorn`` skips ``atexit``.
    """

    _modules = ("fastapi",)
    _dependencies = ("fastapi >= 0.110",)

    def _hooks_of(self, session: Session) -> Iterable[Hook]:
        def on_route(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            arguments = session.guarded(UNKNOWN, lambda: watched(session, args, kwargs), (args, kwargs))
            return wrapped(*arguments[0], **arguments[1])

        def on_app(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            result = wrapped(*args, **kwargs)
            session.guarded(UNKNOWN, lambda: add_flush(session, instance), None)
            return result

        return (
            Hook("fastapi.routing", "APIRoute.__init__", on_route),
            Hook("fastapi.applications", "FastAPI.__init__", on_app),
        )

    def _unwatch(self, model: Any) -> None:
        """Do nothing: the endpoints of routes look whether the session is active."""


def watched(session: Session, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments ``(path, endpoint, ...)`` of a route, with an endpoint that records its calls."""
    from driftline.integrations.fastapi import instrument  # noqa: PLC0415 - FastAPI is imported

    passed = {**dict(zip(("path", "endpoint"), args, strict=False)), **kwargs}
    path, endpoint = passed.get("path"), passed.get("endpoint")
    options = next((each for each in session.options().routes() if each.route == path), None)
    if options is None or endpoint is None or getattr(endpoint, MARK, False):
        return args, kwargs

    name = options.name or UNKNOWN

    def record() -> Any:
        monitor = session.monitor_of(endpoint, Identity(name), None, places=())
        if monitor is None:
            return endpoint
        return _while_active(session, instrument(monitor, endpoint, output=options.output), endpoint)

    recorded = session.guarded(name, record, endpoint)
    if len(args) > 1:
        return (args[0], recorded, *args[2:]), kwargs
    return args, {**kwargs, "endpoint": recorded}


MARK = "__driftline_wrapped__"
"""The attribute of an endpoint that records its calls. A router that is included makes a route of it again."""


def _while_active(session: Session, recorded: Callable[..., Any], endpoint: Callable[..., Any]) -> Any:
    """Return an endpoint that records its calls until the instrumentor is removed, of the same kind and signature."""
    if inspect.iscoroutinefunction(endpoint):

        @functools.wraps(endpoint)
        async def chosen(*args: Any, **kwargs: Any) -> Any:
            return await (recorded if session.active else endpoint)(*args, **kwargs)
    else:

        @functools.wraps(endpoint)
        def chosen(*args: Any, **kwargs: Any) -> Any:
            return (recorded if session.active else endpoint)(*args, **kwargs)

    setattr(chosen, MARK, True)
    return chosen


def add_flush(session: Session, app: Any) -> None:
    """Let the lifespan of an app flush all monitors when it ends."""
    from driftline.integrations.fastapi import lifespan  # noqa: PLC0415 - FastAPI is imported

    inner = app.router.lifespan_context
    flushing = lifespan(inner)

    def context(app: Any) -> Any:
        return (flushing if session.active else inner)(app)

    app.router.lifespan_context = context
