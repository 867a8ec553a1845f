"""Requests for retraining: the policy that decides about them, and the durable queue that keeps them until they end."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from driftline.retraining._policy import RetrainingPolicy
from driftline.retraining._queue import RetrainingQueue, Submission
from driftline.retraining._replay import Replay
from driftline.retraining._request import RetrainingEvidence, RetrainingRequest, Transition
from driftline.retraining._situation import RetrainingSituation

if TYPE_CHECKING:
    from driftline.retraining._callback import CallbackSink
    from driftline.retraining._cloud_event_sink import CloudEventSink
    from driftline.retraining._command import CommandSink
    from driftline.retraining._delivery import RetrainingDelivery
    from driftline.retraining._sink import DeliveryError, RetrainingSink

__all__ = [
    "CallbackSink",
    "CloudEventSink",
    "CommandSink",
    "DeliveryError",
    "Replay",
    "RetrainingDelivery",
    "RetrainingEvidence",
    "RetrainingPolicy",
    "RetrainingQueue",
    "RetrainingRequest",
    "RetrainingSink",
    "RetrainingSituation",
    "Submission",
    "Transition",
]

_HOMES = {
    "CallbackSink": "driftline.retraining._callback",
    "CloudEventSink": "driftline.retraining._cloud_event_sink",
    "CommandSink": "driftline.retraining._command",
    "DeliveryError": "driftline.retraining._sink",
    "RetrainingDelivery": "driftline.retraining._delivery",
    "RetrainingSink": "driftline.retraining._sink",
}
"""The module of each name of the delivery. HTTP and subprocesses are imported by who needs them."""


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
