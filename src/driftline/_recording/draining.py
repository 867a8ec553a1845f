"""The drain: it moves what callers have appended from the buffers into windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

from driftline._capture.captured import Batch
from driftline._capture.columns import Row
from driftline._recording.backpressure import Backpressure
from driftline._recording.buffer import FIELDS, NO_CALL, Call, CallBuffer, Failure, chunk_rows, pop_head
from driftline._recording.deferred import DeferredWork, group_by_kind, split_batch
from driftline._recording.durations import DurationQueue
from driftline._recording.measuring import CallMeter
from driftline._runtime.guard import is_no_interrupt
from driftline._runtime.with_statements import RunningBlock
from driftline._runtime.worker import Worker
from driftline._windows.call_log import Logging
from driftline._windows.panes import Panes

__all__ = ["Drain"]


class Drain:
    """
    Moves calls and rows from buffers into windows, and counts them.

    An interrupt leaves each row and each call either in its buffer or counted, never both and never neither. So state
    changes stand next to each other, without a call between them: Python looks for interrupts only after calls, at
    jumps back, and at the start of a function.

    Args:
        panes: the windows, and the counts since the start of the process.
        width: the number of features. If the layout of *panes* has one more, the last is the prediction.
        buffer: the buffer of single rows.
        durations: the queue of durations to record. If None, durations are not recorded one by one.
        worker: the worker thread that drains. If None, callers do.
        on_overdue: evaluates pending windows in the caller's thread, as for `Backpressure`.
        on_stuck: called when rows are dropped because a user function does not return.

    Attributes:
        panes: as above.
        width: as above.
        buffer: as above.
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
        "_meter",
        "_on_stuck",
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
        buffer: CallBuffer,
        *,
        durations: DurationQueue | None,
        worker: Worker | None,
        on_overdue: Callable[[bool], None] | None,
        on_stuck: Callable[[], None] | None,
    ) -> None:
        layout = panes.layout
        self.panes = panes
        self.width = width
        self._has_prediction = len(layout.sizes) > width
        self._defers = layout.defers
        self._durations = durations
        self._on_stuck = on_stuck
        self._chunk = chunk_rows(layout.breadth)
        self.buffer = buffer
        self._meter = CallMeter(panes, buffer, durations)
        share = self._bin_share
        self.backpressure = Backpressure(panes, self.buffer, durations, self._backlog, share, worker, on_overdue)
        self._clear()

    def reset(self) -> None:
        """Remove all rows and counts, and renew the locks, as the child of a fork must."""
        self.backpressure.reset()
        self.panes.reset()
        self.buffer.clear()
        self._clear()

    def start_log(self, logging: Logging) -> None:
        """Count calls by block of time and by key from now on, as `Panes.start_log`."""
        if self.panes.log is None:
            self.panes.start_log(logging, threaded=self.backpressure.worker is not None)
            self._meter.start_keys(logging.call_bucket)

    def _clear(self) -> None:
        self._calls: list[Call] = []
        self._failures: list[Failure] = []
        # Rows without an output.
        self._bare: list[Row] = []
        self.deferred = DeferredWork()
        self._draining = RunningBlock()

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
                self.panes.advance_log()
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
                    self.panes.advance_log()
                    drained = self._count_calls(limit)
                    entries, bare = self._pop_rows(limit)
                before = totals.rows
                try:
                    drained = self._bin(entries, bare) or drained
                except BaseException as error:
                    if is_no_interrupt(error):
                        # A value or a user function raises, and would do so again.
                        left = self.deferred.remove_entries(entries) + len(bare) - (totals.rows - before)
                        self.panes.drop("unreadable", left)
                        with self.panes.lock:  # under which other threads remove entries and subtract their rows
                            self.deferred.count(self.buffer.entries)
                    else:
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
            self.panes.advance_log()
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
        counts, durations, keys, warm_up = self._meter.measure(seconds, contexts)
        served, failed = sum(numbers), dict(totals.failed)
        for _, _, error, rows in failures:
            failed[error] = failed.get(error, 0) + rows
        if failures:
            more, raised_keys = self._meter.measure_failures(failures)
            durations += more
            keys = keys + raised_keys
        answered, raised = len(calls), len(failures)
        # Without a call from here on, so that no interrupt comes between.
        totals.served += served
        totals.failed = failed
        totals.failed_calls += raised
        totals.durations += counts
        totals.keys += keys
        totals.warm_up = warm_up
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
        seconds, contexts = entries[2::FIELDS], entries[3::FIELDS]
        counts, durations, keys, warm_up = self._meter.measure(seconds, contexts)
        calls = zip(seconds, contexts, repeat(0))
        try:
            self._bin(entries, bare)
        except BaseException as error:
            # Without a call here too. So the durations of what is binned become those of calls that have no rows.
            done = totals.rows - before
            taken = done if done < size else size  # noqa: FURB136
            totals.served += taken
            self._calls[:0] = [*calls][:taken]
            del buffer.entries[: taken * FIELDS]
            del self._bare[: done - taken]
            self._count_calls(taken)
            if is_no_interrupt(error):
                self._bin_singly(size - taken, further - (done - taken))
            raise
        totals.served += size
        totals.durations += counts
        totals.keys += keys
        totals.warm_up = warm_up
        if queue is not None:
            queue.items += durations
        del buffer.entries[: size * FIELDS]
        del self._bare[:further]
        return True

    def _bin_singly(self, size: int, further: int) -> None:
        """Bin the next *size* entries and *further* rows one by one, because a value raises. Drop rows that do."""
        totals, queue = self.panes.totals, self._durations
        for number, is_entry in ((size, True), (further, False)):
            for _ in range(number):
                entries, bare = (self.buffer.entries[:FIELDS], []) if is_entry else ([], self._bare[:1])
                counts, durations, keys, warm_up = self._meter.measure(entries[2::FIELDS], entries[3::FIELDS])
                dropped, before = dict(totals.dropped), totals.rows
                dropped["unreadable"] = dropped.get("unreadable", 0) + 1
                raises, late = False, None
                try:
                    self._bin(entries, bare)
                except BaseException as error:
                    if totals.rows != before:
                        late = error  # it came after the row was binned
                    elif is_no_interrupt(error):
                        raises = True
                    else:
                        raise
                # Without a call from here on, so that no interrupt comes between.
                if raises:
                    totals.dropped = dropped
                if is_entry:
                    totals.served += 1
                    totals.durations += counts
                    totals.keys += keys
                    totals.warm_up = warm_up
                    if queue is not None:
                        queue.items += durations
                    del self.buffer.entries[:FIELDS]
                else:
                    del self._bare[:1]
                if late is not None:
                    raise late

    def _pop_rows(self, limit: int) -> tuple[list[Any], list[Row]]:
        """Count and remove at most *limit* entries, and *limit* rows without an output. Return the two lists."""
        entries = pop_head(self.buffer.entries, limit * FIELDS)
        if entries:
            # The call of a batch has been counted by itself.
            batches = sum(row.__class__ is Batch for row in entries[::FIELDS]) if self._defers else 0
            self.panes.totals.served += len(entries) // FIELDS - batches
            counts, durations, keys, warm_up = self._meter.measure(entries[2::FIELDS], entries[3::FIELDS])
            self.panes.totals.durations += counts
            self.panes.totals.keys += keys
            self.panes.totals.warm_up = warm_up
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
