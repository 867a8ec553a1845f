"""What asks for retraining in one process: told after each judgement, kept in the policy's queue, and counted."""

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
    Puts requests for retraining into a queue.

    Args:
        policy: when to ask; None: never.
        attributes: model, version, variant.
        guard: told of a queue that cannot be read.
        requested: told of each request that is new, and of the states that it was made from.
    """

    def __init__(
        self,
        policy: RetrainingPolicy | None,
        attributes: Mapping[str, Any],
        guard: Guard,
        requested: Callable[[RetrainingRequest, Mapping[str, FeatureStatus]], None],
    ) -> None:
        self._policy = policy
        self._model, self._version = attributes[ML_MODEL_NAME], attributes.get(ML_MODEL_VERSION)
        self._guard = guard
        self._requested = requested
        self.reset()

    def reset(self) -> None:
        """Forget what was counted: the child of a fork starts here."""
        self.requests: dict[str, int] = {}
        self._seen: tuple[tuple[object, ...], int] = (), -1

    def ask(
        self,
        seen: tuple[object, ...],
        states: Callable[[], Mapping[str, FeatureStatus]],
        outcomes: OutcomeTally,
        latency: Callable[[], float | None],
    ) -> None:
        """Ask for what follows from a judgement; *seen* is what it was made from: the same again asks nothing."""
        policy = self._policy
        if policy is None:
            return
        before, known = self._seen
        if known == outcomes.known and len(before) == len(seen) and all(map(operator.is_, before, seen)):
            return  # nothing has been judged and no outcome has come: the queue on disk is left in peace
        # Kept, and not their ids: what is thrown away leaves its id to what comes after it.
        self._seen = seen, outcomes.known
        present = states()
        for request in policy.requests(self._model, self._version, present, outcomes.accuracy, latency()):
            if policy.queue.put(request):
                self.requests[request.reason] = self.requests.get(request.reason, 0) + 1
                self._requested(request, present)

    def sizes(self) -> dict[str, int]:
        """Requests in the queue by state."""
        if self._policy is None:
            return {}
        with self._guard("retraining"):
            return self._policy.queue.sizes(self._model, self._version)
        return {}  # the disk is full or gone
