"""Each configuration for a backend, in the real collector, with its endpoint at the strict sink of the vendor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from backend_checks import EVENTS, assert_whole, serve
from processes import LOCAL, free_port, wait_for_end, wait_for_port
from strict_sink import running
from vendors import SINKS

from driftline.fleet._collector.backends import BACKENDS

pytestmark = pytest.mark.real

CONFIG = Path(__file__).parents[2] / "collector-config"

AMAZON = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
KEYS = {
    "DYNATRACE_API_TOKEN": "dt0c01.ABC.DEF",
    "GRAFANA_CLOUD_INSTANCE_ID": "123456",
    "ELASTIC_API_KEY": "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWky",
    "GOOGLE_CLOUD_REGION": "europe-west1",
    **AMAZON,
}
"""Values of variables whose form a sink checks."""

WITH_STATIC_TOKEN = "bearertokenauth/google:\n    token: ya29.sample"  # noqa: S105 - a sample
"""In place of googleclientauth, which cannot be built here and asks Google for a token."""


def path_of(name):
    """The path that a file expects in the variable of its endpoint: what it does not append itself."""
    vendor = SINKS[name]
    text = (CONFIG / f"{name}.yaml").read_text(encoding="utf-8")
    appended = re.findall(rf"\$\{{env:{BACKENDS[name].endpoint.name}[^\n]*\}}(/[\w/.\-]*)", text)
    added = appended[0] if appended else ""
    whole = (
        vendor.path if "metrics_endpoint" in text or vendor.protocol != "otlp" else vendor.path[: -len("/v1/metrics")]
    )
    assert whole.endswith(added), (name, whole, added)
    return whole[: len(whole) - len(added)]


def configuration(name, folder):
    """The file of a backend; only for Google a copy with another authenticator."""
    shipped = CONFIG / f"{name}.yaml"
    text = shipped.read_text(encoding="utf-8")
    if "googleclientauth" not in text:
        return shipped
    text = re.sub(r"googleclientauth:\n(    [^\n]*\n)+", WITH_STATIC_TOKEN + "\n", text)
    copy = folder / f"{name}.yaml"
    copy.write_text(text.replace("googleclientauth", "bearertokenauth/google"), encoding="utf-8")
    return copy


@contextmanager
def token_server():
    """Run a server that answers requests for tokens of OAuth, during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            answer = json.dumps({"access_token": "eyJ0.e30.sig", "token_type": "Bearer", "expires_in": 3600}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def collect(tools, tmp_path):
    """Return a context manager that runs the collector with the file of a backend, pointed at a sink."""

    @contextmanager
    def start(name, sink):
        backend, http = BACKENDS[name], free_port()
        variables = {variable.name: KEYS.get(variable.name, "key") for variable in backend.variables}
        variables[backend.endpoint.name] = sink.url + path_of(name)
        log = tmp_path / f"{name}.log"
        with token_server() as tokens:
            if "AZURE_AUTHORITY" in variables:
                variables["AZURE_AUTHORITY"] = tokens
            environment = {
                **variables,
                **AMAZON,
                **LOCAL,
                "DRIFTLINE_OTLP_GRPC": f"127.0.0.1:{free_port()}",
                "DRIFTLINE_OTLP_HTTP": f"127.0.0.1:{http}",
                "DRIFTLINE_COLLECTOR_QUEUE": str(tmp_path / "queue"),
            }
            command = [tools / "otelcol", "--config", configuration(name, tmp_path)]
            with log.open("wb") as output:
                collector = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
            try:
                wait_for_port(http, collector, log.read_text)
                yield SimpleNamespace(url=f"http://127.0.0.1:{http}", log=log)
            finally:
                collector.terminate()
                wait_for_end(collector)

    return start


def otlp(name):
    """Whether a backend takes OTLP or remote write of a sink."""
    return name in BACKENDS


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(filter(otlp, SINKS)))
def test_the_configuration_of_a_backend_delivers_everything(collect, eventually, name):
    vendor = SINKS[name]
    with running(vendor) as sink, collect(name, sink) as collector:
        served = serve({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
        assert served["sent"], served["log"]
        expected = 2 * served["baseline"] + served["failed"]
        metric = "ml.predictions.served" if vendor.protocol == "otlp" else "ml_predictions_served_total"
        assert eventually(lambda: sink.total(metric), expected) == expected, collector.log.read_text()[-3_000:]
        if "logs" in vendor.paths and "logs" in BACKENDS[name].signals:
            assert eventually(lambda: set(sink.events) >= EVENTS, True)
    assert_whole(sink, served)


def test_every_backend_with_a_file_has_rules():
    assert set(BACKENDS) - {"local", "gateway", "clickhouse", "victoriametrics"} == set(SINKS)
