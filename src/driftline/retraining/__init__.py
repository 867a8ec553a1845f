"""Scores, accuracy and latency to requests for retraining, kept in a durable queue until somebody acknowledges them."""

from __future__ import annotations

from driftline.retraining._policy import RetrainingPolicy
from driftline.retraining._queue import RetrainingQueue
from driftline.retraining._request import RetrainingRequest

__all__ = ["RetrainingPolicy", "RetrainingQueue", "RetrainingRequest"]
