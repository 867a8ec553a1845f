"""Applies the retraining policy after each evaluation, and queues and counts the requests of one process."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from driftline._runtime.guard import Guard
from driftline.outcomes import OutcomeTally
from driftline.results import FeatureStatus
from driftline.retraining import RetrainingPolicy
from driftline.retraining._request import RetrainingRequest
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VERSION

__all__ = ["RetrainingTrigger"]


class RetrainingTrigger:
    """
    Applies the retraining policy, adds the requests to its queue, and counts the new ones.

    Args:
        policy: decides when to request retraining. If None, there are no requests.
        attributes: the OpenTelemetry attributes that name the model, its version and its variant.
        guard: reports errors of the queue.
        on_request: called with each new request and the states, by feature, from which it was made.

    Attributes:
        requests: number of new requests of this process by reason.
        transitions: number of changes of state that this process has reported, by state.
    """

    def __init__(
        self,
        policy: RetrainingPolicy | None,
        attributes: Mapping[str, Any],
        guard: Guard,
        on_request: Callable[[RetrainingRequest, Mapping[str, FeatureStatus]], None],
    ) -> None:
        self._policy = policy
        self._model, self._version = attributes[ML_MODEL_NAME], attributes.get(ML_MODEL_VERSION)
        self._guard = guard
        self._on_request = on_request
        self.reset()

    def reset(self) -> None:
        """Set all counts to zero, as the child of a fork must."""
        self.requests: dict[str, int] = {}
        self.transitions: dict[str, int] = {}
        self._last: tuple[tuple[object, ...], int] = (), -1

    def apply(
        self,
        evaluated: tuple[object, ...],
        states: Callable[[], Mapping[str, FeatureStatus]],
        outcomes: OutcomeTally,
        latency: Callable[[], float | None],
    ) -> None:
        """
        Apply the policy, unless nothing has changed since the last call.

        Args:
            evaluated: the results of the latest evaluations. Nothing has changed if they are the same objects as in the
                last call, and the number of graded outcomes is the same.
            states: returns the state of each feature by name.
            outcomes: the outcomes so far.
            latency: returns the median duration of a call in seconds, or None if unknown.
        """
        policy = self._policy
        if policy is None:
            return
        last, known = self._last
        if known == outcomes.known and len(last) == len(evaluated) and all(map(operator.is_, last, evaluated)):
            return  # no evaluation and no outcome is new: the queue's file is not touched
        # The objects are kept instead of their ids, because a later object may get the id of a deleted one.
        self._last = evaluated, outcomes.known
        current = states()
        for request in policy.requests(self._model, self._version, current, outcomes.accuracy, latency()):
            if policy.queue.put(request):
                self.requests[request.reason] = self.requests.get(request.reason, 0) + 1
                self._on_request(request, current)

    def sizes(self) -> dict[str, int]:
        """Return the number of this model's requests in the queue by state; empty if the queue cannot be read."""
        if self._policy is None:
            return {}
        with self._guard("retraining"):
            return self._policy.queue.sizes(self._model, self._version)
        return {}
