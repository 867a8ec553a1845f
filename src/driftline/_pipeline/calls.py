"""The recording of calls: no error reaches the host, except with ``on_error="raise"``."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sized
from contextvars import ContextVar
from itertools import repeat
from typing import Any, Protocol, TypeAlias

from driftline._capture.captured import Captured, Unread
from driftline._capture.columns import as_objects
from driftline._capture.libraries import read_column
from driftline._capture.outputs import is_scalar
from driftline._capture.tables import count_rows
from driftline._recording.buffer import NO_OUTPUT, CallBuffer, pop_head
from driftline._recording.recorder import Recorder
from driftline._runtime.abandoned import abandon
from driftline._runtime.call_keys import Bucket, bucket_of, key_bucket, key_digest, with_bucket
from driftline._runtime.guard import Guard, is_contained
from driftline._runtime.owned import OwnedDict, belongs_to
from driftline._runtime.shadow_watch import ShadowWatch, current_watch, watch_call
from driftline._windows.totals import count_row_keys
from driftline.otel import Tracing, current_context, error_type
from driftline.outcomes import Outcomes
from driftline.outcomes._joiner import is_id_batch
from driftline.reference import Reference

__all__ = ["Calls"]

Buckets: TypeAlias = "list[int | None] | int | None"
"""Buckets of keys: one per row of a batch, or one for the call; None without a key."""


class Owner(Protocol):
    """The pipeline of a monitor, as its `Calls` see it."""

    @property
    def has_thread(self) -> bool:
        """Whether a worker thread of the pipeline runs."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the monitor was shut down."""
        ...

    def is_abandoned(self) -> bool:
        """Take note that no user is left. Return whether there is something to finish."""
        ...

    def finish(self) -> None:
        """Flush, end the worker thread, and hand the counts on."""
        ...


class PicklePlan(Protocol):
    """The `Blueprint` of a monitor, as its `Calls` see it."""

    key: str
    monitor: weakref.ref[Any] | None

    def reduce(self, calls: Calls) -> tuple[Any, ...]:
        """Return what ``__reduce__`` of these calls returns."""
        ...


class Calls:
    """
    The `Target` of a monitor's decorators and context managers: it records their calls.

    The monitor, its decorated functions and its open calls refer to this object, and this object to the pipeline. The
    pipeline does not refer back. So when this object is unused, the monitor is, and another thread finishes it.

    Args:
        enabled: whether anything is recorded.
        recorder: the recorder at work.
        reference: the reference at work, or None while one is learned.
        call_bucket: holds the bucket of the key of the calls that follow.
        outcomes: keeps outputs with an id.
        tracing: makes spans. If None, there are none.
        guard: reports errors.

    Attributes:
        call_flag: in each context, None or the flag of the latest call: a list of one boolean, True until it ends. All
            functions of a monitor share it. A function that calls another one makes one prediction.
        open_blocks: the blocks of this monitor that generators have open, by the generator's frame.
        buffer: the buffer in which calls begin.
        owner: the pipeline.
        blueprint: what a pickle holds of the monitor.
        overflows: steps that the limit of recursion has prevented, as (place, seconds of a call to count or None).
        enabled: as above.
        reference: as above.
        call_bucket: as above.
        tracing: as above.
    """

    owner: Owner | None = None
    blueprint: PicklePlan | None = None

    def __init__(
        self,
        recorder: Recorder,
        reference: Reference | None,
        call_bucket: Bucket,
        outcomes: Outcomes,
        tracing: Tracing | None,
        guard: Guard,
        *,
        enabled: bool,
    ) -> None:
        self.call_flag: ContextVar[list[bool] | None] = ContextVar("driftline.call_flag", default=None)
        self.overflows: list[tuple[str, float | None]] = []
        self.open_blocks: dict[int, weakref.ref[Any]] = OwnedDict(self, "open_blocks")
        self.enabled = enabled
        self.tracing = tracing
        self.call_bucket = call_bucket
        self._outcomes, self._guard = outcomes, guard
        belongs_to(self, "call_flag", self.call_flag)
        belongs_to(self, "call_bucket", call_bucket)
        self.switch(recorder, reference)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.blueprint is None:
            msg = f"cannot pickle {type(self).__name__!r} object"  # as Python says it
            raise TypeError(msg)
        return self.blueprint.reduce(self)

    def __deepcopy__(self, memo: object) -> Calls:
        return self

    def __del__(self) -> None:
        if self.owner is not None and self.owner.is_abandoned():
            abandon(self)

    @property
    def ended(self) -> bool:
        """Whether the monitor was shut down, so that its pickles arrive as a new one."""
        return self.owner is not None and self.owner.ended

    @property
    def has_thread(self) -> bool:
        """Whether a worker thread runs, which finishes an abandoned monitor."""
        return self.owner is not None and self.owner.has_thread

    def finish(self) -> None:
        """Flush the monitor, which is no longer used, end its worker thread, and hand its counts on. Never raise."""
        if self.owner is not None:
            with self._guard.in_callback("drain"):
                self.report_overflows()
                self.owner.finish()

    def switch(self, recorder: Recorder, reference: Reference | None) -> None:
        """Let calls begin in another recorder. *reference* is its reference, or None while one is learned."""
        self.reference: Reference | None = reference
        self._recorder: Recorder = recorder
        self.buffer: CallBuffer = recorder.buffer

    def capture(self, buffer: CallBuffer, features: Any) -> Captured:
        """Read and copy the features of a call that begins in this buffer; if that raises, report the error."""
        return self._capture(buffer.capture, features)

    def _capture(self, read: Callable[[Any], Captured], features: Any) -> Captured:
        """Return ``read(features)``, or report its error and return an `Unread`."""
        try:
            return read(features)
        except BaseException as error:  # the guard, without a context manager on the path of a call
            if not is_contained(error):
                raise
            return self.report_unreadable("capture", error, features)

    def report_unreadable(self, where: str, error: BaseException, features: object = None) -> Unread:
        """Report the error that kept the features of a call from being read. Return their rows, which are dropped."""
        self._guard.report_error(where, error)
        return Unread("unreadable", count_rows(features))

    def record(
        self,
        buffer: CallBuffer,
        captured: Captured,
        output: Any,
        seconds: float,
        context: object,
        prediction_id: object,
    ) -> None:
        """Record a call that began in this buffer and returned. Keep its output if it has an id."""
        try:
            buffer.sink.record(captured, output, seconds, context)
        except BaseException as error:  # as above
            if not is_contained(error):
                raise
            self._guard.report_error("output", error)
        if prediction_id is not None:
            self.remember_output(prediction_id, output, bucket_of(context))

    def record_failure(
        self, buffer: CallBuffer, captured: Captured, seconds: float, context: object, error: str
    ) -> None:
        """Record a call that began in this buffer and raised an error of type *error*."""
        watch = current_watch.get()
        if watch is not None and watch.defers(self, seconds, error):
            return
        with self._guard("failure"):
            self._recorder.backpressure.start_worker()
            buffer.sink.record_failure(captured, seconds, context, self._guard.error_type(error))

    def bucket_of_key(self, key: object) -> int | None:
        """Return the bucket of a key, or None if it is None or of a wrong type, which is reported."""
        if key is not None:
            with self._guard("key"):
                return key_bucket(key_digest(key, ""))
        return None

    def buckets_of(self, keys: Any) -> Buckets:
        """
        Return the buckets of the keys of a batch.

        Args:
            keys: a column with one key per row, or one key for all rows. If None, the key is that of `Canary.route`.

        Returns:
            one bucket per row, each None without a key, or one bucket for all rows. None if no canary asks for keys.
        """
        if not self.buffer.has_keys:
            return None
        if keys is None:
            return self.call_bucket.get()
        if not is_id_batch(keys):
            return self.bucket_of_key(keys)
        return [self.bucket_of_key(key) for key in as_objects(read_column(keys))]

    def record_batch(self, features: Any, outputs: Any, seconds: float | None, buckets: Buckets = None) -> None:
        """
        Record rows without a call of a decorated function.

        Args:
            features: the features of the rows.
            outputs: one value per row. If None, only the features are recorded.
            seconds: how long the model took. If None, no duration is recorded.
            buckets: as `buckets_of` returns them.

        Raises:
            TypeError: the outputs are not one value per row.
        """
        buffer = self.buffer
        bucket = _bucket_of_batch(buckets)
        read = buffer.capture_batch if seconds is None else buffer.capture
        # An empty dict has no columns, and thus no rows.
        empty = isinstance(features, Mapping) and not features
        captured = [] if empty else self._capture(read, features)
        if seconds is not None:
            if outputs is None:
                outputs = [] if captured == [] else NO_OUTPUT
            self.record(buffer, captured, outputs, seconds, with_bucket(current_context(), bucket), None)
        else:
            self._recorder.backpressure.start_worker()
            buffer.sink.record_batch(captured, outputs)
        if buckets is not None:
            rows = (
                buckets
                if isinstance(buckets, list)
                else [buckets] * (len(outputs) if isinstance(outputs, Sized) else 1)
            )
            self._recorder.count_keys(bucket if seconds is None else None, count_row_keys(rows))

    def remember_output(self, prediction_id: object, output: Any, bucket: int | None) -> None:
        """Keep the output of a recorded call until the outcome of this id arrives. *bucket* is as for `remember`."""
        with self._guard("output"):
            self.remember(prediction_id, output, bucket)

    def remember(self, prediction_id: Any, output: Any, bucket: Buckets = None) -> None:
        """
        Keep an output until its outcome arrives. If *prediction_id* is a column of ids, *output* has one value per id.

        *bucket* is the bucket of the call's key, or None if the call has none (`driftline._runtime.call_keys`). For a
        column of ids it may be a list of one such value per id.

        Raises:
            ValueError: the ids are not one per output.
        """
        # A tuple is one id if there is one output.
        if is_id_batch(prediction_id) and not (type(prediction_id) is tuple and is_scalar(output)):
            self._outcomes.remember_all(prediction_id, output, bucket if isinstance(bucket, list) else repeat(bucket))
        else:
            self._outcomes.remember(
                prediction_id, output, next(iter(bucket), None) if isinstance(bucket, list) else bucket
            )

    def relieve(self) -> None:
        """Start the worker thread, wake it, or bin a share in this thread, as `Backpressure.relieve`."""
        self._recorder.backpressure.relieve()

    def report_error(self, where: str, error: BaseException) -> None:
        """Count an error of driftline or of a user function under the place *where*."""
        self._guard.report_error(where, error)

    def drop(self, reason: str, rows: int) -> None:
        """Count *rows* rows as dropped for *reason*, such as rows that a shadow did not predict."""
        self._recorder.panes.drop(reason, rows)

    def watch_shadow(self) -> ShadowWatch:
        """Watch whether the call of a shadow that begins in this context is recorded."""
        return watch_call(self.call_flag, self)

    def record_shadow(self, rows: int, seconds: float, error: BaseException | None) -> None:
        """Record a call of a shadow that nothing has recorded, without its features. *error* is what it raised."""
        if not self.enabled:
            return
        with self._guard("record"):
            kind = None if error is None else self._guard.error_type(error_type(error))
            self._recorder.backpressure.start_worker()
            self._recorder.record_without_features(rows, seconds, None, kind)

    def report(self, where: str, message: str, subject: str) -> None:
        """Count a problem under the place *where*, and log *message* if it is the first of that place and subject."""
        self._guard.report(where, message, 1, subject)

    def report_overflows(self) -> None:
        """Report the steps in `overflows`, and count their calls. The features of those calls are dropped."""
        for where, seconds in pop_head(self.overflows, len(self.overflows)):
            if where == "capture" or seconds is not None:
                self.drop("unreadable", 1)
            if seconds is not None:
                self._recorder.record_without_features(1, seconds, None)
            self._guard.report(where, "the limit of recursion is too near to record a call: see sys.setrecursionlimit")


def _bucket_of_batch(buckets: Buckets) -> int | None:
    """Return the bucket of the key of a batch, which is one call: None if its rows have different ones."""
    if not isinstance(buckets, list):
        return buckets
    return buckets[0] if len({*buckets}) == 1 else None
