"""Instrumentors for ``opentelemetry-instrument``, the Operator and `driftline run`: models are watched without code."""

from __future__ import annotations

from driftline.instrumentors._boosters import CatBoostInstrumentor, LightGBMInstrumentor, XGBoostInstrumentor
from driftline.instrumentors._driftline import DriftlineInstrumentor
from driftline.instrumentors._fastapi import FastAPIInstrumentor
from driftline.instrumentors._mlflow import MLflowInstrumentor
from driftline.instrumentors._onnxruntime import OnnxRuntimeInstrumentor
from driftline.instrumentors._sklearn import SklearnInstrumentor

__all__ = [
    "CatBoostInstrumentor",
    "DriftlineInstrumentor",
    "FastAPIInstrumentor",
    "LightGBMInstrumentor",
    "MLflowInstrumentor",
    "OnnxRuntimeInstrumentor",
    "SklearnInstrumentor",
    "XGBoostInstrumentor",
]
