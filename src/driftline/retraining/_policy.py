"""The configuration of retraining requests, `RetrainingPolicy`."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from driftline._runtime import validation as check
from driftline.results import FeatureStatus
from driftline.retraining._queue import RetrainingQueue
from driftline.retraining._request import RetrainingRequest

__all__ = ["RetrainingPolicy"]

Reason = Literal["drift", "accuracy", "latency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingPolicy:
    """
    Decides when to request retraining: on drift, low accuracy or high latency.

    The default limits are those of `driftline.oneshot`.

    Args:
        min_drifting: smallest number of features drifting together that makes a request. If None, drift makes no
            request.
        min_accuracy: realised accuracy below which a request is made, above 0 and at most 1. If None, accuracy makes no
            request.
        max_latency: median duration of a call, in seconds, above which a request is made. If None, latency makes no
            request.
        queue: stores the requests. By default a queue in memory.

    Raises:
        ConfigurationError: a limit is of the wrong type or out of range.
    """

    min_drifting: int | None = 1
    min_accuracy: float | None = 0.78
    max_latency: float | None = 0.5
    queue: RetrainingQueue = field(default_factory=RetrainingQueue)

    def __post_init__(self) -> None:
        check.optional(check.integer, "min_drifting", self.min_drifting, at_least=1)
        check.optional(check.number, "min_accuracy", self.min_accuracy, above=0, at_most=1)
        if not (isinstance(self.max_latency, float) and self.max_latency == math.inf):  # such a limit is never crossed
            check.optional(check.number, "max_latency", self.max_latency, above=0)
        check.instance("queue", self.queue, RetrainingQueue, "a RetrainingQueue")

    def requests(
        self,
        model: str,
        version: str | None,
        status: Mapping[str, FeatureStatus],
        accuracy: float | None,
        latency: float | None,
    ) -> tuple[RetrainingRequest, ...]:
        """
        Return a request for each limit that the present state of a model crosses; empty if it crosses none.

        The requests are not added to the queue.

        Args:
            model: the model's name.
            version: the model's version, if it has one.
            status: the state of each feature by name.
            accuracy: realised accuracy, or None if unknown.
            latency: median duration of a call in seconds, or None if unknown.
        """
        reasons: list[tuple[Reason, str, tuple[str, ...]]] = []
        drifting = tuple(name for name, feature in status.items() if feature.state == "drifting")
        if self.min_drifting is not None and len(drifting) >= self.min_drifting:
            reasons.append(("drift", "; ".join(status[name].reason for name in drifting), drifting))
        if self.min_accuracy is not None and accuracy is not None and accuracy < self.min_accuracy:
            reasons.append(("accuracy", f"accuracy {accuracy:.2%} below {self.min_accuracy:.2%}", ()))
        if self.max_latency is not None and latency is not None and latency > self.max_latency:
            reasons.append(("latency", f"median latency {latency:.3g} s above {self.max_latency:g} s", ()))
        now = time.time()
        return tuple(
            RetrainingRequest(str(uuid.uuid4()), model, version, reason, detail, features, now)
            for reason, detail, features in reasons
        )
