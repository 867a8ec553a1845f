"""What the retraining policy decides from: the states, outcomes and counts of one monitor after each window."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from driftline._pipeline.active_reference import ActiveReference
from driftline._pipeline.readings import Readings
from driftline._pipeline.replacement import Serving
from driftline._pipeline.settings import Settings
from driftline.outcomes import Outcomes
from driftline.results import FeatureStatus
from driftline.retraining import RetrainingSituation
from driftline.retraining._broken_data import LEAST_ROWS, BrokenData, Findings
from driftline.retraining._trigger import RetrainingTrigger
from driftline.typing import Counts

__all__ = ["RetrainingDecisions"]


class RetrainingDecisions:
    """
    Passes what is known after each window to the trigger of requests.

    Args:
        settings: the checked arguments of the monitor.
        trigger: applies the policy.
        readings: reads states.
        serving: has the reference at work.
        outcomes: the outcomes.
    """

    def __init__(
        self,
        settings: Settings,
        trigger: RetrainingTrigger,
        readings: Readings,
        serving: Serving,
        outcomes: Outcomes,
    ) -> None:
        self._settings, self._trigger, self._readings = settings, trigger, readings
        self._serving, self._outcomes = serving, outcomes
        self._broken: tuple[ActiveReference, BrokenData] | None = None
        self._examined: Counts | None = None
        self._findings = Findings({}, {})

    def decide(self, latency: Callable[[], float | None]) -> None:
        """
        Apply the policy, if a window was evaluated or enough outcomes have arrived since the last call.

        Args:
            latency: returns the median duration of a call in seconds, or None if unknown.
        """
        tally = self._outcomes.tally()
        self._trigger.decide(self._readings.evaluated(), tally, lambda: self._situation(latency, tally.known))

    def _situation(self, latency: Callable[[], float | None], labels: int) -> RetrainingSituation:
        policy, active = self._settings.retraining, self._serving.active
        performance = self._outcomes.ledger.performance()
        needs_latency = policy is not None and (policy.max_latency is not None or policy.guardrails)
        states = self._readings.states()
        findings = Findings({}, {})
        if active is not None and policy is not None and policy.broken_data and not self._settings.fleet:
            findings = self._examine(active, states)
        return RetrainingSituation(
            at=self._settings.wall_clock(),
            status=states,
            limits=dict(self._outcomes.status),
            accuracy=next((each for each in performance if each.metric == "accuracy"), None),
            estimated=self._readings.estimated_accuracy(),
            latency=latency() if needs_latency else None,
            labels=labels or None,
            broken=findings.broken,
            suspected=findings.suspected,
            reference=None if active is None else active.layout.fingerprint,
            window=self._settings.window.label,
        )

    def _examine(self, active: ActiveReference, states: Mapping[str, FeatureStatus]) -> Findings:
        """
        Examine the rows since the last examination, those of a window that is not complete included.

        Windows that slide hold rows of long ago, in which nothing happens suddenly.
        """
        counts = active.recorder.panes.read().counts[: active.layout.total]
        if self._broken is None or self._broken[0] is not active:
            self._broken, self._examined = (active, BrokenData(active.reference.watched)), None
            self._findings = Findings({}, {})
        latest = counts if self._examined is None else counts - self._examined
        if (latest < 0).any():  # the child of a fork has begun to count again
            latest = counts
        if latest[active.layout.slices[0]].sum() >= LEAST_ROWS:
            self._examined = counts
            self._findings = self._broken[1].examine(latest, states)
        return self._findings
