"""One series of a `OtlpStore`: points of OTLP in any order, kept as runs of equal cumulative values."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Floats

__all__ = ["Outcome", "Point", "Retention", "Series", "SeriesState"]

Outcome: TypeAlias = Literal["stored", "duplicate", "stale"]
"""What became of a point: it counts, was there already, or is of an earlier start of its process."""

MAX_GAPS = 16
"""Gaps between deltas of one series that may still be filled. A collector sends ten requests at the same time."""

WIDTH = 3
"""Numbers of a run: Unix times of its first and last point, in seconds, and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """
    How long, and how finely, values are kept. Nothing is lost of the counts, only of the times at which they rose.

    Attributes:
        resolution: seconds of a cell of time, which ends at a multiple. Of each cell, the last value is kept. Series
            that export less often than once a cell are silent between two values.
        fine: seconds up to which all cells are kept. Older ones are as long as a share of their age.
        keep: seconds after which values are dropped, except for the last one of a series. Series that have been silent
            for so long make room for others if the store is full.
        from_start: whether the first value of a process counts that had begun before the store did. If not, its values
            are counted from the first one on.
        coarsens: whether cells may become longer while the store holds too many values.
    """

    resolution: float
    fine: float
    keep: float
    from_start: bool = True
    coarsens: bool = True


@dataclass(frozen=True, slots=True)
class Point:
    """
    A data point.

    Attributes:
        start: nanoseconds of Unix time at which a sum began; 0 if unknown.
        end: nanoseconds of Unix time of the value.
        seconds: the same, in seconds, but not later than its arrival.
        value: the value.
        is_delta: whether the value counts from *start* on alone.
        is_monotonic: whether the value of one process never decreases.
    """

    start: int
    end: int
    seconds: float
    value: float
    is_delta: bool
    is_monotonic: bool


class SeriesState(NamedTuple):
    """
    The state of a series, to be kept in a file.

    Attributes:
        times: nanoseconds of Unix time.
        values: values, and Unix times in seconds.
        is_delta: whether the series is one of deltas.
    """

    times: NDArray[np.int64]
    values: Floats
    is_delta: bool


class Series:
    """
    The values of one series.

    Args:
        attributes: its attributes.
        is_known: whether its first value counts. If not, it is what later values are counted from.

    Attributes:
        attributes: as above.
    """

    __slots__ = ("_covered", "_end", "_is_delta", "_is_known", "_offset", "_raw", "_runs", "_start", "attributes")

    def __init__(self, attributes: Mapping[str, str], *, is_known: bool) -> None:
        self.attributes = attributes
        self._is_known = is_known
        self._is_delta = False
        self._runs = array("d")
        # Of a sum: start and end of the last point, its value, and what is added to it.
        self._start, self._end = 0, 0
        self._raw, self._offset = 0.0, 0.0
        self._covered: list[int] = []  # starts and ends of the deltas so far, in ascending order

    @property
    def seen(self) -> float:
        """Unix time of the last value, in seconds; minus infinity without one."""
        return self._runs[-2] if self._runs else -np.inf

    @property
    def total(self) -> float:
        """The last value; 0 without one."""
        return self._runs[-1] if self._runs else 0.0

    @property
    def size(self) -> int:
        """The number of runs."""
        return len(self._runs) // WIDTH

    def add(self, point: Point, resolution: float) -> Outcome:
        """Add a point. Only the last value of a cell of *resolution* seconds is kept."""
        if point.is_delta:
            return self._add_delta(point, resolution)
        if self._is_delta:  # a collector was set up in another way
            self._is_delta, self._covered = False, []
            self._start, self._end, self._raw = point.start, point.end, point.value
            self._offset = self.total - point.value
        if not self._is_known:
            self._is_known, self._offset = True, -point.value
        if point.is_monotonic and self._end and self._is_stale(point):
            return "stale"
        if point.end >= self._end:
            self._start, self._end, self._raw = point.start, point.end, point.value
        return self._put(point.seconds, self._offset + point.value, resolution, is_monotonic=point.is_monotonic)

    def _is_stale(self, point: Point) -> bool:
        """Return whether a point of a monotonic sum is older than the last one. A restart goes on from its value."""
        is_later = point.end > self._end
        if point.start and point.start == self._start:
            # The value rises as long as the start stays, whatever the clock of the process says.
            if point.end < self._end and point.value > self._raw:
                self._end = point.end  # the clock was ahead
            return is_later and point.value < self._raw
        if point.start and self._start and point.start < self._start:
            return True
        if is_later and (0 < self._start < point.start or point.value < self._raw):
            self._offset += self._raw  # the process has restarted
        return point.end < self._end and point.value > self._raw

    def _add_delta(self, point: Point, resolution: float) -> Outcome:
        if not self._is_delta:
            self._is_delta, self._is_known = True, True
            self._covered = [self._start or self._end, self._end] if self._end else []
        start = point.start if 0 < point.start < point.end else point.end - 1
        if not self._cover(start, point.end):
            return "duplicate"
        self._end = max(self._end, point.end)
        runs, seconds = self._runs, point.seconds
        index = len(runs)
        while index and runs[index - 3] >= seconds:  # what came late counts in all later values
            index -= WIDTH
            runs[index + 2] += point.value
        is_first = self._covered[0] == start
        if index < len(runs) and (runs[index] == seconds or not (index or is_first)):
            return "stored"  # values of that time are no longer kept, or there is one
        before = runs[index - 1] if index else 0.0
        if index and runs[index - 2] >= seconds:  # within a run, which ends here
            runs[index:index] = array("d", [seconds, runs[index - 2], before + point.value])
            runs[index - 2] = seconds
            return "stored"
        return self._put(seconds, before + point.value, resolution)

    def _cover(self, start: int, end: int) -> bool:
        """Return whether no delta has counted in a time, and remember that one has."""
        covered = self._covered
        index = bisect_right(covered, start)
        if index % 2 or (index < len(covered) and covered[index] < end):
            return False
        if index and covered[index - 1] == start:
            covered[index - 1] = end
        else:
            covered[index:index] = [start, end]
            index += 2
        if index < len(covered) and covered[index] == end:
            del covered[index - 1 : index + 1]
        if len(covered) > 2 * MAX_GAPS:
            del covered[1:3]
        return True

    def _put(self, seconds: float, value: float, resolution: float, *, is_monotonic: bool = False) -> Outcome:
        """Keep the value at a time, unless it is monotonic and contradicts the values around it."""
        runs = self._runs
        index = len(runs)
        while index and runs[index - 3] > seconds:
            index -= WIDTH
        if is_monotonic and ((index and value < runs[index - 1]) or (index < len(runs) and value > runs[index + 2])):
            return "stale"
        if index and runs[index - 2] >= seconds:  # within a run
            if index < len(runs) or runs[index - 2] > seconds or value == runs[index - 1]:
                return "duplicate"
            # Points of a clock that is ahead have the time of their arrival, so several may have the same.
            if runs[index - 3] < seconds:
                runs.extend([seconds, seconds, value])
            runs[-1] = value
            return "stored"
        if index and value == runs[index - 1] and seconds - runs[index - 2] <= resolution:
            runs[index - 2] = seconds
            return "stored"
        cell = ceil(seconds / resolution)
        if index < len(runs) and ceil(runs[index] / resolution) == cell:
            return "stored"  # a later value of the cell is there
        if index and ceil(runs[index - 3] / resolution) == cell:
            runs[index - 3 : index] = array("d", [seconds, seconds, value])
        else:
            runs[index:index] = array("d", [seconds, seconds, value])
        return "stored"

    def values_at(self, points: Floats, within: float) -> Floats:
        """
        Return the last values at points of time, shape (points,); nan where there is none.

        Args:
            points: Unix times in seconds, in ascending order.
            within: seconds before a point. Earlier values do not count.
        """
        runs = np.frombuffer(self._runs).reshape(-1, WIDTH)
        if not len(runs):
            return np.full(len(points), np.nan)
        index = np.searchsorted(runs[:, 0], points, side="right") - 1
        chosen = runs[np.maximum(index, 0)]
        recent = (index >= 0) & (np.minimum(chosen[:, 1], points) > points - within)
        values: Floats = np.where(recent, chosen[:, 2], np.nan)
        return values

    def prune(self, now: float, retention: Retention, factor: float) -> None:
        """
        Drop old values, and let older cells be longer. The last value always stays.

        Args:
            now: Unix time in seconds.
            retention: what is kept.
            factor: a number of cells that become one, because the store is full.
        """
        runs = np.frombuffer(self._runs).reshape(-1, WIDTH)
        if len(runs) < 2:  # noqa: PLR2004 - one run is the last value
            return
        age = np.maximum(now - runs[:, 0], 0.0)
        octave = np.ceil(np.log2(np.maximum(age / retention.fine, 1.0)))
        length = retention.resolution * (factor if retention.coarsens else 1.0) * 2.0**octave
        cell = np.ceil(runs[:, 0] / length)
        kept = np.append((octave[1:] != octave[:-1]) | (cell[1:] != cell[:-1]), True)
        kept[:-1] &= runs[:-1, 1] >= now - retention.keep
        if not kept.all():
            self._runs = array("d", runs[kept].tobytes())

    def state(self) -> SeriesState:
        """Return what `restored` needs."""
        times = np.array([self._start, self._end, *self._covered], dtype=np.int64)
        values = np.concatenate([[self._raw, self._offset], np.frombuffer(self._runs)])
        return SeriesState(times, values, self._is_delta)

    @classmethod
    def restored(cls, attributes: Mapping[str, str], state: SeriesState) -> Series:
        """
        Return the series that had a state.

        Raises:
            ValueError: there is no such state.
        """
        series = cls(attributes, is_known=True)
        if len(state.times) < 2 or len(state.times) % 2 or len(state.values) % WIDTH != 2:  # noqa: PLR2004 - as `state`
            msg = f"{len(state.times)} times and {len(state.values)} values of a series"
            raise ValueError(msg)
        series._start, series._end, *series._covered = state.times.tolist()
        series._raw, series._offset = state.values[:2].tolist()
        series._runs, series._is_delta = array("d", state.values[2:].tobytes()), state.is_delta
        return series
