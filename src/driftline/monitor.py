"""The wiring: a reference, a recorder, a judge and telemetry make a monitor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar, overload

from driftline import instrument as surface
from driftline._binning import Layout
from driftline._capture import Capture, Captured, names_of
from driftline._drain import DrainThread, watch
from driftline._guard import Guard
from driftline._judging import Judging
from driftline._learning import Learner
from driftline._outputs import default_correct
from driftline._recorder import DURATION_EDGES, Call, Failure, Recorder
from driftline._scoring import named_distances
from driftline._values import (
    CanaryState,
    Correct,
    Distance,
    FeatureStatus,
    Score,
    Snapshot,
    Verdict,
    Window,
)
from driftline.canary import Canary, VariantEvidence
from driftline.detection import FalseAlarms, Rule, check_rule
from driftline.errors import ConfigurationError
from driftline.otel import (
    Emitter,
    Instruments,
    LoggerProvider,
    MeterProvider,
    Reading,
    TracerProvider,
    Tracing,
    current_context,
    instruments_for,
)
from driftline.outcomes import OutcomeStore, estimated_accuracy
from driftline.reference import Learn, Reference
from driftline.retraining import RetrainingPolicy
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VARIANT, ML_MODEL_VERSION

__all__ = ["Monitor"]

F = TypeVar("F", bound=Callable[..., Any])

MAX_TEXT = 255
"""Characters of a model's name, version and variant: an attribute of every series."""


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
        self._attributes = _attributes(name, version, variant)
        _check_kind("window", window, Window, "Window(rows=...) or Window('10min')")
        _check_kind("retraining", retraining, RetrainingPolicy, "a RetrainingPolicy")
        for what, function in (("correct", correct), ("clock", clock)):
            if function is not None and not callable(function):
                msg = f"{what}={function!r}: expected a function"
                raise ConfigurationError(msg)
        for what, flag in (("export_bins", export_bins), ("trace", trace), ("synchronous", synchronous)):
            if not isinstance(flag, bool):
                msg = f"{what}={flag!r}: expected True or False"
                raise ConfigurationError(msg)
        self.name, self.version, self.variant = name, version, variant
        self._guard = Guard(name, on_error)
        self._window = window or Window(rows=5_000)
        self._rule: Rule = FalseAlarms() if rule is None else check_rule(rule)
        self._distances = named_distances(distances)
        named_distances([*self._rule.distances])
        self._correct, self._export_bins, self._retraining, self._clock = (
            correct,
            export_bins,
            retraining,
            clock,
        )
        given = _reference(reference)
        # One for all functions of a monitor: a predict that calls another one of the same model is one prediction.
        self.active: ContextVar[list[bool] | None] = ContextVar("driftline.active", default=None)
        self.enabled = _enabled() if enabled is None else bool(enabled)
        self._providers = meter_provider, logger_provider
        self._emitter = Emitter(self._attributes, logger_provider)
        self.tracing = Tracing(self._attributes, tracer_provider) if trace else None
        self._requests: dict[str, int] = {}
        self._canaries: tuple[Canary, ...] = ()
        self._closed = False
        self._instruments: Instruments | None = instruments_for(meter_provider) if self.enabled else None
        self._thread = None if synchronous or not self.enabled else DrainThread(self._round)
        self._capture: Capture | None = None
        self._judging: Judging | None = None
        self.reference: Reference | None = None
        self._recorder: Recorder | Learner
        self._outcomes = OutcomeStore(correct)
        if isinstance(given, Learn):
            calls = Recorder(Layout(()), 0, Window(rows=2**40), clock, self._on_calls)
            calls.wake = self._wake
            self._calls = calls
            self._recorder = Learner(given, calls, self._start_watching, self._guard.note)
        else:
            self._start_watching(given)
        if self._instruments is not None:
            self._instruments.add(self)
            watch(self)

    def _start_watching(self, reference: Reference) -> Recorder:
        """Put everything that needs a reference in place."""
        layout = Layout(reference.watched)
        judging = Judging(
            reference,
            layout,
            self._window,
            self._rule,
            self._distances,
            self._clock,
            self._emitter.state_changed,
            self._guard.note,
        )
        recorder = Recorder(layout, len(reference.features), self._window, self._clock, self._on_calls)
        recorder.wake = self._wake
        recorder.overdue = self._judge_windows
        if isinstance(getattr(self, "_recorder", None), Learner):
            recorder.adopt(self._calls)
        self._capture = Capture(tuple(feature.name for feature in reference.features), self._guard.note, recorder.drop)
        if self._correct is None and reference.prediction is not None:
            self._outcomes.judge_by(default_correct(reference.prediction))
        exported = len(reference.watched)
        if self._instruments is not None:
            # A state has three series per feature, scores have one per distance: the larger counts.
            exported = self._instruments.reserve(max(3, len(self._distances)), len(reference.watched))
            if exported < len(reference.watched):
                left = [feature.name for feature in reference.watched[exported:]]
                self._guard.note("cardinality", f"{len(left)} features are judged but not exported: {left[:5]} …")
        self._exported = frozenset(feature.name for feature in reference.watched[:exported])
        self.reference, self._judging, self._layout = reference, judging, layout
        self._calls = self._recorder = recorder
        return recorder

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
            user_id: takes the call's arguments and returns the end user's id; on spans only, as ``user.id``.

        Raises:
            ConfigurationError: not callable, or no argument that could be the features.
        """

        def decorate(decorated: Any) -> Any:
            return surface.instrument(
                self, decorated, features=features, output=output, prediction_id=prediction_id, user_id=user_id
            )

        return decorate if function is None else decorate(function)

    def prediction(
        self, features: Any, *, prediction_id: object = None, user_id: str | None = None
    ) -> surface.PredictionCall:
        """
        Watch a block of code: ``with monitor.prediction(features) as call: call.output = model.predict(features)``.

        Works with ``async with`` too. ``call.id`` is the id under which the outcome is told.
        """
        return surface.PredictionCall(self, features, prediction_id, user_id)

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
        if not self.enabled:
            return
        try:
            captured = self.capture(features)
            if seconds is None:
                self.begin()
                self._recorder.record_batch(captured, outputs)
            else:
                self.done(captured, outputs, float(seconds), current_context(), None)
            if prediction_ids is not None:
                self.remember(prediction_ids, outputs)
        except Exception as error:  # noqa: BLE001 - the guard
            self._guard.caught("observe", error)

    def outcome(self, prediction_id: object, actual: object) -> None:
        """Tell what became of a prediction: now or weeks later, once; unknown ids are counted as unmatched."""
        if not self.enabled:
            return
        try:
            self._outcomes.resolve(prediction_id, actual)
        except Exception as error:  # noqa: BLE001 - the guard
            self._guard.caught("outcome", error)

    # --- the same values without any backend -------------------------------------------------------------------------

    def scores(self) -> tuple[Score, ...]:
        """The scores of the last window judged."""
        self._settle()
        return self._judging.scores if self._judging is not None else ()

    def status(self) -> dict[str, FeatureStatus]:
        """The state of every feature after the last window judged."""
        self._settle()
        if self._judging is not None:
            return dict(self._judging.status)
        reason = self._recorder.progress if isinstance(self._recorder, Learner) else ""
        names = self._capture.names if self._capture is not None else ()
        return {name: FeatureStatus("insufficient_data", None, None, 0, reason) for name in names}

    def snapshot(self) -> Snapshot | None:
        """The counts in the window so far, to add to those of other processes; None while a reference is learnt."""
        self._settle()
        if not isinstance(self._recorder, Recorder):
            return None
        window = self._recorder.snapshot()
        return Snapshot(window.counts, window.rows, self._layout.fingerprint)

    def accuracy(self) -> float | None:
        """Share of the last 5,000 outcomes or so that the prediction got right; None before the first."""
        return self._outcomes.read().accuracy

    def flush(self) -> None:
        """
        Bin and judge all that waits.

        As long as no window has been full, what there is of it is judged: a short batch job gets its scores.
        """
        try:
            self._settle()
            if isinstance(self._recorder, Recorder) and self._judging is not None:
                partial = self._recorder.partial()
                if partial is not None and partial.rows:
                    with self._judging.lock:
                        self._judging.judge([partial])
                    self._after_judgement()
        except Exception as error:  # noqa: BLE001 - the guard
            self._guard.caught("flush", error)

    def shutdown(self) -> None:
        """Flush, end the thread, and leave the counters as they are for the collections that follow."""
        if self._closed:
            return
        self.flush()
        self._closed = True
        if self._thread is not None:
            self._thread.stop()
        if self._instruments is not None:
            self._instruments.close(self)

    # --- what the surface calls: nothing below raises into the host, unless on_error="raise" -------------------------

    def capture(self, features: Any) -> Captured:
        """Read and copy the features of a call; None where that fails."""
        try:
            if self._capture is None:
                self._discover(features)
            return self._capture(features)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - the guard
            self._guard.caught("capture", error)
            return None

    def begin(self) -> None:
        """Start the thread at the first prediction of this process."""
        if self._thread is not None and not self._thread.running:
            self._thread.start()

    def done(self, captured: Captured, output: Any, seconds: float, context: object, prediction_id: object) -> None:
        """Take down a call that returned."""
        try:
            if self._thread is not None and not self._thread.running:
                self._thread.start()
            if prediction_id is not None:
                self.remember(prediction_id, output)
            self._recorder.record(captured, output, seconds, context)
        except Exception as error:  # noqa: BLE001 - the guard
            self._guard.caught("output", error)

    def failed(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised."""
        try:
            self.begin()
            self._recorder.record_failure(captured, seconds, context, error)
        except Exception as caught:  # noqa: BLE001 - the guard
            self._guard.caught("failure", caught)

    def remember(self, prediction_id: Any, output: Any) -> None:
        """Keep an output, or those of a batch, until the outcome arrives."""
        if isinstance(prediction_id, (str, int)) or not hasattr(prediction_id, "__len__"):
            self._outcomes.remember(prediction_id, output)
            return
        for one, value in zip(prediction_id, output, strict=True):
            self._outcomes.remember(one, value)

    def caught(self, place: str, error: Exception) -> None:
        """Count an error of ours, or of a function that the user gave."""
        self._guard.caught(place, error)

    def _discover(self, features: Any) -> None:
        """While a reference is learnt the first call says what the features are."""
        learner = self._recorder
        if not isinstance(learner, Learner):
            return
        names = names_of(features)
        if names is None:
            shape = getattr(features, "shape", None)
            names = tuple(str(place) for place in range(shape[-1] if shape else len(features)))
        learner.names = names
        self._capture = Capture(names, self._guard.note, self._calls.drop)

    # --- draining and judging ----------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._thread is not None and self._thread.running:
            self._thread.wake()
        else:
            self._recorder.drain()
            self._judge_windows()

    def _round(self) -> None:
        """One round of the thread."""
        try:
            self._settle()
        except Exception as error:  # noqa: BLE001 - the guard
            self._guard.caught("drain", error)

    def _settle(self) -> None:
        if self.enabled:
            self._recorder.drain()
            self._judge_windows()
            self._after_judgement()

    def _judge_windows(self) -> None:
        judging = self._judging
        if judging is None or not isinstance(self._recorder, Recorder):
            return
        with judging.lock:
            windows = list(self._recorder.windows())
            if windows:
                judging.judge(windows)

    def _after_judgement(self) -> None:
        for canary in self._canaries:
            canary.verdict()
        policy = self._retraining
        if policy is None:
            return
        latency = self.evidence().latency(0.5)
        status = {} if self._judging is None else self._judging.status
        for request in policy.requests(self.name, self.version, status, self.accuracy(), latency):
            if policy.queue.put(request):
                self._requests[request.reason] = self._requests.get(request.reason, 0) + 1
                self._emitter.retraining_requested(request)

    def _on_calls(self, calls: Sequence[Call], failures: Sequence[Failure]) -> None:
        if self._instruments is None:
            return
        record = self._instruments.duration.record
        for seconds, context, _ in calls:
            record(seconds, self._attributes, context)  # type: ignore[arg-type]
        for seconds, context, error, _ in failures:
            record(seconds, {**self._attributes, "error.type": error}, context)  # type: ignore[arg-type]

    # --- what telemetry and canaries read ----------------------------------------------------------------------------

    def reading(self, *, settle: bool) -> Reading | None:
        """The present reading for the metrics; None before the first prediction in this process."""
        try:
            if settle:
                self._settle()
        except Exception as error:  # noqa: BLE001 - the guard
            self._guard.caught("collect", error)
        tally = self._calls.read()
        outcomes = self._outcomes.read()
        if not (tally.served or tally.failed or tally.dropped or tally.rows or outcomes.results):
            return None
        judging = self._judging
        estimated = None
        bins: tuple[tuple[str, Any], ...] = ()
        scores: Sequence[Score] = ()
        status: dict[str, FeatureStatus] = {}
        if judging is not None and self.reference is not None:
            scores = [score for score in judging.scores if score.feature in self._exported]
            status = {name: one for name, one in judging.status.items() if name in self._exported}
            places = zip(self.reference.watched, self._layout.slices, strict=True)
            if self._export_bins:
                bins = tuple(
                    (feature.name, tally.counts[place]) for feature, place in places if feature.name in self._exported
                )
            if self.reference.outcomes is not None and judging.window is not None:
                estimated = estimated_accuracy(self.reference.outcomes, judging.window.counts[self._layout.slices[-1]])
        policy = self._retraining
        states = [canary.state for canary in self._canaries if canary.state is not None]
        return Reading(
            self._attributes,
            tally.served,
            tally.failed,
            tally.dropped,
            dict(self._guard.counts),
            scores,
            status,
            bins,
            outcomes.results,
            outcomes.accuracy,
            estimated,
            dict(self._requests),
            {} if policy is None else policy.queue.sizes(self.name, self.version),
            states[-1] if states else None,
        )

    @property
    def variant_attributes(self) -> dict[str, str]:
        """Model, version and variant, as attributes."""
        return dict(self._attributes)

    @property
    def prediction_bins(self) -> str | None:
        """The fingerprint of the bins of the prediction; None where it is not watched."""
        if self.reference is None or self.reference.prediction is None:
            return None
        return Layout([self.reference.prediction]).fingerprint

    def evidence(self) -> VariantEvidence:
        """What this variant has done since the start of the process, in counts."""
        self._recorder.drain()
        tally = self._calls.read()
        outcomes = self._outcomes.read()
        predictions = None
        if self.reference is not None and self.reference.prediction is not None:
            predictions = tally.counts[self._layout.slices[-1]]
        return VariantEvidence(
            tally.served,
            sum(tally.failed.values()),
            tally.durations,
            tuple(DURATION_EDGES.tolist()),
            outcomes.known,
            outcomes.correct,
            predictions,
        )

    def attach(self, canary: Canary) -> None:
        """Judge *canary* along with the features, and export its state."""
        self._canaries = (*self._canaries, canary)

    def canary_changed(self, previous: CanaryState, verdict: Verdict) -> None:
        """Tell of a verdict that differs from the one before."""
        self._emitter.verdict_changed(previous, verdict)

    def after_fork(self) -> None:
        """Start empty in the child of a fork."""
        self._guard.reset()
        self._outcomes.reset()
        self._recorder.reset()
        self._requests = {}
        if self._judging is not None:
            self._judging.reset()
        if self._thread is not None:
            self._thread.after_fork()
        if self._instruments is not None:
            self._instruments.after_fork()
        for canary in self._canaries:
            canary.restart()


def _attributes(name: object, version: object, variant: object) -> dict[str, str]:
    attributes = {}
    for what, key, value in (
        ("name", ML_MODEL_NAME, name),
        ("version", ML_MODEL_VERSION, version),
        ("variant", ML_MODEL_VARIANT, variant),
    ):
        if value is None and what != "name":
            continue
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
            msg = f"{what}={str(value)[:60]!r}: expected a text of 1 to {MAX_TEXT} characters"
            raise ConfigurationError(msg)
        attributes[key] = value
    return attributes


def _check_kind(what: str, value: object, kind: type, expected: str) -> None:
    if value is not None and not isinstance(value, kind):
        msg = f"{what}={value!r}: expected {expected}"
        raise ConfigurationError(msg)


def _reference(given: object) -> Reference | Learn:
    if isinstance(given, (Reference, Learn)):
        return given
    if isinstance(given, (str, os.PathLike)):
        return Reference.load(given)
    msg = f"reference={given!r}: expected a Reference, the path of one, or Reference.learn(rows=...)"
    raise ConfigurationError(msg)


def _enabled() -> bool:
    off = os.environ.get("DRIFTLINE_ENABLED", "true").strip().lower() in {"false", "0", "no", "off"}
    return not off and os.environ.get("OTEL_SDK_DISABLED", "false").strip().lower() != "true"
