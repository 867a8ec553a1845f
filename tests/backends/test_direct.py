"""Without a collector: with the variables of docs/backends.md, `configure_otlp` sends what each vendor accepts."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from backend_checks import EVENTS, assert_whole, serve
from strict_sink import running
from vendors import SINKS

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
    if name == "datadog":  # it refuses the request; Prometheus reports refused points in its answer
        assert not served["sent"]
        assert "metrics" in served["log"]
