"""Each documented rule of each vendor is enforced by its sink: what just breaks it is refused, what keeps it is not."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
import remote_write
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from payloads import RESOURCE, good_points, histogram_of, request_of
from sink_rules import (
    AttributeCount,
    AttributeKey,
    AttributeValue,
    Buckets,
    ConsistentHistogram,
    ContentTypes,
    Encodings,
    FiniteValues,
    Header,
    MetricName,
    OnePointASecond,
    Refused,
    RequestPoints,
    RequestSize,
    ResourceAttribute,
)
from strict_sink import Sink, running
from vendors import SINKS, VENDORS

RULES = [
    pytest.param(vendor, rule, id=f"{name}-{type(rule).__name__}-{at}")
    for name, vendor in SINKS.items()
    for at, rule in enumerate(vendor.rules)
]


def send(vendor, points=None, *, headers=None, encoding="", padding=0, sink=None, drop=()):
    """Send points to the sink of a vendor, and return the sink."""
    sink = sink or Sink(vendor)
    points = good_points(vendor) if points is None else points
    known, content = request_of(vendor, points, encoding=encoding, padding=padding)
    known = {key: value for key, value in {**known, **(headers or {})}.items() if key not in drop}
    sink.status, sink.body = sink.receive(vendor.path, known, content)
    return sink


def refused(sink):
    """Return why the last request, or points of it, were refused. The answer says so, and nothing else is refused."""
    if sink.status == 200:
        rejected = ExportMetricsServiceResponse.FromString(sink.body).partial_success.rejected_data_points
        assert (rejected > 0) == (sink.refusals != [])
    return sink.refusals


def changed(vendor, at=0, **values):
    """A right point with other values."""
    points = good_points(vendor)
    points[at] = replace(points[at], **values)
    return points


def labels(count, *, key="k{}", value="v"):
    """That number of attributes."""
    return {key.format(each): value for each in range(count)}


def other_than(form):
    """A text of a form's alphabet plus a character that no form has."""
    return "ab cd\u00e9*" if not re.fullmatch(form, "ab cd\u00e9*") else None


def cases(vendor, rule):  # noqa: PLR0912 - a case for each kind of rule
    """Return requests that break the rule, and one that just keeps it, as arguments of `send`."""
    match rule:
        case Header(name=name):
            return [{"drop": (name.lower(),)}, {"headers": {name.lower(): "two words"}}], {}
        case Encodings(allowed=allowed):
            known = ("identity", "gzip", "deflate", "snappy")
            return [{"encoding": each} for each in known if each not in allowed], {}
        case ContentTypes():
            return [{"headers": {"content-type": "text/plain"}}], {}
        case RequestSize(most=most, measured=measured, of=kind):
            # Headers of gzip and the points themselves take less than a thousand bytes.
            encoding = "identity" if kind == "plain" else "gzip"
            assert measured in {"as sent", "after decompression"}
            return [{"encoding": encoding, "padding": most}], {"encoding": encoding, "padding": most - most // 100}
        case RequestPoints(most=most):
            return [{"points": good_points(vendor)[2:3] * (most + 1)}], {"points": good_points(vendor)[2:3] * most}
        case Refused(kind=kind, temporality=temporality):
            at = {"counter": 0, "updowncounter": 1}.get(kind, 3)
            wrong = changed(vendor, at, kind=kind, temporality=temporality or "")
            return [{"points": wrong}], {}
        case Buckets(most=most):
            wrong = changed(vendor, 3, histogram=histogram_of(most + 1), value=float(most + 1))
            return [{"points": wrong}], {"points": changed(vendor, 3, histogram=histogram_of(most), value=float(most))}
        case ConsistentHistogram():
            good = histogram_of(3)
            wrong = [
                replace(good, count=4),
                replace(good, bounds=(2.0, 1.0)),
                replace(good, bounds=(1.0, 1.0)),
                replace(good, bounds=(1.0,)),
                replace(good, least=9.0),
            ]
            return [{"points": changed(vendor, 3, histogram=each)} for each in wrong], {}
        case MetricName(least=least, most=most, form=form):
            names = ["x" * (most + 1), *(["x" * (least - 1)] if least > 1 else []), other_than(form)]
            wrong = [{"points": changed(vendor, metric=name)} for name in names if name]
            return wrong, {"points": changed(vendor, metric="x" * most)}
        case AttributeCount(most=most, with_resource=with_resource):
            own = most - (len(RESOURCE) if with_resource else 0)
            wrong = changed(vendor, attributes=labels(own + 1))
            return [{"points": wrong}], {"points": changed(vendor, attributes=labels(own))}
        case AttributeKey(most=most, form=form):
            keys = ["x" * (most + 1), other_than(form)]
            if "sf_" in form:
                keys += ["sf_x", "aws_x", "_x"]
            wrong = [{"points": changed(vendor, attributes={key: "v"})} for key in keys if key]
            return wrong, {"points": changed(vendor, attributes={"x" * most: "v"})}
        case AttributeValue(most=most, with_resource=with_resource):
            wrong = [{"points": changed(vendor, attributes={"k": "v" * (most + 1)})}]
            if with_resource:
                wrong.append({"points": changed(vendor, resource={**RESOURCE, "k": "v" * (most + 1)})})
            return wrong, {"points": changed(vendor, attributes={"k": "v" * most})}
        case ResourceAttribute(names=names, form=form):
            without = {key: value for key, value in RESOURCE.items() if key not in names}
            wrong = [{"points": changed(vendor, resource=without)}]
            wrong += [{"points": changed(vendor, resource={**without, names[0]: ""})}]
            if other_than(form):
                wrong.append({"points": changed(vendor, resource={**without, names[0]: other_than(form)})})
            return wrong, {"points": changed(vendor, resource={**without, names[-1]: "x"})}
        case FiniteValues():
            values = [float("nan"), float("inf"), float("-inf")]
            return [{"points": changed(vendor, 2, value=value)} for value in values], {}
        case OnePointASecond(header=header):
            twice = [*good_points(vendor), changed(vendor, resource={**RESOURCE, "service.instance.id": "pod-2"})[0]]
            return [{"points": twice, "headers": {header: "{}"}}, {"points": good_points(vendor)[:1] * 2}], {
                "points": twice
            }
    message = f"no case for {rule}"
    raise AssertionError(message)


@pytest.mark.parametrize(("vendor", "rule"), RULES)
def test_what_breaks_a_rule_is_refused(vendor, rule):
    wrong, right = cases(vendor, rule)
    assert wrong
    for case in wrong:
        assert rule.text in " ".join(refused(send(vendor, **case))), case
    assert send(vendor, **right).refusals == []


@pytest.mark.parametrize("name", SINKS)
def test_a_right_request_arrives_whole(name):
    vendor = SINKS[name]
    sink = send(vendor)
    assert (sink.status, sink.refusals) == (200, [])
    assert len(sink.points) == len(good_points(vendor))


@pytest.mark.parametrize("name", SINKS)
def test_the_other_temporality_is_refused_where_the_vendor_says_so(name):
    vendor = SINKS[name]
    other = "cumulative" if vendor.delta else "delta"
    points = [replace(each, temporality=other) if each.kind == "counter" else each for each in good_points(vendor)]
    assert bool(refused(send(vendor, points))) == (("counter", other) in vendor.refused)


@pytest.mark.parametrize("name", SINKS)
def test_another_path_is_refused(name):
    vendor = SINKS[name]
    headers, body = request_of(vendor, good_points(vendor))
    assert Sink(vendor).receive("/v1/metric", headers, body)[0] == 404


def test_totals_add_deltas_and_take_the_last_of_cumulative_values():
    for name, total in (("datadog", 5.0), ("prometheus", 4.0)):
        vendor = VENDORS[name]
        sink = Sink(vendor)
        for value, second in ((1.0, 1), (4.0, 2)):
            point = replace(good_points(vendor)[0], value=value, time=time.time() + second)
            send(vendor, [point], sink=sink)
        assert sink.total("ml.predictions.served") == total
        assert sink.total("ml.predictions.served", **{"ml.model.name": "other"}) == 0.0


def test_snappy_copies_are_read():
    """A block by hand: a literal "abcd", and copies with each width of offset."""
    literal = bytes([3 << 2]) + b"abcd"
    copies = bytes([(4 - 4) << 2 | 1, 4]) + bytes([3 << 2 | 2, 2, 0]) + bytes([2 << 2 | 3, 1, 0, 0, 0])
    assert remote_write.decompress(bytes([15]) + literal + copies) == b"abcd" + b"abcd" + b"cdcd" + b"ddd"
    assert remote_write.decompress(remote_write.compress(b"q" * 1_000)) == b"q" * 1_000
    with pytest.raises(ValueError, match="has 4"):
        remote_write.decompress(bytes([5]) + literal)


def test_each_rule_has_a_page_and_a_day():
    for vendor in VENDORS.values():
        for rule in vendor.rules:
            assert rule.source.startswith("https://"), rule
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", rule.date), rule
            assert rule.text


@pytest.mark.parametrize("body", [b"\xff" * 50, b"\x1f\x8b", b"{}"], ids=["noise", "half of gzip", "JSON"])
def test_a_damaged_body_is_refused_and_the_server_goes_on(body):
    vendor = VENDORS["dynatrace"]
    headers, right = request_of(vendor, good_points(vendor))

    def post(content):
        request = urllib.request.Request(sink.url + vendor.path, content, headers)  # noqa: S310 - a sink of this test
        try:
            with direct.open(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with running(vendor) as sink:
        assert post(body) == 400
        assert sink.points == []
        assert post(right) == 200
    assert len(sink.points) == len(good_points(vendor))
