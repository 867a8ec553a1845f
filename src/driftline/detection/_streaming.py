"""Detectors fed one value at a time, off the way of a call, and the states that follow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import as_floats
from driftline._capture.reader import Report
from driftline._runtime.watched_lock import WatchedLock
from driftline._windows.window import Window
from driftline.detection._stream_detectors import ERROR, NamedDetector
from driftline.results import (
    DriftState,
    FeatureStatus,
    StateChange,
)
from driftline.typing import Column

__all__ = ["StreamEvaluator"]

MOST_WAITING = 65_536
"""Values of one stream that wait to be fed, at most (and the batch that went beyond): half a megabyte. A detector that
needs milliseconds a value, where there are thousands a second, misses some and says so."""

LENGTH = "each value"
"""In the place of a window's length: a detector judges anew with every value."""


Stage: TypeAlias = "Callable[[Sequence[Column | None], int], Sequence[Column | None]]"
"""Columns of a layout and their number of rows to columns."""


class _Watch:
    """One detector at work."""

    __slots__ = ("changed_at", "detector", "found_at", "holds", "named", "rows", "status")

    def __init__(self, named: NamedDetector) -> None:
        self.named = named
        self.detector: Any = named.fresh()
        self.rows = 0
        self.changed_at = 0
        self.found_at = 0.0
        self.holds = False
        self.status = FeatureStatus("insufficient_data", None, None, 0, "no value yet")


class StreamEvaluator:
    """
    The detectors of one monitor.

    Values are queued by whoever bins rows or tells outcomes, and fed by whoever settles. A detector is `drifting` from
    a value that it finds a change at until a whole window without another one has passed: so many values, or so much
    time.

    Args:
        detectors: what was given.
        window: how long a change is told.
        clock: seconds.
        changed: told when a detector changes its state.
        report: told of a detector that raises, and of values that had to be left out.
        raises: whether what a detector raises goes on, for tests.
    """

    def __init__(
        self,
        detectors: Sequence[NamedDetector],
        window: Window,
        clock: Callable[[], float],
        changed: Callable[[StateChange], None],
        report: Report,
        *,
        raises: bool,
    ) -> None:
        self._detectors = tuple(detectors)
        self._window = window
        self._clock = clock
        self._changed = changed
        self._report = report
        self._raises = raises
        self._places: tuple[tuple[int, str], ...] = ()
        self._left_out: Mapping[str, str] = {}
        self.reset()

    def reset(self) -> None:
        """Forget everything: the child of a fork starts with detectors that have seen nothing."""
        # Re-entrant: a detector is the user's code, and may look at the monitor.
        self._lock = WatchedLock()
        self._waiting: deque[tuple[str, NDArray[np.float64]]] = deque()
        self._lengths: dict[str, int] = {}
        self._watches = tuple(_Watch(named) for named in self._detectors)
        for stream, reason in self._left_out.items():
            self._leave_out(stream, reason)
        self.status: dict[str, FeatureStatus] = {one.named.name: one.status for one in self._watches}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the detectors' entries among the states."""
        return tuple(one.name for one in self._detectors)

    @property
    def watches_errors(self) -> bool:
        """Whether a detector watches the errors."""
        return any(one.stream == ERROR for one in self._detectors)

    def watch(self, features: Sequence[str], left_out: Mapping[str, str]) -> Stage:
        """
        Say what is counted, once that is known, and anew for a reference that takes the place of another.

        The stage of a layout that is returned queues the values of the columns that are watched.

        Args:
            features: names in the order of the columns of the layout. One named ``error`` is meant by that name.
            left_out: streams that cannot be watched, and why; a learnt reference may have such.
        """
        streams = {one.stream for one in self._detectors} - set(left_out)
        places = tuple((place, name) for place, name in enumerate(features) if name in streams)
        self._places = places
        back = set(self._left_out) - set(left_out)
        self._watches = tuple(_Watch(one.named) if one.named.stream in back else one for one in self._watches)
        self._left_out = left_out
        for stream, reason in left_out.items():
            self._report("detector", f"{stream!r} is not watched: {reason}")
            self._leave_out(stream, reason)

        def tap(columns: Sequence[Column | None], rows: int) -> Sequence[Column | None]:
            # Of this layout: rows of one that was replaced may still be on their way.
            del rows
            for place, stream in places:
                # Rows without a prediction have a column less.
                column = columns[place] if place < len(columns) else None
                if column is not None:
                    self._queue(stream, as_floats(column))
            return columns

        return tap

    def _leave_out(self, stream: str, reason: str) -> None:
        for one in self._watches:
            if one.named.stream == stream:
                one.detector = None
                one.status = FeatureStatus("insufficient_data", None, None, 0, f"left out: {reason}")

    # --- what is watched ---------------------------------------------------------------------------------------------

    def on_outcome(self, output: object, actual: object, right: bool | None) -> None:  # noqa: FBT001 - three states
        """Queue what an outcome says of a prediction: wrong or right, else how far off it was, if both are numbers."""
        if any(stream == ERROR for _, stream in self._places):
            return
        if right is not None:
            self._queue(ERROR, np.array([0.0 if right else 1.0]))
            return
        pair = as_floats([output, actual])
        self._queue(ERROR, np.abs(pair[:1] - pair[1:]))

    def _queue(self, stream: str, values: NDArray[np.float64]) -> None:
        values = values[np.isfinite(values)]
        waiting = self._lengths.get(stream, 0)
        if waiting >= MOST_WAITING:
            self._report("detector", f"{stream!r}: {len(values)} values left out, its detectors are too slow for them")
        elif len(values):
            self._lengths[stream] = waiting + len(values)
            self._waiting.append((stream, values))

    # --- feeding -----------------------------------------------------------------------------------------------------

    def feed(self) -> None:
        """Feed all that waits, in the order in which it came."""
        if not self._lock.acquire():
            self._report("detector", "a detector does not come to its end")
            return
        try:
            for _ in range(len(self._waiting)):
                stream, values = self._waiting.popleft()
                self._lengths[stream] -= len(values)
                for watch in self._watches:
                    if watch.named.stream == stream and watch.detector is not None:
                        self._feed(watch, values.tolist())
                self._lock.moves_on()
            for watch in self._watches:
                self._settle(watch)
            status = {one.named.name: one.status for one in self._watches}
            if status != self.status:
                self.status = status
        finally:
            self._lock.release()

    def _feed(self, watch: _Watch, values: Iterable[float]) -> None:
        named, detector = watch.named, watch.detector
        update = detector.update
        hold = self._window.rows
        for value in values:
            try:
                update(value)
                found = bool(getattr(detector, named.flag))
                if found and named.resets:
                    detector.reset()
            except Exception as error:
                watch.detector = None
                self._move(watch, "insufficient_data", f"left out: it raised {type(error).__name__}")
                if self._raises:
                    raise
                # Its type alone: the message may quote a value, which stays here.
                self._report("detector", f"{named.name} raised {type(error).__name__}, it is left out")
                return
            watch.rows += 1
            if found:
                watch.changed_at, watch.found_at, watch.holds = watch.rows, self._clock(), True
                self._settle(watch)
            elif watch.holds and hold is not None and watch.rows - watch.changed_at >= hold:
                watch.holds = False
                self._settle(watch)

    def _settle(self, watch: _Watch) -> None:
        """The state after the values so far."""
        if watch.detector is None or not watch.rows:
            return
        seconds, kind = self._window.seconds, watch.named.kind
        if watch.holds and seconds is not None and self._clock() - watch.found_at >= seconds:
            watch.holds = False
        if not watch.changed_at:
            reason = f"{kind} found no change in {watch.rows} values"
        elif watch.holds:
            reason = f"{kind} found a change at value {watch.changed_at} of {watch.rows}"
        else:
            reason = f"{kind} found no change since value {watch.changed_at} of {watch.rows}"
        self._move(watch, "drifting" if watch.holds else "stable", reason)

    def _move(self, watch: _Watch, state: DriftState, reason: str) -> None:
        before = watch.status.state
        watch.status = FeatureStatus(state, None, None, watch.rows, reason)
        if state != before:
            self._changed(StateChange(watch.named.name, before, watch.status, LENGTH))
