"""The recorder: it appends what callers serve to buffers, which it then drains into windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import numpy as np

from driftline._capture.captured import Batch, Captured, Unread
from driftline._capture.class_scores import ANY_FORM, OutputForm
from driftline._capture.columns import Row, as_objects
from driftline._capture.outputs import as_output, as_outputs, is_scalar, rows_in, unreadable_output
from driftline._capture.ownership import shorten
from driftline._recording.buffer import (
    NO_CALL,
    NO_OUTPUT,
    ROWS,
    WAKE_ROWS,
    CallBuffer,
    CallSink,
    Entry,
)
from driftline._recording.draining import Drain
from driftline._recording.durations import DurationQueue
from driftline._runtime.guard import is_no_interrupt
from driftline._runtime.worker import Worker
from driftline._windows.call_log import Logging
from driftline._windows.panes import Panes
from driftline.typing import Column, Counts

__all__ = ["Recorder"]


class Recorder(Drain):
    """
    Buffers that callers append to, and that are drained into the panes of windows.

    Args:
        panes: the windows, and the counts since the start of the process.
        width: the number of features. If the layout of *panes* has one more, the last is the prediction.
        capture: reads the features of a call, as for `CallBuffer`.
        capture_batch: reads the features of a batch without a call.
        durations: the queue of durations to record. If None, durations are not recorded one by one.
        worker: the worker thread that drains. If None, callers do.
        on_overdue: evaluates pending windows in the caller's thread, as for `Backpressure`.
        on_stuck: called when rows are dropped because a user function does not return.
        sink: records the calls of the buffer. By default it is this recorder.
        form: the classes of the outputs, and whether labels keep their probabilities. Whether outputs may be labels is
            decided by the bins of the prediction.

    Attributes:
        panes: as above.
        width: as above.
        buffer: the buffer of single rows.
        backpressure: keeps the buffers bounded.
        deferred: the lock for user functions, and the number of rows in pending batches.
        form: what an output may be.
    """

    __slots__ = ("form",)

    def __init__(
        self,
        panes: Panes,
        width: int,
        capture: Callable[[Any], Captured],
        capture_batch: Callable[[Any], Captured],
        *,
        durations: DurationQueue | None = None,
        worker: Worker | None = None,
        on_overdue: Callable[[bool], None] | None = None,
        on_stuck: Callable[[], None] | None = None,
        sink: CallSink | None = None,
        form: OutputForm = ANY_FORM,
    ) -> None:
        append = self._append_timed if panes.timed else None
        buffer = CallBuffer(self if sink is None else sink, capture, capture_batch, append)
        super().__init__(
            panes, width, buffer, durations=durations, worker=worker, on_overdue=on_overdue, on_stuck=on_stuck
        )
        self.form = replace(form, labels=self._has_prediction and not panes.layout.is_numeric(width))

    def start_log(self, logging: Logging) -> None:
        """As `Drain.start_log`. Without a worker thread, callers drain the rows of a block that has ended."""
        super().start_log(logging)
        if self.panes.timed:
            self.buffer.append_with(self._append_timed)

    # --- in the caller's thread --------------------------------------------------------------------------------------

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """
        Record one successful call. *context* is kept for exemplars. Features that could not be read count as dropped.

        Raises:
            TypeError: the output is not one value per row. The call and its features are counted nevertheless.
        """
        if captured.__class__ not in ROWS or output is NO_OUTPUT:
            self._record_rows(captured, output, seconds, context)
        elif not self._has_prediction or is_scalar(output):
            self._append((captured, output if self._has_prediction else None, seconds, context))
        else:
            self._record_converted(captured, output, seconds, context)

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Record a call that raised an error of type *error*. Its features are binned, and it has no prediction."""
        self._drain_ended_pane()
        if isinstance(captured, Unread):
            rows = self._drop_unread(captured, 1)
        else:
            rows = 1 if captured.__class__ in ROWS else len(captured)
        self._failures.append((seconds, context, error, rows))
        if captured.__class__ in ROWS:
            self._bare.append(captured)
            self.buffer.inspect_row(captured)
        elif isinstance(captured, list):
            self._bare.extend(captured)
        elif isinstance(captured, Batch):
            self._add_batch(captured, None)
        self.backpressure.relieve_if_crowded()

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """Record served rows without a call. *outputs* are one value per row, or None. The error is as for `record`."""
        self._record_rows(captured, outputs, None, None)

    def record_without_features(
        self, rows: int, seconds: float | None, context: object, error: str | None = None
    ) -> None:
        """Count *rows* predictions of one call without their features. If *error* is a type of error, they failed."""
        if error is None:
            self._count_call(rows, seconds, context)
        elif seconds is not None:
            self._failures.append((seconds, context, error, rows))
        self.backpressure.relieve_if_crowded()

    def count_keys(self, bucket: int | None, rows: Counts) -> None:
        """
        Count a batch by its keys, if a canary has asked for it.

        Args:
            bucket: the bucket of a batch without a call, which counts as one; None if its rows have different ones.
            rows: what `Totals.row_keys` grows by.
        """
        if self.panes.log is not None:
            with self.panes.lock:
                self.panes.totals.row_keys += rows
                if bucket is not None:
                    self.panes.totals.keys[bucket, 0] += 1

    def _append(self, entry: Entry) -> None:
        """Append an entry, and call `Backpressure.relieve` if the buffer is as long as the fast path lets it be."""
        buffer = self.buffer
        buffer.append(entry)
        if len(buffer.entries) >= buffer.limit:
            self.backpressure.relieve()

    def _append_timed(self, entry: Entry) -> None:
        """Append an entry. If the pane of the buffered rows has ended, drain them first."""
        self._drain_ended_pane()
        self.buffer.entries.extend(entry)

    def _drain_ended_pane(self) -> None:
        """Drain the buffers if the pane (or the hour, with seasons) of their rows has ended."""
        if self.panes.timed and self.panes.over:
            self.drain()

    def _record_converted(self, row: Row, output: Any, seconds: float, context: object) -> None:
        """Record a row whose output is no plain number or string. Raise TypeError if it is not one value."""
        try:
            value = as_output(output, self.form)
        except BaseException:
            self._drain_ended_pane()
            # Under the lock, so that a reading sees the call together with its row.
            with self.panes.lock:
                self._calls.append((seconds, context, 1))
                self._bare.append(row)
                self.panes.reject_outputs(1, output)
            self.backpressure.relieve_if_crowded()
            raise
        self._append((row, value, seconds, context))

    def _record_rows(self, captured: Captured, outputs: Any, seconds: float | None, context: object) -> None:
        """Record a batch. Arguments and errors are as for `record`. *seconds* is None if there was no call."""
        self._drain_ended_pane()
        if seconds is not None and captured == [] and rows_in(outputs):
            captured = Unread("shape", None)  # one prediction of a row without values
        if isinstance(captured, Unread):
            # The features could not be read. The predictions were made nevertheless.
            self._count_call(self._drop_unread(captured, rows_in(outputs)), seconds, context)
            self.backpressure.relieve_if_crowded()
            return
        if captured.__class__ in ROWS:
            captured = [captured]
        rows = len(captured)
        column, unreadable = self._read_outputs(outputs, rows, called=seconds is not None)
        lacks_prediction = column is None and self._has_prediction
        if isinstance(captured, Batch):
            self._record_columns(captured, column, seconds, context)
        elif not isinstance(captured, list) or not self.width or lacks_prediction:
            with self.panes.lock:
                self._count_call(rows, seconds, context)
                if self.width and isinstance(captured, list):
                    self._bare.extend(captured)
                    self.buffer.inspect_row(captured[-1] if captured else None)
        else:
            values = [None] * rows if column is None else _small_objects(column)
            times = [NO_CALL if seconds is None else seconds, *[NO_CALL] * (rows - 1)]
            self.buffer.entries.extend([*chain.from_iterable(zip(captured, values, times, repeat(context)))])
            if seconds is None or not rows:
                self._count_call(0, seconds, context)
        self.backpressure.relieve_if_crowded()
        if unreadable:
            raise unreadable_output(outputs, rows)

    def _read_outputs(self, outputs: Any, rows: int, *, called: bool) -> tuple[Column | None, bool]:
        """
        Return the outputs of *rows* rows as a column (None if there are none), and whether they are unreadable.

        Args:
            outputs: the outputs.
            rows: number of rows.
            called: whether a function returned the outputs. If it returned None, that is its output for each row.
        """
        if not self._has_prediction or outputs is NO_OUTPUT or (outputs is None and not called):
            return None, False
        if outputs is None:
            return [None] * rows, False
        column = as_outputs(outputs, rows, self.form)
        if column is None:
            self.panes.reject_outputs(rows, outputs)
        return column, column is None

    def _drop_unread(self, unread: Unread, outputs: int) -> int:
        """Count the rows of unread features as dropped, and return their number: if unknown, *outputs*."""
        rows = outputs if unread.rows is None else unread.rows
        if rows:
            self.panes.drop(unread.reason, rows)
        return rows

    def _record_columns(self, batch: Batch, column: Column | None, seconds: float | None, context: object) -> None:
        """Record a batch that is stored as columns. *column* holds its outputs, or is None."""
        if self._defers:
            self._count_call(batch.rows, seconds, context)
            self._add_batch(batch, column)
        else:
            # In one step, so that a reading sees as many rows served as there are in the bins.
            with self.panes.lock:
                totals = self.panes.totals
                before = totals.rows
                try:
                    self._add_batch(batch, column)
                except BaseException as error:
                    if is_no_interrupt(error):
                        # A value raises. The predictions were made nevertheless.
                        self.panes.drop("unreadable", max(0, batch.rows - (totals.rows - before)))
                        self._count_call(0, seconds, context)
                        totals.served += batch.rows
                    raise
                self._count_call(0, seconds, context)
                totals.served += batch.rows
            self.panes.report_rejects()
        self.backpressure.evaluate_overdue()

    def _count_call(self, rows: int, seconds: float | None, context: object) -> None:
        """Count a call, or a batch if *seconds* is None. *rows* is the number of rows that have no entry."""
        if seconds is not None:
            self._calls.append((seconds, context, rows))
            return
        with self.panes.lock:
            self.panes.advance_log()
            self.panes.totals.served += rows
            self.panes.totals.batches += 1

    def _add_batch(self, batch: Batch, column: Column | None) -> None:
        """Bin the buffered rows, then a batch with its outputs. With user functions, append the batch instead."""
        columns = batch.columns if column is None else [*batch.columns, column]
        if self._defers:
            # The worker thread runs the user functions, and bins the batch after the rows in front of it.
            self.deferred.append(Batch(columns, batch.rows), self.buffer.entries)
            worker = self.backpressure.worker
            if worker is not None and self.deferred.batch_rows >= WAKE_ROWS:
                worker.wake()
            return
        with self.panes.lock:
            if not self._draining.is_running():
                with self._draining:
                    self.panes.advance_log()
                    self._bin_oldest(max(self.buffer.rows, len(self._bare)))
            self.panes.count_columns(columns, batch.rows)


def _small_objects(column: Column) -> Sequence[object]:
    """Return the values of a column as Python objects, with the labels of long strings."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return as_objects(column)
    return [*map(shorten, as_objects(column))]
