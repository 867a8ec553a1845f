"""Requests and responses of the Open Inference Protocol (V2), which MLServer and KServe speak."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["columns", "prediction"]


def columns(inputs: Any) -> Any:
    """
    Return the features of a request: a column of n values for each input, by its name.

    An input of shape (n, k) is n rows of k features if it is the only one; otherwise its column has n vectors.
    """
    named = {each.name: _values(each) for each in inputs}
    only = next(iter(named.values())) if len(named) == 1 else None
    return only if isinstance(only, np.ndarray) else named


def prediction(outputs: Any) -> Any:
    """Return the predictions of a response: n values, or the scores of n rows, of its first output."""
    return _values(outputs[0]) if outputs else None


def _values(tensor: Any) -> Any:
    """Return a list of n values, or an array of shape (n, k)."""
    data = getattr(tensor.data, "root", tensor.data)
    flat = [each.decode() if isinstance(each, bytes) else each for each in np.asarray(data, dtype=object).ravel()]
    rows = int(tensor.shape[0]) if len(tensor.shape) else 1
    width = len(flat) // rows if rows else 1
    return flat if width <= 1 else np.asarray(flat).reshape(rows, width)
