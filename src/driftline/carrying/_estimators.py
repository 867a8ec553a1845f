"""Estimators and pipelines with the interface of scikit-learn: the text is an attribute of the object."""

from __future__ import annotations

from typing import Any

from driftline.carrying._signature import Signature, numbered
from driftline.carrying._text import KEY
from driftline.errors import ConfigurationError

__all__ = ["Estimators", "estimator_signature"]

ATTRIBUTE = f"_{KEY}"
"""
Name of the attribute. It ends in no underscore: `check_is_fitted` and the representation in HTML would count it among
the fitted attributes.
"""


class Estimators:
    """All objects that have `get_params` and `fit`, whichever library they are of."""

    def matches(self, model: Any) -> bool:
        """Return whether the model is an object with these methods."""
        return not isinstance(model, type) and all(
            callable(getattr(model, name, None)) for name in ("get_params", "fit")
        )

    def read(self, model: Any) -> Any:
        """Return the attribute, only if it is the object's and not one of a model inside."""
        return getattr(model, "__dict__", {}).get(ATTRIBUTE)

    def write(self, model: Any, text: str) -> None:
        """Set the attribute."""
        if not hasattr(model, "__dict__"):
            msg = f"model: a {type(model).__name__} takes no attributes; save the reference beside the model's file"
            raise ConfigurationError(msg)
        model.__dict__[ATTRIBUTE] = text

    def signature(self, model: Any) -> Signature:
        """Return `feature_names_in_` and `n_features_in_`, which a model has after `fit`."""
        return estimator_signature(model)


def estimator_signature(model: Any) -> Signature:
    """Return `feature_names_in_` and `n_features_in_` of a model, as far as it has them."""
    names, number = _attribute(model, "feature_names_in_"), _attribute(model, "n_features_in_")
    if names is not None:
        names = tuple(str(name) for name in names)
        if not numbered(names):
            return Signature(names)
        number = len(names)
    return Signature(None, None if number is None else int(number))


def _attribute(model: Any, name: str) -> Any:
    """Return an attribute that may be a property, which raises several kinds of error before `fit`."""
    try:
        return getattr(model, name, None)
    except Exception:  # noqa: BLE001 - of any library
        return None
