"""The recorder: it drains the buffers of calls into windows, and counts what was served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from driftline._capture.columns import Row, as_objects
from driftline._capture.outputs import SCALARS, as_output, as_outputs, rows_in
from driftline._capture.reader import Batch, Captured
from driftline._recording.backpressure import Backpressure
from driftline._recording.buffer import (
    FIELDS,
    NO_CALL,
    ROWS,
    WAKE_ROWS,
    Call,
    CallBuffer,
    CallSink,
    Entry,
    Failure,
    chunk_rows,
    pop_head,
)
from driftline._recording.deferred import DeferredRows, group_by_kind, split_batch
from driftline._recording.latencies import Duration, LatencyQueue
from driftline._runtime.worker import Worker
from driftline._windows.panes import Panes
from driftline._windows.totals import count_seconds
from driftline.typing import Column

__all__ = ["Recorder"]


class Recorder:
    """
    Buffers that callers append to, and that are drained into the panes of windows.

    Args:
        panes: the windows, and the counts since the start of the process.
        width: the number of features. A layout with one more has the prediction as its last.
        capture: reads the features of a call, as for `CallBuffer`.
        capture_batch: reads the features of a batch without a call.
        latencies: the queue of durations to record. If None, durations are not recorded one by one.
        worker: the worker thread that drains. If None, callers do.
        on_overdue: evaluates pending windows in the caller's thread, as for `Backpressure`.
        on_stuck: called when rows are dropped because a user function in front of their bins does not return.
        sink: records the calls of the buffer. By default it is this recorder.

    Attributes:
        panes: as above.
        width: as above.
        buffer: the buffer of single rows.
        relief: keeps the buffers bounded.
    """

    __slots__ = (
        "_bare",
        "_calls",
        "_chunk",
        "_defers",
        "_failures",
        "_has_prediction",
        "_latencies",
        "_on_stuck",
        "buffer",
        "deferred",
        "panes",
        "relief",
        "width",
    )

    def __init__(
        self,
        panes: Panes,
        width: int,
        capture: Callable[[Any], Captured],
        capture_batch: Callable[[Any], Captured],
        *,
        latencies: LatencyQueue | None = None,
        worker: Worker | None = None,
        on_overdue: Callable[[bool], None] | None = None,
        on_stuck: Callable[[], None] | None = None,
        sink: CallSink | None = None,
    ) -> None:
        layout = panes.layout
        self.panes = panes
        self.width = width
        self._has_prediction = len(layout.sizes) > width
        self._defers = layout.defers
        self._latencies = latencies
        self._on_stuck = on_stuck
        self._chunk = chunk_rows(layout.breadth)
        append = self._append_timed if panes.timed else None
        self.buffer = CallBuffer(self if sink is None else sink, capture, capture_batch, append)
        self.buffer.exemplars = latencies is not None and latencies.extend(())
        self.relief = Backpressure(panes, self.buffer, latencies, self._backlog, self._bin_share, worker, on_overdue)
        self._clear()

    def reset(self) -> None:
        """Remove all rows and counts, and renew the locks, as the child of a fork must."""
        self.relief.reset()
        self.panes.reset()
        self.buffer.clear()
        self._clear()

    def _clear(self) -> None:
        self._calls: list[Call] = []
        self._failures: list[Failure] = []
        # Rows without an output.
        self._bare: list[Row] = []
        self.deferred = DeferredRows()

    # --- in the caller's thread --------------------------------------------------------------------------------------

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """
        Record one successful call.

        Raises:
            TypeError: the output is not one value per row. The call and its features are counted nevertheless.
        """
        if captured.__class__ not in ROWS:
            self._record_rows(captured, output, seconds, context)
        elif output.__class__ in SCALARS or not self._has_prediction:
            self.buffer.append((captured, output if self._has_prediction else None, seconds, context))
            self.relief.relieve_if_crowded()
        else:
            self._record_converted(captured, output, seconds, context)

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Record a call that raised: its features are counted, and no prediction is."""
        self._drain_ended_pane()
        rows = 1 if captured is None or captured.__class__ in ROWS else len(captured)
        self._failures.append((seconds, context, error, rows))
        if captured.__class__ in ROWS:
            self._bare.append(captured)
        elif isinstance(captured, list):
            self._bare.extend(captured)
        elif isinstance(captured, Batch):
            self._add_batch(captured, None)
        self.relief.relieve_if_crowded()

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """
        Record rows without a call. They count as served.

        Raises:
            TypeError: the outputs are not one value per row. The features are counted nevertheless.
        """
        self._record_rows(captured, outputs, None, None)

    def record_without_features(
        self, rows: int, seconds: float | None, context: object, error: str | None = None
    ) -> None:
        """Record predictions, or those that an error prevented, and not their features."""
        if error is None:
            self._add_served(rows, seconds, context)
        elif seconds is not None:
            self._failures.append((seconds, context, error, rows))
        self.relief.relieve_if_crowded()

    def _append_timed(self, entry: Entry) -> None:
        """Append an entry to the pane of the present time."""
        self._drain_ended_pane()
        self.buffer.entries.extend(entry)

    def _drain_ended_pane(self) -> None:
        """Drain the rows in the buffers if their pane, or their hour, has ended."""
        if self.panes.timed and self.panes.over:
            self.drain()

    def _record_converted(self, row: Row, output: Any, seconds: float, context: object) -> None:
        """Record a row whose output is no plain number or string."""
        try:
            value = as_output(output)
        except Exception:
            self._drain_ended_pane()
            # Under the lock, so that a reading sees the call together with its row.
            with self.panes.lock:
                self._calls.append((seconds, context, 1))
                self._bare.append(row)
            self.relief.relieve_if_crowded()
            raise
        self.buffer.append((row, value, seconds, context))
        self.relief.relieve_if_crowded()

    def _record_rows(self, captured: Captured, outputs: Any, seconds: float | None, context: object) -> None:
        self._drain_ended_pane()
        if captured.__class__ in ROWS:
            captured = [captured]
        rows = 0 if captured is None else len(captured)
        column = as_outputs(outputs, rows) if self._has_prediction and outputs is not None else None
        if captured is None:
            # The features could not be read. The predictions were made nevertheless.
            self._add_served(rows_in(outputs), seconds, context)
        elif isinstance(captured, Batch):
            self._record_columns(captured, column, seconds, context)
        elif not isinstance(captured, list) or not self.width or (column is None and self._has_prediction):
            with self.panes.lock:
                self._add_served(rows, seconds, context)
                if self.width and isinstance(captured, list):
                    self._bare.extend(captured)
        else:
            values = [None] * rows if column is None else as_objects(column)
            times = [NO_CALL if seconds is None else seconds, *[NO_CALL] * (rows - 1)]
            self.buffer.entries.extend([*chain.from_iterable(zip(captured, values, times, repeat(context)))])
            if seconds is None or not rows:
                self._add_served(0, seconds, context)
        self.relief.relieve_if_crowded()
        if column is None and self._has_prediction and outputs is not None and captured is not None:
            msg = f"the output for {rows} rows is a {type(outputs).__name__}: expected one value per row"
            raise TypeError(msg)

    def _record_columns(self, batch: Batch, column: Column | None, seconds: float | None, context: object) -> None:
        if self._defers:
            self._add_served(batch.rows, seconds, context)
            self._add_batch(batch, column)
        else:
            # In one step, so that a reading sees as many rows served as there are in the bins.
            with self.panes.lock:
                self._add_served(0, seconds, context)
                self.panes.totals.served += batch.rows
                self._add_batch(batch, column)
        self.relief.evaluate_overdue()

    def _add_served(self, rows: int, seconds: float | None, context: object) -> None:
        if seconds is not None:
            self._calls.append((seconds, context, rows))
            return
        with self.panes.lock:
            self.panes.totals.served += rows
            self.panes.totals.batches += 1

    def _add_batch(self, batch: Batch, column: Column | None) -> None:
        columns = batch.columns if column is None else [*batch.columns, column]
        if self._defers:
            # User functions are in front of its bins: the worker thread bins it, after the rows in front of it.
            self.deferred.add(batch.rows)
            self.buffer.entries.extend((Batch(columns, batch.rows), None, NO_CALL, None))
            worker = self.relief.worker
            if worker is not None and self.deferred.rows >= WAKE_ROWS:
                worker.wake()
            return
        with self.panes.lock:
            self._bin(*self._pop_rows(max(self.buffer.rows, len(self._bare))))
            self.panes.count_columns(columns, batch.rows)

    # --- in the thread that drains -----------------------------------------------------------------------------------

    def _backlog(self) -> int:
        # A batch adds a call without a row, and a failure with unreadable features adds no row.
        backlog = max(self.buffer.rows, len(self._bare), len(self._calls), len(self._failures))
        if not self._defers:
            return backlog
        # If the worker thread bins a batch, then the batch may be of any size.
        return max(backlog, self.deferred.rows if self.relief.worker is None else self.deferred.ahead)

    def drain(self, pause: Callable[[], bool] | None = None, *, foreign: bool = False) -> None:
        """
        Move all buffered rows into windows, and record the durations.

        Args:
            pause: called under no lock after every small piece of work, to let other threads have the interpreter.
            foreign: whether user functions must not hold this thread. Rows that they are in front of then stay.
        """
        step = self._drain_chunk
        if foreign and self._defers:
            if self.deferred.work.is_responsive():
                return
            step = self._drop_rows
        if pause is not None and not self.panes.timed and self.relief.leaves_round_to_callers():
            self.relief.evaluate_overdue()
            return
        # Only the backlog of the start: with callers that never pause the loop would not end otherwise.
        for _ in range(-(-self._backlog() // self._chunk)):
            if not step(self._chunk):
                break
            if pause is not None:
                pause()
        with self.panes.lock:
            self.panes.advance()
        self.relief.on_drained()
        if self._latencies is not None:
            self._latencies.report_all(pause)
        self.relief.evaluate_overdue()

    def _bin_share(self, limit: int, crowded: bool) -> None:  # noqa: FBT001 - a callback of `Backpressure`
        """Bin a share in a caller's thread. User functions run in the worker thread, which the caller waits for."""
        worker = self.relief.worker
        if worker is None or not self._defers:
            self._drain_chunk(limit)
            return
        worker.wake()
        # A caller that outruns the worker thread waits for one part of its work.
        if crowded and not self.deferred.work.wait_for_heartbeat():
            self._drop_rows(limit)

    def _drain_chunk(self, limit: int) -> bool:
        """Drain at most *limit* items of each buffer, and return whether there were any."""
        if self._defers:
            return self._drain_deferred(limit)
        with self.panes.lock:
            drained = self._pop_calls(limit)
            return self._bin(*self._pop_rows(limit)) or drained

    def _drain_deferred(self, limit: int) -> bool:
        """As `_drain_chunk`, but hold no lock except the one for user functions while these run."""
        work = self.deferred.work
        if not work.acquire():
            return self._drop_rows(limit)
        try:
            with self.panes.lock:
                drained = self._pop_calls(limit)
                rows = self._pop_rows(limit)
            drained = self._bin(*rows) or drained
            work.heartbeat()
        finally:
            work.release()
        return drained

    def _drop_rows(self, limit: int) -> bool:
        """Count calls without their features, because a user function does not return."""
        with self.panes.lock:
            drained = self._pop_calls(limit)
            entries, bare = self._pop_rows(limit)
        rows = self.deferred.remove_entries(entries) + len(bare)
        if rows:
            self.panes.drop("derive", rows)
            if self._on_stuck is not None:
                self._on_stuck()
        return drained or bool(rows)

    def _pop_calls(self, limit: int) -> bool:
        """Count calls and failures without rows in the buffer, and return whether there were any."""
        calls, failures = pop_head(self._calls, limit), pop_head(self._failures, limit)
        totals = self.panes.totals
        totals.failed_calls += len(failures)
        if calls:
            seconds, contexts, rows = zip(*calls, strict=True)
            totals.served += sum(rows)
            self._add_durations(seconds, contexts)
        for _, _, error, rows in failures:
            totals.failed[error] = totals.failed.get(error, 0) + rows
        if failures and self._latencies is not None:
            failed = ((seconds, context, error) for seconds, context, error, _ in failures)
            self.buffer.exemplars = self._latencies.extend(failed)
        return bool(calls or failures)

    def _pop_rows(self, limit: int) -> tuple[list[Any], list[Row]]:
        """Remove and return entries, and rows without an output. The calls of the entries are counted."""
        entries = pop_head(self.buffer.entries, limit * FIELDS)
        if entries:
            # The call of a batch has been counted by itself.
            batches = sum(row.__class__ is Batch for row in entries[::FIELDS]) if self._defers else 0
            self.panes.totals.served += len(entries) // FIELDS - batches
            self._add_durations(entries[2::FIELDS], entries[3::FIELDS])
        return entries, pop_head(self._bare, limit)

    def _bin(self, entries: list[Any], bare: list[Row]) -> bool:
        """Bin what `_pop_rows` has returned, and return whether there was anything."""
        for is_batch, run in group_by_kind(entries) if self._defers else ((False, entries),):
            if is_batch:
                self._bin_batches(run[::FIELDS])
            else:
                self._bin_rows(run[::FIELDS], run[1::FIELDS] if self._has_prediction else None)
        self._bin_rows(bare, None)
        return bool(entries or bare)

    def _bin_batches(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self.deferred.remove(batch.rows)
            for columns, rows in split_batch(batch):
                self.panes.count_columns(columns, rows)
                self.deferred.work.heartbeat()

    def _bin_rows(self, rows: Sequence[Any], outputs: Sequence[object] | None) -> None:
        align = self.buffer.align
        if self.width and rows:
            self.panes.count_rows(rows if align is None else align(rows), outputs)

    def _add_durations(self, seconds: Sequence[float], contexts: Sequence[object]) -> None:
        """Count the durations of successful calls. A row with `NO_CALL` has none."""
        counts, known = count_seconds(seconds)
        self.panes.totals.durations += counts
        if self._latencies is not None:
            durations: Iterable[Duration] = zip(seconds, contexts, repeat(None))
            if known < len(seconds):
                durations = [duration for duration in durations if duration[0] == duration[0]]
            self.buffer.exemplars = self._latencies.extend(durations)
