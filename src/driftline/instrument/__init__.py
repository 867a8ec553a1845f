"""The decorator and the context manager that record the calls of a predict function."""

from __future__ import annotations

from driftline.instrument._block import PredictionCall
from driftline.instrument._decorator import Decorator, instrument

__all__ = ["Decorator", "PredictionCall", "instrument"]
