"""`FleetRetraining`: requests for retraining of a fleet, from the states of all its processes together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from driftline._runtime.guard import Guard
from driftline.fleet._export import FleetExport
from driftline.fleet._judge import FleetJudge, FleetResult
from driftline.outcomes import OutcomeTally
from driftline.reference import Reference
from driftline.results import FeatureStatus
from driftline.retraining import RetrainingPolicy, RetrainingRequest, RetrainingSituation, Transition
from driftline.retraining._broken_data import BrokenData, Findings
from driftline.retraining._merging import details_of
from driftline.retraining._trigger import RetrainingTrigger

__all__ = ["FleetRetraining"]

NO_OUTCOMES = OutcomeTally({}, 0, 0)


class FleetRetraining:
    """
    Applies the policy of retraining after each window of a fleet.

    Args:
        policy: the policy. If None, there are no requests.
        reference: the reference of the fleet.
        window: the label of its window.
        export: exports counts and events. Its attributes name the model.
        labels: whether telemetry names categories.
        guard: reports errors.
        clock: returns the Unix time in seconds.
    """

    def __init__(
        self,
        policy: RetrainingPolicy | None,
        reference: Reference,
        window: str,
        export: FleetExport,
        guard: Guard,
        clock: Callable[[], float],
        *,
        labels: bool,
    ) -> None:
        self._export, self._window, self._labels, self._clock = export, window, labels, clock
        self._fingerprint = reference.fingerprint
        self._broken = BrokenData(reference.watched)
        self._trigger = RetrainingTrigger(policy, export.attributes, guard, self, clock)
        self._judge: FleetJudge | None = None
        export.show_requests(self._trigger)

    def decide(self, result: FleetResult, fleet_judge: FleetJudge) -> None:
        """Apply the policy to the latest window of a fleet, unless it was applied to that window before."""
        self._judge = fleet_judge
        if result.windows:
            self._trigger.decide((result,), NO_OUTCOMES, lambda: self._situation(result, fleet_judge))

    def _situation(self, result: FleetResult, fleet_judge: FleetJudge) -> RetrainingSituation:
        counts = fleet_judge.latest_counts()
        findings = Findings({}, {}) if counts is None else self._broken.examine(counts, result.features)
        return RetrainingSituation(
            # The end of the window and not the present: after a restart the same windows have the same times.
            at=min(result.end, self._clock()),
            status=result.features,
            broken=findings.broken,
            suspected=findings.suspected,
            reference=self._fingerprint,
            window=self._window,
        )

    def retraining_requested(self, request: RetrainingRequest, states: Mapping[str, FeatureStatus], /) -> None:
        """Emit the event of a new request, without names of categories."""
        fleet_judge = self._judge
        if not self._labels and fleet_judge is not None:
            evidence = tuple(
                replace(each, words=fleet_judge.without_categories(each.name, states[each.name]).reason)
                if each.reason == "drift" and each.name in states
                else each
                for each in request.evidence
            )
            request = replace(request, evidence=evidence, detail=details_of(evidence))
        self._export.emit_request(request)

    def retraining_moved(self, request: RetrainingRequest, transition: Transition, /) -> None:
        """Emit the event of a change of the state of a request."""
        self._export.emit_transition(request, transition)
