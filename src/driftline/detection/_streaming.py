"""Feeds stream detectors one value at a time where rows are binned, and keeps their states."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import as_floats
from driftline._runtime.guard import Report
from driftline._runtime.watched_lock import WatchedLock
from driftline._windows.window import Window
from driftline.detection._stream_detectors import ERROR, NamedDetector
from driftline.results import DriftState, FeatureStatus, StateChange
from driftline.typing import Column

__all__ = ["StreamEvaluator"]

MAX_PENDING = 65_536
"""
Values of one stream that are pending at most, half a megabyte; the batch that exceeds the limit is still added. A
detector that needs milliseconds a value misses some when thousands arrive each second, and reports it.
"""

LENGTH = "each value"
"""The window length in state changes of a detector: it decides after each value."""


Stage: TypeAlias = "Callable[[Sequence[Column | None], int], Sequence[Column | None]]"
"""A stage of a layout: takes columns and their number of rows, and returns columns."""


class _RunningDetector:
    """One detector with its state."""

    __slots__ = ("changed_at", "changed_time", "detector", "drifting", "named", "rows", "status")

    def __init__(self, named: NamedDetector) -> None:
        self.named = named
        self.detector: Any = named.fresh()
        self.rows = 0
        self.changed_at = 0
        self.changed_time = 0.0
        self.drifting = False
        self.status = FeatureStatus("insufficient_data", None, None, 0, "no value yet")


class StreamEvaluator:
    """
    Runs the detectors of one monitor.

    The threads that bin rows or record outcomes queue values; `feed` feeds them. A detector is `drifting` from the
    value at which it finds a change until a whole window (of rows or of time) has passed without another change.

    Args:
        detectors: the detectors.
        window: its length is how long a change keeps the state at `drifting`.
        clock: returns seconds.
        on_change: called when a detector changes its state.
        report: called with a place and a message when a detector raises, or when values are dropped.
        raises: whether an exception of a detector propagates, for tests.

    Attributes:
        status: the state of each detector, by the name of its entry.
    """

    def __init__(
        self,
        detectors: Sequence[NamedDetector],
        window: Window,
        clock: Callable[[], float],
        on_change: Callable[[StateChange], None],
        report: Report,
        *,
        raises: bool,
    ) -> None:
        self._detectors = tuple(detectors)
        self._window = window
        self._clock = clock
        self._on_change = on_change
        self._report = report
        self._raises = raises
        self._watched_columns: tuple[tuple[int, str], ...] = ()
        self._skipped: Mapping[str, str] = {}
        self.reset()

    def reset(self) -> None:
        """Reset every detector. The child of a fork starts here."""
        # Re-entrant, because a detector is a user object and may call the monitor.
        self._lock = WatchedLock()
        self._pending: deque[tuple[str, NDArray[np.float64]]] = deque()
        self._pending_values: dict[str, int] = {}
        self._running = tuple(_RunningDetector(named) for named in self._detectors)
        for stream, reason in self._skipped.items():
            self._skip(stream, reason)
        self.status: dict[str, FeatureStatus] = {running.named.name: running.status for running in self._running}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the detectors' entries among the states."""
        return tuple(detector.name for detector in self._detectors)

    @property
    def watches_errors(self) -> bool:
        """Whether a detector watches the prediction errors."""
        return any(detector.stream == ERROR for detector in self._detectors)

    def watch(self, features: Sequence[str], skipped: Mapping[str, str]) -> Stage:
        """
        Watch the columns of a layout, and return the stage that queues their values.

        Called once the features are known, and again for a reference that replaces another.

        Args:
            features: names in the order of the columns of the layout. If one is named ``error``, detectors of that
                name watch the feature instead of the outcomes.
            skipped: streams that cannot be watched, each with the reason. A learned reference may have some.
        """
        streams = {detector.stream for detector in self._detectors} - set(skipped)
        watched_columns = tuple((index, name) for index, name in enumerate(features) if name in streams)
        self._watched_columns = watched_columns
        resumed = set(self._skipped) - set(skipped)
        self._running = tuple(
            _RunningDetector(running.named) if running.named.stream in resumed else running for running in self._running
        )
        self._skipped = skipped
        for stream, reason in skipped.items():
            self._report("detector", f"{stream!r} is not watched: {reason}")
            self._skip(stream, reason)

        def queue_values(columns: Sequence[Column | None], rows: int) -> Sequence[Column | None]:
            # Uses the columns of this layout: rows of a replaced layout may still arrive.
            del rows
            for index, stream in watched_columns:
                # Rows without a prediction lack its column.
                column = columns[index] if index < len(columns) else None
                if column is not None:
                    self._queue(stream, as_floats(column))
            return columns

        return queue_values

    def _skip(self, stream: str, reason: str) -> None:
        for running in self._running:
            if running.named.stream == stream:
                running.detector = None
                running.status = FeatureStatus("insufficient_data", None, None, 0, f"skipped: {reason}")

    # --- queueing ----------------------------------------------------------------------------------------------------

    def on_outcome(self, output: object, actual: object, right: bool | None) -> None:  # noqa: FBT001 - three states
        """
        Queue the error of a prediction.

        Args:
            output: the prediction.
            actual: the outcome.
            right: whether the prediction was right. If None, the error is ``abs(output - actual)`` of two numbers.
        """
        if any(stream == ERROR for _, stream in self._watched_columns):
            return
        if right is not None:
            self._queue(ERROR, np.array([0.0 if right else 1.0]))
            return
        pair = as_floats([output, actual])
        self._queue(ERROR, np.abs(pair[:1] - pair[1:]))

    def _queue(self, stream: str, values: NDArray[np.float64]) -> None:
        values = values[np.isfinite(values)]
        pending = self._pending_values.get(stream, 0)
        if pending >= MAX_PENDING:
            self._report("detector", f"{stream!r}: {len(values)} values dropped, its detectors are too slow for them")
        elif len(values):
            self._pending_values[stream] = pending + len(values)
            self._pending.append((stream, values))

    # --- feeding -----------------------------------------------------------------------------------------------------

    def feed(self) -> None:
        """Feed all pending values in the order in which they arrived, and update the states."""
        if not self._lock.acquire():
            self._report("detector", "a detector does not return")
            return
        try:
            for _ in range(len(self._pending)):
                stream, values = self._pending.popleft()
                self._pending_values[stream] -= len(values)
                for running in self._running:
                    if running.named.stream == stream and running.detector is not None:
                        self._feed_detector(running, values.tolist())
                self._lock.heartbeat()
            for running in self._running:
                self._update_state(running)
            status = {running.named.name: running.status for running in self._running}
            if status != self.status:
                self.status = status
        finally:
            self._lock.release()

    def _feed_detector(self, running: _RunningDetector, values: Iterable[float]) -> None:
        named, detector = running.named, running.detector
        update = detector.update
        hold = self._window.rows
        for value in values:
            try:
                update(value)
                changed = bool(getattr(detector, named.flag))
                if changed and named.resets:
                    detector.reset()
            except Exception as error:
                running.detector = None
                self._set_status(running, "insufficient_data", f"skipped: it raised {type(error).__name__}")
                if self._raises:
                    raise
                # Only the type: the message may quote a value, and values must not leave the process.
                self._report("detector", f"{named.name} raised {type(error).__name__}, it is skipped from now on")
                return
            running.rows += 1
            if changed:
                running.changed_at, running.changed_time, running.drifting = running.rows, self._clock(), True
                self._update_state(running)
            elif running.drifting and hold is not None and running.rows - running.changed_at >= hold:
                running.drifting = False
                self._update_state(running)

    def _update_state(self, running: _RunningDetector) -> None:
        """Set the state after the values so far."""
        if running.detector is None or not running.rows:
            return
        seconds, kind = self._window.seconds, running.named.kind
        if running.drifting and seconds is not None and self._clock() - running.changed_time >= seconds:
            running.drifting = False
        if not running.changed_at:
            reason = f"{kind} found no change in {running.rows} values"
        elif running.drifting:
            reason = f"{kind} found a change at value {running.changed_at} of {running.rows}"
        else:
            reason = f"{kind} found no change since value {running.changed_at} of {running.rows}"
        self._set_status(running, "drifting" if running.drifting else "stable", reason)

    def _set_status(self, running: _RunningDetector, state: DriftState, reason: str) -> None:
        before = running.status.state
        running.status = FeatureStatus(state, None, None, running.rows, reason)
        if state != before:
            self._on_change(StateChange(running.named.name, before, running.status, LENGTH))
