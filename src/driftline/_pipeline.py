"""The way of a prediction through one process: captured, counted, judged, and read by telemetry and canaries."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from driftline import _staging as staging
from driftline._asking import Asking
from driftline._binning import Layout
from driftline._capture import Capture, Captured, first_names
from driftline._dependence import Dependence
from driftline._drain import DrainThread, let_others_run, watch
from driftline._guard import Guard
from driftline._judging import Judging
from driftline._lane import ROWS, Lane
from driftline._learning import Learner
from driftline._outcome_register import delist, enlist, name_of, outcomes_for
from driftline._recorder import Recorder
from driftline._settings import Settings
from driftline._timing import Durations
from driftline._values import FeatureStatus, Score, Snapshot
from driftline._variant import variant_evidence
from driftline._window import Window
from driftline.canary import Canary, VariantEvidence
from driftline.otel import Emitter, Instruments, Reading, Tracing, flag_attributes, instruments_for
from driftline.outcomes import Performance, as_ids, estimated_accuracy
from driftline.reference import Learn, Reference
from driftline.semconv import ML_MODEL_NAME

__all__ = ["Pipeline"]

MOST_PENDING = 128
"""Completed windows that wait before a caller waits for the one who is judging: memory stays fixed."""


class Pipeline:
    """
    All state of one monitor in one process.

    Args:
        settings: what the monitor was asked for.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._attributes = settings.attributes
        self.enabled = settings.enabled
        self.guard = Guard(settings.attributes[ML_MODEL_NAME], settings.on_error)
        # One for all functions of a monitor: a predict that calls another one of the same model is one prediction.
        self.active: ContextVar[list[bool] | None] = ContextVar("driftline.active", default=None)
        self.emitter = Emitter(settings.attributes, settings.logger_provider)
        self.tracing = Tracing(settings.attributes, settings.tracer_provider) if settings.trace else None
        self._name = name_of(settings.attributes)
        self.outcomes = outcomes_for(settings, self.emitter.state_changed, self.guard.caught, self._wake_for_outcomes)
        self.reference: Reference | None = None
        self._detecting = staging.detecting_for(settings, self.emitter.state_changed, self.guard)
        if self._detecting is not None and self._detecting.hears_outcomes:
            self.outcomes.ledger.heard = self._detecting.outcome
        self._exported: frozenset[str] = frozenset()
        self._asking = Asking(settings.retraining, self._attributes, self.guard, self.emitter.retraining_requested)
        self._canaries: tuple[Canary, ...] = ()
        self._closed = False
        self._instruments: Instruments | None = instruments_for(settings.meter_provider) if self.enabled else None
        self._thread = None if settings.synchronous or not self.enabled else DrainThread(self._round)
        self._capture: Capture | None = None
        self._lookout: Capture | None = None
        self._judging: Judging | None = None
        self._durations: Durations | None = None
        if self._instruments is not None and settings.export_duration:
            record = partial(self._instruments.record, attributes=self._attributes)
            self._durations = Durations(record, self._instruments.listened_to)
        self.lane: Lane
        self._recorder: Recorder | Learner
        if isinstance(settings.reference, Learn):
            # Calls are counted from the first one on, by a recorder over no features.
            self._calls = self._made(Recorder(Layout(()), 0, Window(rows=2**40), settings.clock, self._durations))
            self.lane = self._calls.lane
            self._recorder = Learner(
                settings.reference, self._calls, self._start_watching, self.guard.note, settings.derive
            )
        else:
            self._start_watching(settings.reference)
        if self._instruments is not None:
            enlist(self._name, self.outcomes.ledger)
            self._instruments.add(self)
            watch(self)

    def _start_watching(self, reference: Reference) -> Recorder:
        """Put everything that needs a reference in place."""
        settings, watched = self._settings, reference.watched
        layout = staging.layout_for(reference, settings, self._detecting, self.guard)
        judging = Judging(
            reference,
            layout,
            settings.window,
            settings.rule,
            settings.distances,
            settings.clock,
            self.emitter.state_changed,
            self.guard.note,
        )
        width, week = len(reference.features), staging.week_for(reference, settings)
        recorder = self._made(Recorder(layout, width, settings.window, settings.clock, self._durations, week))
        recorder.divide(wanted=judging.learning)
        if isinstance(getattr(self, "_recorder", None), Learner):
            recorder.adopt(self._calls)
        self._capture = staging.capture_for(reference, self.guard, recorder.drop)
        self._lookout = staging.lookout_for(self._capture, layout, self.guard, recorder.drop)
        self.outcomes.expect(reference.prediction, reference.outcomes)
        self._exported = staging.exported_names(watched, settings, self._detecting, self._instruments, self.guard)
        self.reference, self._judging, self._layout = reference, judging, layout
        recorder.lane.read_by(self._capture)
        self._calls = self._recorder = recorder
        self.lane = recorder.lane
        return recorder

    def _made(self, recorder: Recorder) -> Recorder:
        """A recorder that has callers start and wake the thread, or bin and judge where there is none."""
        recorder.begin = self._begin
        recorder.wake = None if self._thread is None else self._thread.wake
        recorder.overdue = self._overdue
        return recorder

    # --- what calls do: nothing here raises into the host, unless on_error="raise" -----------------------------------

    def capture(self, features: Any) -> Captured:
        """Read and copy the features of a call; None where that fails."""
        try:
            if self._capture is None:
                self._discover(features)
            captured = self._capture(features)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - the guard
            self.unreadable("capture", error)
            return None
        # While a reference is learnt a row is a batch of one: it does not take the short way past the learner.
        return [captured] if self._lookout is None and captured.__class__ in ROWS else captured

    def unreadable(self, place: str, error: Exception) -> None:
        """Count a call whose features raised when they were read: served all the same, in no window."""
        self._calls.drop("unreadable", 1)
        self.guard.caught(place, error)

    def done(self, captured: Captured, output: Any, seconds: float, context: object, prediction_id: object) -> None:
        """Take down a call that returned."""
        try:
            if prediction_id is not None:
                self.remember(prediction_id, output)
            self._recorder.record(captured, output, seconds, context)
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.caught("output", error)

    def failed(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised."""
        try:
            self._begin()
            self._recorder.record_failure(captured, seconds, context, error)
        except Exception as caught:  # noqa: BLE001 - the guard
            self.guard.caught("failure", caught)

    def done_with_id(self, prediction_id: object, output: Any) -> None:
        """Keep the output of a call taken down already, for the outcome that is told under this id."""
        try:
            self.remember(prediction_id, output)
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.caught("output", error)

    def relieve(self) -> None:
        """Have the thread started or woken, or do a share of its work."""
        self._calls.relieve()

    def caught(self, place: str, error: Exception) -> None:
        """Count an error of ours, or of a function that the user gave."""
        self.guard.caught(place, error)

    def batch(self, features: Any, outputs: Any) -> None:
        """Take down rows that were no call."""
        # Counted before the caller goes on, so read where it lies.
        captured = self.capture(features) if self._lookout is None else self._lookout(features)
        self._begin()
        self._recorder.record_batch(captured, outputs)

    def remember(self, prediction_id: Any, output: Any) -> None:
        """Keep an output, or those of a batch, until the outcome arrives."""
        if as_ids(prediction_id):
            self.outcomes.remember_all(prediction_id, output)
        else:
            self.outcomes.remember(prediction_id, output)

    def _begin(self) -> None:
        """Start the thread at the first prediction of this process."""
        if self._thread is not None and not self._thread.running:
            self._thread.start()

    def _discover(self, features: Any) -> None:
        """While a reference is learnt the first call says what the features are."""
        learner = self._recorder
        if isinstance(learner, Learner):
            learner.names = first_names(features)
            self._capture = staging.learning_capture(learner.ask, learner.names, self.guard, self._calls.drop)

    def settle(self, pause: Callable[[], object] | None = None) -> None:
        """Bin and judge all that waits."""
        if self.enabled:
            self._recorder.drain(pause)
            self._judge_windows()
            self.outcomes.settle()
            self._feed_detectors()
            self._after_judgement()

    def flush(self) -> None:
        """Bin and judge all that waits, and what there is of the first window as long as none has been full."""
        try:
            self.settle()
            for canary in self._canaries:
                canary.verdict()
            if isinstance(self._recorder, Recorder) and self._judging is not None:
                partial = self._recorder.partial()
                if partial is not None and partial.rows:
                    with self._judging.lock:
                        self._judging.judge([partial], partial=True)
                    self._after_judgement()
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.caught("flush", error)

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
        delist(self._name, self.outcomes.ledger)

    def _wake_for_outcomes(self) -> None:
        if self._thread is not None:
            self._begin()
            self._thread.wake()

    def _round(self) -> None:
        """One round of the thread, in small pieces: a call that comes meanwhile does not wait for all of it."""
        try:
            self.settle(pause=let_others_run)
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.caught("drain", error)

    def _judge_windows(self) -> None:
        judging = self._judging
        if judging is None or not isinstance(self._recorder, Recorder):
            return
        with judging.lock:
            windows = list(self._recorder.windows())
            if windows:
                judging.judge(windows)
                self._recorder.divide(wanted=judging.learning)

    def _overdue(self) -> None:
        """Do in the caller what the thread does not keep up with, unless it is at it just now, or what none does."""
        judging, pending = self._judging, len(self._calls.pending)
        if pending and judging is not None and judging.lock.acquire(blocking=pending > MOST_PENDING):
            try:
                self._judge_windows()
            finally:
                judging.lock.release()
        if self._thread is None:
            self._feed_detectors()

    def _feed_detectors(self) -> None:
        if self._detecting is not None:
            self._detecting.feed()

    def _after_judgement(self) -> None:
        for canary in self._canaries:
            canary.refresh()
        seen = (id(self._judging and self._judging.status), id(self._detecting and self._detecting.status))
        self._asking.ask(seen, self.states, self.outcomes.read(), lambda: self.evidence().latency(0.5))

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
        reason = self._recorder.progress if isinstance(self._recorder, Learner) else ""
        names = self._capture.names if self._capture is not None else ()
        return {**{name: FeatureStatus("insufficient_data", None, None, 0, reason) for name in names}, **found}

    def snapshot(self) -> Snapshot | None:
        """The counts in the window so far; None while a reference is learnt."""
        if not isinstance(self._recorder, Recorder):
            return None
        window = self._recorder.snapshot()
        return Snapshot(window.counts, window.rows, self._layout.fingerprint)

    def evidence(self) -> VariantEvidence:
        """What this variant has done since the start of the process, in counts."""
        self._recorder.drain()
        self.outcomes.settle()
        reference = self.reference
        layout, watched = (None, ()) if reference is None else (self._layout, reference.watched)
        return variant_evidence(self._calls.read(), self.outcomes.ledger.totals(), layout, watched)

    def reading(self, *, settle: bool) -> Reading | None:
        """The present reading for the metrics; None before the first prediction in this process."""
        try:
            if settle:
                self.settle()
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.caught("collect", error)
        tally, outcomes = self._calls.read(), self.outcomes.read()
        if not (tally.served or tally.failed or tally.dropped or tally.rows or outcomes.results):
            return None
        judging, reference, exported = self._judging, self.reference, self._exported
        estimated = self.estimated()
        bins: tuple[tuple[str, Any], ...] = ()
        if judging is not None and reference is not None and self._settings.export_bins:
            places = zip(reference.watched, self._layout.slices, strict=True)
            bins = tuple((feature.name, tally.counts[place]) for feature, place in places if feature.name in exported)
        verdicts = [canary.last for canary in self._canaries if canary.last is not None]
        return Reading(
            self._attributes,
            tally.served,
            tally.failed,
            tally.dropped,
            dict(self.guard.counts),
            [score for score in self.scores() if score.feature in exported],
            {
                **({} if judging is None else {name: one for name, one in self.states().items() if name in exported}),
                **self.outcomes.status,
            },
            bins,
            outcomes.results,
            outcomes.accuracy,
            None if estimated is None else estimated.value,
            dict(self._asking.requests),
            self._asking.sizes(),
            verdicts[-1].state if verdicts else None,
            (*self.outcomes.ledger.performance(), *(() if estimated is None else (estimated,))),
            verdicts[-1].criteria if verdicts else (),
        )

    def estimated(self) -> Performance | None:
        """Accuracy expected of what the window holds, from the predictions; None without outcomes in the reference."""
        reference = self.reference
        if reference is None or reference.outcomes is None or not isinstance(self._recorder, Recorder):
            return None
        return estimated_accuracy(reference.outcomes, self._recorder.snapshot().counts[self._layout.slices[-1]])

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
        self.guard.reset()
        self.outcomes.reset()
        self._recorder.reset()
        if self._detecting is not None:
            self._detecting.reset()
        self._asking.reset()
        if self._judging is not None:
            self._judging.reset()
            if isinstance(self._recorder, Recorder):
                self._recorder.divide(wanted=self._judging.learning)
        if self._thread is not None:
            self._thread.after_fork()
        if self._instruments is not None:
            self._instruments.after_fork()
        for canary in self._canaries:
            canary.restart()
