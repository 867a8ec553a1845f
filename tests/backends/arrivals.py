"""What a sink receives: a request, and its points as flat values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

TEMPORALITY = {0: "unspecified", 1: "delta", 2: "cumulative"}
"""The names of OTLP's numbers for the aggregation temporality."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """The parts of a point of an explicit histogram; of an exponential one the bounds are empty."""

    count: int
    buckets: tuple[int, ...]
    bounds: tuple[float, ...]
    total: float
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """
    A data point.

    Attributes:
        metric: the name of its metric.
        kind: ``"counter"``, ``"updowncounter"``, ``"gauge"``, ``"histogram"``, ``"exponential"`` or ``"summary"``.
        temporality: ``"delta"`` or ``"cumulative"``; of a gauge empty.
        value: its number; of a histogram the count.
        time: seconds since 1970.
        attributes: those of the point.
        resource: those of the resource.
        histogram: the parts of a histogram.
    """

    metric: str
    kind: str
    temporality: str
    value: float
    time: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)
    histogram: Histogram | None = None

    @property
    def series(self) -> tuple[Any, ...]:
        """What identifies the series of the point."""
        return (self.metric, _sorted(self.resource), _sorted(self.attributes))


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request as a sink reads it.

    Attributes:
        path: of the URL.
        headers: by lower-case name.
        sent: bytes of the body as sent.
        size: bytes of the body after decompression.
        points: the points of a request of metrics.
    """

    path: str
    headers: Mapping[str, str]
    sent: int
    size: int
    points: tuple[Point, ...] = ()

    @property
    def encoding(self) -> str:
        """The content encoding, ``"identity"`` without a header."""
        return self.headers.get("content-encoding", "identity")


def _sorted(attributes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in attributes.items()))


def _plain(attributes: Any) -> dict[str, Any]:
    """Return attributes of OTLP as a dict."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in attributes}


def points_of(request: ExportMetricsServiceRequest) -> Iterator[Point]:
    """Yield the points of an OTLP request."""
    for resource in request.resource_metrics:
        shared = _plain(resource.resource.attributes)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data = metric.WhichOneof("data")
                for point in getattr(metric, data).data_points if data else ():
                    yield _point(metric, data, point, shared)


def _point(metric: Any, data: str, point: Any, resource: Mapping[str, Any]) -> Point:
    kind, histogram = data, None
    if data == "sum":
        kind = "counter" if metric.sum.is_monotonic else "updowncounter"
    if data == "exponential_histogram":
        kind = "exponential"
        histogram = Histogram(point.count, (), (), point.sum)
    if data == "histogram":
        ends = (point.min if point.HasField("min") else None, point.max if point.HasField("max") else None)
        histogram = Histogram(point.count, tuple(point.bucket_counts), tuple(point.explicit_bounds), point.sum, *ends)
    number = getattr(point, point.WhichOneof("value") or "as_int") if data in {"sum", "gauge"} else point.count
    return Point(
        metric=metric.name,
        kind=kind,
        temporality=TEMPORALITY[getattr(getattr(metric, data), "aggregation_temporality", 0)]
        if data != "gauge"
        else "",
        value=float(number),
        time=point.time_unix_nano / 1e9,
        attributes=_plain(point.attributes),
        resource=resource,
        histogram=histogram,
    )
