"""`OnnxRuntimeInstrumentor`: watches inference sessions whose model carries a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from driftline.instrumentors._hooks import Hook, Wrapper
from driftline.instrumentors._library import LibraryInstrumentor, outermost
from driftline.instrumentors._naming import of_path, source_of
from driftline.instrumentors._session import Session

__all__ = ["OnnxRuntimeInstrumentor"]

MODULE = "onnxruntime.capi.onnxruntime_inference_collection"

RUN = "_driftline_run"
"""The attribute of a session that is watched: the function that runs it and records the call."""


class OnnxRuntimeInstrumentor(LibraryInstrumentor):
    """Watches an ``onnxruntime.InferenceSession`` whose model carries a reference in its metadata."""

    _modules = ("onnxruntime",)
    _dependencies = ("onnxruntime >= 1.16", "onnxruntime-gpu >= 1.16", "onnxruntime-directml >= 1.16")

    def _hooks_of(self, session: Session) -> Iterable[Hook]:
        def after(result: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            source = source_of(args[0] if args else kwargs.get("path_or_bytes"))
            identity = of_path(source)

            def watch() -> None:
                places = (instance,) if source is None else (instance, source)
                monitor = session.monitor_of(instance, identity, source, places=places)
                if monitor is not None:
                    from driftline.instrumentors._onnx_values import (  # noqa: PLC0415 - imports numpy
                        features_of,
                        output_of,
                    )

                    decorate = monitor.instrument(features=features_of(instance), output=output_of(monitor.reference))
                    setattr(instance, RUN, decorate(_call))

            session.guarded(identity.name, watch, None)
            return result

        return (
            Hook(MODULE, "InferenceSession.__init__", outermost(after)),
            Hook(MODULE, "InferenceSession.run", _recorded(session)),
        )

    def _unwatch(self, model: Any) -> None:
        vars(model).pop(RUN, None)


def _call(feed: Any, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ARG001
    return original(*args, **kwargs)


def _recorded(session: Session) -> Wrapper:
    """Return the wrapper of ``run``. A session that is not watched pays for one look at its attributes."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        record = vars(instance).get(RUN)
        if record is None or not session.active:
            return wrapped(*args, **kwargs)
        feed = args[1] if len(args) > 1 else kwargs.get("input_feed")
        return record(feed, wrapped, args, kwargs)

    return wrapper
