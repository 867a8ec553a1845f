"""The way of a prediction through one process: captured, counted, judged, and read by telemetry and canaries."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from driftline._binning import Layout
from driftline._capture import Capture, Captured, names_of
from driftline._dependence import Dependence
from driftline._drain import DrainThread, watch
from driftline._guard import Guard, guarded_clock
from driftline._judging import Judging
from driftline._learning import Learner
from driftline._outputs import default_correct
from driftline._privacy import nameless, nameless_request
from driftline._reading import evidence_of, with_reference
from driftline._recorder import Call, Failure, Recorder
from driftline._replacing import AlignedCapture, Counted, Door, Past
from driftline._settings import Settings
from driftline._turns import Turns
from driftline._values import FeatureStatus, Score, Snapshot, StateChange
from driftline._watching import Watching, watching
from driftline._window import Window
from driftline.canary import Canary, VariantEvidence
from driftline.otel import Emitter, Instruments, Reading, Tracing, instruments_for
from driftline.outcomes import OutcomeStore
from driftline.reference import Learn, Reference
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VERSION

__all__ = ["Pipeline"]


class Pipeline:
    """
    All state of one monitor in one process.

    Args:
        settings: what the monitor was asked for.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._swap = threading.RLock()
        self._attributes = settings.attributes
        self.enabled = settings.enabled
        self.guard = Guard(settings.attributes[ML_MODEL_NAME], settings.on_error)
        # One for all functions of a monitor: a predict that calls another one of the same model is one prediction.
        self.active: ContextVar[list[bool] | None] = ContextVar("driftline.active", default=None)
        self.emitter = Emitter(settings.attributes, settings.logger_provider)
        self.tracing = Tracing(settings.attributes, settings.tracer_provider) if settings.trace else None
        self.outcomes = OutcomeStore(settings.correct)
        self.reference: Reference | None = None
        self._requests: dict[str, int] = {}
        self._asked: tuple[object, ...] = ()
        self._canaries: tuple[Canary, ...] = ()
        self._closed = False
        self._instruments: Instruments | None = instruments_for(settings.meter_provider) if self.enabled else None
        self._thread = None if settings.synchronous or not self.enabled else DrainThread(self._round)
        self._clock = guarded_clock(settings.clock, self.guard)
        self._capture: Capture | AlignedCapture | None = None
        self._judging: Judging | None = None
        self._past = Past()
        self._turns = Turns(self.guard)
        self._watching: Watching | None = None
        # Calls are counted from the first one on, by a recorder over no features until there is a reference.
        self._calls = Recorder(Layout(()), 0, Window(rows=2**40), self._clock, self._on_calls)
        self._calls.wake = self._wake
        self._recorder: Recorder | Learner | Door = self._calls
        if isinstance(settings.reference, Learn):
            self._recorder = Learner(settings.reference, self._calls, self._learnt, self.guard.note)
        else:
            self._watch(settings.reference)
        if self._instruments is not None:
            self._instruments.add(self)
            watch(self)

    def _learnt(self, reference: Reference) -> Recorder | Door:
        """A reference has been learnt from the rows served."""
        with self._swap:
            if isinstance(self._recorder, Learner):
                self._watch(reference)
            return self._recorder  # type: ignore[return-value]

    def replace_reference(self, reference: Reference) -> None:
        """Compare with another reference from now on: windows and states start anew, counters go on."""
        with self._swap:
            before, door = self.states(), self._recorder
            self._watch(reference)
        if isinstance(door, Learner):
            # Not under our lock: it has one of its own, and takes ours when it has learnt.
            door.give_up(self._recorder)  # type: ignore[arg-type]
        for name, status in before.items():
            if status.state != "insufficient_data":
                unknown = FeatureStatus("insufficient_data", None, None, 0, "the reference was replaced")
                self._changed(StateChange(name, status.state, unknown, self._settings.window.label))

    def _watch(self, reference: Reference) -> None:
        """Put everything that needs a reference in place."""
        settings = self._settings
        made = watching(
            reference,
            settings,
            clock=self._clock,
            guard=self.guard,
            instruments=self._instruments,
            changed=self._changed,
            on_calls=self._on_calls,
        )
        recorder, capture = made.recorder, made.capture
        recorder.wake, recorder.overdue = self._wake, self._overdue
        with self._swap:
            now = self._capture
            # Of calls that are under way the rows lie in the order of the capture that was.
            moved = isinstance(now, AlignedCapture) or (now is not None and now.names != capture.names)
            if self._watching is not None:
                self._past = self._past.add(self._watching.counted)
            elif isinstance(self._recorder, Learner):
                self._past = self._past.add(Counted(self._calls, (), frozenset(), None))
            self._watching, self.reference, self._judging = made, reference, made.judging
            self._calls, self._recorder = recorder, Door(recorder, capture.names) if moved else recorder
            self._capture = AlignedCapture(capture) if moved else capture
        if settings.correct is None and reference.prediction is not None:
            self.outcomes.judge_by(default_correct(reference.prediction))

    def _changed(self, change: StateChange) -> None:
        """Tell of a change; categories are named only where the user said so."""
        if not self._settings.export_labels:
            change = replace(change, status=nameless(self.reference, change.feature, change.status))
        self.emitter.state_changed(change)

    # --- what calls do: nothing here raises into the host, unless on_error="raise" -----------------------------------

    def capture(self, features: Any) -> Any:
        """Read and copy the features of a call; None where that fails."""
        try:
            if self._capture is None:
                self._discover(features)
            return self._capture(features)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - the guard
            self.unreadable("capture", error)
            return None

    def unreadable(self, place: str, error: Exception) -> None:
        """Count a call whose features raised when they were read: served all the same, in no window."""
        self._calls.drop("unreadable", 1)
        self.guard.caught(place, error)

    def done(self, captured: Captured, output: Any, seconds: float, context: object, prediction_id: object) -> None:
        """Take down a call that returned."""
        try:
            if self._thread is not None and not self._thread.running:
                self._thread.start()
            self._recorder.record(captured, output, seconds, context)
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.caught("output", error)
        if prediction_id is not None:
            self.done_with_id(prediction_id, output)

    def failed(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised."""
        try:
            self._begin()
            self._recorder.record_failure(captured, seconds, context, self.guard.error_type(error))
        except Exception as caught:  # noqa: BLE001 - the guard
            self.guard.caught("failure", caught)

    def done_with_id(self, prediction_id: object, output: Any) -> None:
        """Keep the output of a call taken down already, for the outcome that is told under this id."""
        try:
            self.remember(prediction_id, output)
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.caught("output", error)

    def caught(self, place: str, error: Exception) -> None:
        """Count an error of ours, or of a function that the user gave."""
        self.guard.caught(place, error)

    def batch(self, features: Any, outputs: Any) -> None:
        """Take down rows that were no call."""
        captured = self.capture(features)
        self._begin()
        self._recorder.record_batch(captured, outputs)

    def remember(self, prediction_id: Any, output: Any) -> None:
        """Keep an output, or those of a batch, until the outcome arrives."""
        if isinstance(prediction_id, (str, int)) or not hasattr(prediction_id, "__len__"):
            self.outcomes.remember(prediction_id, output)
            return
        for one, value in zip(prediction_id, output, strict=True):
            self.outcomes.remember(one, value)

    def _begin(self) -> None:
        """Start the thread at the first prediction of this process."""
        if self._thread is not None and not self._thread.running:
            self._thread.start()

    def _discover(self, features: Any) -> None:
        """While a reference is learnt the first call says what the features are."""
        learner = self._recorder
        if not isinstance(learner, Learner):
            return
        names = names_of(features)
        if names is None:
            shape = getattr(features, "shape", None)
            names = tuple(str(place) for place in range(shape[-1] if shape else len(features)))
        with self._swap:
            if self._capture is None:
                learner.names = names
                self._capture = Capture(names, self.guard.note, self._calls.drop)

    # --- draining and judging ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bin and judge all that waits."""
        if self.enabled:
            self._past.drain()
            self._recorder.drain()
            self._judge_windows()
            self._after_judgement()

    def _settle_for_collection(self) -> None:
        """As `settle`; but a distance of the user's, which may not come to its end, is left to our own thread."""
        thread, judging = self._thread, self._judging
        if thread is None or judging is None or not thread.running:
            self.settle()
            return
        self._past.drain()
        self._recorder.drain()
        self._turns.wait(judging, self._calls, thread)

    def flush(self) -> None:
        """Bin and judge all that waits, and what there is of the first window as long as none has been full."""
        try:
            self.settle()
            if self._turns.judge_partial(self._judging, self._calls.partial()):
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

    def _wake(self) -> None:
        if self._thread is not None and self._thread.running:
            self._thread.wake()
        else:
            self._recorder.drain()
            self._judge_windows()

    def _round(self) -> None:
        """One round of the thread."""
        try:
            self.settle()
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.caught("drain", error)

    def _overdue(self) -> None:
        self._turns.overdue(self._judging, self._calls)

    def _judge_windows(self) -> None:
        self._turns.judge(self._judging, self._calls)

    def _after_judgement(self) -> None:
        for canary in self._canaries:
            canary.verdict()
        policy = self._settings.retraining
        if policy is None:
            return
        status, outcomes = self.states(), self.outcomes.read()
        seen = (id(status), outcomes.known)
        if seen == self._asked:
            return  # nothing has been judged and no outcome has come: the queue on disk is left in peace
        self._asked = seen
        name, version = self._attributes[ML_MODEL_NAME], self._attributes.get(ML_MODEL_VERSION)
        latency = self.evidence().latency(0.5)
        for request in policy.requests(name, version, status, outcomes.accuracy, latency):
            if policy.queue.put(request):
                self._requests[request.reason] = self._requests.get(request.reason, 0) + 1
                told = request if self._settings.export_labels else nameless_request(self.reference, request, status)
                self.emitter.retraining_requested(told)

    def _on_calls(self, calls: Sequence[Call], failures: Sequence[Failure]) -> None:
        if self._instruments is None:
            return
        record = self._instruments.duration.record
        for seconds, context, _ in calls:
            record(seconds, self._attributes, context)  # type: ignore[arg-type]
        for seconds, context, error, _ in failures:
            record(seconds, {**self._attributes, "error.type": error}, context)  # type: ignore[arg-type]

    # --- what is read ------------------------------------------------------------------------------------------------

    @property
    def dependence(self) -> Dependence | None:
        """What has been learnt of how rows depend on each other."""
        return self._judging.dependence if self._judging is not None else None

    def scores(self) -> tuple[Score, ...]:
        """The scores of the last window judged."""
        return self._judging.scores if self._judging is not None else ()

    def states(self) -> dict[str, FeatureStatus]:
        """The states after the last window judged; another object after each."""
        if self._judging is not None:
            return self._judging.status
        reason = self._recorder.progress if isinstance(self._recorder, Learner) else ""
        names = self._capture.names if self._capture is not None else ()
        return {name: FeatureStatus("insufficient_data", None, None, 0, reason) for name in names}

    def snapshot(self) -> Snapshot | None:
        """The counts in the window so far; None while a reference is learnt."""
        if self._watching is None:
            return None
        window = self._watching.recorder.snapshot()
        return Snapshot(window.counts, window.rows, self._watching.layout.fingerprint)

    def evidence(self) -> VariantEvidence:
        """What this variant has done since the start of the process, in counts."""
        self._past.drain()
        self._recorder.drain()
        with self._swap:
            present, past, made = self._calls.read(), self._past, self._watching
        return evidence_of(made, past, present, self.outcomes.read())

    def reading(self, *, settle: bool) -> Reading | None:
        """The present reading for the metrics; None before the first prediction in this process."""
        try:
            if settle:
                self._settle_for_collection()
        except Exception as error:  # noqa: BLE001 - the guard
            self.guard.caught("collect", error)
        with self._swap:
            present, past, made = self._calls.read(), self._past, self._watching
        tally, outcomes = past.plus(present), self.outcomes.read()
        if not (tally.served or tally.failed or tally.dropped or tally.rows or outcomes.results):
            return None
        states = [canary.state for canary in self._canaries if canary.state is not None]
        told = Reading(
            self._attributes,
            tally.served,
            tally.failed,
            tally.dropped,
            dict(self.guard.counts),
            outcomes=outcomes.results,
            accuracy=outcomes.accuracy,
            retraining_requests=dict(self._requests),
            retraining_queue=self._queue_sizes(),
            canary=states[-1] if states else None,
        )
        return told if made is None else with_reference(told, made, past, present)

    def _queue_sizes(self) -> dict[str, int]:
        policy = self._settings.retraining
        if policy is None:
            return {}
        try:
            return policy.queue.sizes(self._attributes[ML_MODEL_NAME], self._attributes.get(ML_MODEL_VERSION))
        except Exception as error:  # noqa: BLE001 - a disk that is full or gone takes the queue's size with it, no more
            self.guard.caught("retraining", error)
            return {}

    def attach(self, canary: Canary) -> None:
        """Judge *canary* along with the features, and export its state."""
        self._canaries = (*self._canaries, canary)

    def after_fork(self) -> None:
        """Start empty in the child of a fork."""
        self._swap = threading.RLock()
        self._turns.reset()
        self.guard.reset()
        self.outcomes.reset()
        self._past.reset()
        self._recorder.reset()
        self._requests, self._asked = {}, ()
        if self._judging is not None:
            self._judging.reset()
        if self._thread is not None:
            self._thread.after_fork()
        if self._instruments is not None:
            self._instruments.after_fork()

    def all_after_fork(self) -> None:
        """Every monitor of the process is empty: canaries begin anew, which read two of them."""
        for canary in self._canaries:
            canary.restart()
