"""Requests for retraining on drift, low accuracy or high latency, and the durable queue that keeps them."""

from __future__ import annotations

from driftline.retraining._policy import RetrainingPolicy
from driftline.retraining._queue import RetrainingQueue
from driftline.retraining._request import RetrainingRequest

__all__ = ["RetrainingPolicy", "RetrainingQueue", "RetrainingRequest"]
