"""The states of processes, and ``driftline canary --state``, against the real Prometheus."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import LOCAL

pytestmark = pytest.mark.real

SERVICE = Path(__file__).with_name("service.py")


@contextmanager
def serving(endpoint, *arguments):
    """Run the service, which exports its verdict and stays until the end of the block."""
    with subprocess.Popen(
        [sys.executable, SERVICE, "--stay", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            **LOCAL,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        },
    ) as process:
        assert json.loads(process.stdout.readline())["served"]
        yield
        process.stdin.close()
        assert process.wait(60) == 0


def run_canary(url, *arguments):
    """Return the exit code and the output of ``driftline canary``."""
    command = [sys.executable, "-m", "driftline.cli", "canary", "--state", "--prometheus", url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **LOCAL})
    return done.returncode, done.stdout + done.stderr


STATUS = 'ml_canary_status{ml_model_name="orders", ml_model_version="2", ml_canary_state="%s"}'


@pytest.mark.parametrize(
    ("candidate", "state", "code"), [("--canary", "rollback", 1), ("--healthy-canary", "promote", 0)]
)
def test_the_command_line_reads_the_state_of_a_process(collector, prometheus, eventually, candidate, state, code):
    """The verdict is inconclusive before the first export, and after the process has ended."""
    assert run_canary(prometheus.url, "--model", "orders", "--version", "2")[0] == 2
    with (
        collector("prometheus.yaml", DRIFTLINE_PROMETHEUS=prometheus.url) as running,
        serving(running.endpoint("http/protobuf"), candidate),
    ):
        assert eventually(lambda: prometheus.value(STATUS % state), 1.0) == 1.0
        waited = run_canary(
            prometheus.url, "--model", "orders", "--version", "2", "--variant", "canary", "--wait", "--timeout", "1min"
        )
        assert waited == (code, f"{state}: 1 process: {state}\n")
        assert run_canary(prometheus.url, "--model", "orders", "--version", "3")[0] == 2
        # Other tools read the evidence itself.
        evidence = prometheus.query('ml_canary_evidence{ml_canary_criterion="error_rate"}')
        measures = {labels["ml_canary_measure"]: value for labels, value in evidence}
        assert (measures["e_harm"] >= measures["e_harm_needed"]) == (state == "rollback")
        assert (measures["e_safe"] >= measures["e_safe_needed"]) == (state == "promote")
    # The state ends with the process.
    assert eventually(lambda: prometheus.value("sum(ml_canary_status)"), 0.0) == 0.0
    assert run_canary(prometheus.url, "--model", "orders", "--version", "2")[0] == 2


def with_dots(query):
    """Return a query in the form for a server that keeps dots, as docs/alarms.md describes it."""

    def selector(match):
        labels = re.sub(r"(ml_\w+)=", lambda label: f'"{label[1].replace("_", ".")}"=', match[2])
        return f'{{"{match[1].replace("_", ".")}", {labels}}}'

    return re.sub(r"(ml_\w+)\{([^}]*)\}", selector, query)


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy", ["NoUTF8EscapingWithSuffixes", "NoTranslation", "UnderscoreEscapingWithoutSuffixes"]
)
def test_verdicts_are_read_from_a_prometheus_with_other_names(run_prometheus, eventually, strategy):
    """The service sends to its OTLP receiver directly."""
    query = STATUS % "rollback"
    alert = 'ml_feature_drift_status{ml_feature_drift_state="drifting"} == 1'
    if not strategy.startswith("Underscore"):
        query, alert = map(with_dots, (query, alert))
    with (
        run_prometheus(f"translation_strategy: {strategy}") as prometheus,
        serving(f"{prometheus.url}/api/v1/otlp", "--canary", "--shift"),
    ):
        assert eventually(lambda: prometheus.value(query), 1.0) == 1.0
        assert prometheus.query(alert)
        arguments = ("--model", "orders", "--version", "2", "--variant", "canary")
        assert run_canary(prometheus.url, *arguments) == (1, "rollback: 1 process: rollback\n")
        assert run_canary(prometheus.url, "--model", "orders", "--version", "3")[0] == 2
        assert run_canary(prometheus.url, "--model", 'a"b\\ü\U0001f600')[0] == 2
