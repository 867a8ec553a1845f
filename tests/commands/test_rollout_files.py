"""The shipped files for Argo Rollouts and Flagger: their schemas, their commands, and the gates over two releases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jsonschema
import pytest
import yaml

from driftline.cli import main

ROOT = Path(__file__).parents[2]
SCHEMAS = json.loads((ROOT / "tests/data/rollouts/schemas.json").read_text(encoding="utf-8"))
"""
What the shipped files use of the schemas of Argo Rollouts (v1alpha1, August 2026) and Flagger (v1beta1, July 2026). All
other fields are refused.
"""


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def document(name):
    """Return the document of a shipped file."""
    return yaml.safe_load((ROOT / "examples" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name", ["argo-rollouts/analysis-template.yaml", "argo-rollouts/rollout.yaml", "flagger/canary.yaml"]
)
def test_files_follow_the_schemas_of_their_controllers(name):
    content = document(name)
    jsonschema.validate(content, SCHEMAS[content["kind"]])


def test_the_rollout_passes_what_the_template_needs():
    template, rollout = document("argo-rollouts/analysis-template.yaml"), document("argo-rollouts/rollout.yaml")
    (analysis,) = [step["analysis"] for step in rollout["spec"]["strategy"]["canary"]["steps"] if "analysis" in step]
    assert [entry["templateName"] for entry in analysis["templates"]] == [template["metadata"]["name"]]
    needed = {argument["name"] for argument in template["spec"]["args"] if "value" not in argument}
    assert {argument["name"] for argument in analysis["args"]} == needed


def test_the_job_of_argo_calls_an_existing_command(capsys):
    """With a server that cannot be reached the code is 3, which is no argument's fault."""
    (metric,) = document("argo-rollouts/analysis-template.yaml")["spec"]["metrics"]
    spec = metric["provider"]["job"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"] == {"containerName": container["name"], "operator": "In", "values": [1, 2]}
    values = {
        "model": "m",
        "canary-hash": "7f",
        "stable-hash": "6e",
        "namespace": "prod",
        "prometheus": "http://127.0.0.1:1",
    }
    command = [*container["command"], *container["args"]]
    for name, value in values.items():
        command = [part.replace(f"{{{{args.{name}}}}}", value) for part in command]
    assert not any("{{" in part for part in command)
    assert command[0] == "driftline"
    assert main([*command[1:], "--timeout", "1ms"]) == 3
    assert "127.0.0.1" not in capsys.readouterr().out


@pytest.fixture
def loadtester():
    """The gates of Flagger's load tester (pkg/loadtester/server.go): open, close, check."""
    gates = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kind, action = self.path.strip("/").split("/")
            name = f"{'rollback.' * (kind == 'rollback')}{body['name']}.{body['namespace']}"
            if action == "check":
                self.send_response(200 if gates.setdefault(name, False) else 403)
            else:
                gates[name] = action == "open"
                self.send_response(202)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run_gate(url, code, folder):
    """Run the command of gate.yaml with a ``driftline`` that ends with *code*; return its code."""
    (container,) = document("flagger/gate.yaml")["spec"]["template"]["spec"]["containers"]
    program = folder / "driftline"
    program.write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    (folder / "python").unlink(missing_ok=True)
    (folder / "python").symlink_to(sys.executable)
    command = [part.replace("http://flagger-loadtester.test", url) for part in container["command"]]
    environment = {**os.environ, "RELEASE": "4", "PATH": f"{folder}:{os.environ['PATH']}", "no_proxy": "127.0.0.1"}
    return subprocess.run(command, env=environment, check=False).returncode


def hooks(url, kind):
    """Call the webhooks of one type, and return whether all of them passed, as Flagger does (status up to 202)."""
    payload = b'{"name": "flight-delay", "namespace": "default"}'
    passed = []
    for webhook in document("flagger/canary.yaml")["spec"]["analysis"]["webhooks"]:
        if webhook["type"] == kind:
            address = webhook["url"].replace("http://flagger-loadtester.test", url)
            try:
                with _direct.open(address, payload, timeout=10) as response:
                    passed.append(response.status <= 202)
            except urllib.error.HTTPError as error:
                error.close()
                passed.append(False)
    assert passed
    return all(passed)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_no_gate_is_open_for_the_next_release(loadtester, tmp_path):
    """A promotion, a rollback and an undecided release, each with the calls that Flagger makes."""
    url = loadtester.url
    for code, promoted, rolled_back in ((0, True, False), (1, False, True), (2, False, False), (3, False, False)):
        assert hooks(url, "pre-rollout")
        assert not hooks(url, "rollback")
        assert not hooks(url, "confirm-promotion")
        assert run_gate(url, code, tmp_path) == (code if code > 1 else 0)
        assert hooks(url, "rollback") is rolled_back
        assert hooks(url, "confirm-promotion") is promoted
        assert hooks(url, "post-rollout")
        assert not hooks(url, "rollback")
        assert not hooks(url, "confirm-promotion")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_a_gate_that_was_opened_late_is_closed_before_the_next_analysis(loadtester, tmp_path):
    assert run_gate(loadtester.url, 0, tmp_path) == 0
    assert hooks(loadtester.url, "pre-rollout")
    assert not hooks(loadtester.url, "confirm-promotion")
