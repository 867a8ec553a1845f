"""The ledgers of this process by model, version and variant. A ledger belongs to a monitor or stands alone."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from driftline._binning.prediction_kind import Kind
from driftline._capture.class_scores import ANY_FORM, as_rows, has_class_columns, single_column
from driftline._capture.columns import as_objects
from driftline._capture.libraries import is_column, read_column
from driftline._pipeline.redaction import RedactedEvents, Redactor
from driftline._pipeline.settings import Settings, enabled_by_environment, model_attributes
from driftline._runtime import validation as check
from driftline._runtime.guard import Guard
from driftline._runtime.process_hooks import register
from driftline.errors import ConfigurationError
from driftline.otel import Emitter, LoggerProvider, MeterProvider, Reading, instruments_for
from driftline.outcomes import Outcomes
from driftline.outcomes._clock import store_clock_of, unix_clock_of
from driftline.outcomes._join import Source
from driftline.outcomes._ledger import Ledger
from driftline.outcomes._policy import OutcomePolicy
from driftline.reference import Learn
from driftline.results import StateChange
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VARIANT, ML_MODEL_VERSION
from driftline.typing import Correct, Label

__all__ = ["Name", "delist", "enlist", "ledger_for", "name_of", "outcomes_for", "record_outcome"]

Name = tuple[str, "str | None", "str | None"]
"""Model, version, variant."""

CHUNK_PAIRS = 512
"""Pairs of prediction and outcome that the ledger counts in one step."""


class StandaloneLedger:
    """
    A ledger without a monitor, with its own metrics and events.

    Args:
        name: model, version and variant.
        policy: the window and the limits of the outcomes.
        correct: decides whether a prediction was right. If None, the kind of the predictions decides.
        meter_provider: creates the metrics. If None, the global provider.
        logger_provider: creates the events. If None, the global provider.
        labels: whether metrics and events name the classes.

    Attributes:
        guard: reports errors.
        ledger: the ledger.
    """

    def __init__(
        self,
        name: Name,
        policy: OutcomePolicy,
        correct: Correct | None,
        meter_provider: MeterProvider | None,
        logger_provider: LoggerProvider | None,
        labels: bool,  # noqa: FBT001 - as the others
    ) -> None:
        self._attributes = model_attributes(*name)
        self.guard = Guard(name[0], "log")
        emitter = Emitter(self._attributes, logger_provider)
        self._redactor = Redactor(labels=labels, named=policy.classes)
        events = RedactedEvents(self._redactor, emitter)
        self.ledger = Ledger(policy, correct, events.state_changed, self.guard.report_error)
        self._redactor.set_ledger(self.ledger)
        self._instruments = instruments_for(meter_provider)
        self._instruments.add(self)
        self.providers = tuple(each for each in (meter_provider, logger_provider) if each is not None)
        register(self)

    def reading(self) -> Reading | None:
        """Evaluate the limits, and return the values to export, or None before the first outcome in this process."""
        self.flush()
        tally = self.ledger.tally()
        if not tally.results:
            return None
        return Reading(
            self._attributes,
            errors=dict(self.guard.counts),
            status=self._redactor.states(self.ledger.status),
            outcomes=tally.results,
            accuracy=tally.accuracy,
            performance=tuple(self._redactor.performance(self.ledger.performance())),
        )

    def flush(self) -> None:
        """Evaluate the limits of the outcomes."""
        with self.guard("outcome"):
            self.ledger.evaluate_limits()

    def end(self) -> None:
        """Do nothing: the counts of outcomes stay right after the end of the process."""

    def after_fork(self) -> None:
        """Start empty in the child of a fork."""
        self.guard.reset()
        self.ledger.reset()


_monitors: weakref.WeakValueDictionary[Name, Ledger] = weakref.WeakValueDictionary()
_standalone: dict[Name, StandaloneLedger] = {}
_lock = threading.Lock()


def enlist(name: Name, ledger: Ledger) -> None:
    """Let a monitor's ledger count the outcomes of this name. It replaces the ledger of an earlier monitor."""
    _monitors[name] = ledger


def delist(name: Name, ledger: Ledger) -> None:
    """Remove the ledger of a monitor that was shut down, unless a newer monitor has taken its name."""
    if _monitors.get(name) is ledger:
        del _monitors[name]


def ledger_for(
    name: Name,
    policy: OutcomePolicy,
    correct: Correct | None,
    meter_provider: MeterProvider | None,
    logger_provider: LoggerProvider | None,
    labels: bool,  # noqa: FBT001 - as the others
) -> Ledger:
    """
    Return the ledger of the monitor of this name, or else a ledger without a monitor.

    The first call for a name without a monitor creates the ledger from the other arguments; later calls ignore them.
    """
    ledger = _monitors.get(name)
    if ledger is not None:
        return ledger
    with _lock:
        if name not in _standalone:
            _standalone[name] = StandaloneLedger(name, policy, correct, meter_provider, logger_provider, labels)
        return _standalone[name].ledger


def name_of(attributes: Mapping[str, str]) -> Name:
    """Return model, version and variant out of the attributes that all telemetry carries."""
    return attributes[ML_MODEL_NAME], attributes.get(ML_MODEL_VERSION), attributes.get(ML_MODEL_VARIANT)


def outcomes_for(
    settings: Settings,
    name: Name,
    on_change: Callable[[StateChange], None],
    on_error: Callable[[str, BaseException], None],
    on_pair: Callable[[object, object, bool | None], None] | None,
    wake: Callable[[], None] | None,
) -> Outcomes:
    """
    Return the outcomes of a monitor.

    Args:
        settings: the checked arguments of the monitor.
        name: model, version and variant.
        on_change: called when a limit changes its state.
        on_error: called with a value of ``ml.monitor.place`` and the exception.
        on_pair: called with each joined prediction, its outcome, and whether it was right, as for `Ledger`.
        wake: wakes the worker thread. If None, there is no worker thread.
    """
    # A monitor that is turned off makes no file.
    policy = settings.outcomes if settings.enabled else OutcomePolicy()
    correct = settings.correct

    def find_ledger(other: Source) -> Ledger:
        providers = settings.meter_provider, settings.logger_provider
        return ledger_for(other or name, policy, correct, *providers, settings.export_labels)

    reference = settings.reference
    # A monitor that learns its reference sets it later.
    known = (
        (None, None, None)
        if isinstance(reference, Learn)
        else (reference.prediction, reference.outcomes, reference.labels)
    )
    unix_clock = unix_clock_of(settings.clock, settings.wall_clock)
    ledger = Ledger(policy, correct, on_change, on_error, on_pair, *known, since=unix_clock())
    clock = store_clock_of(settings.clock, settings.wall_clock)
    return Outcomes(policy, name, ledger, clock, find_ledger, on_error, wake, unix_clock)


def record_outcome(
    model: str,
    version: str | None,
    prediction: Any,
    actual: Any,
    *,
    variant: str | None = None,
    kind: Kind | None = None,
    positive: Label | None = None,
    threshold: float | None = None,
    classes: Sequence[Label] = (),
    correct: Correct | None = None,
    export_labels: bool = False,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
) -> None:
    """
    Count an outcome together with its prediction, without a join, for jobs that read both from a table.

    If this process has a monitor of that model, version and variant, the monitor counts the outcome. Without such a
    monitor, a ledger for this model, version and variant counts and exports it.

    Args:
        model: ``ml.model.name``.
        version: ``ml.model.version``.
        prediction: the output of the model, or a column of n. Or the probabilities of classes, with n rows.
        actual: the true value, or a column of n.
        variant: ``ml.model.variant``.
        kind: ``"probability"``, ``"label"`` or ``"quantity"``. By default the first pairs decide.
        positive: the label whose probability is predicted, as for `OutcomePolicy`.
        threshold: smallest probability that predicts it, as for `OutcomePolicy`.
        classes: labels with precision, recall and F1, as for `OutcomePolicy`.
        correct: returns whether a prediction was right. By default the kind decides. Without a monitor,
            the first call for a model, version and variant fixes this argument and those that follow.
        export_labels: whether metrics and events name the classes.
        meter_provider: exports the metrics, by default the global one.
        logger_provider: exports the events, by default the global one.

    Raises:
        ConfigurationError: an argument is of the wrong type, only one of prediction and actual is a column, or the
            columns differ in length.
    """
    model_attributes(model, version, variant)
    policy = OutcomePolicy(kind=kind, positive=positive, threshold=threshold, classes=classes, max_drop=None)
    check.optional(check.function, "correct", correct, "a function of a prediction and an outcome")
    check.boolean("export_labels", export_labels)
    pairs = _pairs(prediction, actual)
    if not enabled_by_environment():
        return
    name = (model, version, variant)
    ledger = ledger_for(name, policy, correct, meter_provider, logger_provider, export_labels)
    for start in range(0, len(pairs), CHUNK_PAIRS):
        ledger.add_pairs(pairs[start : start + CHUNK_PAIRS])


def _pairs(prediction: Any, actual: Any) -> Sequence[tuple[object, object]]:
    """Return the (prediction, outcome) pairs of two values or columns. Raise ConfigurationError if they do not fit."""
    columns = single_column(prediction), single_column(actual)
    prediction, actual = (
        value if column is None else column for value, column in zip((prediction, actual), columns, strict=True)
    )
    if has_class_columns(prediction) and is_column(actual):
        prediction = list(as_rows(prediction, ANY_FORM))
    if is_column(prediction) != is_column(actual):
        msg = "prediction and actual: expected one of each, or a column of each"
        raise ConfigurationError(msg)
    if not is_column(prediction):
        return [(prediction, actual)]
    outputs, truths = (as_objects(read_column(column)) for column in (prediction, actual))
    if len(outputs) != len(truths):
        msg = f"prediction has {len(outputs)} values and actual has {len(truths)}: expected as many"
        raise ConfigurationError(msg)
    return list(zip(outputs, truths, strict=True))
