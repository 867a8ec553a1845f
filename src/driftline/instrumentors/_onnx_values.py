"""Features and predictions in the arrays that an inference session gets and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from driftline import Reference
from driftline.carrying import feature_names

__all__ = ["features_of", "output_of"]

MATRIX = 2
"""Dimensions of rows with several features."""


def features_of(session: Any) -> Callable[..., Any]:
    """
    Return a function that returns the features of a call from its inputs.

    A single input of shape (n, features) is named by the names that the model has. Several inputs, each of shape (n,)
    or (n, 1), are a column each, as ``skl2onnx`` makes them of frames.
    """
    names = feature_names(session)

    def features(feed: Mapping[str, Any], *_: object) -> Any:
        columns = {name: np.asarray(value) for name, value in feed.items()}
        if len(columns) > 1:
            return {
                name: value.reshape(len(value), -1)[:, 0] if value.ndim else value for name, value in columns.items()
            }
        (value,) = columns.values()
        if names is None or value.ndim != MATRIX or value.shape[1] != len(names):
            return value
        return dict(zip(names, value.T, strict=True))

    return features


def output_of(reference: Reference | None) -> Callable[[Any], Any]:
    """
    Return a function that returns the predictions in the results of a call.

    A classifier returns labels and probabilities. Those are the prediction that the reference has.
    """
    kind = None if reference is None or reference.prediction is None else type(reference.prediction.bins).__name__
    scores = kind == "NumericBins"

    def output(results: Any) -> Any:
        probabilities = next((each for each in results if _is_scores(each)), None)
        if scores and probabilities is not None:
            return probabilities
        first = results[0]
        return first[:, 0] if isinstance(first, np.ndarray) and first.ndim == MATRIX and first.shape[1] == 1 else first

    return output


def _is_scores(value: Any) -> bool:
    """Return whether a result has a score for each of several classes, as a matrix or as one dict per row."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], Mapping)
    return isinstance(value, np.ndarray) and value.ndim == MATRIX and value.shape[1] > 1 and value.dtype.kind == "f"
