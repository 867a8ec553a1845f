"""The real collector and the real Prometheus, each started on free ports with the shipped configurations."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from processes import free_port, wait_for_end, wait_for_port

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "collector-config"
BINARIES = ("otelcol", "prometheus", "promtool", "alertmanager", "victoria-metrics")
SECONDS = 60.0
"""Seconds that a server may take to start, or a number to arrive; reached only when a test fails."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="session")
def tools():
    """Return the folder of the built binaries; with DRIFTLINE_REQUIRE_TOOLS=1 their absence fails the tests."""
    where = subprocess.run(["bash", ROOT / "tools" / "build", "--where"], capture_output=True, text=True, check=True)
    folder = Path(where.stdout.strip())
    absent = [name for name in BINARIES if not (folder / name).exists()]
    if absent:
        required(f"{', '.join(absent)} not built: run `make tools`")
    return folder


def required(message):
    """Skip a test without what it needs; with DRIFTLINE_REQUIRE_TOOLS=1, fail it."""
    if os.environ.get("DRIFTLINE_REQUIRE_TOOLS") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def browser():
    """A chromium without a window."""
    where = subprocess.run(["bash", ROOT / "tools" / "browser", "--where"], capture_output=True, text=True, check=False)
    if where.returncode:
        required("no chromium: run tools/browser")
    if find_spec("playwright") is None:
        required("no playwright: pip install --group browser")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not installed everywhere

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=where.stdout.strip(), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def serious_violations():
    """Return a function that returns what axe finds of a page, as far as it is serious."""
    package = find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        required("no axe: pip install --group browser")
    (script,) = Path(package.origin).parent.glob("axe.min.js")

    def find(page):
        page.add_script_tag(path=script)
        result = json.loads(page.evaluate("axe.run().then(each => JSON.stringify(each.violations))"))
        violations = [(each["impact"], each["id"], each["nodes"][0]["html"][:200]) for each in result]
        return [each for each in violations if each[0] in {"serious", "critical"}]

    return find


@pytest.fixture(scope="session", name="eventually")
def _eventually():
    """Return the function that waits for a value to arrive."""
    return eventually


def eventually(read, expected, seconds=SECONDS):
    """Return the value of *read* when it equals *expected*, or the last value after *seconds*."""
    end = time.monotonic() + seconds
    while True:
        seen = read()
        if seen == expected or time.monotonic() > end:
            return seen
        time.sleep(0.2)


@contextmanager
def process(command, log, *, ready, environment=None):
    """Run a server during the block; it is up when it listens on the port *ready*."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
    try:
        wait_for_port(ready, server, log.read_text)
        yield server
    finally:
        server.terminate()
        wait_for_end(server)


@dataclass
class Collector:
    """A running collector: its ports, its output file and its log."""

    grpc: int
    http: int
    file: Path
    log: Path

    def endpoint(self, protocol):
        """Return the URL for an exporter of *protocol*."""
        return f"http://127.0.0.1:{self.grpc if protocol == 'grpc' else self.http}"

    def requests(self):
        """Return the OTLP requests in the file."""
        if not self.file.exists():
            return []
        return [json.loads(line) for line in self.file.read_text().splitlines() if line.endswith("}")]

    def points(self, metric):
        """Return (attributes, value) of every point of a metric in the file, in the order of arrival."""
        points = []
        for request in self.requests():
            for resource in request.get("resourceMetrics", []):
                for scope in resource["scopeMetrics"]:
                    for entry in scope["metrics"]:
                        if entry["name"] == metric:
                            kind = next(entry[key] for key in ("sum", "gauge", "histogram") if key in entry)
                            points += [
                                (plain(point.get("attributes", [])), number(point)) for point in kind["dataPoints"]
                            ]
        return points


def plain(attributes):
    """Return OTLP attributes as a dict."""
    return {attribute["key"]: next(iter(attribute["value"].values())) for attribute in attributes}


def number(point):
    """Return the value of an OTLP point; for a histogram its count."""
    for key, kind in (("asInt", int), ("asDouble", float), ("count", int)):
        if key in point:
            return kind(point[key])
    return 0


@pytest.fixture
def collector(tools, tmp_path):
    """Return a context manager that runs the collector with a shipped configuration or another file."""

    @contextmanager
    def start(config, ports=None, **environment):
        grpc, http = ports or (free_port(), free_port())
        file = CONFIG / config
        running = Collector(grpc, http, tmp_path / f"{file.name}.jsonl", tmp_path / f"{file.name}.log")
        with process(
            [tools / "otelcol", "--config", file],
            running.log,
            ready=http,
            environment={
                "DRIFTLINE_OTLP_GRPC": f"127.0.0.1:{grpc}",
                "DRIFTLINE_OTLP_HTTP": f"127.0.0.1:{http}",
                "DRIFTLINE_OTLP_FILE": str(running.file),
                "DRIFTLINE_COLLECTOR_QUEUE": str(tmp_path / "queue"),
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
                **environment,
            },
        ):
            yield running

    return start


class Prometheus:
    """A running Prometheus server."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def query(self, expression):
        """Return the samples of an instant query: (labels, value)."""
        where = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with _direct.open(where, timeout=10) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return [(sample["metric"], float(sample["value"][1])) for sample in answer["data"]["result"]]

    def value(self, expression):
        """Return the single value of a query, or None."""
        samples = self.query(expression)
        assert len(samples) <= 1, samples
        return samples[0][1] if samples else None


@pytest.fixture
def prometheus_at():
    """Return the client of a server on a port of this machine."""
    return Prometheus


@pytest.fixture
def prometheus(run_prometheus):
    """A Prometheus server that receives OTLP, with the shipped configuration."""
    with run_prometheus() as server:
        yield server


@pytest.fixture
def run_prometheus(tools, tmp_path):
    """
    Return a context manager that runs Prometheus.

    Its arguments are an option of OTLP in its configuration, further flags, a global option, and further sections.
    """

    @contextmanager
    def run(option="", *flags, server_option="", more=""):
        port = free_port()
        config = tmp_path / "prometheus.yaml"
        shipped = (CONFIG / "prometheus-server.yaml").read_text(encoding="utf-8")
        shipped = shipped.replace("\notlp:\n", f"\notlp:\n  {option}\n")
        shipped = shipped.replace("\nglobal:\n", f"\nglobal:\n  {server_option}\n")
        config.write_text(shipped + more, encoding="utf-8")
        command = [
            tools / "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-otlp-receiver",
            *flags,
        ]
        with process(command, tmp_path / "prometheus.log", ready=port):
            server = Prometheus(port)

            def up():
                with _direct.open(f"{server.url}/-/ready", timeout=10) as response:
                    return response.status

            assert eventually(lambda: _quiet(up), 200) == 200
            yield server

    return run


@pytest.fixture
def run_victoria_metrics(tools, tmp_path):
    """Return a context manager that runs VictoriaMetrics, which shows what it receives without delay."""

    @contextmanager
    def run(*flags):
        port = free_port()
        command = [
            tools / "victoria-metrics",
            f"-storageDataPath={tmp_path / 'victoria-metrics'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-search.latencyOffset=0s",
            "-inmemoryDataFlushInterval=1s",
            *flags,
        ]
        with process(command, tmp_path / "victoria-metrics.log", ready=port):
            yield Prometheus(port)

    return run


@pytest.fixture
def run_alertmanager(tools, tmp_path):
    """Return a context manager that runs an Alertmanager, which sends to the address of a webhook."""

    @contextmanager
    def run(webhook):
        port = free_port()
        config = tmp_path / "alertmanager.yaml"
        text = f"""
route: {{receiver: hook, group_by: [ml_model_name], group_wait: 1s, group_interval: 1s}}
receivers: [{{name: hook, webhook_configs: [{{url: "{webhook}", send_resolved: true}}]}}]
"""
        config.write_text(text, encoding="utf-8")
        command = [
            tools / "alertmanager",
            f"--config.file={config}",
            f"--storage.path={tmp_path / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        with process(command, tmp_path / "alertmanager.log", ready=port):
            yield f"127.0.0.1:{port}"

    return run


def _quiet(read):
    try:
        return read()
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except OSError:
        return None
