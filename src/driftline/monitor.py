"""The public face: a monitor is made of settings and a pipeline."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from driftline import instrument as surface
from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._derived.spec import Derive
from driftline._pipeline.pipeline import Pipeline
from driftline._pipeline.settings import Settings
from driftline._significance.dependence import Dependence
from driftline._windows.window import Window
from driftline.canary import Canary, VariantEvidence, Verdict
from driftline.detection import Rule
from driftline.otel import LoggerProvider, MeterProvider, TracerProvider, current_context
from driftline.outcomes import OutcomePolicy, OutcomeSnapshot, Performance
from driftline.reference import Learn, Reference
from driftline.results import (
    CanaryState,
    FeatureStatus,
    Score,
    Snapshot,
)
from driftline.retraining import RetrainingPolicy
from driftline.typing import (
    Correct,
    Detector,
    Distance,
)

__all__ = ["Monitor"]

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class Monitor:
    """
    Watches one model.

    Args:
        name: ``ml.model.name``.
        version: ``ml.model.version``.
        variant: ``ml.model.variant``, such as ``"canary"``.
        reference: a `Reference`, the path of one, or ``Reference.learn(rows=...)``.
        window: what is judged at once.
        distances: names of built-in distances, and functions of two vectors of counts.
        rule: what counts as drift.
        correct: decides whether a prediction was right once the outcome is known; by default told by the predictions of
            the reference (`Reference.fit`).
        derive: the functions that the reference was fitted with, by name: they are not in its file. They run where rows
            are binned, off the way of a call; what raises is missing, and counted.
        detectors: detectors for streams by the feature that they watch, by ``"prediction"``, or by ``"error"`` (1.0
            wrong, 0.0 right, or how far off a quantity was, as outcomes come): objects with ``update(x)`` and
            ``drift_detected``, such as river's, or frouros's. Each has an entry among the states.
        outcomes: an `OutcomePolicy`, or the path of a file in which predictions wait for their outcomes, shared by the
            processes of a host; by default they wait in memory.
        export_bins: export the counts of the bins, what a fleet is judged from.
        export_labels: name categories and classes in events and metrics; else only those that *outcomes* names, and
            numbers stand for the others. `status` names them either way, within the process.
        export_duration: record ``ml.prediction.duration``, call by call: most of what driftline costs. Without it
            canaries and `RetrainingPolicy` know the latency all the same.
        trace: make a span per call.
        retraining: when to ask for retraining.
        on_error: ``"log"``; ``"raise"`` for tests.
        synchronous: no thread; what waits is binned and judged by callers, `flush` and the collection of metrics.
        enabled: False turns everything into pass-through; by default DRIFTLINE_ENABLED and OTEL_SDK_DISABLED say.
        clock: seconds, as `time.monotonic`.
        wall_clock: UNIX seconds, as `time.time`, for a reference with seasons.
        meter_provider: the global one by default, and so are the next two.
        logger_provider: of the events.
        tracer_provider: of the spans.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
        ReferenceError: the file of the reference is damaged.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str | None = None,
        variant: str | None = None,
        reference: Reference | Learn | str | os.PathLike[str],
        window: Window | None = None,
        distances: Sequence[str | Distance] = ("psi", "js", "wasserstein", "mean"),
        rule: Rule | None = None,
        correct: Correct | None = None,
        derive: Derive | None = None,
        detectors: Mapping[str, Detector | Sequence[Detector]] | None = None,
        outcomes: OutcomePolicy | str | os.PathLike[str] | None = None,
        export_bins: bool = False,
        export_labels: bool = False,
        export_duration: bool = True,
        trace: bool = False,
        retraining: RetrainingPolicy | None = None,
        on_error: str = "log",
        synchronous: bool = False,
        enabled: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        arguments = dict(locals())
        del arguments["self"]
        settings = Settings.check(**arguments)
        self.name, self.version, self.variant = name, version, variant
        self._attributes = settings.attributes
        self._pipeline = Pipeline(settings)

    @property
    def reference(self) -> Reference | None:
        """What is compared with; None while it is learnt."""
        return self._pipeline.reference

    @property
    def dependence(self) -> Dependence | None:
        """
        How rows next to each other depend on each other, as the first windows served say; None before they do.

        ``reference.with_traffic(monitor.dependence).save(path)`` keeps it for the next process, which then learns it no
        more.
        """
        self._pipeline.settle()
        return self._pipeline.dependence

    @property
    def enabled(self) -> bool:
        """False: everything passes through."""
        return self._pipeline.enabled

    def replace_reference(self, reference: Reference | str | os.PathLike[str]) -> None:
        """
        Compare with another reference from now on, such as that of a model trained anew; calls go on meanwhile.

        Windows, states and the latest outcomes start anew, counters go on, and so do detectors, which compare with no
        reference. Bins of ``ml.feature.observations`` are told apart by ``ml.reference.fingerprint``. A call is counted
        in the bins of the reference it began under. A canary compares again once both variants have the same bins.

        Args:
            reference: a `Reference` or the path of one, fitted with the functions that *derive* has.

        Raises:
            ConfigurationError: it is neither, it was fitted with other functions, or it lacks what a detector watches.
            ReferenceError: the file of the reference is damaged.
        """
        self._pipeline.replace_reference(reference)

    # --- serving -----------------------------------------------------------------------------------------------------

    @overload
    def instrument(self, function: staticmethod[P, R], /) -> staticmethod[P, R]: ...
    @overload
    def instrument(self, function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
    @overload
    def instrument(
        self,
        function: Callable[P, R],
        /,
        *,
        features: Callable[..., Any] | None = None,
        output: Callable[[Any], Any] | None = None,
        prediction_id: Callable[..., Any] | None = None,
        user_id: Callable[..., str] | None = None,
    ) -> Callable[P, R]: ...
    @overload
    def instrument(
        self,
        function: None = None,
        /,
        *,
        features: Callable[..., Any] | None = None,
        output: Callable[[Any], Any] | None = None,
        prediction_id: Callable[..., Any] | None = None,
        user_id: Callable[..., str] | None = None,
    ) -> surface.Decorator: ...
    def instrument(
        self,
        function: Callable[..., Any] | classmethod[Any, ..., Any] | None = None,
        /,
        *,
        features: Callable[..., Any] | None = None,
        output: Callable[[Any], Any] | None = None,
        prediction_id: Callable[..., Any] | None = None,
        user_id: Callable[..., str] | None = None,
    ) -> Any:
        """
        Watch a predict function: sync, async, a generator or an async generator, a method, or any callable.

        Its signature, docstring, results and exceptions stay as they are. A call whose features are n rows is n
        predictions and one duration. A function that calls another one of the same monitor is one prediction.

        Args:
            function: the function, when used without parentheses.
            features: takes the call's arguments (a method's without self) and returns the features; by default they are
                the first argument, or the arguments by name where these are named like features of the reference.
            output: takes the result and returns what is watched of it.
            prediction_id: takes the call's arguments and returns the id under which the outcome will be told, a
                sequence of ids for a batch.
            user_id: takes the call's arguments and returns the end user's id; on spans only, as ``enduser.id``.

        Raises:
            ConfigurationError: not callable, or no argument that could be the features.
        """

        def decorate(decorated: Any) -> Any:
            return surface.instrument(
                self._pipeline,
                decorated,
                features=features,
                output=output,
                prediction_id=prediction_id,
                user_id=user_id,
            )

        return decorate if function is None else decorate(function)

    def prediction(
        self, features: Any, *, prediction_id: object = None, user_id: str | None = None
    ) -> surface.PredictionCall:
        """
        Watch a block of code: ``with monitor.prediction(features) as call: call.output = model.predict(features)``.

        Works with ``async with`` too. ``call.id`` is the id under which the outcome is told. Functions of this monitor
        that are called within the block belong to it: they are no further predictions.
        """
        return surface.PredictionCall(self._pipeline, features, prediction_id, user_id)

    def observe(
        self,
        features: Any,
        outputs: Any = None,
        *,
        prediction_ids: Sequence[object] | None = None,
        seconds: float | None = None,
    ) -> None:
        """
        Take down a batch of n rows as n predictions, with nothing to call.

        Args:
            features: a frame, a dict of columns, a 2-D array, or one row.
            outputs: n outputs, one per row.
            prediction_ids: n ids, to tell outcomes later.
            seconds: how long the model took for all of them.
        """
        pipeline = self._pipeline
        if not pipeline.enabled:
            return
        try:
            if seconds is None:
                pipeline.batch(features, outputs)
            else:
                captured = pipeline.capture(lane := pipeline.lane, features)
                pipeline.done(lane, captured, outputs, float(seconds), current_context(), None)
            if prediction_ids is not None:
                pipeline.remember(prediction_ids, outputs)
        except Exception as error:  # noqa: BLE001 - the guard
            pipeline.caught("observe", error)

    def outcome(self, prediction_id: object, actual: object) -> None:
        """
        Tell what became of a prediction: now or weeks later, here or, with a file, in another process.

        Ids are compared by their text. Unknown ones are counted as unmatched, and joined all the same when their
        prediction comes later.
        """
        pipeline = self._pipeline
        if not pipeline.enabled:
            return
        try:
            pipeline.outcomes.add_outcome(prediction_id, actual)
        except Exception as error:  # noqa: BLE001 - the guard
            pipeline.caught("outcome", error)

    def outcomes(self, prediction_ids: Iterable[object], actuals: Iterable[object]) -> None:
        """Tell of many at once: n ids and n outcomes, such as two columns of a table."""
        pipeline = self._pipeline
        if not pipeline.enabled:
            return
        try:
            for prediction_id, actual in zip(prediction_ids, actuals, strict=True):
                pipeline.outcomes.add_outcome(prediction_id, actual)
        except Exception as error:  # noqa: BLE001 - the guard
            pipeline.caught("outcome", error)

    # --- the same values without any backend -------------------------------------------------------------------------

    def scores(self) -> tuple[Score, ...]:
        """The scores of the last window judged."""
        self._pipeline.settle()
        return self._pipeline.scores()

    def status(self) -> dict[str, FeatureStatus]:
        """
        The state of every feature after the last window judged, and of every detector after the last value.

        Once outcomes have come, and there is a limit to judge them by, of ``prediction.accuracy`` and the like too.
        """
        self._pipeline.settle()
        return {**self._pipeline.states(), **self._pipeline.outcomes.status}

    def snapshot(self) -> Snapshot | None:
        """The counts in the window so far, to add to those of other processes; None while a reference is learnt."""
        self._pipeline.settle()
        return self._pipeline.snapshot()

    def accuracy(self) -> float | None:
        """Share of the latest outcomes that the prediction got right; None before the first."""
        self._pipeline.settle()
        return self._pipeline.outcomes.tally().accuracy

    def estimated_accuracy(self) -> Performance | None:
        """
        Accuracy expected of the latest predictions, those that the window holds so far, before outcomes are there.

        None before the first prediction, and where the reference has no outcomes.
        """
        self._pipeline.settle()
        return self._pipeline.estimated()

    def performance(self) -> tuple[Performance, ...]:
        """How right the latest predictions were, by all that can be told of their kind, with 95 % intervals."""
        self._pipeline.settle()
        return self._pipeline.outcomes.ledger.performance()

    def outcome_counts(self) -> OutcomeSnapshot:
        """Outcomes since the start of the process in counts, to add to those of other processes."""
        self._pipeline.settle()
        return self._pipeline.outcomes.ledger.totals()

    def flush(self) -> None:
        """
        Bin and judge all that waits.

        As long as no window has been full, what there is of it is judged: a short batch job gets its scores.
        """
        self._pipeline.flush()

    def shutdown(self) -> None:
        """Flush, end the thread, and leave the counters as they are for the collections that follow."""
        self._pipeline.shutdown()

    # --- as the variant of a canary ----------------------------------------------------------------------------------

    @property
    def variant_attributes(self) -> dict[str, str]:
        """Model, version and variant, as attributes."""
        return dict(self._attributes)

    @property
    def prediction_bins(self) -> str | None:
        """The fingerprint of the bins of the prediction; None where it is not watched."""
        reference = self.reference
        if reference is None or reference.prediction is None:
            return None
        return Layout([reference.prediction]).fingerprint

    def evidence(self) -> VariantEvidence:
        """What this variant has done since the start of the process, in counts."""
        return self._pipeline.evidence()

    def attach(self, canary: Canary) -> None:
        """Judge *canary* along with the features, and export its state."""
        self._pipeline.attach(canary)

    @property
    def prediction_feature(self) -> Feature | None:
        """The prediction as the reference has it; None where it is not watched."""
        return None if self.reference is None else self.reference.prediction

    def flagged(self, key: str, variant: str, provider: str | None) -> None:
        """Put the feature flag that chose this variant on spans and events."""
        self._pipeline.flagged(key, variant, provider)

    def caught(self, place: str, error: Exception) -> None:
        """Count an error of a canary, or of a function that it was given."""
        self._pipeline.caught(place, error)

    def dropped(self, reason: str, rows: int) -> None:
        """Count rows that a shadow has not predicted."""
        self._pipeline.dropped(reason, rows)

    def canary_changed(self, previous: CanaryState, verdict: Verdict) -> None:
        """Tell of a verdict that differs from the one before."""
        self._pipeline.emitter.verdict_changed(previous, verdict)
