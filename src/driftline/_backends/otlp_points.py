"""Reads the data points of an OTLP export of metrics, whatever its sender has put there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

from driftline._backends.counts import MAX_COUNT
from driftline._backends.otlp_series import Point

__all__ = ["Attributes", "Origin", "PointsOf", "Refused", "points_of"]

MAX_ATTRIBUTES = 64
"""Most attributes of a data point. Those of driftline have ten."""

MAX_CHARACTERS = 1_024
"""Most characters of a name or a value of an attribute."""

CUMULATIVE, DELTA = 2, 1
"""Temporalities of the protocol: AGGREGATION_TEMPORALITY_CUMULATIVE and AGGREGATION_TEMPORALITY_DELTA."""

NO_VALUE = 1
"""The flag of a point without a value: DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK."""

MAX_NANOSECONDS = 2**62
"""Times of points are below it: about the year 2116."""

OVERFLOW = "otel.metric.overflow"
"""The attribute of the point to which an SDK adds what is beyond its limit of series."""

Attributes: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, in the order of the sender."""

Origin: TypeAlias = bytes
"""Tells apart what sends series of equal attributes: a digest of the resource and the scope."""


class Refused(Exception):  # noqa: N818 - it is the reason of a response, not a failure
    """A point that cannot be stored. The message says why."""


class PointsOf(NamedTuple):
    """
    The data points of one metric of one origin.

    Attributes:
        name: the name of the metric.
        origin: the resource and the scope.
        points: the messages of the points.
        is_delta: whether their values are deltas.
        is_monotonic: whether their values never decrease.
        refused: why none of them can be stored; empty if they can.
    """

    name: str
    origin: Origin
    points: Any
    is_delta: bool
    is_monotonic: bool
    refused: str

    def read(self, message: Any, arrival: float) -> tuple[Attributes, Point] | None:
        """
        Return the attributes and the value of one of the points; None if it has no value.

        Args:
            message: the message.
            arrival: Unix time of its arrival, in seconds. A later time of a point is one of a wrong clock.

        Raises:
            Refused: the point cannot be stored.
        """
        if message.flags & NO_VALUE:
            return None
        kind = message.WhichOneof("value")
        if kind is None:
            return None
        value = float(getattr(message, kind))
        end = message.time_unix_nano
        if not 0 < end < MAX_NANOSECONDS or message.start_time_unix_nano >= MAX_NANOSECONDS:
            msg = "a time that is none"
            raise Refused(msg)
        if not (math.isfinite(value) and abs(value) < MAX_COUNT) or (value < 0 and self.is_monotonic):
            msg = "a value that is no count"
            raise Refused(msg)
        seconds = min(end / 1e9, arrival)
        point = Point(message.start_time_unix_nano, end, seconds, value, self.is_delta, self.is_monotonic)
        return _attributes(message.attributes), point


def points_of(request: Any, wanted: Mapping[str, object]) -> Iterator[PointsOf]:
    """
    Yield the data points of an ``ExportMetricsServiceRequest`` by metric and origin.

    Args:
        request: the message.
        wanted: has the names of the metrics that are read. Others are skipped.
    """
    for resource in request.resource_metrics:
        prefix = None
        for scope in resource.scope_metrics:
            origin = None
            for metric in scope.metrics:
                if metric.name not in wanted:
                    continue
                if origin is None:
                    if prefix is None:  # digested once: there may be many scopes, and a resource of many bytes
                        prefix = blake2b(resource.resource.SerializeToString(deterministic=True), digest_size=16)
                    digest = prefix.copy()
                    digest.update(b"\0" + scope.scope.SerializeToString(deterministic=True))
                    origin = digest.digest()
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                data = getattr(metric, kind)
                temporality = data.aggregation_temporality if kind == "sum" else CUMULATIVE
                refused = ""
                if kind not in {"sum", "gauge"}:
                    refused = f"a {kind}, not a sum or a gauge"
                elif temporality not in {CUMULATIVE, DELTA}:
                    refused = "a sum without a temporality"
                is_monotonic = kind == "sum" and data.is_monotonic
                yield PointsOf(metric.name, origin, data.data_points, temporality == DELTA, is_monotonic, refused)


def _attributes(pairs: Any) -> Attributes:
    """
    Return attributes as strings.

    Raises:
        Refused: there are too many, they are too long, or stand for several series.
    """
    if len(pairs) > MAX_ATTRIBUTES:
        msg = f"more than {MAX_ATTRIBUTES} attributes"
        raise Refused(msg)
    attributes = []
    for pair in pairs:
        value = pair.value
        name, text = pair.key, value.string_value
        if not text:
            text = _text(value)
            if name == OVERFLOW:
                msg = "more series of a process than its SDK allows"
                raise Refused(msg)
        if len(text) > MAX_CHARACTERS or len(name) > MAX_CHARACTERS:
            msg = f"an attribute with more than {MAX_CHARACTERS} characters"
            raise Refused(msg)
        attributes.append((name, text))
    return tuple(attributes)


def _text(value: Any) -> str:
    """Return a value that is no string as one."""
    kind = value.WhichOneof("value")
    if kind is None or kind == "string_value":
        return ""
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind in {"int_value", "double_value"}:
        return str(getattr(value, kind))
    return str(value.SerializeToString(deterministic=True).hex())
