"""The redaction of what leaves the process: no category and no class by its name, unless the user allowed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from driftline._binning.bins import (
    CategoricalBins,
    Feature,
)
from driftline.detection._evaluator import WindowEvaluator
from driftline.otel import Emitter
from driftline.outcomes._limits import Limit
from driftline.outcomes._metrics import Performance
from driftline.reference import Reference
from driftline.results import (
    FeatureStatus,
    StateChange,
)
from driftline.retraining._request import RetrainingRequest
from driftline.typing import Label

__all__ = ["Redactor", "without_categories"]


class Redactor:
    """
    Removes names of categories and classes from what leaves the process, unless the user has allowed them.

    Numbers stand for the names.

    Args:
        emitter: emits the events.
        labels: whether all names may leave.
        named: the classes whose precision and recall the user asked for. Their names may leave.
        limits: returns the limits of the outcomes at present.
    """

    def __init__(
        self, emitter: Emitter, *, labels: bool, named: Sequence[Label], limits: Callable[[], Sequence[Limit]]
    ) -> None:
        self._emitter = emitter
        self._labels = labels
        self._named = frozenset(named)
        self._limits = limits
        # One object, replaced whole, so that a reader never sees the evaluator of another reference.
        self._present: tuple[Reference | None, WindowEvaluator | None] = None, None

    def watch(self, reference: Reference, evaluator: WindowEvaluator) -> None:
        """Number categories and classes by this reference from now on."""
        self._present = reference, evaluator

    def state_changed(self, change: StateChange) -> None:
        """Emit the change of a feature's, a detector's or a limit's state."""
        if not self._labels:
            ((name, status),) = self.states({change.feature: change.status}).items()
            change = replace(change, feature=name, status=status)
        self._emitter.state_changed(change)

    def retraining_requested(self, request: RetrainingRequest, states: Mapping[str, FeatureStatus]) -> None:
        """Emit a request that has been queued. *states* are the states that it was made from."""
        if not self._labels and request.reason == "drift":
            redacted = self.states({name: states[name] for name in request.features if name in states})
            request = replace(request, detail="; ".join(status.reason for status in redacted.values()))
        self._emitter.retraining_requested(request)

    def states(self, states: Mapping[str, FeatureStatus]) -> Mapping[str, FeatureStatus]:
        """Return the states of features, detectors and limits as they may leave the process."""
        if self._labels or not states:
            return states
        reference, evaluator = self._present
        limits = {limit.name: limit for limit in self._limits() if limit.label is not None}
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
        """Return metrics of outcomes as they may leave the process. A class without a name and a number is dropped."""
        for metric in performance:
            if metric.label is None:
                yield metric
            elif (label := self._redact_label(metric.label)) is not None:
                yield replace(metric, label=label)

    def _redact_limit(self, limit: Limit, status: FeatureStatus) -> tuple[str, FeatureStatus]:
        redacted = replace(limit, label=self._redact_label(limit.label))
        reason = status.reason
        if reason.startswith(limit.title):
            reason = redacted.title + reason[len(limit.title) :]
        name = f"prediction.{limit.metric}" if redacted.label is None else f"prediction.{limit.metric}:{redacted.label}"
        return (name if ":" in limit.name else limit.name), replace(status, reason=reason)

    def _redact_label(self, label: Label | None) -> Label | None:
        """Return a class as it may leave, or None. Booleans, and classes that the user has named, stay as they are."""
        if self._labels or isinstance(label, bool) or label in self._named:
            return label
        reference, _ = self._present
        prediction = None if reference is None else reference.prediction
        if prediction is None or not isinstance(prediction.bins, CategoricalBins):
            return None
        categories = prediction.bins.categories
        return f"category {categories.index(label)}" if label in categories else None


def without_categories(feature: Feature, status: FeatureStatus, evaluator: WindowEvaluator) -> FeatureStatus:
    """Return the status of a feature with a reason that names no category."""
    if status.state != "drifting" or not isinstance(feature.bins, CategoricalBins):
        return status
    parts = [evaluator.explain_without_labels(feature.name)]
    if status.effect is not None:
        parts.append(f"PSI {status.effect:.3g} corrected")
    if status.p_value is not None:
        parts.append(f"p {status.p_value:.2g}")
    return replace(status, reason=f"{'; '.join(parts)}, n = {status.rows}")
