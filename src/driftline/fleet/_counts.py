"""`FleetReader`: reads what all processes of a fleet have counted, as blocks of time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline import semconv as sc
from driftline._backends.counts import CountSource, Grid, Match, as_counts, bin_index
from driftline._binning.layout import Layout
from driftline.errors import ConfigurationError
from driftline.fleet._blocks import Blocks, settle
from driftline.fleet._processes import FleetModel, Process, find_processes
from driftline.reference import Reference
from driftline.typing import Counts, Floats

__all__ = ["FleetReader", "FleetReading"]

LOOKBACK_SECONDS = 30 * 86_400.0
"""Seconds before the first block in which a process that comes back may have exported last. Most stores keep less."""

QUERY_VALUES = 4_000_000
"""
Most values that a store reads for one query: series times points of time. Prometheus holds two copies of 16 bytes in
memory, and takes one to two seconds. Its default limit is 50 million (``--query.max-samples``).
"""

QUERY_POINTS = 9
"""Points of a query of a part of the features: the eight blocks of a window, whose first point is read twice."""

RESPONSE_VALUES = 300_000
"""Most values of one response, about 25 bytes each, and 200 bytes in the memory of the client."""

TOLERATED_POINTS = 1
"""
Points of time at which a count may be lower than before. After a clock was set back, samples of both times are mixed
for as long as it was set back.
"""


class FleetReading(NamedTuple):
    """
    What a fleet has counted.

    Attributes:
        blocks: the blocks of time.
        processes: number of processes that exported in this time.
        notes: sentences about processes whose counts are not in the blocks.
    """

    blocks: Blocks
    processes: int
    notes: tuple[str, ...]


class _Part(NamedTuple):
    """Processes whose counts are read with one query: `names` in the spelling `dialect`, `within` seconds back."""

    names: Sequence[str]
    dialect: str
    within: float


@dataclass(frozen=True, slots=True, eq=False)
class _Presence:
    """
    When processes have exported.

    Attributes:
        processes: the processes, each in one spelling.
        grid: the points of time.
        exported: shape (processes, points), whether a process exported in the step before a point.
        earlier: shape (processes,), whether it has exported before the first of these steps.
    """

    processes: Sequence[Process]
    grid: Grid
    exported: NDArray[np.bool_]
    earlier: NDArray[np.bool_]

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Whether a process exported before and after a point, but not in the step before it, as *exported*."""
        before = np.maximum.accumulate(self.exported, axis=1) | self.earlier[:, None]
        after = np.maximum.accumulate(self.exported[:, ::-1], axis=1)[:, ::-1]
        silent: NDArray[np.bool_] = before & after & ~self.exported
        return silent

    def parts(self, first: int, last: int) -> list[_Part]:
        """
        Return the processes that may have counted between two points, grouped by how far back to look.

        A query must look back to the last export of a process before the first point. If it does not, all that the
        process has counted since its start counts at its next export.
        """
        grid = self.grid
        active = self.exported[:, first + 1 : last + 1].any(axis=1)
        latest = np.where(self.exported[:, : first + 1], np.arange(first + 1), -1).max(axis=1)
        groups: dict[tuple[str, int], list[str]] = {}
        for index in np.flatnonzero(active).tolist():
            steps = last - first
            if latest[index] >= 0:
                steps = last - int(latest[index]) + 1
            elif self.earlier[index]:
                steps = last + math.ceil(LOOKBACK_SECONDS / grid.step)
            # The next power of two, so that few queries have a list of processes.
            process = self.processes[index]
            groups.setdefault((process.dialect, 1 << (steps - 1).bit_length()), []).append(process.name)
        return [_Part(names, dialect, steps * grid.step) for (dialect, steps), names in sorted(groups.items())]


class FleetReader:
    """
    Reads what the processes of a fleet with one reference have counted.

    Args:
        source: the store.
        reference: the reference. Processes with other bins are not counted.
        model: the model.
    """

    def __init__(self, source: CountSource, reference: Reference, model: FleetModel) -> None:
        self._source, self._model = source, model
        self._fingerprint = reference.fingerprint
        self._layout = Layout(reference.watched)
        self._columns = {
            feature.name: bins for feature, bins in zip(reference.watched, self._layout.slices, strict=True)
        }
        sizes = dict(zip(self._columns, self._layout.sizes, strict=True))
        self._sizes = sizes
        self._smallest = min(sizes, key=sizes.__getitem__)

    @property
    def match(self) -> Match:
        """Selects the series of the model and the reference."""
        return {**self._model.match, sc.ML_REFERENCE_FINGERPRINT: self._fingerprint}

    def read(self, grid: Grid) -> FleetReading:
        """
        Return the counts between the points of a grid.

        Args:
            grid: points of time, at least two. All exports up to the last one should have arrived.

        Raises:
            ConfigurationError: the processes that export have other references.
            OSError: the store cannot be reached, is late, its response is incomplete, or it has lost values.
            ValueError: a response cannot be read.
        """
        seconds = grid.end - grid.start
        processes = find_processes(self._source, self._model.match, at=grid.end, within=seconds)
        own = [process for process in processes if process.fingerprint == self._fingerprint]
        notes = self._notes(processes, own)
        blocks = Blocks.none(grid.start, grid.step, self._layout.total, grid.points - 1)
        if not own:
            return FleetReading(blocks, 0, (*notes, f"no process of {self._model} has exported"))
        presence = self._presence(own, grid)
        exporting = presence.exported[:, 1:].sum(axis=0, dtype=np.int64)
        silent = presence.silent
        late = silent[:, :-1] & presence.exported[:, 1:]
        whole = (exporting > 0) & ~(silent[:, 1:] | late | self._set_back(presence)).any(axis=0)
        counts, _ = settle(self._differences(presence))
        blocks = Blocks(grid.start, grid.step, counts, exporting, whole)
        if not counts.any():
            notes = *notes, f"no process of {self._model} has exported a row: expected Monitor(export_bins=True)"
        return FleetReading(blocks, len({process.name for process in own}), notes)

    def _notes(self, processes: Sequence[Process], own: Sequence[Process]) -> tuple[str, ...]:
        """
        Return sentences about the processes that have another reference.

        Raises:
            ConfigurationError: all have.
        """
        known = {process.name for process in own}
        others: dict[str, int] = {}
        for process in processes:
            if process.name not in known:
                others[process.fingerprint] = others.get(process.fingerprint, 0) + 1
        notes = tuple(
            f"{number} processes of {self._model} are not counted: they "
            + (f"have another reference, of fingerprint {other}" if other else "are learning their reference")
            for other, number in sorted(others.items())
        )
        if others and not own:
            present = ", ".join(other for other in others if other) or "none yet"
            msg = (
                f"no process of {self._model} has the given reference, of fingerprint {self._fingerprint}: expected "
                f"one of {present}"
            )
            raise ConfigurationError(msg)
        return notes

    def _presence(self, own: Sequence[Process], grid: Grid) -> _Presence:
        """Return when processes have exported."""
        earlier = find_processes(self._source, self.match, at=grid.start - grid.step, within=LOOKBACK_SECONDS)
        known = {process.name for process in earlier}
        rows = {(process.dialect, process.name): index for index, process in enumerate(own)}
        exported = np.zeros((len(own), grid.points), dtype=np.bool_)
        by = [sc.ML_MONITOR_PROCESS]
        for dialect in sorted({process.dialect for process in own}):
            for first, last in _pieces(grid.points, len(own), len(own)):
                # The first point of a piece is the last one of the piece before.
                series = self._source.history(
                    sc.METRIC_MONITOR_INFO,
                    self.match,
                    unit=sc.ML_MONITOR_PROCESS,
                    by=by,
                    grid=_part(grid, first, last),
                    within=grid.step,
                    dialect=dialect,
                )
                for (name,), values in series.items():
                    row = rows.get((dialect, name))
                    if row is not None:
                        exported[row, first : last + 1] = ~np.isnan(values)
        return _Presence(own, grid, exported, np.array([process.name in known for process in own]))

    def _set_back(self, presence: _Presence) -> NDArray[np.bool_]:
        """
        Return whether the count of a process decreased in a block, shape (processes, blocks).

        Raises:
            OSError: it decreased for so long that the store has lost values.
        """
        grid = presence.grid
        rows = {process.name: index for index, process in enumerate(presence.processes)}
        decreased = np.zeros((len(presence.processes), grid.points - 1), dtype=np.bool_)
        match = {sc.ML_FEATURE_NAME: self._smallest}
        size = self._sizes[self._smallest]
        for first, last in _pieces(grid.points, len(rows) * size, len(rows)):
            for part in presence.parts(first, last):
                series = self._history(part, match, [sc.ML_MONITOR_PROCESS], _part(grid, first, last))
                for (name,), values in series.items():
                    row = rows.get(name)
                    if row is None:
                        continue
                    counts = as_counts(values)
                    decreased[row, first:last] |= np.diff(counts) < 0
                    highest = np.maximum.accumulate(counts)
                    lost = counts[1 + TOLERATED_POINTS :] < highest[: -1 - TOLERATED_POINTS]
                    if lost.any():
                        msg = (
                            f"the store has lost values of {sc.METRIC_FEATURE_OBSERVATIONS.name}: process {name} had "
                            f"counted {highest.max()} rows, and has fewer later"
                        )
                        raise OSError(msg)
        return decreased

    def _differences(self, presence: _Presence) -> Counts:
        """Return what all processes have counted between the points, shape (points - 1, bins)."""
        grid, width = presence.grid, self._layout.total
        counts = np.zeros((grid.points - 1, width), dtype=np.int64)
        by = [sc.ML_FEATURE_NAME, sc.ML_FEATURE_BIN]
        number = len(presence.processes)
        for names in self._feature_groups(number):
            match: Match = {} if len(names) == len(self._columns) else {sc.ML_FEATURE_NAME: names}
            bins = sum(self._sizes[name] for name in names)
            for first, last in _pieces(grid.points, number * bins, bins):
                for part in presence.parts(first, last):
                    series = self._history(part, match, by, _part(grid, first, last))
                    for (name, text), values in series.items():
                        counts[first:last, self._column(name, text)] += np.diff(as_counts(values))
        return counts

    def _feature_groups(self, processes: int) -> Iterator[list[str]]:
        """Yield the features in groups whose series can be read at `QUERY_POINTS` points with one query."""
        group: list[str] = []
        bins = 0
        for name, size in self._sizes.items():
            if group and QUERY_POINTS * processes * (bins + size) > QUERY_VALUES:
                yield group
                group, bins = [], 0
            group.append(name)
            bins += size
        yield group

    def _column(self, name: str, text: str) -> int:
        bins = self._columns.get(name)
        if bins is None:
            msg = f"expected the features of the reference, not {name[:60]!r}"
            raise ValueError(msg)
        return bins.start + bin_index(text, bins.stop - bins.start)

    def _history(self, part: _Part, match: Match, by: Sequence[str], grid: Grid) -> Mapping[tuple[str, ...], Floats]:
        """Return the sums of observations over the processes of a part."""
        return self._source.history(
            sc.METRIC_FEATURE_OBSERVATIONS,
            {**self.match, sc.ML_MONITOR_PROCESS: part.names, **match},
            unit=sc.ML_MONITOR_PROCESS,
            by=by,
            grid=grid,
            within=part.within,
            dialect=part.dialect,
        )


def _part(grid: Grid, first: int, last: int) -> Grid:
    """Return the points *first* to *last* of a grid."""
    return Grid(grid.start + first * grid.step, grid.step, last - first + 1)


def _pieces(points: int, series: int, values: int) -> list[tuple[int, int]]:
    """
    Divide the points of a grid into pieces that can be read with one query, as indices of their first and last point.

    The last point of a piece is the first one of the next.

    Args:
        points: number of points, at least 2.
        series: number of series that are read at each point.
        values: number of values at each point of the response.
    """
    steps = max(1, min(QUERY_VALUES // max(series, 1), RESPONSE_VALUES // max(values, 1)) - 1)
    return [(first, min(first + steps, points - 1)) for first in range(0, points - 1, steps)]
