"""Reading the state of a monitor: scores, states, evidence for canaries, and the reading of a metric collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from driftline import semconv as sc
from driftline._binning.bins import PREDICTION, CategoricalBins, Feature
from driftline._pipeline.redaction import Redactor
from driftline._pipeline.replacement import Serving, ServingCounts
from driftline._runtime.floats import without_float_errors
from driftline._runtime.guard import Guard
from driftline._runtime.version import VERSION
from driftline._significance.dependence import Dependence
from driftline._windows.call_tables import CallTables
from driftline._windows.outcome_tables import OutcomeTables
from driftline._windows.totals import DURATION_EDGES, Totals
from driftline.canary import Canary, VariantEvidence
from driftline.detection._streaming import StreamEvaluator
from driftline.otel import Reading, merged_points
from driftline.outcomes import Outcomes, OutcomeSnapshot, Performance, estimated_accuracy
from driftline.results import FeatureStatus, Score, Snapshot
from driftline.retraining._trigger import RetrainingTrigger
from driftline.typing import Counts

__all__ = ["Readings", "variant_evidence"]

_EDGES = tuple(DURATION_EDGES.tolist())


class Readings:
    """
    Reads the state of the parts of a monitor. It changes none of them.

    Args:
        attributes: model, version and variant.
        serving: the recorders.
        outcomes: the outcomes.
        detectors: the stream detectors.
        trigger: the requests for retraining.
        redactor: removes categories and classes from what leaves the process.
        guard: counts errors.
    """

    def __init__(
        self,
        attributes: Mapping[str, str],
        serving: Serving,
        outcomes: Outcomes,
        detectors: StreamEvaluator | None,
        trigger: RetrainingTrigger,
        redactor: Redactor,
        guard: Guard,
    ) -> None:
        self._attributes = attributes
        self._serving = serving
        self._outcomes = outcomes
        self._detectors = detectors
        self._trigger = trigger
        self._redactor = redactor
        self._guard = guard

    @property
    def dependence(self) -> Dependence | None:
        """How rows depend on each other, learned from the rows served, or None before that."""
        active = self._serving.active
        return None if active is None else active.evaluator.dependence

    def scores(self) -> tuple[Score, ...]:
        """Return the scores of the last window, or none while a reference is learned."""
        active = self._serving.active
        return () if active is None else active.evaluator.scores

    def states(self) -> dict[str, FeatureStatus]:
        """
        Return the states of the features after the last window, and those of the detectors, by name.

        While a reference is learned, each feature is ``insufficient_data``, with the progress as its reason.
        """
        serving = self._serving
        active, learner = serving.active, serving.learner
        detected = {} if self._detectors is None else self._detectors.status
        if active is not None:
            return {**active.evaluator.status, **detected}
        if learner is None:
            return detected
        unknown = FeatureStatus("insufficient_data", None, None, 0, learner.progress)
        return {**dict.fromkeys(learner.names, unknown), **detected}

    def evaluated(self) -> tuple[object, ...]:
        """
        Return what stands for the states of the features and of the detectors, each None if there is none.

        An evaluation replaces these objects. If they are the same as before, no state is new.
        """
        active, detectors = self._serving.active, self._detectors
        return active and active.evaluator.evaluation, detectors and detectors.status

    def snapshot(self) -> Snapshot | None:
        """Return the counts in the window so far, or None while a reference is learned."""
        active = self._serving.active
        if active is None:
            return None
        window = active.recorder.panes.snapshot()
        return Snapshot(window.counts, window.rows, active.layout.fingerprint)

    @without_float_errors
    def estimated_accuracy(self) -> Performance | None:
        """Return the accuracy expected of the predictions in the window. None if the reference has no outcomes."""
        active = self._serving.active
        if active is None or active.reference.outcomes is None or active.reference.prediction is None:
            return None
        counts = active.evaluator.usable_counts(active.recorder.panes.snapshot())
        predicted, bins = counts[active.layout.slices[-1]], active.reference.prediction.bins
        return estimated_accuracy(active.reference.outcomes, predicted, bins, active.recorder.panes.confidences())

    def evidence(self, since: float | None = None) -> VariantEvidence:
        """Return the counts of this variant since the start of the process. *since* is when a canary began."""
        counts = self._serving.read(tables=True)
        watched = () if counts.active is None else counts.active.reference.watched
        ledger, features = self._outcomes.ledger, counts.counts_by_feature()
        return variant_evidence(counts.totals, ledger.totals(), features, watched, counts.tables, ledger.cohorts(since))

    def reading(self, canaries: Sequence[Canary]) -> Reading | None:
        """
        Return the values of one collection, or None before the first prediction in this process.

        Args:
            canaries: the canaries of the monitor. The reading has the verdict of the last one that has a verdict.
        """
        counts = self._serving.read()
        totals, outcomes, ledger = counts.totals, self._outcomes.tally(), self._outcomes.ledger
        if not (totals.served or totals.failed or totals.dropped or totals.rows or outcomes.results):
            return None
        # Of several canaries with a verdict, the last one counts that has not ended.
        decided = sorted((each for each in canaries if each.last is not None), key=lambda each: not each.ended)
        canary = decided[-1] if decided else None
        verdict = None if canary is None else canary.last
        reading = Reading(
            self._attributes,
            totals.served,
            totals.failed,
            totals.dropped,
            dict(self._guard.counts),
            status=self._redactor.states(ledger.status),
            outcomes=outcomes.results,
            accuracy=outcomes.accuracy,
            retraining_requests=dict(self._trigger.requests),
            retraining_queue=self._trigger.sizes(),
            retraining_transitions=dict(self._trigger.transitions),
            canary=None if canary is None or verdict is None else "ended" if canary.ended else verdict.state,
            canary_id=None if canary is None else canary.exported_id,
            canary_points=merged_points(each.points() for each in canaries),
            performance=tuple(self._redactor.performance(ledger.performance())),
            evidence=() if canary is None or verdict is None or canary.ended else verdict.criteria,
            info={sc.ML_MONITOR_LIBRARY_VERSION: VERSION, sc.ML_REFERENCE_ORIGIN: "serving"},
        )
        return self._with_reference(reading, counts)

    def _with_reference(self, reading: Reading, counts: ServingCounts) -> Reading:
        """Return *reading* with scores, states, bins and estimated accuracy; unchanged while a reference is learned."""
        active = counts.active
        if active is None:
            return reading
        estimate = self.estimated_accuracy()
        return replace(
            reading,
            scores=active.exported.scores(active.evaluator.reliable_scores),
            status={
                **{name: status for name, status in self.states().items() if name in active.exported.states},
                **reading.status,
            },
            bins=counts.exported_counts(),
            accuracy_estimated=None if estimate is None else estimate.value,
            info={**(reading.info or {}), **active.info, sc.ML_REFERENCE_ORIGIN: active.origin},
            performance=reading.performance if estimate is None else (*reading.performance, estimate),
        )


def variant_evidence(
    totals: Totals,
    outcomes: OutcomeSnapshot,
    counts: Mapping[tuple[str, str], Counts],
    watched: Sequence[Feature],
    calls: CallTables | None = None,
    cohorts: OutcomeTables | None = None,
) -> VariantEvidence:
    """
    Return the evidence of one variant: its counts since the start of the process.

    Args:
        totals: the counts of calls, predictions and durations.
        outcomes: the outcomes joined so far.
        counts: rows per bin, by (fingerprint of the feature's bins, name of the feature). Empty while a reference is
            learned.
        watched: the features of the reference, and its prediction if it has one.
        calls: the calls by time and key. If None, no canary has asked for it.
        cohorts: the outcomes by the time of their prediction.
    """
    features = {name: rows for (_, name), rows in counts.items()}
    predictions = features.pop(PREDICTION, None)
    return VariantEvidence(
        totals.served,
        sum(totals.failed.values()),
        totals.durations,
        _EDGES,
        # The corrections of pairs that other processes have counted may exceed the pairs of this one.
        max(0, outcomes.known),
        min(max(0, outcomes.correct), max(0, outcomes.known)),
        predictions,
        totals.failed_calls,
        totals.batches,
        _rates(outcomes),
        features=features,
        unordered=frozenset(feature.name for feature in watched if isinstance(feature.bins, CategoricalBins)),
        bins={name: fingerprint for fingerprint, name in counts},
        call_tables=calls,
        outcome_tables=cohorts,
        unreadable=max(0, outcomes.unreadable),
    )


def _rates(outcomes: OutcomeSnapshot) -> dict[str, tuple[int, int]]:
    """
    Return the counts behind recall and precision of each class.

    Keys are ``"recall X"`` and ``"precision X"`` for the class X. Values are (true positives, denominator). The
    denominator is the number of outcomes X for recall, and of predictions X for precision.
    """
    rates = {}
    for label, counts in outcomes.classes.items():
        right = max(0, counts.true_positives)
        rates[f"recall {label}"] = right, right + max(0, counts.false_negatives)
        rates[f"precision {label}"] = right, right + max(0, counts.false_positives)
    return rates
