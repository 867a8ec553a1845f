"""The life of one monitor in one process: start, settle, flush, replacement, shutdown, fork."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from driftline._pipeline.assembly import ActiveReference, Assembly
from driftline._pipeline.calls import Calls
from driftline._pipeline.outcome_registry import delist, enlist, name_of, outcomes_for
from driftline._pipeline.readings import Readings
from driftline._pipeline.redaction import Redactor
from driftline._pipeline.replacement import Serving
from driftline._pipeline.scheduling import WorkerRounds
from driftline._pipeline.settings import Settings
from driftline._recording.latencies import LatencyQueue
from driftline._runtime.guard import Guard, guarded_clock
from driftline._runtime.pacing import Throttle
from driftline._runtime.process_hooks import register
from driftline._runtime.worker import Worker
from driftline.canary import Canary, VariantEvidence
from driftline.detection._streaming import StreamEvaluator
from driftline.otel import Emitter, Instruments, Reading, Tracing, flag_attributes, instruments_for
from driftline.reference import Learn, Reference
from driftline.results import replaced
from driftline.retraining._trigger import RetrainingTrigger
from driftline.semconv import ML_MODEL_NAME

__all__ = ["Pipeline"]


class Pipeline:
    """
    All parts of one monitor in one process.

    Args:
        settings: what the user asked for.

    Attributes:
        calls: what calls do.
        readings: what is read.
        outcomes: the outcomes of predictions.
        emitter: emits events.
        serving: the recorders.
        worker: the worker thread. If None, callers, `flush` and collections do its work.
        guard: reports errors.
        enabled: whether anything is recorded.
    """

    def __init__(self, settings: Settings) -> None:
        self.enabled = settings.enabled
        attributes = settings.attributes
        self.guard = guard = Guard(attributes[ML_MODEL_NAME], settings.on_error)
        self._settings = settings = replace(
            settings,
            clock=guarded_clock(settings.clock, guard),
            wall_clock=guarded_clock(settings.wall_clock, guard),
        )
        self._name = name_of(attributes)
        self._closed = False
        self._renew_lock()
        self.emitter = Emitter(attributes, settings.logger_provider)
        self._redactor = redactor = Redactor(
            self.emitter,
            labels=settings.export_labels,
            named=settings.outcomes.classes,
            limits=lambda: self.outcomes.ledger.limits,
        )
        self.worker = None if settings.synchronous or not self.enabled else Worker(self._run_round)
        self._rounds = WorkerRounds()
        self._detectors = detectors = _detectors_for(settings, redactor, guard)
        self.outcomes = outcomes_for(
            settings,
            on_change=redactor.state_changed,
            on_error=guard.report_error,
            on_pair=detectors.on_outcome if detectors is not None and detectors.watches_errors else None,
            wake=None if self.worker is None else self._wake_worker,
        )
        self._trigger = RetrainingTrigger(settings.retraining, attributes, guard, redactor.retraining_requested)
        self._instruments: Instruments | None = instruments_for(settings.meter_provider) if self.enabled else None
        self._latencies = _latencies_for(settings, attributes, self._instruments)
        self._assembly = Assembly(
            settings,
            attributes,
            guard,
            redactor.state_changed,
            detectors,
            self._instruments,
            self._latencies,
            self.worker,
        )
        tracing = Tracing(attributes, settings.tracer_provider) if settings.trace else None
        reference = None if isinstance(settings.reference, Learn) else settings.reference
        self.serving = self._start(settings.reference)
        self.calls = Calls(self.serving.recorder, reference, self.outcomes, tracing, guard, enabled=self.enabled)
        self.readings = Readings(attributes, self.serving, self.outcomes, detectors, self._trigger, redactor, guard)
        if self._instruments is not None:
            enlist(self._name, self.outcomes.ledger)
            self._instruments.add(self)
            register(self)

    def _start(self, reference: Reference | Learn) -> Serving:
        if isinstance(reference, Learn):
            return Serving(self._assembly.learn(reference, self._on_learned))
        active = self._assembly.activate(reference)
        self._redactor.watch(reference, active.evaluator)
        return Serving(active)

    def _renew_lock(self) -> None:
        self._replacing = threading.RLock()

    # --- the reference -----------------------------------------------------------------------------------------------

    def _on_learned(self, reference: Reference) -> None:
        active = self._assembly.activate(reference)
        with self.serving.lock:
            # Another reference may have come from elsewhere meanwhile.
            if self.serving.learner is not None:
                self._activate(active)
        if self.calls.reference is reference:
            self.outcomes.set_reference(reference.prediction, reference.outcomes)

    def replace_reference(self, reference: object) -> None:
        """
        Compare with another reference from now on. Windows and states are reset, counters go on.

        Raises:
            ConfigurationError: it is no reference, or one that does not fit the settings.
            ReferenceError: the file of the reference is damaged.
        """
        checked = self._settings.replacement(reference)
        serving = self.serving
        with self._replacing:
            active = self._assembly.activate(checked)
            serving.retired.drain()
            self.outcomes.set_reference(checked.prediction, checked.outcomes)
            with serving.lock:
                before, learner = serving.active, serving.learner
                states = {} if before is None else self._redactor.states(before.evaluator.status)
                self._activate(active)
            if learner is not None:
                # Outside the lock: the learner takes its own lock first, and then this one.
                learner.stop()
        for change in replaced(states, self._settings.window.label):
            self.emitter.state_changed(change)

    def _activate(self, active: ActiveReference) -> None:
        """Let calls begin under this reference. The caller holds the lock."""
        self.serving.activate(active)
        self._redactor.watch(active.reference, active.evaluator)
        self.calls.switch(active.recorder, active.reference)

    # --- settling ----------------------------------------------------------------------------------------------------

    def settle(self, pause: Callable[[], bool] | None = None, *, foreign: bool = False) -> None:
        """Bin and evaluate all that is pending. The arguments are as for `Recorder.drain`."""
        if not self.enabled:
            return
        self.serving.drain(pause, foreign=foreign)
        active = self.serving.active
        if active is not None:
            active.turns.evaluate(pause)
        self.outcomes.settle()
        if self._detectors is not None:
            self._detectors.feed()
        self._react()

    def _react(self) -> None:
        """Let canaries and the policy of retraining follow the latest evaluation."""
        readings = self.readings
        for canary in readings.canaries:
            canary.refresh()
        self._trigger.apply(
            readings.evaluated(), readings.states, self.outcomes.tally(), lambda: self.evidence().latency(0.5)
        )

    def flush(self) -> None:
        """Settle, and evaluate what there is of the first window if none has been full."""
        with self.guard("flush"):
            self.settle()
            for canary in self.readings.canaries:
                canary.verdict()
            active = self.serving.active
            if active is not None and active.turns.evaluate_partial():
                self._react()

    def _run_round(self) -> None:
        """Settle in the worker thread, with pauses, so that calls do not wait for the interpreter."""
        with self.guard("drain"):
            self._rounds.run(partial(self.settle, Throttle(self._is_pressed)))

    def _is_pressed(self) -> bool:
        return self._rounds.awaited or self.serving.recorder.relief.is_pressed()

    def _wake_worker(self) -> None:
        worker = self.worker
        if worker is not None:
            worker.start()
            worker.wake()

    # --- for metrics and canaries ------------------------------------------------------------------------------------

    def reading(self) -> Reading | None:
        """Settle, and return the reading for one collection, or None before the first prediction in this process."""
        with self.guard("collect"):
            self._settle_for_collection()
        return self.readings.reading()

    def _settle_for_collection(self) -> None:
        """Settle in the thread of a collection, which user functions must not hold: they may never return."""
        worker = self.worker
        if worker is None or worker.stopped:
            self.settle()
        elif not worker.running:
            # There was no prediction in this process, or the first one is about to start the worker thread.
            self.settle(foreign=True)
        else:
            self._rounds.wait_for_next(worker, self._is_stuck)
            self.serving.drain(foreign=True)

    def _is_stuck(self) -> bool:
        active = self.serving.active
        return active is not None and active.turns.stuck

    def evidence(self) -> VariantEvidence:
        """Count all that is pending, and return the counts of this variant since the start of the process."""
        self.serving.drain()
        self.outcomes.settle()
        return self.readings.evidence()

    def attach(self, canary: Canary) -> None:
        """Decide *canary* along with the evaluation of windows, and export its state."""
        self.readings.canaries = (*self.readings.canaries, canary)

    def set_flag(self, key: str, variant: str, provider: str | None) -> None:
        """Put the feature flag that chose this variant on spans and events."""
        attributes = flag_attributes(key, variant, provider)
        self.emitter.add(attributes)
        if self.calls.tracing is not None:
            self.calls.tracing.add(attributes)

    # --- the end, and forks ------------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Flush, stop the worker thread, and keep the counters for the collections that follow."""
        if self._closed:
            return
        self.flush()
        self._closed = True
        if self.worker is not None:
            self.worker.stop()
        if self._instruments is not None:
            self._instruments.close(self)
        delist(self._name, self.outcomes.ledger)

    def after_fork(self) -> None:
        """Start empty in the child of a fork."""
        self._renew_lock()
        for part in (self._rounds, self.guard, self.outcomes, self.serving, self._trigger):
            part.reset()
        for optional in (self._latencies, self._detectors):
            if optional is not None:
                optional.reset()
        if self.worker is not None:
            self.worker.after_fork()
        if self._instruments is not None:
            self._instruments.after_fork()
        for canary in self.readings.canaries:
            canary.restart()


def _detectors_for(settings: Settings, redactor: Redactor, guard: Guard) -> StreamEvaluator | None:
    if not settings.detectors or not settings.enabled:
        return None
    raises = settings.on_error == "raise"
    return StreamEvaluator(
        settings.detectors, settings.window, settings.clock, redactor.state_changed, guard.report, raises=raises
    )


def _latencies_for(
    settings: Settings, attributes: Mapping[str, str], instruments: Instruments | None
) -> LatencyQueue | None:
    """Return the queue of durations, or None if nothing records them one by one."""
    if instruments is None or not settings.export_duration:
        return None
    return LatencyQueue(partial(instruments.record, attributes=attributes), instruments.listened_to)
