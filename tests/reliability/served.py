"""A model, the rows that it is asked, and what it gives, bit by bit."""

from __future__ import annotations

import numpy as np

ROWS = [{"x": float(turn % 100), "channel": ("web", "shop", "phone")[turn % 3]} for turn in range(600)]


def bare(features):
    """The model, as it is."""
    return np.float64(np.sin(features["x"]) * 0.5 + 0.5)


EXPECTED = np.array([bare(row) for row in ROWS]).tobytes()
"""Bit by bit what an uninstrumented model gives."""


def serve(monitor, rows=ROWS):
    """The results of an instrumented model, as bytes."""
    predict = monitor.instrument(bare)
    return np.array([predict(row) for row in rows]).tobytes()
