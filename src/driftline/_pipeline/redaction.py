"""Redaction of exported telemetry: the names of categories and classes are removed unless the user allows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from driftline._binning.bins import (
    CategoricalBins,
    Feature,
)
from driftline.detection._evaluator import WindowEvaluator
from driftline.otel import Emitter
from driftline.outcomes._ledger import Ledger
from driftline.outcomes._limits import Limit
from driftline.outcomes._performance import Performance
from driftline.reference import Reference
from driftline.results import (
    FeatureStatus,
    StateChange,
)
from driftline.retraining._merging import details_of
from driftline.retraining._request import RetrainingRequest, Transition
from driftline.typing import Label

__all__ = ["RedactedEvents", "Redactor", "without_categories"]


class Redactor:
    """
    Replaces names of categories and classes by numbers in states, events and metrics.

    Args:
        labels: whether all names may leave the process. If True, nothing is replaced.
        named: the classes whose precision and recall the user asked for. Their names may leave.
    """

    def __init__(self, *, labels: bool, named: Sequence[Label]) -> None:
        self._labels = labels
        self._named = frozenset(named)
        self._ledger: Ledger | None = None
        # One object, replaced whole, so that a reader never sees the evaluator of another reference.
        self._present: tuple[Reference | None, WindowEvaluator | None] = None, None

    def switch(self, reference: Reference, evaluator: WindowEvaluator) -> None:
        """Number categories and classes by this reference from now on. *evaluator* explains its states."""
        self._present = reference, evaluator

    def set_ledger(self, ledger: Ledger) -> None:
        """Redact the limits of this ledger from now on."""
        self._ledger = ledger

    def state_change(self, change: StateChange) -> StateChange:
        """Return a redacted copy of a change of the state of a feature, detector or limit."""
        if self._labels:
            return change
        ((name, status),) = self.states({change.feature: change.status}).items()
        return replace(change, feature=name, status=status)

    def request(self, request: RetrainingRequest, states: Mapping[str, FeatureStatus]) -> RetrainingRequest:
        """
        Return a request for retraining, redacted.

        Args:
            request: the request.
            states: the states that led to the request, by name. They are not redacted.
        """
        if self._labels:
            return request
        evidence = []
        for each in request.evidence:
            if each.name not in states or each.reason == "broken_data":
                evidence.append(each)
                continue
            ((name, status),) = self.states({each.name: states[each.name]}).items()
            evidence.append(replace(each, name=name, words=status.reason))
        return replace(request, evidence=tuple(evidence), detail=details_of(tuple(evidence)))

    def states(self, states: Mapping[str, FeatureStatus]) -> Mapping[str, FeatureStatus]:
        """Return the states of features, detectors and limits, by name. Names and reasons are redacted."""
        if self._labels or not states:
            return states
        reference, evaluator = self._present
        all_limits = () if self._ledger is None else self._ledger.limits
        limits = {limit.name: limit for limit in all_limits if limit.label is not None}
        features = {} if reference is None else {feature.name: feature for feature in reference.watched}
        redacted = {}
        for name, status in states.items():
            if name in limits:
                limit_name, limit_status = self._redact_limit(limits[name], status)
                redacted[limit_name] = limit_status
            elif name in features and evaluator is not None:
                redacted[name] = without_categories(features[name], status, evaluator)
            else:
                redacted[name] = status
        return redacted

    def performance(self, performance: Sequence[Performance]) -> Iterator[Performance]:
        """
        Yield the metrics with redacted classes, such as ``"category 3"``.

        A metric is skipped if its class must not be named and has no number in the reference.
        """
        for metric in performance:
            if metric.label is None:
                yield metric
            elif (label := self._redact_label(metric.label)) is not None:
                yield replace(metric, label=label)

    def _redact_limit(self, limit: Limit, status: FeatureStatus) -> tuple[str, FeatureStatus]:
        """Return the name of a limit and its status, redacted."""
        redacted = replace(limit, label=self._redact_label(limit.label))
        reason = status.reason
        if reason.startswith(limit.title):
            reason = redacted.title + reason[len(limit.title) :]
        name = f"prediction.{limit.metric}" if redacted.label is None else f"prediction.{limit.metric}:{redacted.label}"
        return (name if ":" in limit.name else limit.name), replace(status, reason=reason)

    def _redact_label(self, label: Label | None) -> Label | None:
        """Return the class if it may leave, else its number as ``"category 3"``, or None if it has no number."""
        if self._labels or isinstance(label, bool) or label in self._named:
            return label
        reference, _ = self._present
        prediction = None if reference is None else reference.prediction
        if prediction is None or not isinstance(prediction.bins, CategoricalBins):
            return None
        categories = prediction.bins.categories
        return f"category {categories.index(label)}" if label in categories else None


class RedactedEvents:
    """
    Emits events after a `Redactor` has removed the names that may not leave the process.

    Args:
        redactor: removes the names.
        emitter: emits the events.
    """

    def __init__(self, redactor: Redactor, emitter: Emitter) -> None:
        self._redactor, self._emitter = redactor, emitter

    def state_changed(self, change: StateChange) -> None:
        """Emit the change of the state of a feature, a detector or a limit."""
        self._emitter.state_changed(self._redactor.state_change(change))

    def retraining_requested(self, request: RetrainingRequest, states: Mapping[str, FeatureStatus]) -> None:
        """Emit a request that has been queued. *states*, by name and not redacted, led to the request."""
        self._emitter.retraining_requested(self._redactor.request(request, states))

    def retraining_moved(self, request: RetrainingRequest, transition: Transition) -> None:
        """Emit that a request has another state."""
        self._emitter.retraining_moved(request, transition)


def without_categories(feature: Feature, status: FeatureStatus, evaluator: WindowEvaluator) -> FeatureStatus:
    """Return the status of a feature with a reason that names no category. *evaluator* evaluated the feature."""
    if status.state != "drifting" or not isinstance(feature.bins, CategoricalBins):
        return status
    parts = [evaluator.explain_without_labels(feature.name)]
    if status.effect is not None:
        parts.append(f"PSI {status.effect:.3g} corrected")
    if status.p_value is not None:
        parts.append(f"p {status.p_value:.2g}")
    return replace(status, reason=f"{'; '.join(parts)}, n = {status.rows}")
