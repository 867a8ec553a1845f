"""Exports what a fleet's evaluation says, through the instruments and events of monitors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from driftline import semconv as sc
from driftline.canary import Verdict
from driftline.fleet._processes import FleetModel
from driftline.otel import Emitter, LoggerProvider, MeterProvider, Reading, instruments_for
from driftline.results import CanaryState, FeatureStatus, Score, StateChange
from driftline.retraining._request import RetrainingRequest, Transition
from driftline.retraining._trigger import RetrainingTrigger

__all__ = ["FleetExport", "Providers", "net_changes"]


class Providers(NamedTuple):
    """
    OpenTelemetry's providers. None stands for the global one.

    Attributes:
        meter: exports metrics.
        logger: exports events.
    """

    meter: MeterProvider | None = None
    logger: LoggerProvider | None = None


class FleetExport:
    """
    The telemetry of one model of a fleet, with the attribute ``ml.window.scope``.

    A collection reads what was shown last.

    Args:
        model: the model.
        providers: where telemetry goes.
        errors: counts of errors by place, which the telemetry has too. The caller goes on counting in it.
        known: features whose later state ``stable`` is news, because they have had another one.

    Attributes:
        attributes: those of the model, and the scope.
    """

    def __init__(
        self, model: FleetModel, providers: Providers, errors: Mapping[str, int], known: Iterable[str] = ()
    ) -> None:
        self.attributes = {name: value for name, value in model.match.items() if value}
        self.attributes[sc.ML_WINDOW_SCOPE] = sc.WINDOW_SCOPES[0]
        self._errors = errors
        self._emitter = Emitter(self.attributes, providers.logger, known)
        self._reading = Reading(self.attributes)
        self._trigger: RetrainingTrigger | None = None
        self._instruments = instruments_for(providers.meter)
        self._instruments.add(self)

    def reading(self) -> Reading:
        """Return the values to export."""
        trigger = self._trigger
        reading = replace(self._reading, errors=dict(self._errors))
        if trigger is None:
            return reading
        queue = trigger.sizes()
        return replace(
            reading,
            retraining_requests=dict(trigger.requests),
            retraining_queue=queue,
            retraining_transitions=dict(trigger.transitions),
        )

    def show(self, states: Mapping[str, FeatureStatus], scores: Sequence[Score]) -> None:
        """Export these states and scores of features from now on."""
        self._reading = replace(self._reading, status=states, scores=scores)

    def show_requests(self, trigger: RetrainingTrigger) -> None:
        """Export the requests of a trigger, and the sizes of its queue, from now on."""
        self._trigger = trigger

    def show_verdict(self, verdict: Verdict, canary_id: str | None) -> None:
        """Export the verdict on a canary, and its criteria, from now on."""
        self._reading = replace(
            self._reading, canary=verdict.state, canary_id=canary_id, evidence=tuple(verdict.criteria)
        )

    def emit_change(self, change: StateChange) -> None:
        """Emit the event of a change of a feature's state."""
        self._emitter.state_changed(change)

    def emit_verdict(self, previous: CanaryState, verdict: Verdict) -> None:
        """Emit the event of a verdict that has changed."""
        self._emitter.verdict_changed(previous, verdict)

    def emit_request(self, request: RetrainingRequest) -> None:
        """Emit the event of a request for retraining."""
        self._emitter.retraining_requested(request)

    def emit_transition(self, request: RetrainingRequest, transition: Transition) -> None:
        """Emit the event of a change of the state of a request."""
        self._emitter.retraining_moved(request, transition)

    def close(self) -> None:
        """Export the last values once more, and then no more."""
        self._instruments.close(self)


def net_changes(changes: Sequence[StateChange]) -> list[StateChange]:
    """
    Return one change for each feature whose state is another one than before all *changes*.

    A service that catches up evaluates many windows in one step. An event has the time of its emission, so that states
    which have come and gone are no news.
    """
    net: dict[str, StateChange] = {}
    for change in changes:
        before = net[change.feature].previous if change.feature in net else change.previous
        net[change.feature] = replace(change, previous=before)
    return [change for change in net.values() if change.previous != change.status.state]
