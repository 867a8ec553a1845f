"""A model, its input rows, and its results as bytes."""

from __future__ import annotations

import numpy as np

ROWS = [{"x": float(turn % 100), "channel": ("web", "shop", "phone")[turn % 3]} for turn in range(600)]


def bare(features):
    """Predict without instrumentation."""
    return np.float64(np.sin(features["x"]) * 0.5 + 0.5)


EXPECTED = np.array([bare(row) for row in ROWS]).tobytes()
"""The bytes of the results without instrumentation."""


def serve(monitor, rows=ROWS):
    """Return the results of an instrumented model, as bytes."""
    predict = monitor.instrument(bare)
    return np.array([predict(row) for row in rows]).tobytes()
