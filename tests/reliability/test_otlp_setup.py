"""`configure_otlp`: what it says of a flush, what it does at exit, beside other providers, and in several workers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from otlp_receiver import Receiver

REFERENCE = """
import logging, os, sys
logging.basicConfig(level="WARNING")
import numpy as np
import driftline as dl
random = np.random.default_rng(0)
reference = dl.Reference.fit({"age": random.normal(40.0, 10.0, 2_000)}, predictions=random.random(2_000))
"""

FLUSHES = """
import http.server, threading, time
answers = {}

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        answer = answers.get(self.path.rpartition("/")[2], 200)
        if answer == "never":
            time.sleep(3.0)
            return
        self.send_response(answer)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
setup = dl.configure_otlp("service", endpoint=f"http://127.0.0.1:{server.server_port}")
monitor = dl.Monitor("m", reference=reference, trace=True)
predict = monitor.instrument(lambda features: 0.5)

def flush(**faults):
    answers.clear()
    answers.update(faults)
    for age in (40.0, 400.0) * 50:
        predict({"age": age})
    setup.logger_provider.get_logger("test").emit(body="an event")
    monitor.flush()
    began = time.monotonic()
    result = setup.force_flush()
    print(faults, result, "in time" if time.monotonic() - began < 2.5 else "late", flush=True)

flush()
for signal in ("metrics", "logs", "traces"):
    for answer in (400, 401, 404, 503, "never"):
        flush(**{signal: answer})
flush(metrics="never", logs="never", traces="never")
flush()
server.server_close()
server.shutdown()
flush()
setup.shutdown()
print(setup.force_flush(), flush=True)
os._exit(0)
"""

ORDERS = """
def set_up():
    if sys.argv[2] == "configure_otlp":
        dl.configure_otlp(endpoint=sys.argv[1])
        return
    from opentelemetry import _logs, metrics
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    loggers = LoggerProvider()
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(sys.argv[1] + "/v1/logs")))
    _logs.set_logger_provider(loggers)
    exporter = OTLPMetricExporter(sys.argv[1] + "/v1/metrics")
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(exporter)]))

if sys.argv[3] == "provider first":
    set_up()
monitor = dl.Monitor("m", reference=reference)
predict = monitor.instrument(lambda features: 0.5)
if sys.argv[3] == "monitor first":
    set_up()
for _ in range(300):
    predict({"age": 150.0})
if sys.argv[3] == "provider last":
    set_up()
"""

PRESENT = """
import dataclasses
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

@dataclasses.dataclass
class ProxyMeterProvider(metrics.MeterProvider):
    inner: object
    def get_meter(self, *args):
        return self.inner.get_meter(*args)
    def force_flush(self):
        return None

reader = InMemoryMetricReader()
provider = ProxyMeterProvider(MeterProvider([reader]))
if sys.argv[2] == "metrics":
    early = dl.Monitor("early", reference=reference)
    metrics.set_meter_provider(provider)
if sys.argv[2] == "all":
    metrics.set_meter_provider(provider)
    _logs.set_logger_provider(LoggerProvider())
    trace.set_tracer_provider(TracerProvider())
    early = dl.Monitor("early", reference=reference)
if sys.argv[2] == "none":
    early = dl.Monitor("early", reference=reference)
setups = [dl.configure_otlp("service", endpoint=sys.argv[1]) for _ in range(3)]
print({setup.meter_provider is metrics.get_meter_provider() for setup in setups})
print({setup.logger_provider is _logs.get_logger_provider() for setup in setups})
print({setup.tracer_provider is trace.get_tracer_provider() for setup in setups})
early.observe({"age": [40.0]})
early.flush()
print({setup.force_flush() for setup in setups})
data = reader.get_metrics_data()
print("in memory" if data else "sent")
"""

INSTANCES = """
setup = dl.configure_otlp("service", endpoint="http://127.0.0.1:9")
providers = setup.meter_provider._sdk_config, setup.logger_provider, setup.tracer_provider

def show():
    ids = [getattr(each, "resource", None) or each._resource for each in providers]
    print(*{each.attributes["service.instance.id"] for each in ids}, flush=True)

show()
if os.fork() == 0:
    show()
    os._exit(0)
os.wait()
os._exit(0)
"""


@pytest.fixture
def run():
    """Return a function that runs a program to its end: ``run(program, arguments)``."""

    def run(program, *arguments, **environment):
        return subprocess.run(
            [sys.executable, "-c", REFERENCE + program, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={**os.environ, "OTEL_EXPORTER_OTLP_TIMEOUT": "1", "NO_PROXY": "127.0.0.1", **environment},
        )

    return run


@pytest.mark.slow
def test_force_flush_says_whether_everything_was_sent(run):
    *lines, last = run(FLUSHES).stdout.splitlines()
    assert len(lines) == 19
    for line in lines[:1] + lines[-2:-1]:
        assert line == "{} True in time"
    for line in lines[1:-2]:
        assert " False in time" in line, line
    assert lines[-1].startswith("{} False")
    assert last == "False"


@pytest.mark.parametrize("order", ["provider first", "monitor first", "provider last"])
@pytest.mark.parametrize("means", ["configure_otlp", "own"])
def test_last_states_and_events_arrive_whatever_was_made_first(run, means, order):
    with Receiver() as receiver:
        run(ORDERS, receiver.endpoint, means, order)
        states = receiver.values("ml.feature.drift.status", ml__feature__drift__state="drifting")
        assert sorted(states.values()) == [1, 1]
        assert len(receiver.events) == 2
        assert receiver.total("ml.predictions.served") == 300


@pytest.mark.parametrize("present", ["all", "metrics", "none"])
def test_providers_that_are_there_are_used(run, present):
    with Receiver() as receiver:
        ended = run(PRESENT, receiver.endpoint, present)
        assert ended.stdout.splitlines() == ["{True}"] * 4 + ["sent" if present == "none" else "in memory"]
        assert ended.stderr.count("the program has set OpenTelemetry up already") == 1
        assert "Overriding" not in ended.stderr


@pytest.mark.parametrize("shared", [None, "pod-1", "0b7c6f0e-5a31-4f0e-9d8e-0d6c2d6a7c11"])
def test_no_two_processes_have_one_identity(run, shared):
    environment = {} if shared is None else {"OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={shared}"}
    ids = [line for _ in range(2) for line in run(INSTANCES, **environment).stdout.splitlines()]
    assert len({*ids}) == 4
    if shared is not None:
        assert all(each.startswith(f"{shared}/") for each in ids)
