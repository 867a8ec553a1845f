"""Requests of OTLP, made by hand, and the counts of a store that keeps every point."""

from __future__ import annotations

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from driftline._backends.counts import Sample
from driftline._backends.otlp_store import DIALECT, OtlpStore, retention_by

DELTA, CUMULATIVE = 1, 2
KINDS = {"counter": "sum", "updowncounter": "sum", "gauge": "gauge"}


def nanoseconds(seconds):
    """Return seconds as nanoseconds."""
    return round(seconds * 1e9)


def attribute(name, value):
    """Return an attribute of OTLP."""
    kinds = {bool: "bool_value", int: "int_value", float: "double_value"}
    return KeyValue(key=name, value=AnyValue(**{kinds.get(type(value), "string_value"): value}))


def request_of(metric, points, *, delta=False, start=0.0, resource=None, data=None):
    """
    Return a request with the points of one metric.

    Args:
        metric: the metric.
        points: (seconds, attributes, value) of each, or with the seconds of its start before.
        delta: whether the values are deltas.
        start: seconds at which the process began.
        resource: attributes of the resource.
        data: ``"sum"`` or ``"gauge"``, if not the metric's own.
    """
    request = ExportMetricsServiceRequest()
    each = request.resource_metrics.add()
    each.resource.CopyFrom(Resource(attributes=[attribute(*pair) for pair in (resource or {}).items()]))
    message = each.scope_metrics.add().metrics.add(name=metric.name)
    target = getattr(message, data or KINDS[metric.instrument])
    target.SetInParent()
    if (data or KINDS[metric.instrument]) == "sum":
        target.aggregation_temporality = DELTA if delta else CUMULATIVE
        target.is_monotonic = metric.instrument == "counter"
    for *began, seconds, attributes, value in points:
        target.data_points.add(
            start_time_unix_nano=nanoseconds(*began or [start]),
            time_unix_nano=nanoseconds(seconds),
            attributes=[attribute(*pair) for pair in attributes.items()],
            **{"as_double" if isinstance(value, float) else "as_int": value},
        )
    return request


class EveryPoint:
    """A `CountSource` that keeps every point, and looks through all of them."""

    def __init__(self):
        self.samples = []
        self.dialect = "underscores"

    def add(self, at, points, **labels):
        """Keep the points of one export: values by metric."""
        for metric, values in points.items():
            for point in values:
                self.samples.append((at, metric.name, {**point.attributes, **labels}, point.value))

    def _last(self, metric, match, at, within):
        last = {}
        for time, name, attributes, value in self.samples:
            if name == metric.name and at - within < time <= at and matches(attributes, match):
                last[tuple(sorted(attributes.items()))] = attributes, value
        return last.values()

    def latest(self, metric, match, *, at, within):
        """Return the last value of each series."""
        return [Sample(attributes, value, self.dialect) for attributes, value in self._last(metric, match, at, within)]

    def history(self, metric, match, *, unit, by, grid, within, dialect):
        """Return sums over processes at points of time."""
        assert dialect == self.dialect
        sums = {}
        for index in range(grid.points):
            units = {}
            for attributes, value in self._last(metric, match, grid.start + index * grid.step, within):
                key = tuple(attributes.get(name, "") for name in by)
                series = key, attributes[unit], *(attributes.get(name, "") for name in sorted(metric.attributes))
                units[series] = max(units.get(series, 0), value)
            for (key, *_), value in units.items():
                values = sums.setdefault(key, np.full(grid.points, np.nan))
                values[index] = np.nansum([values[index], value])
        return sums


def matches(attributes, match):
    """Return whether attributes are selected."""
    return all(
        attributes.get(name, "") == value if isinstance(value, str) else attributes.get(name, "") in value
        for name, value in match.items()
    )


class ThroughOtlp(OtlpStore):
    """An `OtlpStore` with the interface of `EveryPoint`."""

    def __init__(self, step=60.0):
        self.now = 0.0
        super().__init__(retention_by(step), clock=lambda: self.now)
        self.dialect = DIALECT

    def add(self, at, points=None, **labels):
        """Add the points of one export."""
        if points is None:
            return super().add(at)
        self.now = max(self.now, at)
        for metric, values in points.items():
            super().add(request_of(metric, [(at, each.attributes, each.value) for each in values], resource=labels))
        return None
