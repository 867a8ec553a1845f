"""The queries of the shipped analysis templates, and ``driftline canary``, against the real Prometheus."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
SERVICE = Path(__file__).with_name("service.py")
LOCAL = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "no_grpc_proxy": "127.0.0.1"}


def documents(name):
    """Return the documents of a shipped file."""
    return list(yaml.safe_load_all((ROOT / "examples" / name).read_text(encoding="utf-8")))


def serve(endpoint, *arguments):
    """Run the service, and return its number of predictions."""
    done = subprocess.run(
        [sys.executable, SERVICE, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            **LOCAL,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        },
    )
    return json.loads(done.stdout)["served"]


def run_canary(url, *arguments):
    """Return the exit code and the output of ``driftline canary``."""
    command = [sys.executable, "-m", "driftline.cli", "canary", "--prometheus", url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **LOCAL})
    return done.returncode, done.stdout + done.stderr


def argo():
    """Return the query and the conditions of the analysis template, with its arguments inserted."""
    (template,) = documents("argo-rollouts/analysis-template.yaml")
    (metric,) = template["spec"]["metrics"]
    query = metric["provider"]["prometheus"]["query"]
    for name, value in (("model", "orders"), ("version", "2")):
        query = query.replace(f"{{{{args.{name}}}}}", value)
    assert "{{" not in query
    conditions = []
    for condition in (metric["successCondition"], metric["failureCondition"]):
        # Conditions have the form: result[0] >= 1
        operator, limit = re.fullmatch(r"result\[0\] (>=|<=) (-?\d+)", condition).groups()
        conditions.append((lambda value, o=operator, m=float(limit): value >= m if o == ">=" else value <= m))
    return query, *conditions


def flagger():
    """Return the query of the metric template, with its variables inserted, and the largest value without rollback."""
    (template,) = documents("flagger/metric-template.yaml")
    (canary,) = documents("flagger/canary.yaml")
    (metric,) = canary["spec"]["analysis"]["metrics"]
    assert metric["templateRef"]["name"] == template["metadata"]["name"]
    query = template["spec"]["query"].replace("{{ target }}", "orders").replace("{{ variables.version }}", "2")
    assert "{{" not in query
    return query, metric["thresholdRange"]["max"]


@pytest.mark.parametrize(
    ("candidate", "state", "code"), [("--canary", "rollback", 1), ("--healthy-canary", "promote", 0)]
)
def test_templates_and_command_line_read_the_same_verdict(collector, prometheus, eventually, candidate, state, code):
    """The verdict is inconclusive before the first export. Then a rollback fails, and a promotion succeeds."""
    query, succeeds, fails = argo()
    rollback, most = flagger()
    assert prometheus.value(query) == prometheus.value(rollback) == 0.0
    assert run_canary(prometheus.url, "--model", "orders", "--version", "2")[0] == 2
    with collector("prometheus.yaml", DRIFTLINE_PROMETHEUS=prometheus.url) as running:
        serve(running.endpoint("http/protobuf"), candidate)
        expected = {"rollback": -1.0, "promote": 1.0}[state]
        assert eventually(lambda: prometheus.value(query), expected) == expected
        assert (fails(expected), succeeds(expected)) == (state == "rollback", state == "promote")
        assert (prometheus.value(rollback) > most) == (state == "rollback")
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


def with_dots(query):
    """Return a query in the form for a server that keeps dots, as docs/alarms.md describes it."""

    def selector(match):
        labels = re.sub(r"(ml_\w+)=", lambda label: f'"{label[1].replace("_", ".")}"=', match[2])
        return f'{{"{match[1].replace("_", ".")}", {labels}}}'

    return re.sub(r"(ml_\w+)\{([^}]*)\}", selector, query)


@pytest.mark.parametrize(
    "strategy", ["NoUTF8EscapingWithSuffixes", "NoTranslation", "UnderscoreEscapingWithoutSuffixes"]
)
def test_verdicts_are_read_from_a_prometheus_with_other_names(run_prometheus, eventually, strategy):
    """The service sends to its OTLP receiver directly."""
    (query, succeeds, fails), (rollback, most) = argo(), flagger()
    alert = 'ml_feature_drift_status{ml_feature_drift_state="drifting"} == 1'
    if not strategy.startswith("Underscore"):
        query, rollback, alert = map(with_dots, (query, rollback, alert))
    with run_prometheus(f"translation_strategy: {strategy}") as prometheus:
        serve(f"{prometheus.url}/api/v1/otlp", "--canary", "--shift")
        assert eventually(lambda: prometheus.value(query), -1.0) == -1.0
        assert fails(-1.0)
        assert not succeeds(-1.0)
        assert prometheus.value(rollback) > most
        assert prometheus.query(alert)
        arguments = ("--model", "orders", "--version", "2", "--variant", "canary")
        assert run_canary(prometheus.url, *arguments) == (1, "rollback: 1 process: rollback\n")
        assert run_canary(prometheus.url, "--model", "orders", "--version", "3")[0] == 2
        assert run_canary(prometheus.url, "--model", 'a"b\\ü\U0001f600')[0] == 2


def test_the_shipped_files_fit_together():
    """The rollout names the template and passes its arguments without values. The job calls an existing command."""
    (template,) = documents("argo-rollouts/analysis-template.yaml")
    (rollout,) = documents("argo-rollouts/rollout.yaml")
    (analysis,) = [step["analysis"] for step in rollout["spec"]["strategy"]["canary"]["steps"] if "analysis" in step]
    assert [entry["templateName"] for entry in analysis["templates"]] == [template["metadata"]["name"]]
    asked = {argument["name"] for argument in template["spec"]["args"] if "value" not in argument}
    assert {argument["name"] for argument in analysis["args"]} == asked
    (job,) = documents("flagger/gate.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    arguments = container["command"][-1].split("&&")[0].split()
    assert arguments[:2] == ["driftline", "canary"]
    known = {argument for argument in arguments if argument.startswith("--")}
    shown = subprocess.run(
        [sys.executable, "-m", "driftline.cli", "canary", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(option in shown for option in known)
