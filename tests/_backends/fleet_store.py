"""A store of counts in memory, and processes that export to it."""

from __future__ import annotations

import numpy as np

from driftline import semconv as sc
from driftline._backends.counts import Sample
from driftline._binning.layout import Layout


class Store:
    """A `CountSource` in memory, which keeps what processes export."""

    def __init__(self):
        self.series = {}
        self.dialect = "underscores"
        self.queries = []

    def add(self, at, metric, attributes, value):
        self.series.setdefault((metric.name, tuple(sorted(attributes.items()))), []).append((at, float(value)))

    def _matching(self, metric, match):
        for (name, attributes), samples in self.series.items():
            known = dict(attributes)
            if name == metric.name and all(
                known.get(key, "") == value if isinstance(value, str) else known.get(key, "") in value
                for key, value in match.items()
            ):
                times, values = np.array(sorted(samples, key=lambda sample: sample[0])).T
                yield known, times, values

    @staticmethod
    def _last(times, values, at, within):
        index = np.searchsorted(times, at, side="right") - 1
        known = (index >= 0) & (times[np.maximum(index, 0)] > at - within)
        return np.where(known, values[np.maximum(index, 0)], np.nan)

    def latest(self, metric, match, *, at, within):
        values = [
            (known, self._last(times, values, at, within)) for known, times, values in self._matching(metric, match)
        ]
        return [Sample(known, float(value), self.dialect) for known, value in values if not np.isnan(value)]

    def history(self, metric, match, *, unit, by, grid, within, dialect):
        assert dialect == self.dialect
        self.queries.append((metric.name, grid))
        points = grid.start + grid.step * np.arange(grid.points)
        units, sums = {}, {}
        for known, times, values in self._matching(metric, match):
            key = tuple(known.get(name, "") for name in by)
            names = (unit, *sorted(metric.attributes))
            series = key, tuple(known.get(name, "") for name in names)
            units[series] = np.fmax(units.get(series, np.nan), self._last(times, values, points, within))
        for (key, _), values in units.items():
            before = sums.get(key, np.full(grid.points, np.nan))
            sums[key] = np.where(np.isnan(before), values, before + np.nan_to_num(values))
        return {key: values for key, values in sums.items() if not np.isnan(values).all()}


class Pod:
    """A process: its counts so far, and what it exports."""

    def __init__(self, store, reference, name, *, model="m", version="1", fingerprint=None, skew=0.0, labels=None):
        self.store, self.reference, self.skew, self.labels = store, reference, skew, labels or {}
        self.layout = Layout(reference.watched)
        self.counts = np.zeros(self.layout.total, dtype=np.int64)
        self.attributes = {
            sc.ML_MODEL_NAME: model,
            sc.ML_MODEL_VERSION: version,
            sc.ML_MONITOR_PROCESS: name,
            sc.ML_REFERENCE_FINGERPRINT: fingerprint or reference.fingerprint,
        }

    def serve(self, columns):
        rows = len(next(iter(columns.values())))
        self.counts += self.layout.count([columns[feature.name] for feature in self.reference.watched], rows)

    def export(self, at):
        at += self.skew
        self.store.add(at, sc.METRIC_MONITOR_INFO, {**self.attributes, **self.labels}, 1)
        for feature, bins in zip(self.reference.watched, self.layout.slices, strict=True):
            for index, count in enumerate(self.counts[bins].tolist()):
                if count:
                    key = {sc.ML_FEATURE_NAME: feature.name, sc.ML_FEATURE_BIN: str(index)}
                    self.store.add(at, sc.METRIC_FEATURE_OBSERVATIONS, {**self.attributes, **key, **self.labels}, count)
