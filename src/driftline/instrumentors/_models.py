"""Models that a loading function returns: by themselves, or in a dict, list or tuple with other objects."""

from __future__ import annotations

from typing import Any

from driftline.instrumentors._naming import of_path
from driftline.instrumentors._session import Session

__all__ = ["is_model", "watch_loaded", "watch_model"]

MAX_ITEMS = 100
"""Longest container whose items are looked at. Programs keep a model beside its columns, encoders and metrics."""

METHODS = ("predict", "predict_proba", "decision_function")
"""Methods of which a model has at least one. Transformers have none."""


def is_model(value: object) -> bool:
    """Return whether the class of an object has a method that predicts."""
    return any(callable(getattr(type(value), method, None)) for method in METHODS)


def watch_model(session: Session, model: Any, source: str | None, beside: tuple[object, ...] = ()) -> None:
    """
    Watch a model that carries a reference, or for which one is configured.

    Args:
        session: has the monitors.
        model: the model.
        source: the path or URI that it was loaded from.
        beside: further places of its reference, such as the path.
    """
    identity = of_path(source)

    def watch_it() -> None:
        monitor = session.monitor_of(model, identity, source, places=(model, *beside))
        if monitor is not None:
            from driftline.watching import watch  # noqa: PLC0415 - imports numpy

            watch(model, monitor=monitor)

    session.guarded(identity.name, watch_it, None)


def watch_loaded(session: Session, value: Any, source: str | None) -> None:
    """Watch the models in what a function has loaded. A neighbour file belongs to the only model of a file."""
    models = [value] if is_model(value) else session.guarded(of_path(source).name, lambda: _models_in(value), [])
    beside = () if source is None or len(models) > 1 else (source,)
    for model in models:
        watch_model(session, model, source, beside)


def _models_in(value: Any) -> list[Any]:
    """Return the models in a container. Only built-in containers are looked at."""
    if type(value) not in {dict, list, tuple} or len(value) > MAX_ITEMS:
        return []
    return [item for item in (value.values() if type(value) is dict else value) if is_model(item)]
