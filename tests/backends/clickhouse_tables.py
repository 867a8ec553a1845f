"""What the exporter for ClickHouse writes: its tables, and points and records as their rows."""

from __future__ import annotations

import json
from collections.abc import Iterable

from arrivals import Point

COMMON = """
    ResourceAttributes Map(LowCardinality(String), String),
    ScopeName String,
    ServiceName LowCardinality(String),
    MetricName String,
    MetricUnit String,
    Attributes Map(LowCardinality(String), String),
    StartTimeUnix DateTime64(9),
    TimeUnix DateTime64(9),
"""
"""
Columns of each table that queries read. Types are those of the exporter at v0.159.0:
https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/clickhouseexporter/internal/sqltemplates
"""

OWN = {
    "otel_metrics_sum": "Value Float64, AggregationTemporality Int32, IsMonotonic Bool",
    "otel_metrics_gauge": "Value Float64",
    "otel_metrics_histogram": (
        "Count UInt64, Sum Float64, BucketCounts Array(UInt64), ExplicitBounds Array(Float64), Min Float64, "
        "Max Float64, AggregationTemporality Int32"
    ),
}
"""The other columns of each table."""

ORDER = "ORDER BY (ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))"
NUMBERS = {"delta": 1, "cumulative": 2, "": 0}


def schema() -> list[str]:
    """Return the statements that create the tables."""
    return [f"CREATE TABLE {name} ({COMMON} {own}) ENGINE = MergeTree {ORDER}" for name, own in OWN.items()]


def inserts(points: Iterable[Point]) -> list[str]:
    """Return the statements that insert points, one for each table."""
    rows: dict[str, list[str]] = {name: [] for name in OWN}
    for point in points:
        table, own = _row(point)
        rows[table].append(json.dumps({**_common(point), **own}))
    return [f"INSERT INTO {table} FORMAT JSONEachRow " + "\n".join(lines) for table, lines in rows.items() if lines]


def _common(point: Point) -> dict[str, object]:
    seconds, rest = divmod(round(point.time * 1e9), 10**9)
    return {
        "ResourceAttributes": {key: str(value) for key, value in point.resource.items()},
        "ScopeName": "driftline",
        "ServiceName": str(point.resource.get("service.name", "")),
        "MetricName": point.metric,
        "Attributes": {key: str(value) for key, value in point.attributes.items()},
        "TimeUnix": f"{seconds}.{rest:09d}",
    }


def _row(point: Point) -> tuple[str, dict[str, object]]:
    """Return the table of a point, and the columns of that table alone."""
    temporality = NUMBERS[point.temporality]
    if point.kind == "gauge":
        return "otel_metrics_gauge", {"Value": point.value}
    if point.histogram is None:
        own = {"Value": point.value, "AggregationTemporality": temporality, "IsMonotonic": point.kind == "counter"}
        return "otel_metrics_sum", own
    each = point.histogram
    return "otel_metrics_histogram", {
        "Count": each.count,
        "Sum": each.total,
        "BucketCounts": list(each.buckets),
        "ExplicitBounds": list(each.bounds),
        "Min": each.least or 0.0,
        "Max": each.most or 0.0,
        "AggregationTemporality": temporality,
    }
