"""Feeds stream detectors with the values of rows and outcomes, one at a time, and keeps their states."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import as_floats
from driftline._runtime.guard import Report, is_contained
from driftline._runtime.watched_lock import WatchedLock
from driftline._windows.window import Window
from driftline.detection._stream_detectors import ERROR, NamedDetector
from driftline.results import DriftState, FeatureStatus, StateChange
from driftline.typing import Column

__all__ = ["StreamEvaluator"]

MAX_PENDING = 65_536
"""
Pending values of one stream, half a megabyte, from which further batches are dropped and reported. A detector that
needs milliseconds for each value loses some of them when thousands arrive each second.
"""

LENGTH = "each value"
"""`StateChange.length` of a detector, which has no window and decides after each value."""


Stage: TypeAlias = "Callable[[Sequence[Column | None], int], Sequence[Column | None]]"
"""
A function that the binning calls with the columns of some rows, None for an absent one, and the number of rows. It
returns the columns to bin.
"""


class _RunningDetector:
    """
    One detector with its state.

    Attributes:
        named: the detector as configured.
        detector: the copy that is fed; None once it is skipped.
        rows: number of values fed.
        changed_at: number of the value at which the detector found its latest change; 0 if it found none.
        changed_time: seconds of the clock at that change.
        drifting: whether that change is less than a window ago.
        status: the state of the detector.
    """

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

    The threads that bin rows or record outcomes queue values, and `feed` passes them to the detectors. A detector is
    ``drifting`` from the value at which it finds a change until a whole window passes without another change.

    Args:
        detectors: the detectors.
        window: the window of the monitor. Its length, in rows or in time, is how long a change lasts.
        clock: returns seconds.
        on_change: called when a detector changes its state.
        report: called with a value of ``ml.monitor.place`` and a message when a detector raises or values are dropped.
        raises: whether an exception of a detector propagates, for tests.

    Attributes:
        status: the state of each detector by its name, such as ``"dep_delay (ADWIN)"``.
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
        """Replace each detector by a copy that has seen no value, and drop pending values, as a fork's child must."""
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
        """The names of the detectors, which are the keys of `status`."""
        return tuple(detector.name for detector in self._detectors)

    @property
    def watches_errors(self) -> bool:
        """Whether a detector watches the prediction errors."""
        return any(detector.stream == ERROR for detector in self._detectors)

    def watch(self, features: Sequence[str], skipped: Mapping[str, str]) -> None:
        """
        Watch the columns of a reference, and skip the detectors of *skipped* streams.

        The monitor calls this once the features are known, and again for each reference that replaces another.

        Args:
            features: names of the columns, in their order. If one is named ``error``, the stream ``error`` is that
                feature instead of the prediction errors.
            skipped: the reason by stream for each stream that cannot be watched. Its detectors are skipped.
        """
        self._watched_columns = self._columns_of(features, skipped)
        resumed = set(self._skipped) - set(skipped)
        self._running = tuple(
            _RunningDetector(running.named) if running.named.stream in resumed else running for running in self._running
        )
        self._skipped = skipped
        for stream, reason in skipped.items():
            self._report("detector", f"{stream!r} is not watched: {reason}")
            self._skip(stream, reason)

    def queueing_stage(self, features: Sequence[str], skipped: Mapping[str, str]) -> Stage:
        """
        Return the stage of a layout that queues the values of the streams. It changes no detector.

        The arguments are as for `watch`.
        """
        watched_columns = self._columns_of(features, skipped)

        def queue_values(columns: Sequence[Column | None], rows: int) -> Sequence[Column | None]:
            # Rows of a replaced reference may still arrive, so the stage keeps its column indices.
            del rows
            for index, stream in watched_columns:
                # Rows without a prediction lack its column.
                column = columns[index] if index < len(columns) else None
                if column is not None:
                    self._queue(stream, as_floats(column))
            return columns

        return queue_values

    def _columns_of(self, features: Sequence[str], skipped: Mapping[str, str]) -> tuple[tuple[int, str], ...]:
        """Return (index, name) of each feature that a detector watches, without the *skipped* streams."""
        streams = {detector.stream for detector in self._detectors} - set(skipped)
        return tuple((index, name) for index, name in enumerate(features) if name in streams)

    def _skip(self, stream: str, reason: str) -> None:
        """Stop the detectors of *stream*, and set their state to ``insufficient_data``."""
        for running in self._running:
            if running.named.stream == stream:
                running.detector = None
                running.status = FeatureStatus("insufficient_data", None, None, 0, f"skipped: {reason}")

    # --- queueing ----------------------------------------------------------------------------------------------------

    def on_outcome(self, output: object, actual: object, right: bool | None) -> None:  # noqa: FBT001 - three states
        """
        Queue the error of a prediction. If a detector watches a feature named ``error``, do nothing.

        Args:
            output: the prediction.
            actual: the outcome.
            right: whether the prediction was right, for an error of 0 or 1. If None, the error is
                ``abs(output - actual)``.
        """
        if any(stream == ERROR for _, stream in self._watched_columns):
            return
        if right is not None:
            self._queue(ERROR, np.array([0.0 if right else 1.0]))
            return
        pair = as_floats([output, actual])
        self._queue(ERROR, np.abs(pair[:1] - pair[1:]))

    def _queue(self, stream: str, values: NDArray[np.float64]) -> None:
        """Add the finite values to the pending ones. If too many are pending, drop and report them."""
        values = values[np.isfinite(values)]
        pending = self._pending_values.get(stream, 0)
        if pending >= MAX_PENDING:
            self._report("detector", f"{stream!r}: {len(values)} values dropped, its detectors are too slow for them")
        elif len(values):
            self._pending_values[stream] = pending + len(values)
            self._pending.append((stream, values))

    # --- feeding -----------------------------------------------------------------------------------------------------

    def feed(self) -> None:
        """
        Feed all pending values in the order in which they arrived, and update the states.

        If another thread is feeding and a detector does not return, report that and leave the values pending.
        """
        with self._lock.hold() as held:
            if held:
                self._feed_pending()
        if not held:
            self._report("detector", "a detector does not return")

    def _feed_pending(self) -> None:
        """Feed all pending values, and update the states. The caller holds the lock."""
        for _ in range(len(self._pending)):
            self._feed_oldest()
            self._lock.heartbeat()
        for running in self._running:
            self._update_state(running)
        status = {running.named.name: running.status for running in self._running}
        if status != self.status:
            self.status = status

    def _feed_oldest(self) -> None:
        """Feed the oldest pending values, and remove them. After an interrupt, those that are not fed remain."""
        stream, values = self._pending[0]
        detectors = [running for running in self._running if running.named.stream == stream]
        fed, number = 0, len(values)
        try:
            self._pending_values[stream] -= number
            for value in values.tolist() if detectors else ():
                fed += 1
                for running in detectors:
                    if running.detector is not None:
                        self._feed_detector(running, value)
            fed = number
        finally:
            # Without a call, so that no interrupt comes between.
            self._pending_values[stream] += number - fed
            self._pending[0] = stream, values[fed:]
        self._pending.popleft()

    def _feed_detector(self, running: _RunningDetector, value: float) -> None:
        named, detector, hold = running.named, running.detector, self._window.rows
        try:
            detector.update(value)
            changed = bool(getattr(detector, named.flag))
            if changed and named.resets:
                detector.reset()
        except BaseException as error:
            if not is_contained(error):
                raise
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
        """Set the state and its reason from the values so far. Without values, or if skipped, do nothing."""
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
