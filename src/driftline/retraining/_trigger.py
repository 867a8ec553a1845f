"""Applies the retraining policy after each evaluation, and queues, follows and counts the requests of one process."""

from __future__ import annotations

import operator
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from driftline._runtime.guard import Guard
from driftline.outcomes import OutcomeTally
from driftline.results import FeatureStatus
from driftline.retraining._decider import Decider
from driftline.retraining._policy import RetrainingPolicy
from driftline.retraining._request import RetrainingRequest, Transition
from driftline.retraining._situation import RetrainingSituation
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VARIANT, ML_MODEL_VERSION

__all__ = ["RetrainingTrigger", "TriggerEvents"]

SERVING_VARIANTS = (None, "baseline")
"""Values of ``ml.model.variant`` of a version that serves. Another variant, such as a candidate, is on trial."""


class TriggerEvents(Protocol):
    """Emits what happens to requests."""

    def retraining_requested(self, request: RetrainingRequest, states: Mapping[str, FeatureStatus], /) -> None:
        """Emit a new request, and the states, by feature, from which it was made."""
        ...

    def retraining_moved(self, request: RetrainingRequest, transition: Transition, /) -> None:
        """Emit a change of the state of a request."""
        ...


class RetrainingTrigger:
    """
    Applies the retraining policy, adds the requests to its queue, follows them, and counts what is new.

    Args:
        policy: decides when to request retraining. If None, there are no requests.
        attributes: the OpenTelemetry attributes that name the model, its version and its variant.
        guard: reports errors of the queue.
        events: emits what happens to requests.
        clock: returns the Unix time in seconds.

    Attributes:
        requests: number of new requests of this process by reason.
        transitions: number of changes of state that this process has reported, by state.
        held: why no retraining was requested after the last window, although it spoke for it; empty if it did not.
    """

    def __init__(
        self,
        policy: RetrainingPolicy | None,
        attributes: Mapping[str, Any],
        guard: Guard,
        events: TriggerEvents,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._model, self._version = attributes[ML_MODEL_NAME], attributes.get(ML_MODEL_VERSION)
        self._serves = attributes.get(ML_MODEL_VARIANT) in SERVING_VARIANTS
        self._guard = guard
        self._events = events
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Set all counts to zero, as the child of a fork must."""
        self._lock = threading.Lock()
        self.requests: dict[str, int] = {}
        self.transitions: dict[str, int] = {}
        self.held = ""
        self._last: tuple[tuple[object, ...], int] = (), -1
        self._decider: Decider | None = None
        self._reference: str | None = None

    def decide(
        self, evaluated: tuple[object, ...], outcomes: OutcomeTally, situation: Callable[[], RetrainingSituation]
    ) -> None:
        """
        Apply the policy if a window is new.

        If another thread is about it, return: that a window is decided about twice would count as two windows.

        Args:
            evaluated: as for `is_due`.
            outcomes: as for `is_due`.
            situation: returns what is known of the model.
        """
        lock = self._lock
        if not lock.acquire(blocking=False):
            return
        try:
            if self.is_due(evaluated, outcomes):
                with self._guard("retraining"):
                    self.apply(situation())
        finally:
            lock.release()

    def is_due(self, evaluated: tuple[object, ...], outcomes: OutcomeTally) -> bool:
        """
        Return whether there is something to decide. It returns True once for each evaluation.

        Args:
            evaluated: the results of the latest evaluations. Nothing has changed if they are the same objects as in the
                last call. Outcomes alone count as a window once as many are new as *min_labels*, and at least one.
            outcomes: the outcomes so far.
        """
        policy = self._policy
        if policy is None:
            return False
        last, known = self._last
        same = len(last) == len(evaluated) and all(map(operator.is_, last, evaluated))
        if same and abs(outcomes.known - known) < max(1, policy.min_labels):
            return False  # no evaluation is new, and few outcomes: the queue's file is not touched
        # The objects are kept instead of their ids, because a later object may get the id of a deleted one.
        self._last = evaluated, outcomes.known
        return True

    def apply(self, situation: RetrainingSituation) -> None:
        """Apply the policy to one window."""
        policy = self._policy
        if policy is None:
            return
        self.serve(situation.reference)
        if self._decider is None:
            self._decider = Decider(policy, policy.queue, self._model, self._version, self._clock())
        decision = self._decider.decide(situation)
        self.held = decision.held
        for error in decision.assessment.errors:
            self._guard.report_error("guardrail", error)
        for submission in decision.submissions:
            request = submission.request
            if submission.is_new and request is not None:
                self.requests[request.reason] = self.requests.get(request.reason, 0) + 1
                self._events.retraining_requested(request, {**situation.status, **situation.limits})
        if policy.expire is not None:
            policy.queue.expire(self._model, float(policy.expire), at=situation.at)
        self.follow()

    def serve(self, reference: str | None) -> None:
        """Report to the queue that the version serves with a reference, when this is new, and close older requests."""
        policy = self._policy
        if policy is None or reference is None or reference == self._reference:
            return
        self._reference = reference
        if self._serves:
            policy.queue.serve(self._model, self._version, reference, at=self._clock())

    def replace(self, version: str | None, reference: str) -> None:
        """Report that another version serves from now on, with a reference."""
        if version is not None:
            self._version, self._decider = version, None
        with self._guard("retraining"):
            self.serve(reference)
            self.follow()

    def follow(self) -> None:
        """Count and emit the changes of state that no process has reported yet."""
        policy = self._policy
        if policy is None:
            return
        for request, transition in policy.queue.report(self._model):
            if transition.state != "requested":
                self.transitions[transition.state] = self.transitions.get(transition.state, 0) + 1
                self._events.retraining_moved(request, transition)

    def sizes(self) -> dict[tuple[str, str], int]:
        """Return the number of this model's requests by kind and state; empty if the queue cannot be read."""
        if self._policy is None:
            return {}
        with self._guard("retraining"):
            self.follow()
            return self._policy.queue.sizes_by_kind(self._model, self._version)
        return {}
