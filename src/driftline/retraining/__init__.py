"""Requests for retraining: the policy that decides about them, and the durable queue that keeps them until they end."""

from __future__ import annotations

from driftline.retraining._policy import RetrainingPolicy
from driftline.retraining._queue import RetrainingQueue, Submission
from driftline.retraining._request import RetrainingEvidence, RetrainingRequest, Transition

__all__ = [
    "RetrainingEvidence",
    "RetrainingPolicy",
    "RetrainingQueue",
    "RetrainingRequest",
    "Submission",
    "Transition",
]
