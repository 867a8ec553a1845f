"""Two models that say how probable it is that a flight arrives late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from driftline.demo.flights import NUMBERS, TEXTS, Flights

__all__ = ["BrokenModel", "Model", "fit_models"]


class Model:
    """
    A fitted classifier over the columns of `Flights`.

    Args:
        classifier: of scikit-learn, not yet fitted.
        flights: the training data.
    """

    def __init__(self, classifier: Any, flights: Flights) -> None:
        self._medians = {name: float(np.nanmedian(flights.columns[name])) for name in NUMBERS}
        self._labels = {name: sorted(set(flights.columns[name])) for name in TEXTS}
        known = ~np.isnan(flights.landed)
        self._classifier = classifier.fit(self._matrix(flights.columns)[known], flights.late[known])

    def probabilities(self, features: Mapping[str, Any]) -> NDArray[np.float64]:
        """The probability of being late, shape (rows,), of a dict of columns or of single values."""
        found: NDArray[np.float64] = self._classifier.predict_proba(self._matrix(features))[:, 1]
        return found

    def _matrix(self, features: Mapping[str, Any]) -> NDArray[np.float64]:
        columns = []
        for name in NUMBERS:
            values = np.atleast_1d(np.asarray(features[name], dtype=np.float64))
            columns.append(np.where(np.isnan(values), self._medians[name], values))
        for name in TEXTS:
            values = np.atleast_1d(np.asarray(features[name], dtype=object))
            columns.extend((values == label).astype(np.float64) for label in self._labels[name])
        return np.stack(columns, axis=1)


class BrokenModel(Model):
    """A model whose release has lost a feature on the way: it serves with the training data's median delay."""

    def probabilities(self, features: Mapping[str, Any]) -> NDArray[np.float64]:
        """As of `Model`, whatever the departure delay."""
        delay = np.full(np.shape(features["dep_delay"]), np.nan)
        return super().probabilities({**features, "dep_delay": delay})


def fit_models(flights: Flights, *, broken: bool) -> tuple[Model, Model]:
    """The baseline, and as the candidate the same regression, regularised more strongly, or broken."""
    baseline, candidate = (make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=500)) for c in (1.0, 0.03))
    return Model(baseline, flights), (BrokenModel if broken else Model)(candidate, flights)
