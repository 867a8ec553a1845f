"""
Boosters of xgboost, LightGBM and CatBoost, and their classes with the interface of scikit-learn.

The text is inside the booster, so that the library's own file formats keep it.
"""

from __future__ import annotations

import re
from typing import Any

from driftline.carrying._carrier import is_instance
from driftline.carrying._signature import UNKNOWN, Signature, numbered
from driftline.carrying._text import KEY
from driftline.errors import ConfigurationError

__all__ = ["CatBoost", "LightGBM", "XGBoost"]


class XGBoost:
    """`Booster` and `XGBModel` of xgboost: an attribute of the booster, which all its formats keep."""

    def matches(self, model: Any) -> bool:
        """Return whether the model is of xgboost."""
        return is_instance(model, "xgboost", "Booster", "XGBModel")

    def read(self, model: Any) -> Any:
        """Return the attribute of the booster."""
        booster = self._booster(model)
        return None if booster is None else booster.attr(KEY)

    def write(self, model: Any, text: str) -> None:
        """Set the attribute of the booster."""
        _fitted(self._booster(model), model).set_attr(**{KEY: text})

    def signature(self, model: Any) -> Signature:
        """Return the names of the booster."""
        booster = self._booster(model)
        if booster is None:
            return UNKNOWN
        names = booster.feature_names
        return Signature(None if not names else tuple(names), booster.num_features())

    def _booster(self, model: Any) -> Any:
        """Return the booster; None before `fit`."""
        if is_instance(model, "xgboost", "Booster"):
            return model
        return model.get_booster() if model.__sklearn_is_fitted__() else None


class LightGBM:
    """
    `Booster` and `LGBMModel` of LightGBM.

    A LightGBM model has no field for texts. The text is a line among the parameters of the model's own text form, which
    LightGBM keeps when it loads the model, and writes again. The line has an empty value, because LightGBM looks other
    parameters up by name, and knows no foreign ones.
    """

    _LINE = re.compile(rf"^\[{KEY}=(.*?)(?:: \])?(?:\n|\Z)", re.MULTILINE)

    def matches(self, model: Any) -> bool:
        """Return whether the model is of LightGBM."""
        return is_instance(model, "lightgbm", "Booster", "LGBMModel")

    def read(self, model: Any) -> Any:
        """Return the text in the line, which the form with only the first tree has too."""
        booster = self._booster(model)
        if booster is None:
            return None
        line = self._LINE.search(booster.model_to_string(num_iteration=1))
        return None if line is None else line[1]

    def write(self, model: Any, text: str) -> None:
        """Load the booster again from its own text form with the line, as LightGBM does at the end of a training."""
        booster = _fitted(self._booster(model), model)
        if getattr(booster, "train_set", None) is not None:
            msg = f"model: a {type(model).__name__} that keeps its training data: expected one after free_dataset()"
            raise ConfigurationError(msg)
        # All iterations: without the argument, only those up to the best one.
        before = self._LINE.sub("", booster.model_to_string(num_iteration=-1))
        head, end, rest = before.partition("\nend of parameters")
        if not end:
            msg = f"model: the text form of a {type(model).__name__} has no parameters, which LightGBM writes"
            raise ConfigurationError(msg)
        booster.model_from_string(f"{head.rstrip()}\n[{KEY}={text}: ]\n{end}{rest}")

    def signature(self, model: Any) -> Signature:
        """Return the names of the booster, which have underscores instead of spaces."""
        booster = self._booster(model)
        if booster is None:
            return UNKNOWN
        names = tuple(booster.feature_name())
        return Signature(None if numbered(names, "Column_") else names, len(names), underscores=True)

    def _booster(self, model: Any) -> Any:
        """Return the booster; None before `fit`."""
        if is_instance(model, "lightgbm", "Booster"):
            return model
        return model.booster_ if model.__sklearn_is_fitted__() else None


class CatBoost:
    """All classes of CatBoost: a field of the model's metadata, which the formats `cbm` and `json` keep."""

    def matches(self, model: Any) -> bool:
        """Return whether the model is of CatBoost."""
        return is_instance(model, "catboost", "_CatBoostBase")

    def read(self, model: Any) -> Any:
        """Return the field of the metadata."""
        return model.get_metadata().get(KEY) if model.is_fitted() else None

    def write(self, model: Any, text: str) -> None:
        """Set the field of the metadata."""
        _fitted(model if model.is_fitted() else None, model).get_metadata()[KEY] = text

    def signature(self, model: Any) -> Signature:
        """Return the names of the features."""
        if not model.is_fitted():
            return UNKNOWN
        names = tuple(model.feature_names_)
        return Signature(None if numbered(names) else names, len(names))


def _fitted(booster: Any, model: Any) -> Any:
    """
    Return the booster of a model.

    Raises:
        ConfigurationError: it is None.
    """
    if booster is None:
        msg = f"model: a {type(model).__name__} before fit: expected a fitted one, whose booster carries the reference"
        raise ConfigurationError(msg)
    return booster
