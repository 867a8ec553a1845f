"""Two models that predict the probability of a late arrival."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from driftline.demo.flights import CATEGORIES, NUMBERS, Flights

__all__ = ["BrokenModel", "Model", "fit_models"]


class Model:
    """
    A fitted classifier over the columns of `Flights`.

    Args:
        classifier: a classifier of scikit-learn, not yet fitted.
        flights: the training data.
    """

    def __init__(self, classifier: Any, flights: Flights) -> None:
        self._medians = {name: float(np.nanmedian(flights.columns[name])) for name in NUMBERS}
        self._labels = {name: sorted(set(flights.columns[name])) for name in CATEGORIES}
        known = ~np.isnan(flights.landed)
        self._classifier = classifier.fit(self._matrix(flights.columns)[known], flights.late[known])

    def probabilities(self, features: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the probabilities of a late arrival, shape (rows,); *features* are columns or single values."""
        probabilities: NDArray[np.float64] = self._classifier.predict_proba(self._matrix(features))[:, 1]
        return probabilities

    def _matrix(self, features: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return *features* as numbers without missing values, shape (rows, columns)."""
        columns = []
        for name in NUMBERS:
            values = np.atleast_1d(np.asarray(features[name], dtype=np.float64))
            columns.append(np.where(np.isnan(values), self._medians[name], values))
        for name in CATEGORIES:
            values = np.atleast_1d(np.asarray(features[name], dtype=object))
            columns.extend((values == label).astype(np.float64) for label in self._labels[name])
        return np.stack(columns, axis=1)


class BrokenModel(Model):
    """A release that lost a feature: it replaces each departure delay by the median of the training data."""

    def probabilities(self, features: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the probabilities that `Model` returns for missing departure delays, shape (rows,)."""
        delay = np.full(np.shape(features["dep_delay"]), np.nan)
        return super().probabilities({**features, "dep_delay": delay})


def fit_models(flights: Flights, *, broken: bool) -> tuple[Model, Model]:
    """
    Return (baseline, candidate), both fitted to *flights*.

    Both are logistic regressions, and the candidate has stronger regularisation. If *broken*, the candidate is a
    `BrokenModel` instead.
    """
    baseline, candidate = (make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=500)) for c in (1.0, 0.03))
    return Model(baseline, flights), (BrokenModel if broken else Model)(candidate, flights)
