"""Rows in a bounded buffer, drained into windows: the only shared mutable state, and its lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from driftline._binning.layout import Layout
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
    Entry,
    Failure,
    chunk_rows,
    take,
)
from driftline._recording.deferred import Deferred, pieces, stretches
from driftline._recording.latencies import Duration, LatencyQueue
from driftline._seasons.calendar import WeekClock
from driftline._windows.panes import Panes
from driftline._windows.ring import WindowCounts
from driftline._windows.totals import Totals, count_seconds
from driftline._windows.window import Window
from driftline.typing import Column

__all__ = ["Recorder"]


class Recorder:
    """
    The buffers that callers append to, and the windows that they are drained into.

    Args:
        layout: the bins of the features and, last, of the prediction where it is watched.
        width: number of features; where the layout has one more, it is the prediction.
        window: what is judged at once.
        clock: seconds, as `time.monotonic`.
        durations: where durations go to be recorded; None: nobody wants them one by one.
        week: the hour of the week in which rows are counted besides; None: it does not matter when they come.

    Attributes:
        endless: told when a function of the user's, in the way of rows to their bins, does not come to its end.
    """

    __slots__ = (
        "_bare",
        "_calls",
        "_chunk",
        "_deferred",
        "_durations",
        "_failures",
        "_panes",
        "_watched",
        "endless",
        "lane",
        "layout",
        "relief",
        "width",
    )

    def __init__(
        self,
        layout: Layout,
        width: int,
        window: Window,
        clock: Callable[[], float],
        durations: LatencyQueue | None = None,
        week: WeekClock | None = None,
    ) -> None:
        self.layout = layout
        self.width = width
        self._watched = len(layout.sizes) > width
        self._panes = Panes(layout, window, clock, week)
        self._durations = durations
        self._chunk = chunk_rows(layout.breadth)
        self.endless: Callable[[], None] | None = None
        self.lane = CallBuffer(self)
        self.lane.exemplars = durations is not None and durations.extend(())
        self.relief = Backpressure(layout, self.lane, durations, self._waiting, self._share, lambda: len(self.pending))
        self.reset()

    def reset(self) -> None:
        """Forget everything, a lock that another thread held included: the child of a fork starts here."""
        self._calls: list[Call] = []
        self._failures: list[Failure] = []
        self._bare: list[Row] = []
        self._deferred = Deferred()
        self.relief.reset()
        self._panes.reset()
        self.lane.clear()
        if self._panes.timed:
            self.lane.put = self._put_timed

    # --- what callers do ---------------------------------------------------------------------------------------------

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """
        Take down one successful call.

        Raises:
            TypeError: the output is not one value per row; the call and its features are counted all the same.
        """
        if captured.__class__ not in ROWS:
            self._record_many(captured, output, seconds, context)
        elif output.__class__ in SCALARS or not self._watched:
            self.lane.put((captured, output if self._watched else None, seconds, context))
            self.relief.where_crowded()
        else:
            self._record_odd(captured, output, seconds, context)

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised: its features have been seen, a prediction has not been made."""
        self._on_time()
        rows = 1 if captured is None or captured.__class__ in ROWS else len(captured)
        self._failures.append((seconds, context, error, rows))
        if captured.__class__ in ROWS:
            self._bare.append(captured)
        elif isinstance(captured, list):
            self._bare.extend(captured)
        elif isinstance(captured, Batch):
            self._put_batch(captured, None)
        self.relief.where_crowded()

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """
        Take down rows without a call: counted as served.

        Raises:
            TypeError: the outputs are not one value per row; the features are counted all the same.
        """
        self._record_many(captured, outputs, None, None)

    def count(self, rows: int, seconds: float | None, context: object, error: str | None = None) -> None:
        """Count predictions, or those that an error prevented, without their features."""
        if error is None:
            self._served(rows, seconds, context)
        elif seconds is not None:
            self._failures.append((seconds, context, error, rows))
        self.relief.where_crowded()

    def drop(self, reason: str, rows: int) -> None:
        """Count rows that could not be read."""
        with self._panes.lock:
            dropped = self._panes.totals.dropped
            dropped[reason] = dropped.get(reason, 0) + rows

    def _put_timed(self, entry: Entry) -> None:
        """Take an entry down where it matters when rows come."""
        self._on_time()
        self.lane.waiting.extend(entry)

    def _on_time(self) -> None:
        """Rows that waited belong to the pane, and the hour, that ended before this one came."""
        if self._panes.timed and self._panes.over:
            self.drain()

    def _record_odd(self, row: Row, output: Any, seconds: float, context: object) -> None:
        """A row whose output is no plain number or text."""
        try:
            value = as_output(output)
        except Exception:
            self._on_time()
            # Under the lock, as below, so that a reading sees the call together with its row.
            with self._panes.lock:
                self._calls.append((seconds, context, 1))
                self._bare.append(row)
            self.relief.where_crowded()
            raise
        self.lane.put((row, value, seconds, context))
        self.relief.where_crowded()

    def _record_many(self, captured: Captured, outputs: Any, seconds: float | None, context: object) -> None:
        self._on_time()
        if captured.__class__ in ROWS:
            captured = [captured]
        rows = 0 if captured is None else len(captured)
        column = as_outputs(outputs, rows) if self._watched and outputs is not None else None
        if captured is None:
            # The features could not be read; the predictions have been made all the same.
            self._served(rows_in(outputs), seconds, context)
        elif isinstance(captured, Batch):
            if self.layout.defers:
                self._served(rows, seconds, context)
                self._put_batch(captured, column)
            else:
                # In one step, so that a reading sees as many rows served as there are in the bins.
                with self._panes.lock:
                    self._served(0, seconds, context)
                    self._panes.totals.served += rows
                    self._put_batch(captured, column)
            self.relief.tell_overdue()
        elif not isinstance(captured, list) or not self.width or (column is None and self._watched):
            with self._panes.lock:
                self._served(rows, seconds, context)
                if self.width and isinstance(captured, list):
                    self._bare.extend(captured)
        else:
            values = [None] * rows if column is None else as_objects(column)
            times = [NO_CALL if seconds is None else seconds, *[NO_CALL] * (rows - 1)]
            self.lane.waiting.extend([*chain.from_iterable(zip(captured, values, times, repeat(context)))])
            if seconds is None or not rows:
                self._served(0, seconds, context)
        self.relief.where_crowded()
        if column is None and self._watched and outputs is not None and captured is not None:
            msg = f"the output for {rows} rows is a {type(outputs).__name__}: expected one value per row"
            raise TypeError(msg)

    def _served(self, rows: int, seconds: float | None, context: object) -> None:
        if seconds is not None:
            self._calls.append((seconds, context, rows))
            return
        with self._panes.lock:
            self._panes.totals.served += rows
            self._panes.totals.batches += 1

    def _put_batch(self, batch: Batch, column: Column | None) -> None:
        columns = batch.columns if column is None else [*batch.columns, column]
        if self.layout.defers:
            # It waits its turn among the rows: what is made of it may take functions of the user's.
            self._deferred.enter(batch.rows)
            self.lane.waiting.extend((Batch(columns, batch.rows), None, NO_CALL, None))
            wake = self.relief.wake
            if wake is not None and self._deferred.rows >= WAKE_ROWS:
                wake()
            return
        with self._panes.lock:
            self._put(*self._taken(max(self.lane.rows, len(self._bare))))
            self._panes.count_columns(columns, batch.rows)

    # --- who drains --------------------------------------------------------------------------------------------------

    def _waiting(self) -> int:
        # Batches bring calls without rows that wait, and failures whose features could not be read bring no rows.
        waiting = max(self.lane.rows, len(self._bare), len(self._calls), len(self._failures))
        # A batch may be as large as it likes where others bin it.
        return max(waiting, self._deferred.rows if self.relief.wake is None else self._deferred.ahead)

    def drain(self, pause: Callable[[], bool] | None = None, *, foreign: bool = False) -> None:
        """
        Move all that waits into windows, and have the durations recorded.

        Args:
            pause: called under no lock after every small piece of work, to let others have the interpreter.
            foreign: in a thread that functions of the user's must not hold: rows that go through them are left.
        """
        step = self._drain_chunk
        if foreign and self.layout.defers:
            if self._deferred.work.is_responsive():
                return
            step = self._leave_rows_out
        if pause is not None and not self._panes.timed and self.relief.left_to_callers():
            self.relief.tell_overdue()
            return
        # Only what waited at the start: with callers that never pause this would not end otherwise.
        for _ in range(self._waiting() // self._chunk + 1):
            if not step(self._chunk):
                break
            if pause is not None:
                pause()
        with self._panes.lock:
            self._panes.advance()
        self.relief.relieved()
        if self._durations is not None:
            self._durations.report_all(pause)
        self.relief.tell_overdue()

    def windows(self) -> Iterable[WindowCounts]:
        """Take the windows that have been completed, oldest first; one taker at a time."""
        pending = self._panes.pending
        for _ in range(len(pending)):
            yield pending.popleft()

    def leave_out(self) -> None:
        """Forget the windows that have been completed: nobody judges them."""
        self._panes.pending.clear()

    @property
    def pending(self) -> Sequence[WindowCounts]:
        """The windows that wait to be judged."""
        return self._panes.pending

    def divide(self, *, wanted: bool) -> None:
        """Cut windows into blocks, as long as somebody wants to learn from them how rows depend on each other."""
        self._panes.divide(wanted=wanted)

    def partial(self) -> WindowCounts | None:
        """What the ring holds so far, as long as it has never held a whole window; else None."""
        with self._panes.lock:
            return self._panes.partial()

    def snapshot(self) -> WindowCounts:
        """What the ring holds, the open pane included."""
        with self._panes.lock:
            return self._panes.snapshot()

    def read(self) -> Totals:
        """A copy of the tally."""
        with self._panes.lock:
            return self._panes.totals.copy()

    def _share(self, most: int, crowded: bool) -> None:  # noqa: FBT001 - a callback of `Backpressure`
        """Do a share of the thread's work in a caller, but for functions of the user's: the thread is waited for."""
        wake = self.relief.wake
        if wake is None or not self.layout.defers:
            self._drain_chunk(most)
            return
        wake()
        # Who outruns the thread waits for it, a part of its work at a time.
        if crowded and not self._deferred.work.wait_for_heartbeat():
            self._leave_rows_out(most)

    def _drain_chunk(self, most: int) -> bool:
        """Drain so many of each list; whether there was anything."""
        if self.layout.defers:
            return self._drain_deferred(most)
        with self._panes.lock:
            drained = self._drain_calls(most)
            return self._put(*self._taken(most)) or drained

    def _drain_deferred(self, most: int) -> bool:
        """As `_drain_chunk`, under no lock but the one for functions of the user's while these run."""
        work = self._deferred.work
        if not work.acquire():
            return self._leave_rows_out(most)
        try:
            with self._panes.lock:
                drained = self._drain_calls(most)
                taken = self._taken(most)
            drained = self._put(*taken) or drained
            work.heartbeat()
        finally:
            work.release()
        return drained

    def _leave_rows_out(self, most: int) -> bool:
        """Count calls without their features: a function of the user's holds up the counting of rows."""
        with self._panes.lock:
            drained = self._drain_calls(most)
            entries, bare = self._taken(most)
        rows = self._deferred.left_out(entries) + len(bare)
        if rows:
            self.drop("derive", rows)
            if self.endless is not None:
                self.endless()
        return drained or bool(rows)

    def _drain_calls(self, most: int) -> bool:
        calls, failures = take(self._calls, most), take(self._failures, most)
        tally = self._panes.totals
        tally.failed_calls += len(failures)
        if calls:
            seconds, contexts, rows = zip(*calls, strict=True)
            tally.served += sum(rows)
            self._time(seconds, contexts)
        for _, _, error, rows in failures:
            tally.failed[error] = tally.failed.get(error, 0) + rows
        if failures and self._durations is not None:
            failed = ((seconds, context, error) for seconds, context, error, _ in failures)
            self.lane.exemplars = self._durations.extend(failed)
        return bool(calls or failures)

    def _taken(self, most: int) -> tuple[list[Any], list[Row]]:
        """Entries and rows without a call, off the heads of their lists; the calls among them are counted."""
        entries = take(self.lane.waiting, most * FIELDS)
        if entries:
            # The call that brought a batch has been counted.
            batches = sum(row.__class__ is Batch for row in entries[::FIELDS]) if self.layout.defers else 0
            self._panes.totals.served += len(entries) // FIELDS - batches
            self._time(entries[2::FIELDS], entries[3::FIELDS])
        return entries, take(self._bare, most)

    def _put(self, entries: list[Any], bare: list[Row]) -> bool:
        """Count what has been taken; whether there was anything."""
        for is_batch, stretch in stretches(entries) if self.layout.defers else ((False, entries),):
            if is_batch:
                self._put_deferred(stretch[::FIELDS])
            else:
                self._put_rows(stretch[::FIELDS], stretch[1::FIELDS] if self._watched else None)
        self._put_rows(bare, None)
        return bool(entries or bare)

    def _put_deferred(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self._deferred.leave(batch.rows)
            for columns, rows in pieces(batch):
                self._panes.count_columns(columns, rows)
                self._deferred.work.heartbeat()

    def _put_rows(self, rows: Sequence[Any], outputs: Sequence[object] | None) -> None:
        align = self.lane.align
        if self.width and rows:
            self._panes.count_rows(rows if align is None else align(rows), outputs)

    def _time(self, seconds: Sequence[float], contexts: Sequence[object]) -> None:
        """Count the durations of calls that returned; rows that were no call of their own have none."""
        counts, known = count_seconds(seconds)
        self._panes.totals.durations += counts
        if self._durations is not None:
            durations: Iterable[Duration] = zip(seconds, contexts, repeat(None))
            if known < len(seconds):
                durations = [one for one in durations if one[0] == one[0]]
            self.lane.exemplars = self._durations.extend(durations)
