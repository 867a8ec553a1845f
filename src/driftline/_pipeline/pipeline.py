"""The way of a prediction through one process: captured, counted, judged, and read by telemetry and canaries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any

from driftline._binning.layout import Layout
from driftline._capture.reader import Captured
from driftline._pipeline import assembly as staging
from driftline._pipeline.active_reference import ActiveReference, watching
from driftline._pipeline.learning import Learner
from driftline._pipeline.outcome_registry import delist, enlist, name_of, outcomes_for
from driftline._pipeline.readings import estimated, evidence_of, reading_of, with_reference
from driftline._pipeline.redaction import Redactor
from driftline._pipeline.replacement import (
    Counted,
    RetiredRecorders,
)
from driftline._pipeline.scheduling import EvaluationTurns
from driftline._pipeline.settings import Settings
from driftline._recording.buffer import CallBuffer
from driftline._recording.recorder import Recorder
from driftline._runtime.guard import Guard, guarded_clock
from driftline._runtime.pacing import Throttle
from driftline._runtime.process_hooks import register
from driftline._runtime.worker import Worker
from driftline._significance.dependence import Dependence
from driftline._windows.window import Window
from driftline.canary import Canary, VariantEvidence
from driftline.detection._evaluator import WindowEvaluator
from driftline.otel import Emitter, Instruments, Reading, Tracing, flag_attributes, instruments_for
from driftline.outcomes import Performance
from driftline.outcomes._joiner import is_id_batch
from driftline.reference import Learn, Reference
from driftline.results import FeatureStatus, Score, Snapshot, replaced
from driftline.retraining._trigger import RetrainingTrigger
from driftline.semconv import ML_MODEL_NAME

__all__ = ["Pipeline"]


class Pipeline:
    """
    All state of one monitor in one process.

    Args:
        settings: what the monitor was asked for.
    """

    def __init__(self, settings: Settings) -> None:
        self._attributes = settings.attributes
        self.enabled = settings.enabled
        self.guard = Guard(settings.attributes[ML_MODEL_NAME], settings.on_error)
        clocks = guarded_clock(settings.clock, self.guard), guarded_clock(settings.wall_clock, self.guard)
        self._settings = settings = replace(settings, clock=clocks[0], wall_clock=clocks[1])
        self._swap, self._replacing = threading.RLock(), threading.RLock()
        # One for all functions of a monitor: a predict that calls another one of the same model is one prediction.
        self.active: ContextVar[list[bool] | None] = ContextVar("driftline.active", default=None)
        self.emitter = Emitter(settings.attributes, settings.logger_provider)
        self.tracing = Tracing(settings.attributes, settings.tracer_provider) if settings.trace else None
        self._name = name_of(settings.attributes)
        self._telling = Redactor(
            self.emitter,
            labels=settings.export_labels,
            named=settings.outcomes.classes,
            limits=lambda: self.outcomes.ledger.limits,
        )
        changed = self._telling.state_changed
        self.outcomes = outcomes_for(settings, changed, self.guard.report_error, self._wake_for_outcomes)
        self.reference: Reference | None = None
        self._detecting = staging.detecting_for(settings, changed, self.guard)
        if self._detecting is not None and self._detecting.watches_errors:
            self.outcomes.ledger.on_pair = self._detecting.on_outcome
        requested = self._telling.retraining_requested
        self._asking = RetrainingTrigger(settings.retraining, self._attributes, self.guard, requested)
        self._canaries: tuple[Canary, ...] = ()
        self._closed = False
        self._instruments: Instruments | None = instruments_for(settings.meter_provider) if self.enabled else None
        self._thread = None if settings.synchronous or not self.enabled else Worker(self._round)
        self._durations = staging.durations_for(settings, self._instruments)
        self._judging: WindowEvaluator | None = None
        self._past = RetiredRecorders(lambda: self._calls)
        self._turns = EvaluationTurns(self.guard)
        self._watching: ActiveReference | None = None
        self.lane: CallBuffer
        self._recorder: Recorder | Learner
        if isinstance(settings.reference, Learn):
            self._learn(settings.reference)
        else:
            self._put(self._made(settings.reference))
            self.outcomes.set_reference(settings.reference.prediction, settings.reference.outcomes)
        if self._instruments is not None:
            enlist(self._name, self.outcomes.ledger)
            self._instruments.add(self)
            register(self)

    def _learn(self, ask: Learn) -> None:
        """Count calls by a recorder over no features, and learn a reference from their rows."""
        self._calls = calls = Recorder(Layout(()), 0, Window(rows=2**40), self._settings.clock, self._durations)
        self._join(calls)
        reads = partial(staging.learning_capture, ask, guard=self.guard, dropped=calls.drop)
        self._recorder = learner = Learner(ask, reads, calls, self._learnt, self.guard.report, self._settings.derive)
        self.lane = calls.lane
        self.lane.end, self.lane.capture, self.lane.lookout = learner, learner.capture, learner.capture

    def _learnt(self, reference: Reference) -> None:
        """A reference has been learnt from the rows served."""
        made = self._made(reference)
        with self._swap:
            if isinstance(self._recorder, Learner):
                self._put(made)
        if self.reference is reference:
            self.outcomes.set_reference(reference.prediction, reference.outcomes)

    def replace_reference(self, given: object) -> None:
        """Compare with another reference from now on: windows and states start anew, counters go on."""
        reference = self._settings.replacement(given)
        with self._replacing:
            made = self._made(reference)
            self._past.drain()
            self.outcomes.set_reference(reference.prediction, reference.outcomes)
            with self._swap:
                told = {} if self._judging is None else self._telling.states(self._judging.status)
                before = self._recorder
                self._put(made)
            if isinstance(before, Learner):
                # Not under our lock: it has one of its own, and takes ours when it has learnt.
                before.give_up()
        for change in replaced(told, self._settings.window.label):
            self.emitter.state_changed(change)

    def _made(self, reference: Reference) -> ActiveReference:
        """Everything that needs a reference."""
        return watching(
            reference,
            self._settings,
            detecting=self._detecting,
            guard=self.guard,
            instruments=self._instruments,
            changed=self._telling.state_changed,
            durations=self._durations,
        )

    def _put(self, made: ActiveReference) -> None:
        """Put it in place; calls that are under way end in the lane in which they began."""
        self._join(made.recorder)
        with self._swap:
            if self._watching is not None:
                self._past = self._past.add(self._watching.counted)
            elif isinstance(self._settings.reference, Learn):
                self._past = self._past.add(Counted(self._calls))
            self._watching, self.reference, self._judging = made, made.reference, made.judging
            self._telling.watch(made.reference, made.judging)
            self._calls = self._recorder = made.recorder
            self.lane = made.recorder.lane

    def _join(self, recorder: Recorder) -> None:
        """Have callers start and wake the thread, or bin and judge where there is none."""
        wake = None if self._thread is None or self._thread.stopped else self._thread.wake
        recorder.relief.attend(self._begin, wake, self._overdue)

    # --- what calls do: nothing here raises into the host, unless on_error="raise" -----------------------------------

    def capture(self, lane: CallBuffer, features: Any) -> Captured:
        """Read and copy the features of a call that begins in this lane; None where that fails."""
        return self._read(lane.capture, features)

    def _read(self, read: Callable[[Any], Captured], features: Any) -> Captured:
        try:
            return read(features)
        except Exception as error:  # noqa: BLE001 - the guard
            self.unreadable("capture", error)
            return None

    def unreadable(self, place: str, error: Exception) -> None:
        """Count a call whose features raised when they were read: served all the same, in no window."""
        self._calls.drop("unreadable", 1)
        self.guard.report_error(place, error)

    def done(
        self, lane: CallBuffer, captured: Captured, output: Any, seconds: float, context: object, prediction_id: object
    ) -> None:
        """Take down a call that began in this lane and returned."""
        try:
            lane.end.record(captured, output, seconds, context)
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.report_error("output", error)
        if prediction_id is not None:
            self.done_with_id(prediction_id, output)

    def failed(self, lane: CallBuffer, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that began in this lane and raised."""
        try:
            self._begin()
            lane.end.record_failure(captured, seconds, context, self.guard.error_type(error))
        except Exception as caught:  # noqa: BLE001 - the guard
            self.guard.report_error("failure", caught)

    def done_with_id(self, prediction_id: object, output: Any) -> None:
        """Keep the output of a call taken down already, for the outcome that is told under this id."""
        try:
            self.remember(prediction_id, output)
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.report_error("output", error)

    def relieve(self) -> None:
        """Have the thread started or woken, or do a share of its work."""
        self._calls.relief.relieve()

    def caught(self, place: str, error: Exception) -> None:
        """Count an error of ours, or of a function that the user gave."""
        self.guard.report_error(place, error)

    def batch(self, features: Any, outputs: Any) -> None:
        """Take down rows that were no call."""
        lane = self.lane
        # Counted before the caller goes on, so read where it lies.
        captured = self._read(lane.lookout, features)
        self._begin()
        lane.end.record_batch(captured, outputs)

    def remember(self, prediction_id: Any, output: Any) -> None:
        """Keep an output, or those of a batch, until the outcome arrives."""
        if is_id_batch(prediction_id):
            self.outcomes.remember_all(prediction_id, output)
        else:
            self.outcomes.remember(prediction_id, output)

    def _begin(self) -> None:
        """Start the thread at the first prediction of this process."""
        thread = self._thread
        if thread is not None and not thread.running:
            thread.start()
            if thread.stopped:
                # There is none any more: callers do its work.
                self._calls.relief.wake = None

    # --- draining and judging ----------------------------------------------------------------------------------------

    def settle(self, pause: Callable[[], bool] | None = None, *, foreign: bool = False) -> None:
        """Bin and judge all that waits; see `Recorder.drain`."""
        if self.enabled:
            self._drain(pause, foreign=foreign)
            self._turns.judge(self._judging, self._calls, pause)
            self.outcomes.settle()
            self._feed_detectors()
            self._after_judgement()

    def _drain(self, pause: Callable[[], bool] | None = None, *, foreign: bool = False) -> None:
        self._past.drain(pause, foreign=foreign)
        self._recorder.drain(pause, foreign=foreign)

    def flush(self) -> None:
        """Bin and judge all that waits, and what there is of the first window as long as none has been full."""
        try:
            self.settle()
            for canary in self._canaries:
                canary.verdict()
            if self._turns.judge_partial(self._judging, self._calls.partial()):
                self._after_judgement()
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.report_error("flush", error)

    def shutdown(self) -> None:
        """Flush, end the thread, and leave the counters as they are for the collections that follow."""
        if self._closed:
            return
        self.flush()
        self._closed = True
        if self._thread is not None:
            self._thread.stop()
            self._calls.relief.wake = None
        if self._instruments is not None:
            self._instruments.close(self)
        delist(self._name, self.outcomes.ledger)

    def _wake_for_outcomes(self) -> None:
        if self._thread is not None:
            self._begin()
            self._thread.wake()

    def _round(self) -> None:
        """One round of the thread, in small pieces: a call that comes meanwhile does not wait for all of it."""
        try:
            self._turns.round(partial(self.settle, Throttle(self._pressed)))
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.report_error("drain", error)

    def _pressed(self) -> bool:
        return self._turns.awaited or self._calls.relief.pressed()

    def _overdue(self) -> None:
        """Do in the caller what the thread does not keep up with, or what none does."""
        self._turns.overdue(self._judging, self._calls)
        if self._calls.relief.wake is None:
            self._feed_detectors()

    def _feed_detectors(self) -> None:
        if self._detecting is not None:
            self._detecting.feed()

    def _after_judgement(self) -> None:
        for canary in self._canaries:
            canary.refresh()
        seen = (self._judging and self._judging.status, self._detecting and self._detecting.status)
        self._asking.ask(seen, self.states, self.outcomes.tally(), lambda: self.evidence().latency(0.5))

    # --- what is read ------------------------------------------------------------------------------------------------

    @property
    def dependence(self) -> Dependence | None:
        """What has been learnt of how rows depend on each other."""
        return self._judging.dependence if self._judging is not None else None

    def scores(self) -> tuple[Score, ...]:
        """The scores of the last window judged."""
        return self._judging.scores if self._judging is not None else ()

    def states(self) -> dict[str, FeatureStatus]:
        """The states after the last window judged, and those of the detectors."""
        found = {} if self._detecting is None else self._detecting.status
        if self._judging is not None:
            return {**self._judging.status, **found}
        learner = self._recorder
        if not isinstance(learner, Learner):
            return found
        unknown = FeatureStatus("insufficient_data", None, None, 0, learner.progress)
        return {**dict.fromkeys(learner.names, unknown), **found}

    def snapshot(self) -> Snapshot | None:
        """The counts in the window so far; None while a reference is learnt."""
        made = self._watching
        if made is None:
            return None
        window = made.recorder.snapshot()
        return Snapshot(window.counts, window.rows, made.layout.fingerprint)

    def evidence(self) -> VariantEvidence:
        """What this variant has done since the start of the process, in counts."""
        self._drain()
        self.outcomes.settle()
        with self._swap:
            present, past, made = self._calls.read(), self._past, self._watching
            late = past.read()
        return evidence_of(made, past, present, late, self.outcomes.ledger.totals())

    def reading(self) -> Reading | None:
        """Settle, and return the reading for one collection, or None before the first prediction in this process."""
        with self.guard("collect"):
            # User functions, which may never return, are left to the worker thread.
            self._turns.collect(self._thread, partial(self._drain, foreign=True), self.settle)
        with self._swap:
            present, past, made = self._calls.read(), self._past, self._watching
            late = past.read()
        tally, outcomes = past.plus(present, late), self.outcomes.tally()
        if not (tally.served or tally.failed or tally.dropped or tally.rows or outcomes.results):
            return None
        verdicts = [canary.last for canary in self._canaries if canary.last is not None]
        told = reading_of(
            self._attributes, tally, self.guard, self._asking, verdicts, self.outcomes.ledger, self._telling
        )
        if made is None:
            return told
        return with_reference(told, made, past.exports(made.counted.exports(present), late), self.states())

    def estimated(self) -> Performance | None:
        """Accuracy expected of what the window holds, from the predictions; None without outcomes in the reference."""
        return estimated(self._watching)

    def dropped(self, reason: str, rows: int) -> None:
        """Count rows that were not predicted."""
        self._calls.drop(reason, rows)

    def flagged(self, key: str, variant: str, provider: str | None) -> None:
        """Put the feature flag that chose this variant on spans and events."""
        attributes = flag_attributes(key, variant, provider)
        self.emitter.add(attributes)
        if self.tracing is not None:
            self.tracing.add(attributes)

    def attach(self, canary: Canary) -> None:
        """Judge *canary* along with the features, and export its state."""
        self._canaries = (*self._canaries, canary)

    def after_fork(self) -> None:
        """Start empty in the child of a fork."""
        self._swap, self._replacing = threading.RLock(), threading.RLock()
        for part in (self._turns, self.guard, self.outcomes, self._past, self._recorder, self._asking):
            part.reset()
        for shared in (self._durations, self._detecting):
            if shared is not None:
                shared.reset()
        if self._judging is not None:
            self._judging.reset()
            self._calls.divide(wanted=self._judging.learning)
        if self._thread is not None:
            self._thread.after_fork()
        if self._instruments is not None:
            self._instruments.after_fork()
        for canary in self._canaries:
            canary.restart()
