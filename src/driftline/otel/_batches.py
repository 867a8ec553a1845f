"""Divides an export of metrics into requests that collectors accept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from opentelemetry.sdk.metrics.export import Metric, MetricsData, ResourceMetrics, ScopeMetrics

__all__ = ["BATCH_POINTS", "batches"]

_T = TypeVar("_T")

_Part: TypeAlias = tuple[ResourceMetrics, ScopeMetrics, Metric]
"""A metric with some of its points, and where it belongs."""

BATCH_POINTS = 8_000
"""
Points of a request. A collector refuses requests above 4 MiB (gRPC) or 20 MiB (HTTP) by default; a point takes
about 170 bytes, with long names 400.
"""


def batches(data: MetricsData, points: int = BATCH_POINTS) -> Sequence[MetricsData]:
    """Return *data* in parts of at most this many points, or *data* itself if it has no more."""
    total = sum(
        len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
    return [data] if total <= points else [*_divide(data, points)]


def _divide(data: MetricsData, points: int) -> Iterator[MetricsData]:
    batch: list[_Part] = []
    room = points
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                rest: Any = metric.data.data_points
                while rest:
                    part = replace(metric, data=replace(metric.data, data_points=rest[:room]))
                    batch.append((resource, scope, part))
                    rest, room = rest[room:], room - len(part.data.data_points)
                    if not room:
                        yield _join(batch)
                        batch, room = [], points
    if batch:
        yield _join(batch)


def _join(batch: Sequence[_Part]) -> MetricsData:
    return MetricsData(
        [
            replace(
                resource,
                scope_metrics=[
                    replace(scope, metrics=[metric for _, other, metric in batch if other is scope])
                    for scope in _distinct(scope for owner, scope, _ in batch if owner is resource)
                ],
            )
            for resource in _distinct(resource for resource, _, _ in batch)
        ]
    )


def _distinct(objects: Iterable[_T]) -> Iterable[_T]:
    """Return each object once, in order. Equal objects are not the same."""
    return {id(each): each for each in objects}.values()
