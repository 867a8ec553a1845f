"""`Monitor`, which users create for each model. It checks its arguments and passes calls to a pipeline."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ParamSpec, TypeVar, overload

from driftline import instrument as instrumentation
from driftline._derived.spec import Derive
from driftline._pipeline.pickled import PickledMonitor
from driftline._pipeline.variant import MonitoredVariant
from driftline._significance.dependence import Dependence
from driftline._windows.window import Window
from driftline.detection import Rule
from driftline.detection._scoring import DEFAULT_DISTANCES
from driftline.otel import LoggerProvider, MeterProvider, TracerProvider
from driftline.outcomes import OutcomePolicy, OutcomeSnapshot, Performance
from driftline.reference import Learn, Reference
from driftline.results import FeatureStatus, Score, Snapshot
from driftline.retraining import RetrainingPolicy
from driftline.typing import Correct, Detector, Distance

__all__ = ["Monitor"]

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound="Callable[..., Any]")


class Monitor(PickledMonitor, MonitoredVariant):
    """
    Watch one model: count its predictions, compare their features with a reference, and export what drifts.

    Nothing raises into the predict function, except with ``on_error="raise"``. Memory is fixed by features and bins,
    never by traffic. ``docs/configuration.md`` groups the arguments by concern.

    Args:
        name: the attribute ``ml.model.name`` of all telemetry, 1 to 255 characters.
        version: the attribute ``ml.model.version``, such as ``"3"``.
        variant: the attribute ``ml.model.variant``, such as ``"canary"``.
        reference: the training data's bins and counts: a `Reference`, the path of one, or ``Reference.learn(rows=...)``
            to fit it to the first rows served.
        window: the rows that are evaluated together. If None, ``Window(rows=5_000)``.
        distances: names of built-in distances, and functions of two vectors of counts. They are exported as
            ``ml.feature.drift.score``.
        rule: decides which features drift. If None, ``FalseAlarms(1, per="30d")``: one false alarm of the whole model
            in 30 days.
        correct: ``correct(prediction, actual)`` decides whether a prediction was right. If None, a probability of at
            least 0.5 stands for true, and labels are compared.
        derive: the functions that the reference was fitted with, by feature name. Its file cannot hold them. They run
            when rows are binned, not within a call. If one raises, its value counts as missing.
        cluster: whose rows belong together: the name of a column, such as ``"user_id"``, or a function of a row that
            returns the key. If None, the column that the reference was fitted with. Keys are hashed within the call.
        detectors: stream detectors by the stream that they watch: a feature, ``"prediction"`` or ``"error"``. Values of
            ``"error"`` are 1.0 for a wrong prediction, 0.0 for a right one, and the absolute error of a quantity. A
            detector has ``update(x)`` and ``drift_detected``, as in river and frouros. `status` has an entry for each.
        outcomes: an `OutcomePolicy`, or the path of a file that keeps predictions until their outcomes arrive and that
            the processes of a host share. If None, memory keeps up to 100,000 of them.
        learned_path: the path of a file that keeps what is learned about dependent rows for the next start. The
            processes of a host share it; each model needs its own. If None, each process learns it afresh.
        export_bins: export ``ml.feature.observations``, the rows per bin, which add up over the processes of a fleet.
            If None, export them if the rule is ``FalseAlarms(scope="fleet")``.
        export_labels: name categories and classes in events and metrics. If False, numbers stand for all but the
            classes that *outcomes* lists. `status` names them either way, because it stays within the process.
        export_duration: record ``ml.prediction.duration``, which is most of driftline's cost. Canaries and
            `RetrainingPolicy` know the latency either way.
        trace: create a span for each call.
        retraining: when to request retraining. If None, never.
        on_error: ``"log"`` counts errors in ``ml.monitor.errors`` and logs the first of each place. ``"raise"`` is for
            tests.
        synchronous: do not start a worker thread; calls, `flush` and metric collections do the work instead.
        enabled: if False, functions run as if they were not decorated. If None, ``DRIFTLINE_ENABLED`` and
            ``OTEL_SDK_DISABLED`` decide.
        clock: returns seconds, as `time.monotonic`. It measures windows of time.
        wall_clock: returns UNIX seconds, as `time.time`. A reference with seasons needs it for the hour of the week.
        meter_provider: creates the metrics. If None, the global provider, also when it is set later.
        logger_provider: creates the events. If None, the global provider.
        tracer_provider: creates the spans. If None, the global provider.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range, or does not fit the reference.
        ReferenceError: the file of the reference cannot be read or is damaged.

    >>> from driftline import Reference
    >>> monitor = Monitor("m", reference=Reference.fit({"age": [20.0, 30.0, 40.0]}), synchronous=True)
    >>> predict = monitor.instrument(lambda features: features["age"] > 25.0)
    >>> predict({"age": 30.0})
    True
    >>> monitor.snapshot().rows
    1
    """

    def __init__(
        self,
        name: str,
        *,
        version: str | None = None,
        variant: str | None = None,
        reference: Reference | Learn | str | os.PathLike[str],
        window: Window | None = None,
        distances: Sequence[str | Distance] = DEFAULT_DISTANCES,
        rule: Rule | None = None,
        correct: Correct | None = None,
        derive: Derive | None = None,
        cluster: str | Callable[[Any], object] | None = None,
        detectors: Mapping[str, Detector | Sequence[Detector]] | None = None,
        outcomes: OutcomePolicy | str | os.PathLike[str] | None = None,
        learned_path: str | os.PathLike[str] | None = None,
        export_bins: bool | None = None,
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
        self._begin(Monitor, arguments)

    @property
    def reference(self) -> Reference | None:
        """The reference that windows are compared with, or None while it is being learned."""
        return self._calls.reference

    @property
    def dependence(self) -> Dependence | None:
        """
        How neighbouring rows depend on each other, learned from the rows served, or None before that.

        ``reference.with_traffic(monitor.dependence).save(path)`` keeps it, so that the next process need not learn it.
        """
        self._pipeline.settle()
        return self._pipeline.readings.dependence

    @property
    def enabled(self) -> bool:
        """Whether the monitor records anything. If False, everything passes through."""
        return self._pipeline.enabled

    def replace_reference(self, reference: Reference | str | os.PathLike[str], *, version: str | None = None) -> None:
        """
        Compare with another reference from now on, such as that of a retrained model, while calls go on.

        Windows, feature states and the latest outcomes are reset. Counters continue, and so do detectors, which compare
        with no reference. Each series of ``ml.feature.observations`` names its bins by ``ml.reference.fingerprint``. A
        call is counted in the bins of the reference under which it began. A canary compares predictions and features
        again once both variants have the same bins.

        Args:
            reference: a `Reference` or the path of one, fitted with the functions in *derive*.
            version: the version of the model that serves from now on, for events and `RetrainingPolicy`. The open
                requests of the version before end. If None, the version stays, and so do the names of metrics.

        Raises:
            ConfigurationError: the value is no reference and no path, the reference was fitted with other functions, or
                it lacks a stream that a detector watches.
            ReferenceError: the file of the reference cannot be read or is damaged.
        """
        self._pipeline.replace_reference(reference, version)

    # --- serving -----------------------------------------------------------------------------------------------------

    @overload
    def instrument(self, function: staticmethod[P, R], /) -> staticmethod[P, R]: ...
    @overload
    def instrument(self, function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
    @overload
    def instrument(
        self,
        function: F,
        /,
        *,
        features: Callable[..., Any] | None = None,
        output: Callable[[Any], Any] | None = None,
        prediction_id: Callable[..., Any] | None = None,
        user_id: Callable[..., str] | None = None,
        key: Callable[..., object] | str | None = None,
    ) -> F: ...
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
        key: Callable[..., object] | str | None = None,
    ) -> instrumentation.Decorator: ...
    def instrument(
        self,
        function: Callable[..., Any] | classmethod[Any, ..., Any] | None = None,
        /,
        *,
        features: Callable[..., Any] | None = None,
        output: Callable[[Any], Any] | None = None,
        prediction_id: Callable[..., Any] | None = None,
        user_id: Callable[..., str] | None = None,
        key: Callable[..., object] | str | None = None,
    ) -> Any:
        """
        Decorate a predict function: sync, async, a generator or an async generator, a method, or any callable object.

        Its types, signature, docstring, results and exceptions stay as they are. A call whose features are n rows is n
        predictions and one duration. A generator is one prediction, whose output is the last value that it yields. A
        call that returns an awaitable or a future ends with that. A decorated function that calls another one of the
        same monitor is one prediction.

        Args:
            function: the function, if the decorator is used without parentheses.
            features: returns the features, from the call's arguments without ``self``. If None, they are the first
                argument, or all arguments by name if one is named like a feature of the reference.
            output: returns the prediction, from the result of the function. If None, the result is the prediction.
            prediction_id: returns the id that joins the prediction with its outcome, from the call's arguments. For a
                batch it returns one id per row.
            user_id: returns the id of the end user, from the call's arguments, for the attribute ``enduser.id`` of
                spans.
            key: the name of the argument or feature that decides which variant serves a call, such as the id of a
                customer; or a function that returns it. A canary counts calls by a hash of the key, which is not kept.
                Only needed where `Canary.route` and `Canary.split` do not choose the variant.

        Raises:
            ConfigurationError: the value cannot be called, or no argument can be the features.
        """
        decorate = partial(
            instrumentation.instrument,
            self._calls,
            features=features,
            output=output,
            prediction_id=prediction_id,
            user_id=user_id,
            key=key,
        )
        return decorate if function is None else decorate(function)

    def prediction(
        self, features: Any, *, prediction_id: object = None, user_id: str | None = None, key: object = None
    ) -> instrumentation.PredictionCall:
        """
        Record a block of code as one prediction.

        ``with monitor.prediction(features) as call: call.output = model.predict(features)``, or ``async with``. An
        exception in the block is a failed prediction. Decorated functions of this monitor that are called within the
        block belong to it and are not counted again.

        Args:
            features: one row or n rows, as `instrument` accepts them. They are read and copied before the block.
            prediction_id: the id that joins the prediction with its outcome. If None, ``call.id`` creates one.
            user_id: the attribute ``enduser.id`` of the span.
            key: the key of the call, as for `instrument`.
        """
        return instrumentation.PredictionCall(self._calls, features, prediction_id, user_id, key)

    def observe(
        self,
        features: Any,
        outputs: Any = None,
        *,
        prediction_ids: Sequence[object] | None = None,
        seconds: float | None = None,
        keys: Any = None,
    ) -> None:
        """
        Record n predictions that were made elsewhere, without a decorated function.

        Args:
            features: n rows: a dict of columns, a frame, a 2-D array of shape (n, features), or one row.
            outputs: n predictions. If None, only the features are recorded.
            prediction_ids: n ids, which join the predictions with their outcomes.
            seconds: how long the model took for all n rows together. If None, no duration is recorded.
            keys: a column of n keys, or one key for all rows, as for `instrument`. Outcomes count by the key of their
                row. The batch is one call, so it counts by key only if all its rows have the same.
        """
        calls = self._calls
        if not calls.enabled:
            return
        with self._pipeline.guard("observe"):
            buckets = calls.buckets_of(keys)
            calls.record_batch(features, outputs, None if seconds is None else float(seconds), buckets)
            if prediction_ids is not None:
                calls.remember(prediction_ids, outputs, buckets)

    def outcome(self, prediction_id: object, actual: object) -> None:
        """
        Report the outcome of one prediction: now or weeks later, here or, with a file, in another process.

        Ids are compared as strings. An outcome whose prediction is unknown counts as unmatched, and is joined when the
        prediction arrives later. *actual* is the label or quantity that turned out to be true.
        """
        self.outcomes((prediction_id,), (actual,))

    def outcomes(self, prediction_ids: Iterable[object], actuals: Iterable[object]) -> None:
        """
        Report several outcomes, each with the id of its prediction.

        Args:
            prediction_ids: a column of n ids. An array of shape (n, 1) and a frame with one column are columns too.
            actuals: a column of n labels or quantities.
        """
        pipeline = self._pipeline
        if not pipeline.enabled:
            return
        with pipeline.guard("outcome"):
            pipeline.outcomes.add_outcomes(prediction_ids, actuals)

    # --- results within the process ----------------------------------------------------------------------------------

    def scores(self) -> tuple[Score, ...]:
        """Return the distances of each feature in the last evaluated window from the reference. Empty before that."""
        self._pipeline.settle()
        return self._pipeline.readings.scores()

    def status(self) -> dict[str, FeatureStatus]:
        """
        Return the state of each feature after the last window evaluated, with its reason.

        Detectors have entries too, named ``"feature (Detector)"``. So have the limits of the outcomes, such as
        ``"prediction.accuracy"``, once outcomes have arrived.
        """
        self._pipeline.settle()
        return {**self._pipeline.readings.states(), **self._pipeline.outcomes.status}

    def snapshot(self) -> Snapshot | None:
        """Return the counts of the window so far, or None while a reference is learned. Counts of processes add up."""
        self._pipeline.settle()
        return self._pipeline.readings.snapshot()

    def accuracy(self) -> float | None:
        """Return the share of the latest outcomes whose prediction was right, or None before the first outcome."""
        self._pipeline.settle()
        return self._pipeline.outcomes.tally().accuracy

    def estimated_accuracy(self) -> Performance | None:
        """
        Return the accuracy expected of the predictions in the window so far, before their outcomes arrive.

        None before the first prediction, and if the reference was fitted without outcomes. The estimate follows shifts
        of the inputs. It does not see that an input has changed its meaning.
        """
        self._pipeline.settle()
        return self._pipeline.readings.estimated_accuracy()

    def performance(self) -> tuple[Performance, ...]:
        """Return the model's metrics, such as accuracy, over the latest outcomes, each with its 95 % interval."""
        self._pipeline.settle()
        return self._pipeline.outcomes.ledger.performance()

    def outcome_counts(self) -> OutcomeSnapshot:
        """Return the counts of outcomes since the start of the process. The counts of several processes add up."""
        self._pipeline.settle()
        return self._pipeline.outcomes.ledger.totals()

    def flush(self) -> None:
        """
        Bin the backlog and evaluate the pending windows.

        Before the first window is complete, the rows so far are evaluated: a short batch job gets its scores.
        """
        self._pipeline.flush()

    def shutdown(self) -> None:
        """Flush and end the worker thread. Later collections still report the counters."""
        self._pipeline.shutdown()
