"""Requests made by hand: a right one for any vendor, and changed copies of it."""

from __future__ import annotations

import gzip
import random
import time
import zlib
from dataclasses import replace

import remote_write
from arrivals import Histogram, Point
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from vendor import Vendor

RESOURCE = {"service.name": "flights", "service.instance.id": "pod-1", "cloud.region": "europe-west1"}
LABELS = {"ml.model.name": "flight-delay", "ml.feature.name": "dep_delay"}
COMPRESS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "snappy": remote_write.compress,
    "identity": lambda body: body,
}
NUMBERS = {"delta": 1, "cumulative": 2, "": 0, "unspecified": 0}


def good_points(vendor: Vendor) -> list[Point]:
    """Return a point of each kind that a monitor exports, in the temporality of the vendor."""
    grows = "delta" if vendor.delta else "cumulative"
    common = {"time": float(int(time.time())), "attributes": LABELS, "resource": RESOURCE}
    return [
        Point("ml.predictions.served", "counter", grows, 3.0, **common),
        Point("ml.feature.drift.status", "updowncounter", "cumulative", 1.0, **common),
        Point("ml.feature.drift.score", "gauge", "", 0.25, **common),
        Point("ml.prediction.duration", "histogram", grows, 3.0, **common, histogram=histogram_of(3)),
    ]


def histogram_of(buckets: int) -> Histogram:
    """Return a histogram with a row in each bucket."""
    bounds = tuple(float(each) for each in range(1, buckets))
    return Histogram(buckets, (1,) * buckets, bounds, 1.0, 0.5, float(buckets))


def encoded(points: list[Point]) -> bytes:
    """Return an OTLP request with a resource for each point."""
    request = ExportMetricsServiceRequest()
    for point in points:
        resource = request.resource_metrics.add()
        resource.resource.attributes.extend(_attributes(point.resource))
        metric = resource.scope_metrics.add().metrics.add(name=point.metric)
        names = {"counter": "sum", "updowncounter": "sum", "exponential": "exponential_histogram"}
        data = getattr(metric, names.get(point.kind, point.kind))
        data.SetInParent()
        if point.kind not in {"gauge", "summary"}:
            data.aggregation_temporality = NUMBERS[point.temporality]
        if point.kind == "counter":
            data.is_monotonic = True
        each = data.data_points.add(time_unix_nano=int(point.time * 1e9), attributes=_attributes(point.attributes))
        if point.kind in {"histogram", "exponential", "summary"}:
            each.count, each.sum = int(point.value), point.histogram.total if point.histogram else 1.0
        else:
            each.as_double = point.value
        if point.kind == "histogram":
            each.bucket_counts.extend(point.histogram.buckets)
            each.explicit_bounds.extend(point.histogram.bounds)
            each.count = point.histogram.count
            if point.histogram.least is not None:
                each.min, each.max = point.histogram.least, point.histogram.most
    return request.SerializeToString()


def _attributes(attributes: dict[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=str(value))) for key, value in attributes.items()]


def padding_of(size: int) -> bytes:
    """Return a field of about that size that no message has, so that readers skip it; it hardly compresses."""
    content = random.Random(5).randbytes(size)
    return remote_write.field_of(1_000, content)


def request_of(
    vendor: Vendor, points: list[Point], *, encoding: str = "", padding: int = 0
) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a request with these points, and bytes of padding."""
    remote = vendor.protocol == "remote write"
    body = remote_write.encode([underscored(point) for point in points]) if remote else encoded(points)
    encoding = encoding or ("snappy" if remote else "gzip")
    body = COMPRESS[encoding](body + padding_of(padding))
    headers = {key.lower(): value for key, value in vendor.sample_headers.items()}
    headers["content-type"] = "application/x-protobuf"
    if encoding != "identity":
        headers["content-encoding"] = encoding
    return headers, body


def underscored(point: Point) -> Point:
    """Return a point as remote write names it."""
    attributes = {key.replace(".", "_"): value for key, value in point.attributes.items()}
    return replace(point, metric=point.metric.replace(".", "_"), attributes=attributes)
