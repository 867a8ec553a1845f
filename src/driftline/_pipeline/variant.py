"""`MonitoredVariant`: what a canary calls of a monitor."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

from driftline._binning.bins import Feature
from driftline._binning.label_scheme import LabelScheme
from driftline._binning.layout import Layout
from driftline._pipeline.calls import Calls
from driftline._pipeline.inspection import Inspection, inspect_pipeline
from driftline._pipeline.pipeline import Pipeline
from driftline.canary import Canary, ShadowRecorder, VariantEvidence, Verdict
from driftline.results import CanaryState

__all__ = ["MonitoredVariant"]


class MonitoredVariant:
    """The part of a monitor that makes it a `driftline.canary.Variant`."""

    _attributes: Mapping[str, str]
    _calls: Calls
    _pipeline: Pipeline

    def __repr__(self) -> str:
        attributes = ", ".join(f"{key.rpartition('.')[2]}={value!r}" for key, value in self._attributes.items())
        return f"{type(self).__name__}({attributes})"

    def _repr_html_(self) -> str:
        """Return the states of the features as a card for notebooks, without the names of categories."""
        from driftline._drawing.cards import draw_monitor  # noqa: PLC0415 - notebooks only

        inspection = self.inspect()
        order = ("drifting", "insufficient_data", "stable")
        states = sorted(
            inspection.states.items(), key=lambda pair: (order.index(pair[1].state), -(pair[1].effect or 0.0))
        )
        name, *further = self._attributes.items()
        return draw_monitor(
            name[1],
            [(key, each.state, each.effect, each.p_value, each.reason) for key, each in states],
            {key.rpartition(".")[2]: value for key, value in further},
        )

    @property
    def variant_attributes(self) -> dict[str, str]:
        """The attributes that all telemetry of the model carries: its name, version and variant."""
        return dict(self._attributes)

    @property
    def prediction_bins(self) -> str | None:
        """The fingerprint of the bins of the prediction, or None if the reference has no prediction."""
        feature = self.prediction_feature
        return None if feature is None else Layout([feature]).fingerprint

    def evidence(self, *, settle: bool = True, since: float | None = None) -> VariantEvidence:
        """
        Return the counts of this variant since the start of the process. Canaries compare them.

        Args:
            settle: whether the backlog is binned first, and outcomes are joined. If False, later readings have them.
            since: the time that a canary has passed to `count_evidence`, from which `outcome_tables` has predictions.
                If None, that of the last canary. Without such a canary there are no predictions.
        """
        return self._pipeline.evidence(since) if settle else self._pipeline.readings.evidence(since)

    def inspect(self, *, labels: bool = False) -> Inspection:
        """
        Used by reports: return all that the monitor shows.

        Args:
            labels: whether to name categories and classes.
        """
        return inspect_pipeline(self._pipeline, self._attributes, labels=labels)

    def count_evidence(self, warm_up_calls: int, warm_up_seconds: float, since: float) -> ContextVar[int | None]:
        """
        Used by canaries: count calls by time and key from now on. The warm-up has a number of calls, or seconds.

        *since* is the Unix time at which the canary began: outcomes of earlier predictions are not compared.

        Returns:
            a variable that the canary sets to a hash of the key of the calls that follow, or to None.
        """
        return self._pipeline.count_evidence(warm_up_calls, warm_up_seconds, since)

    def unix_time(self) -> float:
        """Used by canaries: return the Unix time in seconds by which predictions have an age."""
        return self._pipeline.outcomes.unix_time()

    def attach(self, canary: Canary) -> None:
        """Used by canaries: refresh *canary* whenever windows are evaluated, and export its state."""
        self._pipeline.attach(canary)

    @property
    def prediction_feature(self) -> Feature | None:
        """The bins and counts of the prediction in the reference, or None if the reference has no prediction."""
        return None if self._calls.reference is None else self._calls.reference.prediction

    @property
    def prediction_labels(self) -> LabelScheme:
        """Used by canaries: the kind of the predictions and their threshold, as outcomes decide them."""
        return self._pipeline.outcomes.ledger.labels

    def flagged(self, key: str, variant: str, provider: str | None) -> None:
        """Used by canaries: add the feature flag that chose this variant to spans and events."""
        self._pipeline.set_flag(key, variant, provider)

    def caught(self, place: str, error: BaseException) -> None:
        """Used by canaries: count an error in ``ml.monitor.errors``, with *place* as ``ml.monitor.place``."""
        self._pipeline.guard.report_error(place, error)

    def shadow_recorder(self) -> ShadowRecorder:
        """Used by canaries: return the object that records what a shadow does with this variant."""
        return self._calls

    def canary_changed(self, previous: CanaryState, verdict: Verdict) -> None:
        """Used by canaries: emit the event of a verdict whose state differs from the state *previous*."""
        self._pipeline.emitter.verdict_changed(previous, verdict)
