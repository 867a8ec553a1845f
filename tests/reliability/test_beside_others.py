"""`configure_otlp` beside others: the distro, a configuration file, variables, and providers of the program."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SERVE = """
import logging, os, sys
logging.basicConfig(level="WARNING")
import numpy as np
import driftline as dl
random = np.random.default_rng(0)
reference = dl.Reference.fit({"age": random.normal(40.0, 10.0, 2_000)}, predictions=random.random(2_000))

def serve(predictions=300):
    monitor = dl.Monitor("m", reference=reference, trace=True)
    predict = monitor.instrument(lambda features: 0.5)
    for _ in range(predictions):
        predict({"age": 150.0})
    monitor.flush()

"""

CONFIGURED = f"{SERVE}setup = dl.configure_otlp('service')\nserve()\nassert setup.force_flush()\n"

FILE = """
file_format: "1.0"
resource: {{attributes: [{{name: service.name, value: from-the-file}}]}}
meter_provider:
  readers:
    - periodic: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/metrics"}}}}}}
logger_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/logs"}}}}}}
"""

TRACES = """
tracer_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/traces"}}}}}}
"""


@pytest.fixture
def run(receiver):
    """Return a function that runs a program to its end, with the receiver as the collector of the environment."""

    def run(program, *, command=(), check=True, **environment):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        return subprocess.run(
            [*command, sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=120,
            check=check,
            env={
                **inherited,
                "NO_PROXY": "127.0.0.1",
                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
                "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
                **environment,
            },
        )

    return run


def auto():
    """Return the command that starts a program with the distro of OpenTelemetry."""
    pytest.importorskip("opentelemetry.distro")
    script = Path(sysconfig.get_path("scripts"), "opentelemetry-instrument")
    return (str(script),)


def arrived(receiver):
    """Return the predictions, the events and whether there are spans."""
    return receiver.total("ml.predictions.served"), len(receiver.events), receiver.spans > 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (300, 2, True)),
        ({"OTEL_METRICS_EXPORTER": "none"}, (0, 2, True)),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}, (300, 0, False)),
        ({"OTEL_SDK_DISABLED": "true"}, (0, 0, False)),
        ({"OTEL_LOGS_EXPORTER": "console"}, (300, 0, True)),
        ({"OTEL_METRICS_EXPORTER": "console,otlp"}, (300, 2, True)),
        ({"OTEL_TRACES_EXPORTER": "console"}, (300, 2, False)),
    ],
)
def test_exporters_of_the_environment(run, receiver, environment, expected):
    ended = run(CONFIGURED, **environment)
    assert arrived(receiver) == expected
    printed = {
        "OTEL_METRICS_EXPORTER": "ml.predictions.served",
        "OTEL_LOGS_EXPORTER": "ml.feature.drift",
        "OTEL_TRACES_EXPORTER": "trace_id",
    }
    consoles = [name for name, value in environment.items() if "console" in value]
    assert all(printed[name] in ended.stdout for name in consoles)
    assert bool(ended.stdout) is bool(consoles)


def test_the_protocol_of_one_signal(run, receiver):
    """Metrics go to a port where no gRPC server answers, and the other signals arrive."""
    program = CONFIGURED.replace("assert setup.force_flush()", "print(setup.force_flush())")
    ended = run(
        program,
        OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="http://127.0.0.1:9",
    )
    assert ended.stdout.split() == ["False"]
    assert "metrics could not be sent" in ended.stderr
    assert arrived(receiver) == (0, 2, True)


@pytest.mark.slow
def test_prometheus_reads_from_the_process(run, receiver):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = f"""{CONFIGURED}
import urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
print(opener.open("http://127.0.0.1:{port}/metrics").read().decode())
"""
    variables = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(port)}
    ended = run(program, **variables)
    served = [line for line in ended.stdout.splitlines() if line.startswith("ml_predictions_served_total{")]
    assert [float(line.rpartition(" ")[2]) for line in served] == [300.0]
    assert arrived(receiver) == (0, 2, True)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("", port))
        taken.listen()
        ended = run(CONFIGURED, check=False, **variables)
    assert "ConfigurationError: The exporter of metrics does not start: OSError" in ended.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_METRICS_EXPORTER": "otpl"},
        {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/json"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "collector:4318"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        {"OTEL_CONFIG_FILE": "/nowhere/otel.yaml"},
    ],
)
def test_a_wrong_value_ends_the_start_and_is_named(run, environment):
    ended = run(CONFIGURED, check=False, **environment)
    ((name, value),) = environment.items()
    assert ended.returncode == 1
    assert f"ConfigurationError: {name}={value!r}: " in ended.stderr


def test_under_the_distro_its_providers_are_used(run, receiver):
    ended = run(CONFIGURED, command=auto(), OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert ended.stderr.count("has set OpenTelemetry up already") == 1
    assert "Overriding" not in ended.stderr
    assert arrived(receiver) == (300, 2, True)


def test_under_the_distro_its_variables_apply(run, receiver):
    ended = run(CONFIGURED, command=auto(), OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf", OTEL_METRICS_EXPORTER="none")
    assert "Overriding" not in ended.stderr
    assert arrived(receiver) == (0, 2, True)


@pytest.mark.parametrize("distro", [False, True])
@pytest.mark.parametrize("traces", [False, True])
def test_a_configuration_file_says_everything(run, receiver, tmp_path, distro, traces):
    pytest.importorskip("opentelemetry.configuration")
    path = tmp_path / "otel.yaml"
    path.write_text((FILE + TRACES * traces).format(endpoint=receiver.endpoint))
    ended = run(
        f"{CONFIGURED}print(setup.meter_provider._sdk_config.resource.attributes['service.name'])\n",
        command=auto() if distro else (),
        OTEL_CONFIG_FILE=str(path),
        OTEL_EXPORTER_OTLP_ENDPOINT="nonsense",  # as the file is there, other variables do not apply
        OTEL_METRICS_EXPORTER="nonsense",
    )
    assert ended.stdout.split() == ["from-the-file"]
    assert arrived(receiver) == (300, 2, traces)
    assert ("No traces are exported" in ended.stderr) is not traces
    assert "Overriding" not in ended.stderr


def test_a_damaged_configuration_file_is_named(run, tmp_path):
    pytest.importorskip("opentelemetry.configuration")
    path = tmp_path / "otel.yaml"
    path.write_text("file_format: '1.0'\nmeter_provider: 3\n")
    ended = run(CONFIGURED, check=False, OTEL_CONFIG_FILE=str(path))
    assert ended.returncode == 1
    assert f"ConfigurationError: OTEL_CONFIG_FILE={str(path)!r}: " in ended.stderr


TRACES_ALONE = """
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": "orders"})))
setup = dl.configure_otlp()
assert setup.tracer_provider is trace.get_tracer_provider()
assert dl.configure_otlp() is setup
print(setup.logger_provider.resource.attributes["service.name"])
"""


def test_a_program_with_traces_alone(run, receiver):
    ended = run(f"{SERVE}{TRACES_ALONE}serve()\nassert setup.force_flush()\n")
    assert arrived(receiver) == (300, 2, False)
    assert ended.stdout.split() == ["orders"]
    assert "Overriding" not in ended.stderr


FORKS = """
def emit(name):
    setup.logger_provider.get_logger("test").emit(event_name=name)

serve(100)
emit("parent")
setup.force_flush()
if os.fork() == 0:
    serve(50)
    emit("child")
    print("child", setup.force_flush(), flush=True)
    os._exit(0)
os.wait()
serve(10)
"""

METRICS_ALONE = """
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
setup = dl.configure_otlp("service")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("others", ["", TRACES_ALONE, METRICS_ALONE])
def test_forks_of_a_program_with_some_providers(run, receiver, others):
    """The child has its own connection and its own identity, whatever driftline has set up."""
    ended = run(f"{SERVE}{others or 'setup = dl.configure_otlp()'}\n{FORKS}", OTEL_SERVICE_NAME="forks")
    assert "child True" in ended.stdout
    assert receiver.total("ml.predictions.served") == 160
    assert len(receiver.instances()) == 2
    assert sorted(name for name, _ in receiver.events) == ["child", "parent"]
    assert receiver.spans > 0 or others == TRACES_ALONE


POOL = """
import multiprocessing

def work(_):
    serve(100)

if __name__ == "__main__":
    dl.configure_otlp("service")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(work, range(4))
        pool.close()
        pool.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("distro", [False, True])
def test_children_of_multiprocessing_send_what_is_left(run, receiver, distro):
    run(f"{SERVE}{POOL}", command=auto() if distro else (), OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert receiver.total("ml.predictions.served") == 400
