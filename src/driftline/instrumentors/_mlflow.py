"""`MLflowInstrumentor`: watches models as MLflow loads them, which ``mlflow models serve`` does too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from driftline.instrumentors._hooks import Hook
from driftline.instrumentors._library import LibraryInstrumentor, outermost
from driftline.instrumentors._models import watch_model
from driftline.instrumentors._naming import Identity, of_path, of_uri, source_of, without_scheme
from driftline.instrumentors._session import Session

__all__ = ["MLflowInstrumentor"]

FLAVOURS = ("sklearn", "xgboost", "lightgbm", "catboost")
"""Modules of MLflow whose ``load_model`` returns a model of that library."""

PYFUNC = ("predict", "predict_stream", "_driftline_monitor")
"""Attributes of a pyfunc model that `driftline.integrations.mlflow.watch` sets."""


class MLflowInstrumentor(LibraryInstrumentor):
    """
    Watches the models that ``mlflow.pyfunc.load_model`` returns, by the reference that `driftline.mlflow.carry` added.

    A model without one is compared with its first rows: option ``learn``. Models that ``mlflow.sklearn.load_model`` and
    those of xgboost, lightgbm and catboost return are watched if they carry a reference.
    """

    _modules = ("mlflow",)
    _dependencies = ("mlflow-skinny >= 2.14", "mlflow >= 2.14")

    def _hooks_of(self, session: Session) -> Iterable[Hook]:
        def after(model: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            uri = source_of(args[0] if args else kwargs.get("model_uri"))
            watch_pyfunc(session, model, without_scheme(uri or ""))
            return model

        def after_flavour(model: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            uri = source_of(args[0] if args else kwargs.get("model_uri"))
            watch_model(session, model, uri, () if uri is None else (without_scheme(uri),))
            return model

        wrapper = outermost(after_flavour)
        flavours = (Hook(f"mlflow.{flavour}", "load_model", wrapper) for flavour in FLAVOURS)
        return (Hook("mlflow.pyfunc", "load_model", outermost(after)), *flavours)

    def _unwatch(self, model: Any) -> None:
        if any(name in vars(model) for name in PYFUNC):
            for name in PYFUNC:
                vars(model).pop(name, None)
        else:
            super()._unwatch(model)


def watch_pyfunc(session: Session, model: Any, uri: str) -> None:
    """Watch a model of the pyfunc flavour."""
    identity: Identity = session.guarded(of_path(uri).name, lambda: of_uri(uri, model), of_path(uri))

    def watch_it() -> None:
        monitor = session.monitor_of(model, identity, uri, places=(uri, model) if uri else (model,), learn=True)
        if monitor is not None:
            from driftline.integrations.mlflow import watch  # noqa: PLC0415 - imports numpy

            watch(model, monitor)

    session.guarded(identity.name, watch_it, None)
