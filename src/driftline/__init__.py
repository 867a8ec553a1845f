"""OpenTelemetry instrumentation for machine-learning models: drift scores, canary verdicts, prediction counters."""

from __future__ import annotations

from typing import Any

from driftline._outcome_register import record_outcome
from driftline._values import (
    Component,
    Detector,
    Distance,
    FeatureStatus,
    RetrainingRequest,
    Score,
    Snapshot,
)
from driftline._window import Window
from driftline.canary import Canary, CanaryPolicy, Criterion, Guardrail, Margin, ThresholdPolicy, Verdict
from driftline.detection import FalseAlarms, Thresholds
from driftline.errors import ConfigurationError, DriftlineError, ReferenceError
from driftline.monitor import Monitor
from driftline.otlp import configure_otlp
from driftline.outcomes import OutcomePolicy, OutcomeSnapshot, Performance
from driftline.reference import Reference
from driftline.retraining import RetrainingPolicy, RetrainingQueue

__all__ = [
    "Canary",
    "CanaryPolicy",
    "Component",
    "ConfigurationError",
    "Criterion",
    "Detector",
    "Distance",
    "DriftlineError",
    "FalseAlarms",
    "FeatureStatus",
    "Guardrail",
    "Margin",
    "Monitor",
    "OutcomePolicy",
    "OutcomeSnapshot",
    "Performance",
    "Reference",
    "ReferenceError",
    "RetrainingPolicy",
    "RetrainingQueue",
    "RetrainingRequest",
    "Score",
    "Snapshot",
    "ThresholdPolicy",
    "Thresholds",
    "Verdict",
    "Window",
    "configure_otlp",
    "record_outcome",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - paid only by who asks

        return version("driftline")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
