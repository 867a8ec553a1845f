"""The recorder: it drains the buffers of calls into windows, and counts what was served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from driftline._capture.captured import Batch, Captured, Unread
from driftline._capture.columns import Row, as_objects
from driftline._capture.outputs import as_output, as_outputs, is_scalar, rows_in, unreadable_output
from driftline._recording.backpressure import Backpressure
from driftline._recording.buffer import (
    FIELDS,
    NO_CALL,
    NO_OUTPUT,
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
from driftline._recording.deferred import DeferredWork, group_by_kind, split_batch
from driftline._recording.durations import Duration, DurationQueue
from driftline._runtime.with_statements import RunningBlock
from driftline._runtime.worker import Worker
from driftline._windows.panes import Panes
from driftline._windows.totals import count_seconds
from driftline.typing import Column, Counts

__all__ = ["Recorder"]


class Recorder:
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

    Attributes:
        panes: as above.
        width: as above.
        buffer: the buffer of single rows.
        backpressure: keeps the buffers bounded.
        deferred: the lock for user functions, and the number of rows in pending batches.
    """

    __slots__ = (
        "_bare",
        "_calls",
        "_chunk",
        "_defers",
        "_draining",
        "_durations",
        "_failures",
        "_has_prediction",
        "_on_stuck",
        "_predicts_labels",
        "backpressure",
        "buffer",
        "deferred",
        "panes",
        "width",
    )

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
    ) -> None:
        layout = panes.layout
        self.panes = panes
        self.width = width
        self._has_prediction = len(layout.sizes) > width
        self._predicts_labels = self._has_prediction and not layout.is_numeric(width)
        self._defers = layout.defers
        self._durations = durations
        self._on_stuck = on_stuck
        self._chunk = chunk_rows(layout.breadth)
        append = self._append_timed if panes.timed else None
        self.buffer = CallBuffer(self if sink is None else sink, capture, capture_batch, append)
        self.buffer.exemplars = durations is not None and durations.is_wanted()
        share = self._bin_share
        self.backpressure = Backpressure(panes, self.buffer, durations, self._backlog, share, worker, on_overdue)
        self._clear()

    def reset(self) -> None:
        """Remove all rows and counts, and renew the locks, as the child of a fork must."""
        self.backpressure.reset()
        self.panes.reset()
        self.buffer.clear()
        self._clear()

    def _clear(self) -> None:
        self._calls: list[Call] = []
        self._failures: list[Failure] = []
        # Rows without an output.
        self._bare: list[Row] = []
        self.deferred = DeferredWork()
        self._draining = RunningBlock()

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
            self.buffer.append((captured, output if self._has_prediction else None, seconds, context))
            self.backpressure.relieve_if_crowded()
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
            value = as_output(output, labels=self._predicts_labels)
        except BaseException:
            self._drain_ended_pane()
            # Under the lock, so that a reading sees the call together with its row.
            with self.panes.lock:
                self._calls.append((seconds, context, 1))
                self._bare.append(row)
                self.panes.reject_outputs(1, output)
            self.backpressure.relieve_if_crowded()
            raise
        self.buffer.append((row, value, seconds, context))
        self.backpressure.relieve_if_crowded()

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
        else:
            values = [None] * rows if column is None else as_objects(column)
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
        column = as_outputs(outputs, rows, labels=self._predicts_labels)
        if column is None:
            self.panes.reject_outputs(rows, outputs)
        return column, column is None

    def _drop_unread(self, unread: Unread, outputs: int) -> int:
        """Count the rows of unread features as dropped, and return their number: if unknown, *outputs*."""
        rows = outputs if unread.rows is None else unread.rows
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
                self._add_batch(batch, column)
                self._count_call(0, seconds, context)
                self.panes.totals.served += batch.rows
            self.panes.report_rejects()
        self.backpressure.evaluate_overdue()

    def _count_call(self, rows: int, seconds: float | None, context: object) -> None:
        """Count a call, or a batch if *seconds* is None. *rows* is the number of rows that have no entry."""
        if seconds is not None:
            self._calls.append((seconds, context, rows))
            return
        with self.panes.lock:
            self.panes.totals.served += rows
            self.panes.totals.batches += 1

    def _add_batch(self, batch: Batch, column: Column | None) -> None:
        """Bin the buffered rows, then a batch with its outputs. With user functions, append the batch instead."""
        columns = batch.columns if column is None else [*batch.columns, column]
        if self._defers:
            # The worker thread runs the user functions, and bins the batch after the rows in front of it.
            self.deferred.add(batch.rows)
            self.buffer.entries.extend((Batch(columns, batch.rows), None, NO_CALL, None))
            worker = self.backpressure.worker
            if worker is not None and self.deferred.batch_rows >= WAKE_ROWS:
                worker.wake()
            return
        with self.panes.lock:
            if not self._draining.is_running():
                with self._draining:
                    self._bin_oldest(max(self.buffer.rows, len(self._bare)))
            self.panes.count_columns(columns, batch.rows)

    # --- in the thread that drains -----------------------------------------------------------------------------------

    def _backlog(self) -> int:
        """Return the number of entries, or deferred rows, in the longest buffer."""
        # A batch adds a call without a row, and a failure with unreadable features adds no row.
        backlog = max(self.buffer.rows, len(self._bare), len(self._calls), len(self._failures))
        if not self._defers:
            return backlog
        return max(backlog, self.deferred.backlog(threaded=self.backpressure.worker is not None))

    def drain(self, pause: Callable[[], bool] | None = None, *, without_user_functions: bool = False) -> None:
        """
        Move all buffered rows into windows, and record the durations.

        Args:
            pause: called after each small piece of work, under no lock. It returns True if the thread is falling
                behind: later pieces are then large. If given, the drain may skip the buffers for callers that help.
            without_user_functions: run no user function, which may never return. Rows that must pass through one
                stay in the buffer, or are dropped if a user function does not return in another thread.
        """
        step = self._drain_chunk
        if without_user_functions and self._defers:
            if self.deferred.lock.is_responsive():
                return
            step = self._drop_rows
        if pause is not None and not self.panes.timed and self.backpressure.leaves_round_to_callers():
            self.backpressure.evaluate_overdue()
            return
        # Only the backlog of the start: with callers that never pause the loop would not end otherwise.
        for _ in range(-(-self._backlog() // self._chunk)):
            if not step(self._chunk):
                break
            if pause is not None:
                pause()
        with self.panes.lock:
            self.panes.advance()
        self.backpressure.on_drained()
        if self._durations is not None:
            self._durations.record_all(pause)
        self.backpressure.evaluate_overdue()

    def _bin_share(self, limit: int, crowded: bool) -> None:  # noqa: FBT001 - a callback of `Backpressure`
        """
        Bin at most *limit* rows in a caller's thread. With user functions, wake the worker thread instead.

        If *crowded*, the caller then waits for the worker thread, and drops the rows if it makes no progress.
        """
        worker = self.backpressure.worker
        if worker is None or not self._defers:
            self._drain_chunk(limit)
            return
        worker.wake()
        if crowded and not self.deferred.lock.wait_for_heartbeat():
            self._drop_rows(limit)

    def _drain_chunk(self, limit: int) -> bool:
        """Drain at most *limit* items of each buffer, and return whether there were any."""
        if self._defers:
            return self._drain_deferred(limit)
        with self.panes.lock:
            if self._draining.is_running():
                return False  # a finalizer of the host predicts while rows are binned
            with self._draining:
                drained = self._count_calls(limit)
                drained = self._bin_oldest(limit) or drained
        self.panes.report_rejects()
        return drained

    def _drain_deferred(self, limit: int) -> bool:
        """Drain as `_drain_chunk`, with user functions under their own lock. Drop rows if one hangs elsewhere."""
        lock, totals = self.deferred.lock, self.panes.totals
        with lock.hold() as held:
            if held:
                with self.panes.lock:
                    drained = self._count_calls(limit)
                    entries, bare = self._pop_rows(limit)
                before = totals.rows
                try:
                    drained = self._bin(entries, bare) or drained
                except BaseException:
                    self._put_back(entries, bare, totals.rows - before)
                    raise
                lock.heartbeat()
        if not held:
            return self._drop_rows(limit)
        self.panes.report_rejects()
        return drained

    def _put_back(self, entries: list[Any], bare: list[Row], done: int) -> None:
        """Put rows of `_pop_rows` back after an interrupt. *done* is the number of those that are binned."""
        rest: list[Any] = []
        singles = 0
        for start in range(0, len(entries), FIELDS):
            captured, output, _, context = entries[start : start + FIELDS]
            rows = captured.rows if captured.__class__ is Batch else 1
            left, done = max(0, rows - done), max(0, done - rows)
            if left and captured.__class__ is Batch:
                columns = [None if column is None else column[rows - left :] for column in captured.columns]
                rest += Batch(columns, left), None, NO_CALL, None
            elif left:
                # The duration of its call is counted already.
                rest += captured, output, NO_CALL, context
                singles += 1
        with self.panes.lock:
            self.panes.totals.served -= singles
            self._bare[:0] = bare[done:]
            self.buffer.entries[:0] = rest
            self.deferred.count(self.buffer.entries)

    def _drop_rows(self, limit: int) -> bool:
        """Drain as `_drain_chunk`, but drop the rows, because a user function does not return."""
        with self.panes.lock:
            drained = self._count_calls(limit)
            entries, bare = self._pop_rows(limit)
        rows = self.deferred.remove_entries(entries) + len(bare)
        if rows:
            self.panes.drop("derive", rows)
            if self._on_stuck is not None:
                self._on_stuck()
        return drained or bool(rows)

    def _count_calls(self, limit: int) -> bool:
        """
        Remove and count at most *limit* calls and *limit* failures. Return whether there were any.

        After an interrupt either all or none of them are counted. The caller holds the lock of the panes.
        """
        calls, failures = self._calls[:limit], self._failures[:limit]
        if not calls and not failures:
            return False
        totals, queue = self.panes.totals, self._durations
        seconds, contexts, numbers = zip(*calls, strict=True) if calls else ((), (), ())
        counts, durations = self._measure(seconds, contexts)
        served, failed = sum(numbers), dict(totals.failed)
        for _, _, error, rows in failures:
            failed[error] = failed.get(error, 0) + rows
        if failures and queue is not None:
            self.buffer.exemplars = queue.is_wanted()
        if failures and queue is not None and self.buffer.exemplars:
            durations += chain.from_iterable((seconds, context, error) for seconds, context, error, _ in failures)
        answered, raised = len(calls), len(failures)
        # Without a call from here on, so that no interrupt comes between.
        totals.served += served
        totals.failed = failed
        totals.failed_calls += raised
        totals.durations += counts
        if queue is not None:
            queue.items += durations
        del self._calls[:answered]
        del self._failures[:raised]
        return True

    def _bin_oldest(self, limit: int) -> bool:
        """
        Bin and count at most *limit* entries, and *limit* rows without an output. Return whether there were any.

        After an interrupt, what is not binned remains in the buffers. The caller holds the lock of the panes.
        """
        buffer, totals, queue = self.buffer, self.panes.totals, self._durations
        entries, bare = buffer.entries[: limit * FIELDS], self._bare[:limit]
        size, further, before = len(entries) // FIELDS, len(bare), totals.rows
        if not size and not further:
            return False
        counts, durations = self._measure(entries[2::FIELDS], entries[3::FIELDS])
        try:
            self._bin(entries, bare)
        except BaseException:
            # Without a call here too.
            done = totals.rows - before
            taken = min(size, done)
            totals.served += taken
            del buffer.entries[: taken * FIELDS]
            del self._bare[: done - taken]
            totals.durations += self._measure(entries[2 : taken * FIELDS : FIELDS], ())[0]
            raise
        totals.served += size
        totals.durations += counts
        if queue is not None:
            queue.items += durations
        del buffer.entries[: size * FIELDS]
        del self._bare[:further]
        return True

    def _pop_rows(self, limit: int) -> tuple[list[Any], list[Row]]:
        """Count and remove at most *limit* entries, and *limit* rows without an output. Return the two lists."""
        entries = pop_head(self.buffer.entries, limit * FIELDS)
        if entries:
            # The call of a batch has been counted by itself.
            batches = sum(row.__class__ is Batch for row in entries[::FIELDS]) if self._defers else 0
            self.panes.totals.served += len(entries) // FIELDS - batches
            counts, durations = self._measure(entries[2::FIELDS], entries[3::FIELDS])
            self.panes.totals.durations += counts
            if self._durations is not None:
                self._durations.items += durations
        return entries, pop_head(self._bare, limit)

    def _bin(self, entries: list[Any], bare: list[Row]) -> bool:
        """Bin the entries and the rows without output that `_pop_rows` returned. Return whether there were any."""
        for is_batch, run in group_by_kind(entries) if self._defers else ((False, entries),):
            if is_batch:
                self._bin_batches(run[::FIELDS])
            else:
                self._bin_rows(run[::FIELDS], run[1::FIELDS] if self._has_prediction else None)
        self._bin_rows(bare, None)
        return bool(entries or bare)

    def _bin_batches(self, batches: Iterable[Batch]) -> None:
        """Bin batches that pass through user functions, with a heartbeat after each piece."""
        for batch in batches:
            self.deferred.remove(batch.rows)
            for columns, rows in split_batch(batch):
                self.panes.count_columns(columns, rows)
                self.deferred.lock.heartbeat()

    def _bin_rows(self, rows: Sequence[Any], outputs: Sequence[object] | None) -> None:
        """Bin single rows, with one output each or (None) without outputs."""
        align = self.buffer.align
        if self.width and rows:
            self.panes.count_rows(rows if align is None else align(rows), outputs)

    def _measure(self, seconds: Sequence[float], contexts: Sequence[object]) -> tuple[Counts | int, list[Any]]:
        """
        Return the counts of the durations of successful calls, and the items of the queue of durations.

        `NO_CALL` is skipped. There are no items if no SDK is set up so far.
        """
        if not seconds:
            return 0, []
        counts, known = count_seconds(seconds)
        queue = self._durations
        if queue is None:
            return counts, []
        self.buffer.exemplars = wanted = queue.is_wanted()
        if not wanted:
            return counts, []
        durations: Iterable[Duration] = zip(seconds, contexts, repeat(None))
        if known < len(seconds):
            durations = [duration for duration in durations if duration[0] == duration[0]]
        return counts, [*chain.from_iterable(durations)]
