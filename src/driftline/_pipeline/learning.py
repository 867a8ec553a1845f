"""Learning a reference from the first rows served, for users without training data at hand."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from driftline._capture.captured import Batch, Captured, Unread
from driftline._capture.clusters import Cluster
from driftline._capture.columns import CategoricalColumn, as_objects
from driftline._capture.names import first_names
from driftline._capture.outputs import as_outputs, unreadable_output
from driftline._capture.placeholders import Unreadable
from driftline._capture.reader import FeatureReader
from driftline._capture.vectors import vector_length
from driftline._derived.spec import Derive
from driftline._recording.buffer import NO_OUTPUT, ROWS
from driftline._recording.durations import DurationQueue
from driftline._recording.recorder import Recorder
from driftline._runtime.guard import Report, is_contained, public_message
from driftline._runtime.watched_lock import POLL_SECONDS
from driftline._runtime.worker import Worker
from driftline._windows.panes import Panes
from driftline.errors import ConfigurationError
from driftline.reference import Learn, Reference
from driftline.typing import Column

__all__ = ["Learner"]

NO_OUTPUTS = (Unreadable, list, tuple, Mapping, np.ndarray)
"""Types of values that are no prediction of one row."""

FIT_SECONDS = 60.0
"""Longest time that `Monitor.flush` waits for a fit. A million rows of twenty features take about half of it."""

_log = logging.getLogger("driftline")


class Learner:
    """
    Learns a reference from the first rows served, and counts calls meanwhile.

    It replaces the recorder until there is a reference: fitted here, or set by the user. A call that begins before then
    is recorded here, even if it ends later.

    Args:
        learn: the number of rows to learn from, and how to read and fit them.
        panes: windows without features. They count calls, failures and durations until there is a reference.
        make_reader: returns the reader of rows, from the names of the columns in the first call.
        on_learned: called with the reference.
        report: called with a place and a message if the rows, or one of their columns, cannot be fitted.
        derive: user functions of a row that return derived features.
        cluster: as for `Reference.fit`. If no row has the column, it is fitted without.
        durations: as for `Recorder`.
        worker: the worker thread, which fits the reference. If None, the caller's thread fits it.
        on_overdue: as for `Backpressure`.

    Attributes:
        names: the names of the columns, empty before the first call.
        recorder: the recorder over *panes*.
    """

    def __init__(
        self,
        learn: Learn,
        panes: Panes,
        make_reader: Callable[[tuple[str, ...]], FeatureReader],
        *,
        on_learned: Callable[[Reference], None],
        report: Report,
        derive: Derive,
        cluster: Cluster | None,
        durations: DurationQueue | None,
        worker: Worker | None,
        on_overdue: Callable[[bool], None] | None,
    ) -> None:
        self.names: tuple[str, ...] = ()
        self._learn = learn
        self._make_reader = make_reader
        self._reader: FeatureReader | None = None
        self._on_learned = on_learned
        self._report = report
        self._derive, self._cluster = derive, cluster
        self._worker = worker
        self._rows: list[tuple[object, ...]] = []
        self._outputs: list[object] = []
        # Names of columns whose type says that they are categorical. The rows no longer say it.
        self._coded = set(learn.categorical)
        self._finished = self._stopped = False
        self._renew_lock()
        self.recorder = Recorder(
            panes,
            0,
            self.capture,
            self.capture,
            durations=durations,
            worker=worker,
            on_overdue=on_overdue,
            sink=self,
        )

    @property
    def progress(self) -> str:
        """The number of rows so far and the number needed, as a sentence."""
        return f"learning the reference: {len(self._rows)} of {self._learn.rows} rows"

    @property
    def _collects(self) -> bool:
        """Whether further rows are kept: no reference is learned, and none is being fitted."""
        return not self._finished and self._fitting_thread is None

    def reset(self) -> None:
        """Remove all rows, as the child of a fork must."""
        self._renew_lock()
        self._rows, self._outputs = [], []
        self.recorder.reset()

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()
        self._fitting_thread: int | None = None

    def capture(self, features: Any) -> Captured:
        """Read and copy the features of a call. The first call that has names or values determines the columns."""
        if self._reader is None:
            names = first_names(features)
            if not names:
                # The reader of one column says why it cannot read them. Empty features have no rows.
                return self._make_reader(("0",))(features)
            with self._lock:
                if self._reader is None:
                    self.names, self._reader = names, self._make_reader(names)
        captured = self._reader(features)
        if isinstance(captured, Batch):
            named = zip(self.names, captured.columns, strict=False)
            self._coded.update(name for name, column in named if isinstance(column, CategoricalColumn))
        # A batch of one row: a plain row would take the fast path, past the learner.
        return [captured] if captured.__class__ in ROWS else captured

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """Record one successful call, and keep its rows."""
        rows = _rows_of(captured)
        output = None if output is NO_OUTPUT else output
        self.recorder.record(_without_features(captured, rows), output, seconds, context)
        self._keep(rows, output)

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Record a call that raised. Its rows are not learned from."""
        self.recorder.record_failure(_without_features(captured, _rows_of(captured)), seconds, context, error)

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """Record rows without a call, and keep them."""
        rows = _rows_of(captured)
        self.recorder.record_batch(_without_features(captured, rows), outputs)
        self._keep(rows, outputs)

    def _keep(self, rows: list[tuple[object, ...]], outputs: Any) -> None:
        """Keep rows and their outputs. Once there are enough, wake the worker thread, or fit if there is none."""
        values = self._read_outputs(outputs, len(rows))
        with self._lock:
            room = self._learn.rows - len(self._rows) if self._collects else 0
            self._rows.extend(rows[:room])
            self._outputs.extend(values[:room])
        if len(rows) > room and not self._stopped:
            # The other rows come after the last row to learn from, and before there are bins to count them in.
            self.recorder.panes.drop("learning", len(rows) - room)
        if len(self._rows) >= self._learn.rows:
            if self._worker is None or self._worker.stopped:
                self.drain()
            else:
                self._worker.wake()

    def _read_outputs(self, outputs: Any, rows: int) -> list[object]:
        """Return the outputs of *rows* rows, None for each that cannot be read. Report that some cannot be read."""
        if not rows or outputs is None:
            return [None] * rows
        column = as_outputs(outputs, rows)
        values: Sequence[object] = [Unreadable(outputs)] * rows if column is None else as_objects(column)
        wrong = [value for value in values if isinstance(value, NO_OUTPUTS)]
        if wrong:
            self._report("output", str(unreadable_output(wrong[-1], 1)))
        return [None if isinstance(value, NO_OUTPUTS) else value for value in values] if wrong else [*values]

    def drain(self, pause: Callable[[], bool] | None = None, *, without_user_functions: bool = False) -> None:
        """
        Drain the calls, and fit the reference once there are enough rows.

        Args:
            pause: called after each piece of work. It returns True if the thread is falling behind: later pieces are
                then large. If None, there are no pauses.
            without_user_functions: run no user function, and therefore do not fit.
        """
        self.recorder.drain(pause, without_user_functions=without_user_functions)
        with self._lock:
            if without_user_functions or not self._collects or len(self._rows) < self._learn.rows:
                return
            self._fitting_thread = threading.get_ident()
        # Under no lock: a fit takes a while, and calls user functions.
        learned = False
        try:
            learned = self._fit(dict(zip(self.names, map(list, zip(*self._rows, strict=True)), strict=True)))
        finally:
            try:
                if not learned:
                    self.recorder.panes.drop("learning", len(self._rows))
            finally:
                with self._lock:
                    self._rows, self._outputs, self._fitting_thread = [], [], None

    def wait_for_fit(self) -> None:
        """Wait until a fit that another thread has begun is over, `FIT_SECONDS` at most."""
        end = time.monotonic() + FIT_SECONDS
        while self._fitting_thread not in {None, threading.get_ident()} and time.monotonic() < end:
            time.sleep(POLL_SECONDS)

    def _fit(self, columns: dict[str, list[object]]) -> bool:
        """
        Fit the reference, pass it to *on_learned*, and return True.

        If the fit fails, report that. Return False then, or if the user has set a reference meanwhile.
        """
        predictions = None if all(output is None for output in self._outputs) else self._outputs
        try:
            columns = {name: column for name, column in columns.items() if self._is_declared(name, column)}
            try:
                reference = self._fitted_to(columns, predictions)
            except ConfigurationError:
                # Perhaps a column is to blame, such as one of dates. The others can be watched.
                reference = self._fitted_to(self._usable(columns), predictions)
        except BaseException as error:
            if not is_contained(error):
                raise
            # the rows are the host's: the next ones may do
            self._report("learn", f"the rows served make no reference: {public_message(error)}")
            _log.debug("the rows served make no reference: %r", error)
            return False
        with self._lock:
            if self._finished:
                return False
            self._finished = True
        self._on_learned(reference)
        return True

    def _fitted_to(self, columns: dict[str, list[object]], predictions: list[object] | None) -> Reference:
        return Reference.fit(
            columns,
            categorical=[name for name in columns if name in self._coded],
            predictions=predictions,
            projections=self._learn.projections or False,
            derive=self._derive,
            ignore=[name for name in self._learn.ignore if name in columns],
            cluster=self._cluster if callable(self._cluster) or self._cluster in columns else None,
        )

    def _usable(self, columns: dict[str, list[object]]) -> dict[str, list[object]]:
        """Return the columns that can be fitted. A column of dates, for example, is skipped."""
        return {name: column for name, column in columns.items() if self._is_usable(name, column)}

    def _is_declared(self, name: str, column: list[object]) -> bool:
        """Return whether a column needs no name in ``vectors=``, or has it, and report one that has not."""
        if vector_length(column) is None or name in {*self._learn.ignore, *self._learn.vectors}:
            return True
        self._report("learn", f"not watched: column {name!r} holds vectors: expected its name in vectors=")
        return False

    def _is_usable(self, name: str, column: list[object]) -> bool:
        """Return whether a column can be fitted, and report one that cannot."""
        if name in self._learn.ignore:
            return True
        try:
            Reference.fit({name: column}, categorical=[name] if name in self._coded else [])
        except ConfigurationError as error:
            self._report("learn", f"not watched: {public_message(error)}")
            return False
        return True

    def stop(self) -> None:
        """Remove all rows and keep no more, because the user has set a reference in place of what they would make."""
        with self._lock:
            self._finished = self._stopped = True
            self._rows, self._outputs = [], []


def _rows_of(captured: Captured) -> list[tuple[object, ...]]:
    """Return each captured row as a tuple of values; none if the features could not be read."""
    if isinstance(captured, Batch):
        absent: Sequence[object] = [None] * captured.rows
        columns = [absent if column is None else _values_of(column) for column in captured.columns]
        return list(zip(*columns, strict=True))
    if isinstance(captured, Unread):
        return []
    rows = captured if isinstance(captured, list) else [captured]
    return [tuple(np.frombuffer(row).tolist()) if isinstance(row, bytes) else tuple(row) for row in rows]


def _without_features(captured: Captured, rows: Sequence[object]) -> Captured:
    """Return what a recorder without features counts: as many rows without values, or features that were not read."""
    return captured if isinstance(captured, Unread) else [()] * len(rows)


def _values_of(column: Column) -> Sequence[object]:
    """Return one object per row. If the column is an array of several dimensions, each object is an array."""
    return list(column) if isinstance(column, np.ndarray) and column.ndim > 1 else as_objects(column)
