"""The public face: a monitor is made of settings and a pipeline."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from driftline import instrument as surface
from driftline._binning import Layout
from driftline._dependence import Dependence
from driftline._pipeline import Pipeline
from driftline._settings import Settings, checked_reference
from driftline._values import (
    CanaryState,
    Correct,
    Distance,
    FeatureStatus,
    Score,
    Snapshot,
    Verdict,
)
from driftline._window import Window
from driftline.canary import Canary, VariantEvidence
from driftline.detection import Rule
from driftline.errors import ConfigurationError
from driftline.otel import LoggerProvider, MeterProvider, TracerProvider, current_context
from driftline.reference import Learn, Reference
from driftline.retraining import RetrainingPolicy

__all__ = ["Monitor"]

F = TypeVar("F", bound=Callable[..., Any])


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
        export_bins: export the counts of the bins, what a fleet is judged from.
        export_labels: name categories in events; else only `status` does, within the process.
        trace: make a span per call.
        retraining: when to ask for retraining.
        on_error: ``"log"``; ``"raise"`` for tests.
        synchronous: no thread; what waits is binned and judged by callers, `flush` and the collection of metrics.
        enabled: False turns everything into pass-through; by default DRIFTLINE_ENABLED and OTEL_SDK_DISABLED say.
        clock: seconds, as `time.monotonic`.
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
        export_bins: bool = False,
        export_labels: bool = False,
        trace: bool = False,
        retraining: RetrainingPolicy | None = None,
        on_error: str = "log",
        synchronous: bool = False,
        enabled: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        settings = Settings.checked(
            name=name,
            version=version,
            variant=variant,
            reference=reference,
            window=window,
            distances=distances,
            rule=rule,
            correct=correct,
            export_bins=export_bins,
            export_labels=export_labels,
            trace=trace,
            retraining=retraining,
            on_error=on_error,
            synchronous=synchronous,
            enabled=enabled,
            clock=clock,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            tracer_provider=tracer_provider,
        )
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

        Windows and states start anew, counters go on. Bins of ``ml.feature.observations`` are told apart by their
        ``ml.reference.fingerprint``. A call that began under a reference of other features is counted, its features are
        not (``ml.monitor.rows.dropped``, reason ``replaced``).

        Args:
            reference: a `Reference` or the path of one.

        Raises:
            ConfigurationError: it is neither.
            ReferenceError: the file of the reference is damaged.
        """
        made = checked_reference(reference)
        if isinstance(made, Learn):
            msg = "replace_reference(Reference.learn(...)): expected a Reference or the path of one"
            raise ConfigurationError(msg)
        self._pipeline.replace_reference(made)

    # --- serving -----------------------------------------------------------------------------------------------------

    @overload
    def instrument(self, function: F, /) -> F: ...
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
    ) -> Callable[[F], F]: ...
    def instrument(
        self,
        function: Callable[..., Any] | None = None,
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
                pipeline.done(pipeline.capture(features), outputs, float(seconds), current_context(), None)
            if prediction_ids is not None:
                pipeline.remember(prediction_ids, outputs)
        except Exception as error:  # noqa: BLE001 - the guard
            pipeline.caught("observe", error)

    def outcome(self, prediction_id: object, actual: object) -> None:
        """Tell what became of a prediction: now or weeks later, once; unknown ids are counted as unmatched."""
        pipeline = self._pipeline
        if not pipeline.enabled:
            return
        try:
            pipeline.outcomes.resolve(prediction_id, actual)
        except Exception as error:  # noqa: BLE001 - the guard
            pipeline.caught("outcome", error)

    # --- the same values without any backend -------------------------------------------------------------------------

    def scores(self) -> tuple[Score, ...]:
        """The scores of the last window judged."""
        self._pipeline.settle()
        return self._pipeline.scores()

    def status(self) -> dict[str, FeatureStatus]:
        """The state of every feature after the last window judged."""
        self._pipeline.settle()
        return dict(self._pipeline.states())

    def snapshot(self) -> Snapshot | None:
        """The counts in the window so far, to add to those of other processes; None while a reference is learnt."""
        self._pipeline.settle()
        return self._pipeline.snapshot()

    def accuracy(self) -> float | None:
        """Share of the last 5,000 outcomes or so that the prediction got right; None before the first."""
        return self._pipeline.outcomes.read().accuracy

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

    def canary_changed(self, previous: CanaryState, verdict: Verdict) -> None:
        """Tell of a verdict that differs from the one before."""
        self._pipeline.emitter.verdict_changed(previous, verdict)
