"""The kinds of rules that vendors document for OTLP. Each is a frozen value; a vendor is a tuple of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, MutableSet
from dataclasses import dataclass
from typing import Any

from arrivals import Point, Request

LOOKED_UP = "2026-11-30"
"""The day on which the sources were read."""

POINTS = "the point is dropped"
REQUEST = "the request is refused"
CHANGED = "it is cut or changed, so that the sink refuses it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    A documented rule.

    Attributes:
        source: the page that documents it.
        effect: what the vendor does with data that breaks it.
        status: of the answer to a request that breaks it; None if only the points are refused.
        date: the day on which the source was read.
    """

    source: str
    effect: str = POINTS
    status: int | None = None
    date: str = LOOKED_UP

    @property
    def text(self) -> str:
        """The rule as a sentence of the page."""
        raise NotImplementedError

    def request_problem(self, request: Request) -> str | None:
        """Return why the request breaks the rule, or None."""

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        """Return why a point breaks the rule, or None. *seen* is kept between requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header(Rule):
    """A header that each request carries, whose value has a form."""

    name: str
    form: str = r"\S+"
    words: str = "a key"
    status: int | None = 401
    effect: str = REQUEST

    @property
    def text(self) -> str:
        return f"header `{self.name}`: {self.words}"

    def request_problem(self, request: Request) -> str | None:
        value = request.headers.get(self.name.lower())
        return None if value and re.fullmatch(self.form, value) else f"{self.text}, not {value!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encodings(Rule):
    """The content encodings that are accepted; ``identity`` is a body without compression."""

    allowed: tuple[str, ...]
    status: int | None = 415
    effect: str = REQUEST

    @property
    def text(self) -> str:
        names = {"identity": "none"}
        return f"compression: {', '.join(names.get(each, each) for each in self.allowed)}"

    def request_problem(self, request: Request) -> str | None:
        return None if request.encoding in self.allowed else f"{self.text}, not {request.encoding}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentTypes(Rule):
    """The content types that are accepted."""

    allowed: tuple[str, ...] = ("application/x-protobuf",)
    status: int | None = 415
    effect: str = REQUEST

    @property
    def text(self) -> str:
        return f"content type: {', '.join(self.allowed)}"

    def request_problem(self, request: Request) -> str | None:
        kind = request.headers.get("content-type", "")
        return None if kind in self.allowed else f"{self.text}, not {kind!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSize(Rule):
    """The largest body, as sent or after decompression, of compressed or of plain requests."""

    most: int
    measured: str = "after decompression"
    of: str = "any"
    status: int | None = 413
    effect: str = REQUEST

    @property
    def text(self) -> str:
        kind = {"any": "", "plain": " without compression", "compressed": " with compression"}[self.of]
        return f"a request{kind} has at most {self.most:,} bytes {self.measured}"

    def request_problem(self, request: Request) -> str | None:
        if self.of != "any" and (self.of == "plain") != (request.encoding == "identity"):
            return None
        size = request.sent if self.measured == "as sent" else request.size
        return f"{self.text}, not {size:,}" if size > self.most else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPoints(Rule):
    """The number of points in one request."""

    most: int
    status: int | None = 413
    effect: str = REQUEST

    @property
    def text(self) -> str:
        return f"a request has at most {self.most:,} points"

    def request_problem(self, request: Request) -> str | None:
        return f"{self.text}, not {len(request.points):,}" if len(request.points) > self.most else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Rule):
    """A kind of metric that is not accepted with a temporality, or at all."""

    kind: str
    temporality: str | None = None

    @property
    def text(self) -> str:
        names = {"updowncounter": "up-down counters", "exponential": "exponential histograms", "summary": "summaries"}
        name = names.get(self.kind, f"{self.kind}s")
        return f"no {name}" if self.temporality is None else f"no {self.temporality} {name}"

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        wrong = point.kind == self.kind and self.temporality in {None, point.temporality}
        return f"{point.metric}: {self.text}" if wrong else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets(Rule):
    """The number of buckets of an explicit histogram."""

    most: int

    @property
    def text(self) -> str:
        return f"a histogram has at most {self.most} buckets"

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        buckets = 0 if point.histogram is None else len(point.histogram.buckets)
        return f"{point.metric}: {self.text}, not {buckets}" if buckets > self.most else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistentHistogram(Rule):
    """Counts that add up, bounds that rise, and a least value that is no larger than the most."""

    @property
    def text(self) -> str:
        return "buckets of a histogram add up to its count; its bounds rise, and are fewer than buckets by 1"

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        each = point.histogram
        if each is None or point.kind != "histogram":
            return None
        rising = all(low < high for low, high in zip(each.bounds, each.bounds[1:], strict=False))
        ends = each.least is None or each.most is None or each.least <= each.most
        right = sum(each.buckets) == each.count and len(each.bounds) == len(each.buckets) - 1 and rising and ends
        return None if right else f"{point.metric}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricName(Rule):
    """The form and the length of a metric's name."""

    form: str = r"(?s).*"
    least: int = 1
    most: int = 1_000

    @property
    def text(self) -> str:
        form = "" if self.form == r"(?s).*" else f", and the form `{self.form}`"
        return f"a metric's name has {self.least} to {self.most:,} characters{form}"

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        right = self.least <= len(point.metric) <= self.most and re.fullmatch(self.form, point.metric)
        return None if right else f"{self.text}, not {point.metric[:60]!r}"


def _attributes(point: Point, *, with_resource: bool) -> Iterator[tuple[str, Any]]:
    """The attributes that become labels."""
    yield from point.attributes.items()
    if with_resource:
        yield from ((key, value) for key, value in point.resource.items() if key not in point.attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeCount(Rule):
    """The number of attributes of a point, and those of its resource where they become labels too."""

    most: int
    with_resource: bool = False

    @property
    def text(self) -> str:
        whose = "a point and its resource have" if self.with_resource else "a point has"
        return f"{whose} at most {self.most} attributes"

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        count = len(list(_attributes(point, with_resource=self.with_resource)))
        return f"{point.metric}: {self.text}, not {count}" if count > self.most else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeKey(Rule):
    """The form and the length of an attribute's key."""

    form: str = r"(?s).+"
    most: int = 1_000

    @property
    def text(self) -> str:
        form = "" if self.form == r"(?s).+" else f", and the form `{self.form}`"
        return f"an attribute's key has at most {self.most:,} characters{form}"

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        for key in point.attributes:
            if len(key) > self.most or not re.fullmatch(self.form, key):
                return f"{point.metric}: {self.text}, not {key[:60]!r}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeValue(Rule):
    """The length of an attribute's value."""

    most: int
    with_resource: bool = False

    @property
    def text(self) -> str:
        return f"an attribute's value has at most {self.most:,} characters"

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        for key, value in _attributes(point, with_resource=self.with_resource):
            if len(str(value)) > self.most:
                return f"{point.metric}: {self.text}, not {len(str(value)):,} ({key})"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceAttribute(Rule):
    """A resource attribute that must be there, under one of several names, whose value has a form."""

    names: tuple[str, ...]
    form: str = r"(?s).+"

    @property
    def text(self) -> str:
        form = "" if self.form == r"(?s).+" else f" of the form `{self.form}`"
        return f"the resource has {' or '.join(f'`{name}`' for name in self.names)}{form}"

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        values = [str(point.resource[name]) for name in self.names if point.resource.get(name)]
        return None if values and re.fullmatch(self.form, values[0]) else f"{point.metric}: {self.text}, not {values}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FiniteValues(Rule):
    """No NaN and no infinity."""

    @property
    def text(self) -> str:
        return "values are finite"

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        numbers = [point.value, *([point.histogram.total] if point.histogram else [])]
        return None if all(map(math.isfinite, numbers)) else f"{point.metric}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePointASecond(Rule):
    """
    Points of a metric with the same second and the same labels replace each other.

    Attributes:
        header: holds JSON, in which *switch* makes labels of the resource's attributes.
    """

    header: str
    switch: str

    @property
    def text(self) -> str:
        return (
            "one point for each metric, second and set of tags; a later one replaces it. Resource attributes are tags "
            f'only with the header `{self.header}: {{"{self.switch}": true}}`'
        )

    def point_problem(self, point: Point, request: Request, seen: MutableSet[Any]) -> str | None:
        with_resource = json.loads(request.headers.get(self.header, "{}")).get(self.switch, False) is True
        labels = tuple(sorted((key, str(value)) for key, value in _attributes(point, with_resource=with_resource)))
        same = (point.metric, int(point.time), labels)
        # A later state of the same process is right. A later delta, or that of another process, loses the one before.
        known = same in seen and (point.temporality == "delta" or (same, point.series) not in seen)
        seen.update({same, (same, point.series)})
        return f"{point.metric}: {self.text}" if known else None
