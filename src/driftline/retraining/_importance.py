"""How much a model depends on each feature: from the user, or from the fitted model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from driftline._runtime import validation as check

__all__ = ["importance_of"]

EXPECTED = "a dict of numbers of at least 0, or a fitted model with feature_importances_ or coef_ and its names"


def importance_of(value: Any) -> dict[str, float]:
    """
    Return the share of the importance that each feature has, by name. The shares add up to 1.

    Args:
        value: a number for each name; or a fitted model with ``feature_importances_``, or with ``coef_``, whose
            absolute values count, and ``feature_names_in_``. Coefficients are comparable if the features are scaled.

    Raises:
        ConfigurationError: the value is neither, or no number is above 0.

    >>> importance_of({"age": 3, "income": 1})
    {'age': 0.75, 'income': 0.25}
    """
    numbers = dict(value) if isinstance(value, Mapping) else _of_model(value)
    shares = {}
    for name, number in numbers.items():
        if not isinstance(name, str):
            check.reject("importance", value, EXPECTED)
        shares[name] = float(check.number(f"importance[{name!r}]", number, at_least=0))
    total = math.fsum(shares.values())
    if not 0.0 < total < math.inf:
        check.reject("importance", value, "at least one number above 0")
    return {name: share / total for name, share in shares.items()}


def _of_model(model: Any) -> dict[Any, float]:
    importances = getattr(model, "feature_importances_", None)
    if importances is None:
        coefficients = getattr(model, "coef_", None)
        # Of several classes, the mean of the absolute coefficients.
        importances = None if coefficients is None else np.abs(np.atleast_2d(np.asarray(coefficients))).mean(axis=0)
    names = getattr(model, "feature_names_in_", None)
    if importances is None or names is None or len(names) != len(importances):
        check.reject("importance", model, EXPECTED)
    return {str(name): float(number) for name, number in zip(names, importances, strict=True)}
