"""Without a collector: with the variables of docs/backends.md, `configure_otlp` sends what each vendor accepts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from backend_checks import EVENTS, assert_whole, serve
from sink_rules import RequestPoints, RequestSize
from strict_sink import running
from vendors import SINKS

from driftline.otel._batches import BATCH_POINTS

pytestmark = pytest.mark.system

DIRECT = [name for name, vendor in SINKS.items() if not vendor.needs_collector]


def local(vendor, sink):
    """The variables of a vendor, with sample values, and with its host replaced by that of a sink."""
    variables = {}
    for name, value in vendor.variables().items():
        text = vendor.filled(value)
        if name.endswith("_ENDPOINT"):
            text = sink.url + urlsplit(text).path
        variables[name] = text
    return variables


@pytest.mark.slow
@pytest.mark.parametrize("name", DIRECT)
def test_the_variables_of_a_vendor_are_enough(name):
    vendor = SINKS[name]
    with running(vendor) as sink:
        served = serve(local(vendor, sink))
    assert served["sent"], served["log"]
    assert_whole(sink, served)
    if "logs" in vendor.paths:
        assert set(sink.events) >= EVENTS


@pytest.mark.parametrize("name", ["datadog", "prometheus"])
def test_the_other_temporality_is_refused_and_the_service_says_so(name):
    vendor = SINKS[name]
    with running(vendor) as sink:
        variables = local(vendor, sink)
        variables["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "cumulative" if vendor.delta else "delta"
        served = serve(variables)
    assert sink.refusals
    assert sink.total("ml.predictions.served") == 0
    assert not served["sent"]
    assert "metrics could not be sent" in served["log"]


def test_two_processes_of_a_second_are_told_apart_by_datadog():
    """Workers have the same attributes; the header of the page makes tags of their instances."""
    vendor = SINKS["datadog"]
    with running(vendor) as sink, ThreadPoolExecutor(2) as pool:
        served = list(pool.map(lambda _: serve(local(vendor, sink)), range(2)))
    assert sink.refusals == []
    counts = [2 * each["baseline"] + each["failed"] for each in served]
    assert sink.total("ml.predictions.served") == sum(counts)


@pytest.mark.parametrize("name", DIRECT)
def test_a_full_request_keeps_the_limits_of_a_vendor(name):
    """`configure_otlp` sends at most 8,000 points together: 2.1 MB, of which gzip leaves 78 kB, as measured once."""
    sizes = {"as sent": 78_000, "after decompression": 2_130_000}
    for rule in SINKS[name].rules:
        if isinstance(rule, RequestPoints):
            assert rule.most >= BATCH_POINTS
        if isinstance(rule, RequestSize) and rule.of != "plain":
            assert rule.most > sizes[rule.measured]
