"""A reference learnt from the first rows served, for those who have no training data at hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from driftline._capture.columns import as_objects
from driftline._capture.outputs import as_outputs
from driftline._capture.reader import Batch, Captured, FeatureReader, Report, first_names
from driftline._capture.vectors import vector_length
from driftline._derived.spec import Derive
from driftline._recording.buffer import ROWS
from driftline._recording.recorder import Recorder
from driftline._windows.ring import WindowCounts
from driftline.errors import ConfigurationError
from driftline.reference import Learn, Reference
from driftline.typing import Column

__all__ = ["Learner"]


class Learner:
    """
    Stands in for a recorder until enough rows have been served, or a reference has come from elsewhere.

    Calls that began meanwhile end here, at any time: they are counted.

    Args:
        ask: how many rows to learn from.
        reads: makes the capture of rows, once the first call has said what their columns are.
        calls: a recorder over no features at all, which counts calls, failures and durations meanwhile.
        learnt: told of the reference that has been learnt.
        report: told when the rows cannot be made a reference.
        derive: functions of a row that make features.
    """

    def __init__(
        self,
        ask: Learn,
        reads: Callable[[tuple[str, ...]], FeatureReader],
        calls: Recorder,
        learnt: Callable[[Reference], None],
        report: Report,
        derive: Derive,
    ) -> None:
        self._derive = derive
        self.names: tuple[str, ...] = ()
        self._ask = ask
        self._reads = reads
        self._capture: FeatureReader | None = None
        self._calls = calls
        self._learnt = learnt
        self._report = report
        self._lock = threading.RLock()
        self._rows: list[tuple[object, ...]] = []
        self._outputs: list[object] = []
        self._over = self._fitting = False

    @property
    def progress(self) -> str:
        """How far the learning is, in words."""
        return f"learning the reference: {len(self._rows)} of {self._ask.rows} rows"

    def reset(self) -> None:
        """Start anew: the child of a fork has served nothing yet."""
        self._lock = threading.RLock()
        self._rows, self._outputs, self._fitting = [], [], False
        self._calls.reset()

    def capture(self, features: Any) -> Captured:
        """Read and copy a call's features; the first one says what the columns are."""
        if self._capture is None:
            names = first_names(features)
            with self._lock:
                if self._capture is None:
                    self.names, self._capture = names, self._reads(names)
        captured = self._capture(features)
        # A batch of one: a row would take the short way past the learner.
        return [captured] if captured.__class__ in ROWS else captured

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """Take down one successful call."""
        rows = _rows_of(captured)
        self._calls.record(None if captured is None else [()] * len(rows), output, seconds, context)
        self._keep(rows, output)

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised; its rows are not learnt from."""
        self._calls.record_failure(
            None if captured is None else [()] * len(_rows_of(captured)), seconds, context, error
        )

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """Take down rows without a call."""
        rows = _rows_of(captured)
        self._calls.record_batch([()] * len(rows), outputs)
        self._keep(rows, outputs)

    def _keep(self, rows: list[tuple[object, ...]], outputs: Any) -> None:
        column = as_outputs(outputs, len(rows)) if rows and outputs is not None else None
        values = [None] * len(rows) if column is None else np.asarray(column, dtype=object).tolist()
        with self._lock:
            if self._over:
                return
            room = self._ask.rows - len(self._rows)
            self._rows.extend(rows[:room])
            self._outputs.extend(values[:room])
        if len(self._rows) >= self._ask.rows:
            (self._calls.relief.wake or self.drain)()

    def drain(self, pause: Callable[[], bool] | None = None, *, foreign: bool = False) -> None:
        """Count calls, and learn when there are rows enough; not in a *foreign* thread, see `Recorder.drain`."""
        self._calls.drain(pause, foreign=foreign)
        with self._lock:
            if foreign or self._over or self._fitting or len(self._rows) < self._ask.rows:
                return
            self._fitting = True
        # Under no lock: it takes a while, and functions of the user's.
        try:
            self._fit(dict(zip(self.names, map(list, zip(*self._rows, strict=True)), strict=True)))
        finally:
            with self._lock:
                self._rows, self._outputs, self._fitting = [], [], False

    def _fit(self, columns: dict[str, list[object]]) -> None:
        predictions = None if all(output is None for output in self._outputs) else self._outputs
        try:
            columns = self._usable(columns)
            categorical = [name for name in self._ask.categorical if name in columns]
            reference = Reference.fit(
                columns,
                categorical=categorical,
                predictions=predictions,
                projections=self._ask.projections or False,
                derive=self._derive,
                ignore=[name for name in self._ask.ignore if name in columns],
            )
        except Exception as error:  # noqa: BLE001 - whatever was served: try again with the next rows
            self._report("learn", f"the rows served make no reference: {error}")
            return
        with self._lock:
            if self._over:
                return
            self._over = True
        self._learnt(reference)

    def _usable(self, columns: dict[str, list[object]]) -> dict[str, list[object]]:
        """The columns that a reference can be fitted to: a date among the features must not cost all the others."""
        return {name: column for name, column in columns.items() if self._can_learn(name, column)}

    def _can_learn(self, name: str, column: list[object]) -> bool:
        if name in self._ask.ignore:
            return True
        if vector_length(column) is not None and name not in self._ask.vectors:
            self._report("learn", f"not watched: column {name!r} holds vectors: expected its name in vectors=")
            return False
        try:
            Reference.fit({name: column}, categorical=[name] if name in self._ask.categorical else [])
        except ConfigurationError as error:
            self._report("learn", f"not watched: {error}")
            return False
        return True

    def give_up(self) -> None:
        """A reference has come from elsewhere."""
        with self._lock:
            self._over = True
            self._rows, self._outputs = [], []

    def windows(self) -> Iterable[WindowCounts]:
        """Nothing is judged yet."""
        return ()


def _rows_of(captured: Captured) -> list[tuple[object, ...]]:
    if isinstance(captured, Batch):
        absent: Sequence[object] = [None] * captured.rows
        columns = [absent if column is None else _values_of(column) for column in captured.columns]
        return list(zip(*columns, strict=True))
    if captured is None:
        return []
    rows = captured if isinstance(captured, list) else [captured]
    return [tuple(np.frombuffer(row).tolist()) if isinstance(row, bytes) else tuple(row) for row in rows]


def _values_of(column: Column) -> Sequence[object]:
    """One value per row, vectors as they came."""
    return list(column) if isinstance(column, np.ndarray) and column.ndim > 1 else as_objects(column)
