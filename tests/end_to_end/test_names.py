"""Every metric has the name of docs/metrics.md in every backend, and the alert of the README finds it there."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from processes import free_port

from driftline import semconv as sc

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(?P<name>ml[.a-z]+)` \| `(?P<prometheus>ml[_a-z]+)` \| (?P<instrument>\w+) \|", re.MULTILINE)
DOCUMENTED = {
    row["name"]: (row["prometheus"], row["instrument"])
    for row in ROW.finditer((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"))
}
"""The name in Prometheus and the instrument of each metric, as the page has them."""

PARTS = re.compile(r"_(bucket|sum|count)$")
ALERT = re.search(r"```promql\n(.+?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"))[1]
DOTTED = '{"ml.feature.drift.status", "ml.feature.drift.state"="drifting"} == 1'
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def provider_of_everything(reader):
    """A provider whose export has a point of each metric of the registry, with all attributes of the metric."""
    provider = MeterProvider([reader], resource=Resource({"service.name": "names"}), shutdown_on_exit=False)
    meter = provider.get_meter("driftline")
    observable = {
        "counter": meter.create_observable_counter,
        "gauge": meter.create_observable_gauge,
        "updowncounter": meter.create_observable_up_down_counter,
    }
    for metric in sc.METRICS.values():
        attributes = {name: "drifting" if name == sc.ML_FEATURE_DRIFT_STATE else "x" for name in metric.attributes}
        if metric.instrument == "histogram":
            meter.create_histogram(metric.name, metric.unit, metric.brief).record(0.01, attributes)
            continue
        point = Observation(1, attributes)
        observable[metric.instrument](metric.name, [lambda _, point=point: [point]], metric.unit, metric.brief)
    return provider


@pytest.fixture
def send():
    """Return a function that sends the export of everything through OTLP to an URL."""
    reader = InMemoryMetricReader()
    provider = provider_of_everything(reader)
    data = reader.get_metrics_data()

    def export(url):
        exporter = OTLPMetricExporter(url)
        assert exporter.export(data).name == "SUCCESS"
        exporter.shutdown()

    yield export
    provider.shutdown()


def base(names):
    """The names of driftline's metrics among these, without those of the parts of a histogram."""
    exported = {name for name in names if name.startswith("ml")}
    return {PARTS.sub("", name) if PARTS.sub("", name) + "_bucket" in exported else name for name in exported}


def names_in(server):
    """The names of all metrics in a server that speaks PromQL."""
    with _direct.open(f"{server.url}/api/v1/label/__name__/values", timeout=10) as response:
        return base(json.load(response)["data"])


@pytest.fixture
def demand(eventually):
    """Return a function that waits until a backend has just the expected names."""

    def wait(read, expected):
        assert eventually(read, expected) == expected

    return wait


def documented(suffixes=True, dots=False):
    """The names of the page, in the spelling of a translation strategy."""
    names = set()
    for name, (prometheus, _) in DOCUMENTED.items():
        plain = name.replace(".", "_")
        assert prometheus.startswith(plain)
        names.add((name if dots else plain) + (prometheus.removeprefix(plain) if suffixes else ""))
    return names


def test_the_page_has_every_metric():
    assert {name: instrument for name, (_, instrument) in DOCUMENTED.items()} == {
        metric.name: metric.instrument for metric in sc.METRICS.values()
    }


def test_no_unit_becomes_a_part_of_a_name_but_seconds():
    """Words in braces are annotations, which no translator appends. Unit 1 becomes ``_ratio`` in some backends."""
    assert {metric.unit for metric in sc.METRICS.values() if not metric.unit.startswith("{")} == {"s"}


STRATEGIES = {
    "UnderscoreEscapingWithSuffixes": (documented(), ALERT),
    "UnderscoreEscapingWithoutSuffixes": (documented(suffixes=False), ALERT),
    "NoUTF8EscapingWithSuffixes": (documented(dots=True), DOTTED),
    "NoTranslation": (documented(suffixes=False, dots=True), DOTTED),
}


@pytest.mark.parametrize("strategy", [None, *STRATEGIES])
def test_the_otlp_receiver_of_prometheus(run_prometheus, send, demand, strategy):
    expected, alert = STRATEGIES[strategy or "UnderscoreEscapingWithSuffixes"]
    with run_prometheus("" if strategy is None else f"translation_strategy: {strategy}") as server:
        send(f"{server.url}/api/v1/otlp/v1/metrics")
        demand(lambda: names_in(server), expected)
        assert len(server.query(alert)) == 1


def test_the_exporter_prometheus_of_the_collector(collector, send, demand, tmp_path):
    port = free_port()
    config = collector_config(tmp_path, f"prometheus:\n    endpoint: 127.0.0.1:{port}")
    with collector(config) as running:
        send(f"{running.endpoint('http')}/v1/metrics")

        def scraped():
            with _direct.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
                return exposed(response.read().decode())

        demand(scraped, documented())


def test_the_exporter_prometheusremotewrite_of_the_collector(collector, run_prometheus, send, demand, tmp_path):
    with run_prometheus("", "--web.enable-remote-write-receiver") as server:
        config = collector_config(tmp_path, f"prometheusremotewrite:\n    endpoint: {server.url}/api/v1/write")
        with collector(config) as running:
            send(f"{running.endpoint('http')}/v1/metrics")
            demand(lambda: names_in(server), documented())
            assert len(server.query(ALERT)) == 1


def collector_config(folder, exporter):
    """Write the configuration of a collector with one exporter, and return its path."""
    path = folder / "collector.yaml"
    path.write_text(
        f"""
receivers:
  otlp:
    protocols:
      http:
        endpoint: ${{env:DRIFTLINE_OTLP_HTTP}}
exporters:
  {exporter}
service:
  pipelines:
    metrics:
      receivers: [otlp]
      exporters: [{exporter.partition(":")[0]}]
  telemetry:
    metrics:
      level: none
""",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("flags", "expected", "alert"),
    [
        (["-opentelemetry.usePrometheusNaming"], documented(), ALERT),
        ([], documented(suffixes=False, dots=True), DOTTED),
    ],
    ids=["Prometheus names", "default"],
)
def test_victoria_metrics(run_victoria_metrics, send, demand, eventually, flags, expected, alert):
    with run_victoria_metrics(*flags) as server:
        send(f"{server.url}/opentelemetry/v1/metrics")
        demand(lambda: names_in(server), expected)
        assert eventually(lambda: len(server.query(alert)), 1) == 1


def test_the_reader_for_prometheus_of_python():
    # Imported here, because the environments of the lowest versions lack it.
    import prometheus_client  # noqa: PLC0415
    from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415

    reader = PrometheusMetricReader()
    provider = provider_of_everything(reader)
    try:
        text = prometheus_client.generate_latest().decode()
    finally:
        provider.shutdown()
    assert exposed(text) == documented()


def exposed(text):
    """The names in a page of metrics."""
    return base(re.findall(r"^(ml[_.a-zA-Z0-9]+)[{ ]", text, re.MULTILINE))
