"""`OtlpStore`: counts that arrive as OTLP, kept in memory."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from driftline import semconv as sc
from driftline._backends.counts import Grid, Match, Sample
from driftline._backends.otlp_points import PointsOf, Refused, points_of
from driftline._backends.otlp_series import Retention, Series
from driftline._backends.otlp_table import FORGET_SECONDS, Limits, SeriesEntry, SeriesTable
from driftline.semconv import Metric
from driftline.typing import Floats

__all__ = ["DIALECT", "Added", "OtlpStore", "retention_by"]

_log = logging.getLogger("driftline")

DIALECT = "otlp"
"""The spelling of names in this store: OpenTelemetry's own."""

CANARY = Retention(resolution=4.0, fine=2_048.0, keep=FORGET_SECONDS)
"""Of canaries: a canary is read in 64 blocks of 4 s or more, so a block of time is never cut into fewer than 8."""

KEEP_STEPS = 32
"""Blocks of time for which the counts of features are kept by default. A window has 8 or more."""

PRUNE_SECONDS = 60.0
"""Seconds between two searches for what is old."""

PIECE = 512
"""Series that one query reads before others may use the store."""


class Added(NamedTuple):
    """
    What became of the points of a request.

    Attributes:
        stored: points that count.
        ignored: repeated points, points that came too late, and those without a value. Metrics that are not kept do not
            count.
        refused: points that cannot be stored.
        reason: why some are refused; empty if none is.
    """

    stored: int
    ignored: int
    refused: int
    reason: str


class OtlpStore:
    """
    A `CountSource` in memory.

    Sums, cumulative or delta, are kept as cumulative values, and gauges as they are. Points may come twice, late and in
    any order. A sum whose process restarts goes on from its last value.

    Args:
        retention: the metrics that are kept, with how long they are, as `retention_by` returns them. Others are
            ignored.
        limits: what is held at most. What is beyond is refused, counted, and logged once.
        clock: returns the Unix time in seconds.

    Attributes:
        counts: numbers of points by what became of them: stored, duplicate, stale, none, refused.
    """

    def __init__(
        self,
        retention: Mapping[Metric, Retention],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._pruned = clock()
        self._table = SeriesTable(retention, self._limits, self._pruned)
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    # --- points arrive -----------------------------------------------------------------------------------------------

    def add(self, request: Any) -> Added:
        """Add the points of an ``ExportMetricsServiceRequest``."""
        arrival = self._clock()
        if arrival - self._pruned > PRUNE_SECONDS:
            self.prune()
        results: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for part in points_of(request, self._table.metrics):
            with self._lock:
                self._add_part(part, arrival, results, reasons)
        for reason in reasons:
            self._say(f"refused {reason}")
        with self._lock:
            self.counts.update(results)
            self.counts["refused"] += reasons.total()
        reason = "; ".join(f"{count} points: {text}" for text, count in reasons.most_common(3))
        ignored = results["duplicate"] + results["stale"] + results["none"]
        return Added(results["stored"], ignored, reasons.total(), reason)

    def _add_part(self, part: PointsOf, arrival: float, results: Counter[str], reasons: Counter[str]) -> None:
        if part.refused:
            reasons[part.refused] += len(part.points)
            return
        for message in part.points:
            try:
                read = part.read(message, arrival)
                if read is None:
                    results["none"] += 1
                    continue
                results[self._table.add(part.name, part.origin, *read, arrival)] += 1
            except Refused as error:
                reasons[str(error)] += 1

    def _say(self, what: str) -> None:
        """Log once what the store cannot do."""
        if what not in self._said:
            self._said.add(what)
            _log.warning("OTLP: %s. Further ones are counted, not logged.", what)

    @property
    def size(self) -> int:
        """About the number of bytes of the series and their values."""
        return self._table.size

    @property
    def series(self) -> int:
        """The number of series."""
        return self._table.length

    def prune(self) -> None:
        """Drop what is old. If there are still too many values, let cells of time be longer."""
        now = self._pruned = self._clock()
        is_full = True
        while is_full:
            for key in self._table.keys:
                with self._lock:
                    self._table.prune(key, now)
            is_full = self._table.coarsen()
            if is_full:
                self._say(f"more than {self._limits.values:,} values, so that times of old ones are less exact")

    # --- the counts are read -----------------------------------------------------------------------------------------

    def latest(self, metric: Metric, match: Match, *, at: float, within: float) -> Sequence[Sample]:
        """Return the last value of each series; see `CountSource`."""
        samples = []
        point = np.array([at])
        for piece in self._pieces(metric, match):
            with self._lock:
                values = [(series.attributes, float(series.values_at(point, within)[0])) for series in piece]
            samples += [Sample(attributes, value, DIALECT) for attributes, value in values if not np.isnan(value)]
        return samples

    def history(
        self, metric: Metric, match: Match, *, unit: str, by: Sequence[str], grid: Grid, within: float, dialect: str
    ) -> Mapping[tuple[str, ...], Floats]:
        """Return sums over processes at points of time; see `CountSource`. There is one *dialect*."""
        del dialect
        points: Floats = grid.start + grid.step * np.arange(grid.points, dtype=np.float64)
        names = sorted({unit, *metric.attributes})
        copies: dict[tuple[str, ...], tuple[tuple[str, ...], Floats]] = {}
        for piece in self._pieces(metric, match):
            with self._lock:
                read = [(series.attributes, series.values_at(points, within)) for series in piece]
            for attributes, values in read:
                each = tuple(attributes.get(name, "") for name in names)
                if each in copies:
                    key, others = copies[each]
                    copies[each] = key, np.fmax(others, values)
                else:
                    copies[each] = tuple(attributes.get(name, "") for name in by), values
        sums: dict[tuple[str, ...], Floats] = {}
        for key, values in copies.values():
            if key in sums:
                total = sums[key]
                sums[key] = np.where(np.isnan(total), values, total + np.nan_to_num(values))
            elif not np.isnan(values).all():
                sums[key] = values
        return sums

    def _pieces(self, metric: Metric, match: Match) -> Sequence[Sequence[Series]]:
        """Return the selected series of a metric, in pieces."""
        wanted = [(name, {value} if isinstance(value, str) else frozenset(value)) for name, value in match.items()]
        with self._lock:
            series = iter(list(self._table.of(metric)))
        selected = (each for each in series if _is_selected(each.attributes, wanted))
        pieces = []
        while piece := list(islice(selected, PIECE)):
            pieces.append(piece)
        return pieces

    # --- the store is kept in a file ---------------------------------------------------------------------------------

    @property
    def began(self) -> float:
        """Unix time in seconds. What a process had counted before that is not known."""
        return self._table.began

    def entries(self) -> list[SeriesEntry]:
        """Return the series with their values, to be kept."""
        with self._lock:
            return self._table.entries()

    def restore(self, began: float, entries: Sequence[SeriesEntry]) -> None:
        """
        Add the series that a store had.

        Args:
            began: its `began`.
            entries: its `entries`.

        Raises:
            ValueError: a series has no such state.
        """
        with self._lock:
            self._table.began = began
            self._table.restore(entries)


def retention_by(step: float, keep: float | None = None) -> dict[Metric, Retention]:
    """
    Return the metrics of canaries and fleets, with how long they are kept.

    Args:
        step: seconds of a block of time of features.
        keep: seconds for which blocks of features can be read. If None, `KEEP_STEPS` blocks.
    """
    keep = KEEP_STEPS * step if keep is None else keep
    features = Retention(resolution=step, fine=keep, keep=keep, from_start=False, coarsens=False)
    kept: dict[Metric, Retention] = {}
    for name, metric in sc.METRICS.items():
        if name.startswith("ml.canary."):
            kept[metric] = CANARY
        elif metric in {sc.METRIC_FEATURE_OBSERVATIONS, sc.METRIC_MONITOR_INFO}:
            kept[metric] = features
    return kept


def _is_selected(attributes: Mapping[str, str], wanted: Sequence[tuple[str, AbstractSet[str]]]) -> bool:
    return all(attributes.get(name, "") in values for name, values in wanted)
