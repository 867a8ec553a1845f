"""The life of one monitor in one process: start, settling, replacement, shutdown, fork."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from driftline._capture.names import UnknownNames
from driftline._pipeline.active_reference import ActiveReference
from driftline._pipeline.assembly import Assembly, detectors_for, duration_queue_for
from driftline._pipeline.calls import Calls
from driftline._pipeline.kept_dependence import KeptDependence
from driftline._pipeline.outcome_registry import delist, enlist, name_of, outcomes_for
from driftline._pipeline.readings import Readings
from driftline._pipeline.redaction import RedactedEvents, Redactor
from driftline._pipeline.replacement import Serving
from driftline._pipeline.retraining_decisions import RetrainingDecisions
from driftline._pipeline.scheduling import WorkerRounds
from driftline._pipeline.settings import Settings
from driftline._runtime.abandoned import finish_abandoned
from driftline._runtime.call_keys import Bucket
from driftline._runtime.floats import without_float_errors
from driftline._runtime.guard import Guard, guarded_clock
from driftline._runtime.pacing import Throttle
from driftline._runtime.process_hooks import register
from driftline._runtime.worker import Worker
from driftline._windows.call_log import WarmUp
from driftline.canary import Canary, VariantEvidence
from driftline.otel import Emitter, Instruments, Reading, Tracing, flag_attributes, instruments_for
from driftline.reference import Learn, Reference
from driftline.results import replaced
from driftline.retraining._trigger import RetrainingTrigger
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VERSION

__all__ = ["Pipeline"]

CANARY_SECONDS = 0.5
"""Seconds between two rounds of the worker thread of a canary, so that a killed process loses at most a second."""


class Pipeline:
    """
    All parts of one monitor in one process.

    Args:
        settings: the checked arguments of the monitor.

    Attributes:
        readings: reads scores, states and counts.
        outcomes: the outcomes of predictions.
        emitter: emits events.
        serving: the recorder at work, and those that were replaced.
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
        self.providers, self._name = settings.providers, name_of(attributes)
        self._closed = self._unused = False
        self._renew_lock()
        self.emitter = Emitter(attributes, settings.logger_provider)
        self._redactor = Redactor(labels=settings.export_labels, named=settings.outcomes.classes)
        events = RedactedEvents(self._redactor, self.emitter)
        self._canaries: tuple[Canary, ...] = ()
        self.worker = None if settings.synchronous or not self.enabled else Worker(self._run_round)
        self._rounds = WorkerRounds()
        self._detectors = detectors = detectors_for(settings, events.state_changed, guard)
        self.outcomes = outcomes_for(
            settings,
            self._name,
            on_change=events.state_changed,
            on_error=guard.report_error,
            on_pair=detectors.on_outcome if detectors is not None and detectors.watches_errors else None,
            wake=None if self.worker is None else self._wake_worker,
        )
        self._redactor.set_ledger(self.outcomes.ledger)
        self._trigger = RetrainingTrigger(settings.retraining, attributes, guard, events, settings.wall_clock)
        self._instruments: Instruments | None = instruments_for(settings.meter_provider) if self.enabled else None
        self._durations = duration_queue_for(settings, attributes, self._instruments)
        self._assembly = Assembly(
            settings,
            attributes,
            guard,
            UnknownNames(guard.report),
            events.state_changed,
            detectors,
            self._instruments,
            self._durations,
            self.worker,
        )
        self._kept = KeptDependence(settings.learned_path if self.enabled else None, settings.name, guard.report)
        tracing = Tracing(attributes, settings.tracer_provider) if settings.trace else None
        reference = None if isinstance(settings.reference, Learn) else settings.reference
        self.serving = self._start(settings.reference)
        calls = Calls(
            self.serving.recorder,
            reference,
            self.serving.call_bucket,
            self.outcomes,
            tracing,
            guard,
            enabled=self.enabled,
        )
        calls.owner = self
        self._new_calls: Calls | None = calls
        self._find_calls = weakref.ref(calls)
        self.readings = Readings(
            attributes, self.serving, self.outcomes, detectors, self._trigger, self._redactor, guard
        )
        self._requests = RetrainingDecisions(settings, self._trigger, self.readings, self.serving, self.outcomes)
        finish_abandoned(threadless=True)
        if self._instruments is not None:
            enlist(self._name, self.outcomes.ledger)
            self._instruments.add(self)
            register(self)

    def take_calls(self) -> Calls:
        """
        Return the object that records calls, once. The monitor is in use as long as that object is.

        Raises:
            RuntimeError: it has been taken already.
        """
        calls, self._new_calls = self._new_calls, None
        if calls is None:
            msg = "the calls of a pipeline can be taken once"
            raise RuntimeError(msg)
        return calls

    def _start(self, reference: Reference | Learn) -> Serving:
        """Return the first `Serving`: with this reference, or with a learner that fits one."""
        if isinstance(reference, Learn):
            return Serving(self._assembly.learn(reference, self._on_learned))
        active = self._assembly.build(reference, self._kept.known)
        self._assembly.watch_streams(reference)
        self._redactor.switch(reference, active.evaluator)
        return Serving(active)

    def _renew_lock(self) -> None:
        self._replacing = threading.RLock()

    # --- the reference -----------------------------------------------------------------------------------------------

    def _on_learned(self, reference: Reference) -> None:
        """Compare with a learned reference from now on, unless the user has replaced it already."""
        with self._replacing:
            # The user may have replaced the reference while this one was fitted.
            if self.serving.learner is None:
                return
            self._switch(replace(self._assembly.build(reference, self._kept.known), origin="serving"))
            self.outcomes.set_reference(reference.prediction, reference.outcomes, reference.labels)

    def replace_reference(self, reference: object, version: str | None = None) -> None:
        """
        Compare with another reference from now on, of another *version* if that is not None. See `Monitor`.

        Raises:
            ConfigurationError: the value is no reference, or does not fit the settings. Its file: ReferenceError.
        """
        checked = self._settings.replacement(reference, version)
        serving = self.serving
        with self._replacing:
            before, learner = serving.active, serving.learner
            self._kept.keep(before)
            active = self._assembly.build(checked, self._kept.known)
            serving.retired.drain()
            self.outcomes.set_reference(checked.prediction, checked.outcomes, checked.labels)
            states = {} if before is None else self._redactor.states(before.evaluator.status)
            self._switch(active)
            if learner is not None:
                # Outside the lock: the learner takes its own lock first, and then this one.
                learner.stop()
        for change in replaced(states, self._settings.window.label):
            self.emitter.state_changed(change)
        self.emitter.add({} if version is None else {ML_MODEL_VERSION: version})
        self._trigger.replace(version, active.layout.fingerprint)

    def _switch(self, active: ActiveReference) -> None:
        """Let calls begin under this reference, and let detectors watch its streams. The caller holds `_replacing`."""
        self._assembly.watch_streams(active.reference)
        with self.serving.lock:
            self.serving.switch(active)
            self._redactor.switch(active.reference, active.evaluator)
            calls = self._find_calls()
            if calls is not None:
                calls.switch(active.recorder, active.reference)

    # --- settling ----------------------------------------------------------------------------------------------------

    @without_float_errors
    def settle(self, pause: Callable[[], bool] | None = None, *, without_user_functions: bool = False) -> None:
        """
        Drain, evaluate windows, join outcomes, feed detectors, refresh canaries, apply the retraining policy.

        The arguments are as for `Recorder.drain`.
        """
        if not self.enabled:
            return
        calls = self._find_calls()
        if calls is not None:
            calls.report_overflows()
        self.serving.drain(pause, without_user_functions=without_user_functions)
        active = self.serving.active
        if active is not None:
            active.turns.evaluate(pause)
            self._kept.save_if_due(active)
        self.outcomes.settle()
        if self._detectors is not None:
            self._detectors.feed()
        self._react()

    def _react(self) -> None:
        """Refresh the canaries, and apply the policy of retraining to the latest states."""
        for canary in self._canaries:
            canary.refresh()
        self._requests.decide(lambda: self.evidence().latency(0.5))

    @without_float_errors
    def flush(self) -> None:
        """Settle, compute the verdicts of the canaries, and evaluate the rows so far if no window is complete yet."""
        with self.guard("flush"):
            self.settle()
            learner = self.serving.learner
            if learner is not None:
                learner.wait_for_fit()
                self.settle()
            for canary in self._canaries:
                canary.verdict()
            active = self.serving.active
            if active is not None and active.turns.evaluate_partial():
                self._react()
            self._kept.save(active)

    def _run_round(self) -> None:
        """Settle in the worker thread, with pauses in which calls get the interpreter. Report an error."""
        with self.guard.in_thread("drain"):
            self._rounds.run(partial(self.settle, Throttle(self._is_falling_behind)))
        if self._unused:
            finish_abandoned()

    def _is_falling_behind(self) -> bool:
        """Return whether the worker thread must not pause for long: a collection waits, or the backlog is long."""
        return self._rounds.awaited or self.serving.recorder.backpressure.is_falling_behind()

    def _wake_worker(self) -> None:
        """Start the worker thread if it does not run, and wake it."""
        worker = self.worker
        if worker is not None:
            worker.start()
            worker.wake()

    # --- for metrics and canaries ------------------------------------------------------------------------------------

    @property
    def attributes(self) -> Mapping[str, str]:
        """Model, version and variant."""
        return self._settings.attributes

    def prepare(self) -> None:
        """Wake the worker thread for a collection, which then calls `reading`. It wakes those of all monitors first."""
        if self.has_thread and self.worker is not None:
            self._rounds.request(self.worker)

    @without_float_errors
    def reading(self, *, settle: bool = True) -> Reading | None:
        """
        Return the values of one collection, or None before the first prediction in this process.

        Args:
            settle: whether to settle first. If False, what is pending goes out with the next collection.
        """
        guarding = self.guard.in_callback("collect")
        if settle:
            with guarding:
                self._settle_for_collection()
        with guarding:
            return self.readings.reading(self._canaries)
        return None

    def _settle_for_collection(self) -> None:
        """
        Settle in the thread of a collection.

        User functions may never return. If there is a worker thread, only that thread runs them.
        """
        worker = self.worker
        if worker is None or worker.stopped:
            self.settle()
        elif not worker.running:
            # There was no prediction in this process, or the first one is about to start the worker thread.
            self.settle(without_user_functions=True)
        else:
            self._rounds.wait_for_next(worker, self._is_stuck)
            self.serving.drain(without_user_functions=True)

    def _is_stuck(self) -> bool:
        """Return whether an evaluation of windows does not return."""
        active = self.serving.active
        return active is not None and active.turns.stuck

    @without_float_errors
    def evidence(self, since: float | None = None) -> VariantEvidence:
        """Drain, join outcomes, and return what `Readings.evidence` returns."""
        self.serving.drain()
        self.outcomes.settle()
        return self.readings.evidence(since)

    def count_evidence(self, warm_up_calls: int, warm_up_seconds: float, since: float) -> Bucket:
        """
        Count calls by block of time and by key from now on. If they are counted already, change nothing.

        Outcomes count by the time of their prediction, if that was made since the Unix time *since*.

        Returns:
            the variable that holds the bucket of the key of the calls that follow.
        """
        settings = self._settings
        self.serving.start_log(settings.wall_clock, WarmUp(warm_up_calls, warm_up_seconds, settings.clock))
        self.outcomes.settle()
        self.outcomes.ledger.count_cohorts(since)
        return self.serving.call_bucket

    def attach(self, canary: Canary) -> None:
        """Refresh *canary* whenever the monitor settles, and export its state."""
        if self.worker is not None:
            self.worker.interval = CANARY_SECONDS
        self._canaries = (*self._canaries, canary)

    def set_flag(self, key: str, variant: str, provider: str | None) -> None:
        """Add the attributes of the feature flag that chose this variant to spans and events."""
        attributes = flag_attributes(key, variant, provider)
        self.emitter.add(attributes)
        calls = self._find_calls()
        if calls is not None and calls.tracing is not None:
            calls.tracing.add(attributes)

    # --- the end, and forks ------------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Flush and stop the worker thread. Later collections still export the counters. A second call does nothing."""
        if self._closed:
            return
        self.flush()
        self.end()
        self._closed = True
        if self.worker is not None:
            self.worker.stop()
        if self._instruments is not None:
            self._instruments.close(self)
        delist(self._name, self.outcomes.ledger)

    def end(self) -> None:
        """End the canaries, so that their states do not outlive this process."""
        with self.guard("canary"):
            for canary in self._canaries:
                canary.end()

    @property
    def ended(self) -> bool:
        """Whether `shutdown` was called."""
        return self._closed

    @property
    def has_thread(self) -> bool:
        """Whether a worker thread runs, which finishes the pipeline once it is unused."""
        return self.worker is not None and self.worker.running and self.worker.attached

    def is_abandoned(self) -> bool:
        """Take note that the monitor is unused. Return whether it has to be finished."""
        self._unused = True
        return self.enabled and not self._closed

    def finish(self) -> None:
        """Shut the pipeline of an unused monitor down."""
        self.shutdown()

    def after_fork(self) -> None:
        """Reset counts, scores and locks in the child of a fork. Its first call starts a new worker thread."""
        self._renew_lock()
        for part in (self._rounds, self.guard, self.outcomes, self.serving, self._trigger, self._kept):
            part.reset()
        for optional in (self._durations, self._detectors):
            if optional is not None:
                optional.reset()
        if self.worker is not None:
            self.worker.after_fork()
        for canary in self._canaries:
            canary.restart()
