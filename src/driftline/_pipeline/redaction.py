"""What is said outside of the process: no category and no class by its name, unless the user asked for it."""

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

__all__ = ["Redactor", "nameless"]


class Redactor:
    """
    Tells the outside of one model: categories and classes go by their numbers, where the user has not said otherwise.

    Args:
        emitter: of the events.
        labels: whether all of them go by their names.
        named: classes that the user has named himself, for their precision and recall.
        limits: what is asked of outcomes at present.
    """

    def __init__(
        self, emitter: Emitter, *, labels: bool, named: Sequence[Label], limits: Callable[[], Sequence[Limit]]
    ) -> None:
        self._emitter = emitter
        self._labels = labels
        self._named = frozenset(named)
        self._limits = limits
        # One object, replaced whole: the reference and what judges by it.
        self._present: tuple[Reference | None, WindowEvaluator | None] = None, None

    def watch(self, reference: Reference, judging: WindowEvaluator) -> None:
        """Go by this reference from now on."""
        self._present = reference, judging

    def state_changed(self, change: StateChange) -> None:
        """A feature, a detector or a limit of outcomes has changed its state."""
        if not self._labels:
            ((name, status),) = self.states({change.feature: change.status}).items()
            change = replace(change, feature=name, status=status)
        self._emitter.state_changed(change)

    def retraining_requested(self, request: RetrainingRequest, states: Mapping[str, FeatureStatus]) -> None:
        """A request has been queued; *states* are those that it was made from."""
        if not self._labels and request.reason == "drift":
            told = self.states({name: states[name] for name in request.features if name in states})
            request = replace(request, detail="; ".join(status.reason for status in told.values()))
        self._emitter.retraining_requested(request)

    def states(self, states: Mapping[str, FeatureStatus]) -> Mapping[str, FeatureStatus]:
        """States as they leave the process, of features and of limits."""
        if self._labels or not states:
            return states
        reference, judging = self._present
        limits = {limit.name: limit for limit in self._limits() if limit.label is not None}
        features = {} if reference is None else {feature.name: feature for feature in reference.watched}
        told = {}
        for name, status in states.items():
            if name in limits:
                named, status = self._of_limit(limits[name], status)  # noqa: PLW2901 - the same state, told otherwise
                told[named] = status
            elif name in features and judging is not None:
                told[name] = nameless(features[name], status, judging)
            else:
                told[name] = status
        return told

    def performance(self, found: Sequence[Performance]) -> Iterator[Performance]:
        """Metrics of outcomes as they leave the process; without those of a class that has neither name nor number."""
        for one in found:
            if one.label is None:
                yield one
            elif (label := self._shown(one.label)) is not None:
                yield replace(one, label=label)

    def _of_limit(self, limit: Limit, status: FeatureStatus) -> tuple[str, FeatureStatus]:
        told = replace(limit, label=self._shown(limit.label))
        reason = status.reason
        if reason.startswith(limit.title):
            reason = told.title + reason[len(limit.title) :]
        shown = f"prediction.{limit.metric}" if told.label is None else f"prediction.{limit.metric}:{told.label}"
        return (shown if ":" in limit.name else limit.name), replace(status, reason=reason)

    def _shown(self, label: Label | None) -> Label | None:
        """A class as it is told: true and false, and what the user has named, as they are; None: not at all."""
        if self._labels or isinstance(label, bool) or label in self._named:
            return label
        reference, _ = self._present
        prediction = None if reference is None else reference.prediction
        if prediction is None or not isinstance(prediction.bins, CategoricalBins):
            return None
        categories = prediction.bins.categories
        return f"category {categories.index(label)}" if label in categories else None


def nameless(feature: Feature, status: FeatureStatus, judging: WindowEvaluator) -> FeatureStatus:
    """The status of a feature, with a reason that names no category."""
    if status.state != "drifting" or not isinstance(feature.bins, CategoricalBins):
        return status
    parts = [judging.explain_without_labels(feature.name, status)]
    if status.effect is not None:
        parts.append(f"PSI {status.effect:.3g} corrected")
    if status.p_value is not None:
        parts.append(f"p {status.p_value:.2g}")
    return replace(status, reason=f"{'; '.join(parts)}, n = {status.rows}")
