"""Rows in a bounded buffer, drained into windows: the only shared mutable state, and its lock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning import Layout
from driftline._calendar import CELLS, WeekClock
from driftline._capture import Batch, Captured, length_of
from driftline._deferred import Deferred, take
from driftline._frames import is_column
from driftline._outputs import SCALARS, as_output, as_outputs
from driftline._tally import DURATION_EDGES, Tally
from driftline._values import Column, Counts
from driftline._window import TimeRing, Window, WindowCounts, make_ring

__all__ = ["Call", "Recorder"]

BUFFER_ROWS = 8_192
"""Rows that wait at most; at that the caller drains a chunk itself, so that nothing is lost and nothing grows."""

WAKE_ROWS = 1_024
"""Rows at which the drain thread is woken early."""

CHUNK_ROWS = 512
"""Rows drained at once: numpy holds the interpreter meanwhile, about a quarter of a millisecond for 20 features."""

MAX_PENDING = 64
"""Completed windows that wait to be judged; beyond it whoever drains judges them, so that memory stays fixed."""

Call: TypeAlias = "tuple[float, object, int]"
"""Seconds, the OpenTelemetry context in which the call ran (None: no exemplar is wanted), and predictions made."""

Failure: TypeAlias = "tuple[float, object, str, int]"
"""Seconds, context, error type, and predictions that were not made."""


class Recorder:
    """
    The buffer that callers append to, and the windows that it is drained into.

    Appending takes no lock: ``list.append`` is atomic, with and without the GIL, and so are the copy and the deletion
    of a stretch at the list's head, which only the one who holds the lock does.

    Args:
        layout: the bins of the features and, last, of the prediction where it is watched.
        width: number of features; a row with a prediction is one longer.
        window: what is judged at once.
        clock: seconds, as `time.monotonic`.
        on_calls: called under no lock with the calls and failures drained, to record their durations.
        week: the hour of the week in which rows are counted besides; None: it does not matter when they come.
    """

    __slots__ = (
        "_bare",
        "_calls",
        "_clock",
        "_deferred",
        "_drained",
        "_failures",
        "_handing_over",
        "_lock",
        "_on_calls",
        "_pending",
        "_ring",
        "_rows",
        "_time_ring",
        "_timed",
        "_watched",
        "_week",
        "_window",
        "layout",
        "overdue",
        "tally",
        "wake",
        "width",
    )

    def __init__(
        self,
        layout: Layout,
        width: int,
        window: Window,
        clock: Callable[[], float],
        on_calls: Callable[[Sequence[Call], Sequence[Failure]], None],
        week: WeekClock | None = None,
    ) -> None:
        self.layout = layout
        self.width = width
        # Whether the prediction has a bin of its own.
        self._watched = len(layout.sizes) > width
        self._window = window
        self._clock = clock
        self._on_calls = on_calls
        self._week = week
        self.wake: Callable[[], None] | None = None
        self.overdue: Callable[[], None] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything, a lock that another thread held included: the child of a fork starts here."""
        # Re-entrant: draining may run code of the host (a value's __float__, a finalizer), and that may predict.
        self._lock = threading.RLock()
        self._handing_over = threading.RLock()
        self._deferred = Deferred()
        self._rows: list[tuple[object, ...] | Batch] = []
        self._bare: list[tuple[object, ...]] = []
        self._calls: list[Call] = []
        self._failures: list[Failure] = []
        self._pending: deque[WindowCounts] = deque()
        self._drained: tuple[list[Call], list[Failure]] = ([], [])
        bins = self.layout.total + (0 if self._week is None else CELLS)
        if self._week is not None:
            self._week.advance()
        self._ring = make_ring(self._window, bins)
        self._time_ring = self._ring if isinstance(self._ring, TimeRing) else None
        self._timed = self._time_ring is not None or self._week is not None
        self.tally = Tally(np.zeros(bins, dtype=np.int64))

    # --- what callers do ---------------------------------------------------------------------------------------------

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """
        Take down one successful call.

        Raises:
            TypeError: the output is not one value per row; the call and its features are counted all the same.
        """
        if self._timed:
            self._on_time()
        if captured.__class__ is tuple:
            self._calls.append((seconds, context, 1))
            if not self._watched:
                self._rows.append(captured)
            elif output.__class__ in SCALARS:
                self._rows.append((*captured, output))
            else:
                self._odd_output(captured, output)
            if len(self._rows) >= WAKE_ROWS:
                self._crowded()
        else:
            self._record_many(captured, output, seconds, context)

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised: its features have been seen, a prediction has not been made."""
        if self._timed:
            self._on_time()
        rows = 1 if captured is None or captured.__class__ is tuple else length_of(captured)
        self._failures.append((seconds, context, error, rows))
        if captured.__class__ is tuple:
            self._bare.append(captured)
        elif isinstance(captured, list):
            self._bare.extend(captured)
        elif isinstance(captured, Batch):
            self._put_batch(captured, None)
        if max(len(self._bare), len(self._failures)) >= WAKE_ROWS:
            self._crowded()

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """
        Take down rows without a call: counted as served.

        Raises:
            TypeError: the outputs are not one value per row; the features are counted all the same.
        """
        if self._timed:
            self._on_time()
        self._record_many(captured, outputs, None, None)

    def count(self, rows: int, seconds: float | None, context: object, error: str | None = None) -> None:
        """Count predictions, or those that an error prevented, without their features."""
        if error is None:
            self._served(rows, seconds, context)
        elif seconds is not None:
            self._failures.append((seconds, context, error, rows))
        if max(len(self._calls), len(self._failures)) >= WAKE_ROWS:
            self._crowded()

    def drop(self, reason: str, rows: int) -> None:
        """Count rows that could not be read."""
        with self._lock:
            self.tally.dropped[reason] = self.tally.dropped.get(reason, 0) + rows

    def _on_time(self) -> None:
        """Rows that waited belong to the pane, and the hour, that ended before this one came."""
        ring, week = self._time_ring, self._week
        if (ring is not None and self._clock() >= ring.end) or (week is not None and week.over):
            self.drain()

    def _odd_output(self, row: tuple[object, ...], output: Any) -> None:
        try:
            value = as_output(output)
        except TypeError:
            self._bare.append(row)
            raise
        self._rows.append((*row, value))

    def _record_many(self, captured: Captured, outputs: Any, seconds: float | None, context: object) -> None:
        if captured.__class__ is tuple:
            captured = [captured]
        rows = length_of(captured)
        watched = self._watched
        column = as_outputs(outputs, rows) if watched and outputs is not None else None
        if captured is None:
            # The features could not be read; the predictions have been made all the same.
            self._served(len(outputs) if is_column(outputs) else 1, seconds, context)
        elif isinstance(captured, list):
            if column is None and watched:
                self._bare.extend(captured)
            elif column is None:
                self._rows.extend(captured)
            else:
                values = column.tolist() if isinstance(column, np.ndarray) else column
                self._rows.extend((*row, value) for row, value in zip(captured, values, strict=True))
            self._served(rows, seconds, context)
        elif isinstance(captured, Batch):
            self._served(rows, seconds, context)
            self._put_batch(captured, column)
        if max(len(self._rows), len(self._bare), len(self._calls)) >= WAKE_ROWS:
            self._crowded()
        if column is None and watched and outputs is not None and captured is not None:
            msg = f"the output for {rows} rows is a {type(outputs).__name__}: expected one value per row"
            raise TypeError(msg)

    def _served(self, rows: int, seconds: float | None, context: object) -> None:
        if seconds is not None:
            self._calls.append((seconds, context, rows))
            return
        with self._lock:
            self.tally.served += rows
            self.tally.batches += 1

    def _put_batch(self, batch: Batch, column: Column | None) -> None:
        columns = batch.columns if column is None else [*batch.columns, column]
        if self.layout.defers:
            self._defer(columns, batch.rows)
            return
        numbers = self.layout.numbers(columns, batch.rows)
        with self._lock:
            self._drain_rows()
            self._put_numbers(numbers, batch.rows)

    def _put_numbers(self, numbers: Sequence[NDArray[np.uint16]], rows: int) -> None:
        start = 0
        while start < rows:
            stop = min(rows, start + self._ring.room())
            self._put(self.layout.tally(numbers, slice(start, stop)), stop - start)
            start = stop

    def _put_deferred(self, batch: Batch) -> None:
        self._deferred.leave(batch.rows)
        self._put_numbers(self.layout.numbers(batch.columns, batch.rows), batch.rows)

    def _defer(self, columns: Sequence[Column | None], rows: int) -> None:
        """
        Have a batch wait its turn among the rows.

        What is made of it may take functions of the user's, which callers do not wait for as long as there is a thread
        and no more waits already than the buffer holds.
        """
        before = self._deferred.enter(rows)
        self._rows.append(Batch(columns, rows))
        if before >= BUFFER_ROWS or self.wake is None:
            self.drain_chunk()
        if before + rows >= WAKE_ROWS and self.wake is not None:
            self.wake()

    def _crowded(self) -> None:
        # Batches bring calls without rows that wait, and failures whose features could not be read bring no rows.
        waiting = max(len(self._rows), len(self._bare), len(self._calls), len(self._failures))
        if waiting >= BUFFER_ROWS or self.wake is None:
            self.drain_chunk()
        if self.wake is not None:
            self.wake()

    # --- draining ----------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Move all that waits into windows."""
        waiting = len(self._rows) + len(self._bare) + len(self._calls) + len(self._failures)
        with self._lock:
            # Only what waited at the start: with callers that never pause this would not end otherwise.
            for _ in range(waiting // CHUNK_ROWS + 1):
                if not self._drain_chunk():
                    break
            if self._time_ring is not None:
                self._pending.extend(self._time_ring.advance(self._clock()))
            if self._week is not None:
                self._week.advance()
        self._hand_over(wait=True)

    def drain_chunk(self) -> None:
        """Move one chunk into windows: what a caller does when the buffer is full."""
        with self._lock:
            self._drain_chunk()
        self._hand_over(wait=len(self._drained[0]) + len(self._drained[1]) >= BUFFER_ROWS)

    def windows(self) -> Iterable[WindowCounts]:
        """Take the windows that have been completed, oldest first; one taker at a time."""
        for _ in range(len(self._pending)):
            yield self._pending.popleft()

    def leave_out(self) -> None:
        """Forget the windows that have been completed: nobody judges them."""
        self._pending.clear()

    def divide(self, *, wanted: bool) -> None:
        """Cut windows into blocks, as long as somebody wants to learn from them how rows depend on each other."""
        self._ring.divide = wanted

    def partial(self) -> WindowCounts | None:
        """What the ring holds so far, as long as it has never held a whole window; else None."""
        with self._lock:
            return None if self._ring.full else self._ring.partial()

    def snapshot(self) -> WindowCounts:
        """What the ring holds, the open pane included."""
        with self._lock:
            return self._ring.snapshot()

    def read(self) -> Tally:
        """A copy of the tally."""
        with self._lock:
            return self.tally.copy()

    def _hand_over(self, *, wait: bool) -> None:
        """
        Report the durations drained, outside the lock: OpenTelemetry is not ours to trust with it.

        Whoever drains before a collection waits for those that another thread is reporting, else they would miss it.
        """
        if self._handing_over.acquire(blocking=wait):
            try:
                with self._lock:
                    (calls, failures), self._drained = self._drained, ([], [])
                if calls or failures:
                    self._on_calls(calls, failures)
            finally:
                self._handing_over.release()
        if len(self._pending) > MAX_PENDING and self.overdue is not None:
            self.overdue()

    def _drain_chunk(self) -> bool:
        """Drain one chunk of each list; whether there was anything."""
        drained = self._drain_calls()
        return self._drain_rows(CHUNK_ROWS) or drained

    def _drain_calls(self) -> bool:
        calls, failures = take(self._calls, CHUNK_ROWS), take(self._failures, CHUNK_ROWS)
        if not calls and not failures:
            return False
        tally = self.tally
        tally.served += sum(call[2] for call in calls)
        tally.failed_calls += len(failures)
        for _, _, error, rows in failures:
            tally.failed[error] = tally.failed.get(error, 0) + rows
        seconds = np.array([call[0] for call in calls])
        tally.durations += np.bincount(
            np.searchsorted(DURATION_EDGES, seconds, side="right"), minlength=len(tally.durations)
        )
        self._drained[0].extend(calls)
        self._drained[1].extend(failures)
        return True

    def _drain_rows(self, most: int | None = None) -> bool:
        drained = False
        lists: tuple[list[Any], ...] = (self._rows, self._bare)
        for waiting in lists:
            rows = take(waiting, len(waiting) if most is None else most)
            start = 0
            while start < len(rows):
                drained = True
                if rows[start].__class__ is Batch:
                    self._put_deferred(rows[start])
                    start += 1
                    continue
                stop = min(len(rows), start + min(CHUNK_ROWS, self._ring.room()))
                chunk = rows[start:stop]
                if self.layout.defers:
                    chunk = list(takewhile(lambda row: row.__class__ is tuple, chunk))
                self._put(self.layout.count_rows(chunk), len(chunk))
                start += len(chunk)
        return drained

    def _put(self, counts: Counts, rows: int) -> None:
        if self._week is not None:
            counts = self._week.counted(counts, rows)
        self.tally.counts += counts
        self.tally.rows += rows
        window = self._ring.put(counts, rows)
        if window is not None:
            self._pending.append(window)
