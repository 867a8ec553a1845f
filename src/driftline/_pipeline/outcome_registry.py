"""Whose ledger an outcome belongs to: a monitor's of this process, or one of its own."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from driftline._binning.prediction_kind import Kind
from driftline._capture.columns import as_objects, read_column
from driftline._capture.tables import is_column
from driftline._pipeline.redaction import Redactor
from driftline._pipeline.settings import Settings, enabled_by_environment, model_attributes
from driftline._runtime.guard import Guard
from driftline._runtime.process_hooks import register
from driftline.errors import ConfigurationError
from driftline.otel import Emitter, LoggerProvider, MeterProvider, Reading, instruments_for
from driftline.outcomes import Outcomes
from driftline.outcomes._join import Source
from driftline.outcomes._ledger import Ledger
from driftline.outcomes._policy import OutcomePolicy
from driftline.results import StateChange
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VARIANT, ML_MODEL_VERSION
from driftline.typing import Correct

__all__ = ["Name", "delist", "enlist", "ledger_for", "name_of", "outcomes_for", "record_outcome"]

Name = tuple[str, "str | None", "str | None"]
"""Model, version, variant."""

CHUNK_PAIRS = 512
"""Pairs graded at once."""


class StandaloneLedger:
    """A ledger without a monitor, with telemetry of its own."""

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
        self._telling = Redactor(emitter, labels=labels, named=policy.classes, limits=lambda: self.ledger.limits)
        self.ledger = Ledger(policy, correct, self._telling.state_changed, self.guard.report_error)
        self._instruments = instruments_for(meter_provider)
        self._instruments.add(self)
        register(self)

    def reading(self) -> Reading | None:
        """Evaluate the outcomes, and return the reading, or None before the first outcome in this process."""
        self.flush()
        read = self.ledger.tally()
        if not read.results:
            return None
        return Reading(
            self._attributes,
            errors=dict(self.guard.counts),
            status=self._telling.states(self.ledger.status),
            outcomes=read.results,
            accuracy=read.accuracy,
            performance=tuple(self._telling.performance(self.ledger.performance())),
        )

    def flush(self) -> None:
        """Judge what has come."""
        try:
            self.ledger.evaluate_limits()
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.report_error("outcome", error)

    def after_fork(self) -> None:
        """Start empty in the child of a fork."""
        self.guard.reset()
        self.ledger.reset()
        self._instruments.after_fork()


_monitors: weakref.WeakValueDictionary[Name, Ledger] = weakref.WeakValueDictionary()
_lone: dict[Name, StandaloneLedger] = {}
_lock = threading.Lock()


def enlist(name: Name, ledger: Ledger) -> None:
    """Have the outcomes of a model, version and variant counted by a monitor's ledger: the one made last."""
    _monitors[name] = ledger


def delist(name: Name, ledger: Ledger) -> None:
    """The monitor was shut down."""
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
    """The ledger of a model, version and variant: a monitor's in this process, or else one made at the first call."""
    found = _monitors.get(name)
    if found is not None:
        return found
    with _lock:
        if name not in _lone:
            _lone[name] = StandaloneLedger(name, policy, correct, meter_provider, logger_provider, labels)
        return _lone[name].ledger


def name_of(attributes: Mapping[str, str]) -> Name:
    """Model, version and variant, of the attributes that all telemetry carries."""
    return attributes[ML_MODEL_NAME], attributes.get(ML_MODEL_VERSION), attributes.get(ML_MODEL_VARIANT)


def outcomes_for(
    settings: Settings,
    changed: Callable[[StateChange], None],
    caught: Callable[[str, Exception], None],
    wake: Callable[[], None],
) -> Outcomes:
    """The outcomes of a monitor; *wake*: have what waits joined soon, by a thread where there is one."""
    # Turned off, it makes no file.
    policy = settings.outcomes if settings.enabled else OutcomePolicy()
    name, correct = name_of(settings.attributes), settings.correct

    def elsewhere(other: Source) -> Ledger:
        providers = settings.meter_provider, settings.logger_provider
        return ledger_for(other or name, policy, correct, *providers, settings.export_labels)

    made = Outcomes(policy, name, Ledger(policy, correct, changed, caught), settings.clock, elsewhere, caught)
    made.wake = None if settings.synchronous or not settings.enabled else wake
    return made


def record_outcome(
    model: str,
    version: str | None,
    prediction: Any,
    actual: Any,
    *,
    variant: str | None = None,
    kind: Kind | None = None,
    correct: Correct | None = None,
    export_labels: bool = False,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
) -> None:
    """
    Count an outcome whose prediction is at hand, with nothing to join: for jobs that read both from a table.

    Where this process has a monitor of that model, version and variant, the outcome is one of its own. Otherwise counts
    and metrics are kept for the three, and leave through the meter provider.

    Args:
        model: ``ml.model.name``.
        version: ``ml.model.version``.
        prediction: what the model said, or a column of n.
        actual: what turned out to be true, or a column of n.
        variant: ``ml.model.variant``.
        kind: ``"probability"``, ``"label"`` or ``"quantity"``; by default told by the first pair.
        correct: decides whether a prediction was right; by default told by the kind. This and the arguments that follow
            count at the first call for a model, version and variant, where there is no monitor.
        export_labels: export precision and recall of classes, by their names.
        meter_provider: the global one by default, and so is the next.
        logger_provider: of the events.

    Raises:
        ConfigurationError: an argument is not what it should be, or only one of prediction and actual is a column, or
            they differ in length.
    """
    model_attributes(model, version, variant)
    policy = OutcomePolicy(kind=kind, max_drop=None)
    if correct is not None and not callable(correct):
        msg = f"correct={correct!r}: expected a function of a prediction and an outcome"
        raise ConfigurationError(msg)
    if not isinstance(export_labels, bool):
        msg = f"export_labels={export_labels!r}: expected True or False"
        raise ConfigurationError(msg)
    pairs = _pairs(prediction, actual)
    if not enabled_by_environment():
        return
    name = (model, version, variant)
    ledger = ledger_for(name, policy, correct, meter_provider, logger_provider, export_labels)
    for start in range(0, len(pairs), CHUNK_PAIRS):
        ledger.record(pairs[start : start + CHUNK_PAIRS])


def _pairs(prediction: Any, actual: Any) -> Sequence[tuple[object, object]]:
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
