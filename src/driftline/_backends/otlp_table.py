"""The series of a `OtlpStore`: which there are, how many there may be, and what is dropped."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from driftline import semconv as sc
from driftline._backends.otlp_points import Attributes, Origin, Refused
from driftline._backends.otlp_series import Outcome, Point, Retention, Series, SeriesState
from driftline.semconv import Metric

__all__ = ["FORGET_SECONDS", "Limits", "SeriesEntry", "SeriesTable"]

FORGET_SECONDS = 30 * 86_400.0
"""Seconds after which a series without values is dropped. A process that comes back goes on where it was till then."""

ROOM = 0.9
"""Share of the series that are left when a full table drops those that are silent."""

SEARCH_SECONDS = 60.0
"""Seconds between two searches for series that are silent."""

SERIES_BYTES = 600
"""Bytes of a series without its values and attributes: measured on CPython 3.11."""

PAIR_BYTES = 100
"""Bytes of an attribute of a series beside its name and its value: measured as above."""

RUN_BYTES = 24
"""Bytes of a value with its times."""

MAX_FACTOR = 1_024.0
"""Cells that become one, at most, when there are too many values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What a store holds at most.

    Attributes:
        series: series of all models together.
        models: models.
        values: values of all series together. Beyond it, cells of time become longer.
        size: bytes of all that, about.
    """

    series: int = 500_000
    models: int = 100
    values: int = 20_000_000
    size: int = 2**30


class SeriesEntry(NamedTuple):
    """
    A series, to be kept in a file.

    Attributes:
        metric: the name of the metric.
        origin: tells apart series of equal attributes.
        attributes: the attributes.
        state: the values.
    """

    metric: str
    origin: Origin
    attributes: Attributes
    state: SeriesState


@dataclass(slots=True)
class _Group:
    """
    The series of one metric and one origin.

    Attributes:
        metric: the metric.
        first: nanoseconds of Unix time of its first points.
        is_known: whether the values of its first points count.
        series: the series by their attributes, in the order of the sender.
    """

    metric: Metric
    first: int
    is_known: bool
    series: dict[Attributes, Series] = field(default_factory=dict)


class SeriesTable:
    """
    The series of a store. Its methods are called by one thread at a time.

    Args:
        retention: the metrics that are kept, with how long they are.
        limits: what is held at most.
        began: Unix time in seconds. What a process had counted before is not known.

    Attributes:
        began: as above; later, if series were dropped.
        length: number of series.
    """

    def __init__(self, retention: Mapping[Metric, Retention], limits: Limits, began: float) -> None:
        self._retention, self._limits = dict(retention), limits
        self.metrics = {metric.name: metric for metric in self._retention}
        self.began = began
        self.length = 0
        self._groups: dict[tuple[str, Origin], _Group] = {}
        self._models: Counter[str] = Counter()
        self._values = self._attribute_bytes = 0
        self._factor = 1.0
        self._searched = -math.inf

    @property
    def size(self) -> int:
        """About the number of bytes of the series and their values."""
        return self.length * SERIES_BYTES + self._values * RUN_BYTES + self._attribute_bytes

    def of(self, metric: Metric) -> Iterator[Series]:
        """Yield the series of a metric."""
        for group in self._groups.values():
            if group.metric.name == metric.name:
                yield from group.series.values()

    def add(self, name: str, origin: Origin, attributes: Attributes, point: Point, now: float) -> Outcome:
        """
        Add a point of the metric *name*.

        Args:
            name: the name of a metric that is kept.
            origin: the resource and the scope.
            attributes: the attributes.
            point: the point.
            now: Unix time in seconds.

        Raises:
            Refused: the series is a new one, and there is no room for it.
        """
        group = self._groups.get((name, origin))
        series = None if group is None else group.series.get(attributes)
        if series is None:
            series = self._find(name, origin, attributes, point, now)
        retention = self._retention[self.metrics[name]]
        size = series.size
        outcome = series.add(point, retention.resolution * (self._factor if retention.coarsens else 1.0))
        self._values += series.size - size
        return outcome

    def _find(self, name: str, origin: Origin, attributes: Attributes, point: Point, now: float) -> Series:
        """
        Return the series of attributes that come in another order, or a new one.

        Raises:
            Refused: there is no room for a new one.
        """
        ordered = tuple(sorted(attributes))
        group = self._groups.get((name, origin))
        series = None if group is None else group.series.get(ordered)
        if series is not None:
            return series
        metric = self.metrics[name]
        kept = _kept(metric, ordered)
        self._check_room(kept, now)
        if group is None:
            is_known = self._retention[metric].from_start or point.start >= self.began * 1e9
            group = self._groups.setdefault((name, origin), _Group(metric, point.end, is_known))
        series = Series(kept, is_known=group.is_known or point.end != group.first)
        group.series[ordered] = series
        self._count(kept, ordered, 1)
        return series

    def _check_room(self, attributes: Mapping[str, str], now: float) -> None:
        """
        Check that there is room for one more series.

        Raises:
            Refused: there is none.
        """
        limits = self._limits
        model = attributes.get(sc.ML_MODEL_NAME, "")
        if self.length >= limits.series or (model not in self._models and len(self._models) >= limits.models):
            self._make_room(now)
        if model not in self._models and len(self._models) >= limits.models:
            msg = f"more than {limits.models:,} models"
        elif self.length >= limits.series:
            msg = f"more than {limits.series:,} series"
        elif self.size >= limits.size:
            msg = f"more than {limits.size / 2**20:,.0f} MiB of series"
        else:
            return
        raise Refused(msg)

    def _count(self, kept: Mapping[str, str], attributes: Attributes, sign: int) -> None:
        """Count a series, or one less, by what is read of its attributes, and all of them, which tell it apart."""
        model = kept.get(sc.ML_MODEL_NAME, "")
        self._models[model] += sign
        if not self._models[model]:
            del self._models[model]
        self.length += sign
        for name, value in attributes:
            self._attribute_bytes += sign * (PAIR_BYTES + sys.getsizeof(name) + sys.getsizeof(value))

    # --- what is dropped ---------------------------------------------------------------------------------------------

    @property
    def keys(self) -> Sequence[tuple[str, Origin]]:
        """The metrics and origins, each of which `prune` is to be called for."""
        return list(self._groups)

    def prune(self, key: tuple[str, Origin], now: float) -> None:
        """Drop what is old of one metric and origin."""
        group = self._groups.get(key)
        if group is None:
            return
        retention = self._retention[group.metric]
        for attributes, series in list(group.series.items()):
            if series.seen < now - FORGET_SECONDS:
                self._drop(key, attributes)
                continue
            self._values -= series.size
            series.prune(now, retention, self._factor)
            self._values += series.size

    def coarsen(self) -> bool:
        """Let cells of time be longer if there are too many values. Return whether they are now."""
        if self._values <= self._limits.values or self._factor >= MAX_FACTOR:
            return False
        self._factor *= 2.0
        return True

    def _make_room(self, now: float) -> None:
        """Drop series, and models, that have been silent for long, the longest first, as far as there are too many."""
        if now - self._searched < SEARCH_SECONDS:
            return
        self._searched = now
        silent = sorted(
            (series.seen, key, attributes, series.attributes.get(sc.ML_MODEL_NAME, ""))
            for key, group in self._groups.items()
            for attributes, series in group.series.items()
            if series.seen < now - self._retention[group.metric].keep
        )
        numbers = Counter(model for *_, model in silent)
        # In the order of their last values: a later one of a model takes the place of the one before.
        last = {model: seen for seen, *_, model in silent if numbers[model] == self._models[model]}
        gone = set(sorted(last, key=last.__getitem__)[: max(0, len(self._models) - int(ROOM * self._limits.models))])
        most = max(0, self.length - int(ROOM * self._limits.series))
        for index, (_, key, attributes, model) in enumerate(silent):
            if index < most or model in gone:
                self._drop(key, attributes)

    def _drop(self, key: tuple[str, Origin], attributes: Attributes) -> None:
        """
        Drop a series.

        If its process comes back, its first value is no news. So `began` is no earlier than its last value.
        """
        group = self._groups[key]
        series = group.series.pop(attributes)
        self._count(series.attributes, attributes, -1)
        self._values -= series.size
        self.began = max(self.began, series.seen)
        if not group.series:
            del self._groups[key]

    # --- a file ------------------------------------------------------------------------------------------------------

    def entries(self) -> list[SeriesEntry]:
        """Return all series with their values."""
        return [
            SeriesEntry(name, origin, attributes, series.state())
            for (name, origin), group in self._groups.items()
            for attributes, series in group.series.items()
        ]

    def restore(self, entries: Sequence[SeriesEntry]) -> None:
        """
        Add series that a table had. Those of other metrics are skipped.

        Raises:
            ValueError: a series has no such state.
        """
        for name, origin, attributes, state in entries:
            metric = self.metrics.get(name)
            if metric is None:
                continue
            group = self._groups.setdefault((name, origin), _Group(metric, 0, is_known=True))
            kept = _kept(metric, sorted(attributes))
            series = Series.restored(kept, state)
            group.series[attributes] = series
            self._count(kept, attributes, 1)
            self._values += series.size


def _kept(metric: Metric, ordered: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the attributes of a series that are read. Others only tell it apart."""
    return {key: value for key, value in ordered if key in metric.attributes and value}
