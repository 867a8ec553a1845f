"""`Inspection`: all that a monitor shows of one moment, for reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from driftline._pipeline.pipeline import Pipeline
from driftline._pipeline.redaction import Redactor
from driftline.detection._evaluation import Evaluation
from driftline.outcomes import OutcomeSnapshot, Performance
from driftline.reference import Reference
from driftline.results import FeatureStatus

__all__ = ["Inspection", "inspect_pipeline"]


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """
    What a monitor shows.

    Attributes:
        attributes: model, version and variant.
        reference: the reference; None while it is being learned.
        evaluation: the states of the features and what they follow from; None while the reference is being learned.
        states: the states as `Monitor.status` returns them, without the names of categories unless they are asked for.
        performance: the metrics of the latest outcomes, redacted likewise.
        estimated: the accuracy that is expected of the window so far; None if it is not known.
        outcomes: the counts of outcomes since the start.
        errors: the number of errors by place.
    """

    attributes: Mapping[str, str]
    reference: Reference | None
    evaluation: Evaluation | None
    states: Mapping[str, FeatureStatus]
    performance: tuple[Performance, ...]
    estimated: Performance | None
    outcomes: OutcomeSnapshot
    errors: Mapping[str, int]


def inspect_pipeline(pipeline: Pipeline, attributes: Mapping[str, str], *, labels: bool) -> Inspection:
    """
    Drain the pipeline, and return what it shows then.

    Args:
        pipeline: the pipeline of a monitor.
        attributes: the attributes of its telemetry.
        labels: whether to name categories and classes.
    """
    pipeline.settle()
    ledger, active = pipeline.outcomes.ledger, pipeline.serving.active
    redactor = Redactor(labels=labels, named=())
    redactor.set_ledger(ledger)
    limits = dict(pipeline.outcomes.status)
    performance = tuple(redactor.performance(ledger.performance()))
    estimated, totals = pipeline.readings.estimated_accuracy(), ledger.totals()
    errors = dict(pipeline.guard.counts)
    if active is None:
        states = {**pipeline.readings.states(), **limits}
        return Inspection(attributes, None, None, states, performance, estimated, totals, errors)
    # No other thread evaluates meanwhile. If that thread hangs, the values may be those of two windows.
    with active.evaluator.lock.hold():
        evaluation = active.evaluator.evaluation_details()
        redactor.switch(active.reference, active.evaluator)
        states = dict(redactor.states({**pipeline.readings.states(), **evaluation.states, **limits}))
    return Inspection(attributes, active.reference, evaluation, states, performance, estimated, totals, errors)
