"""Instrumentors of xgboost, lightgbm and catboost: watch boosters that carry a reference as they load themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from driftline.instrumentors._hooks import Hook, Wrapper
from driftline.instrumentors._library import LibraryInstrumentor, outermost
from driftline.instrumentors._models import watch_model
from driftline.instrumentors._naming import source_of
from driftline.instrumentors._session import Session

__all__ = ["CatBoostInstrumentor", "LightGBMInstrumentor", "XGBoostInstrumentor"]


def on_loaded(session: Session, source_in: Callable[[tuple[Any, ...], dict[str, Any]], Any]) -> Wrapper:
    """
    Return a wrapper of a method that loads a model into its object, which is watched afterwards.

    Args:
        session: has the monitors.
        source_in: returns the path of the model from the arguments, or ``NOTHING`` if the method loads no model.
    """

    def after(result: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = source_in(args, kwargs)
        if value is not NOTHING:
            source = source_of(value)
            watch_model(session, instance, source, () if source is None else (source,))
        return result

    return outermost(after)


NOTHING = object()
"""Stands for the path of a method that loads no model, such as a constructor for training."""


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs.get("fname")


def _model_file(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the path among the arguments of lightgbm's ``Booster(params, train_set, model_file, model_str)``."""
    names = ("params", "train_set", "model_file", "model_str")
    passed = {**dict(zip(names, args, strict=False)), **kwargs}
    if passed.get("model_file") is not None:
        return passed["model_file"]
    return NOTHING if passed.get("model_str") is None else None


class XGBoostInstrumentor(LibraryInstrumentor):
    """Watches xgboost models that carry a reference, as ``load_model`` of a booster or an estimator loads them."""

    _modules = ("xgboost",)
    _dependencies = ("xgboost >= 1.7", "xgboost-cpu >= 1.7")

    def _hooks_of(self, session: Session) -> Iterable[Hook]:
        wrapper = on_loaded(session, _first)
        return (
            Hook("xgboost.core", "Booster.load_model", wrapper),
            Hook("xgboost.sklearn", "XGBModel.load_model", wrapper),
        )


class LightGBMInstrumentor(LibraryInstrumentor):
    """Watches lightgbm models that carry a reference, as ``Booster(model_file=...)`` and ``model_str`` load them."""

    _modules = ("lightgbm",)
    _dependencies = ("lightgbm >= 4.0",)

    def _hooks_of(self, session: Session) -> Iterable[Hook]:
        return (Hook("lightgbm.basic", "Booster.__init__", on_loaded(session, _model_file)),)


class CatBoostInstrumentor(LibraryInstrumentor):
    """Watches catboost models that carry a reference, as ``load_model`` loads them."""

    _modules = ("catboost",)
    _dependencies = ("catboost >= 1.2",)

    def _hooks_of(self, session: Session) -> Iterable[Hook]:
        return (Hook("catboost.core", "CatBoost.load_model", on_loaded(session, _first)),)
