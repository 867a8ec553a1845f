"""OpenTelemetry instrumentation for machine-learning models: drift scores, canary verdicts, prediction counters."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftline import mlflow as mlflow
    from driftline._pipeline.outcome_registry import record_outcome
    from driftline._report import Report, report
    from driftline._windows.window import Window
    from driftline.canary import Canary, CanaryPolicy, Criterion, Guardrail, Margin, ThresholdPolicy, Verdict
    from driftline.carrying import carried, carry
    from driftline.detection import FalseAlarms, Thresholds
    from driftline.errors import ConfigurationError, DriftlineError, ReferenceError
    from driftline.monitor import Monitor
    from driftline.otlp import configure_otlp
    from driftline.outcomes import OutcomePolicy, OutcomeSnapshot, Performance
    from driftline.reference import Reference
    from driftline.results import (
        Component,
        FeatureStatus,
        Score,
        Snapshot,
    )
    from driftline.retraining import RetrainingPolicy, RetrainingQueue
    from driftline.retraining._request import RetrainingRequest
    from driftline.stopping import flush, flush_at_stop, stop_requested
    from driftline.typing import (
        Detector,
        Distance,
    )
    from driftline.watching import unwatch, watch

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
    "Report",
    "RetrainingPolicy",
    "RetrainingQueue",
    "RetrainingRequest",
    "Score",
    "Snapshot",
    "ThresholdPolicy",
    "Thresholds",
    "Verdict",
    "Window",
    "carried",
    "carry",
    "configure_otlp",
    "flush",
    "flush_at_stop",
    "record_outcome",
    "report",
    "stop_requested",
    "unwatch",
    "watch",
]

_HOMES = {
    "Canary": "driftline.canary",
    "CanaryPolicy": "driftline.canary",
    "Component": "driftline.results",
    "ConfigurationError": "driftline.errors",
    "Criterion": "driftline.canary",
    "Detector": "driftline.typing",
    "Distance": "driftline.typing",
    "DriftlineError": "driftline.errors",
    "FalseAlarms": "driftline.detection",
    "FeatureStatus": "driftline.results",
    "Guardrail": "driftline.canary",
    "Margin": "driftline.canary",
    "Monitor": "driftline.monitor",
    "OutcomePolicy": "driftline.outcomes",
    "OutcomeSnapshot": "driftline.outcomes",
    "Performance": "driftline.outcomes",
    "Reference": "driftline.reference",
    "ReferenceError": "driftline.errors",
    "Report": "driftline._report",
    "RetrainingPolicy": "driftline.retraining",
    "RetrainingQueue": "driftline.retraining",
    "RetrainingRequest": "driftline.retraining",
    "Score": "driftline.results",
    "Snapshot": "driftline.results",
    "ThresholdPolicy": "driftline.canary",
    "Thresholds": "driftline.detection",
    "Verdict": "driftline.canary",
    "Window": "driftline._windows.window",
    "carried": "driftline.carrying",
    "carry": "driftline.carrying",
    "configure_otlp": "driftline.otlp",
    "flush": "driftline.stopping",
    "flush_at_stop": "driftline.stopping",
    "record_outcome": "driftline._pipeline.outcome_registry",
    "report": "driftline._report",
    "stop_requested": "driftline.stopping",
    "unwatch": "driftline.watching",
    "watch": "driftline.watching",
}
"""The module of each public name. It is imported at the first access to one of its names."""


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
    if name == "mlflow":  # `import driftline` is enough for `driftline.mlflow.carry`
        return import_module("driftline.mlflow")
    if name == "__version__":
        from driftline._runtime.version import VERSION  # noqa: PLC0415 - imported at the first access only

        return VERSION
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
