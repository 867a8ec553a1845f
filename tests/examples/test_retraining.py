"""
The recipes for retraining against strict stand-ins of Airflow's and GitHub's interfaces.

The stand-in of Airflow answers as Airflow 3.3.2 does. That of GitHub follows its REST documentation of 2022-11-28.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from receivers import request

from driftline import RetrainingQueue
from driftline.retraining import CommandSink, DeliveryError, RetrainingDelivery

RECIPES = Path(__file__).parents[2] / "examples" / "retraining"


@contextmanager
def serving(answer):
    """Run a server whose answers *answer* returns: (status, JSON or None) of (path, headers, JSON)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, content = answer(self.path, self.headers, body)
            data = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            """Print no line for a request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)


class Airflow:
    """Airflow's REST API: a token for a password, and runs of one DAG."""

    FIELDS = frozenset({"dag_run_id", "logical_date", "conf", "note", "data_interval_start", "data_interval_end"})

    def __init__(self):
        self.runs = {}
        self.broken = 0

    def answer(self, path, headers, body):
        if self.broken:
            self.broken -= 1
            return 500, {"detail": "Internal Server Error"}
        if path == "/auth/token":
            is_known = body == {"username": "admin", "password": "a secret"}
            return (201, {"access_token": "t0ken"}) if is_known else (401, {"detail": "Invalid credentials"})
        if headers.get("Authorization") != "Bearer t0ken":
            return 403, {"detail": "Invalid JWT token"}
        match = re.fullmatch(r"/api/v2/dags/([^/]+)/dagRuns", path)
        if not match or match[1] != "retrain_delay":
            return 404, {"detail": f"Dag with dag_id: '{match and match[1]}' not found"}
        if "logical_date" not in body or set(body) - self.FIELDS:
            return 422, {"detail": [{"type": "extra_forbidden"}]}
        if len(body.get("note") or "") > 1_000 or not isinstance(body.get("conf", {}), dict):
            return 422, {"detail": [{"type": "string_too_long"}]}
        if body["dag_run_id"] in self.runs:
            return 409, {"detail": {"reason": "Unique constraint violation"}}
        self.runs[body["dag_run_id"]] = body
        return 200, {"dag_run_id": body["dag_run_id"], "state": "queued"}


class GitHub:
    """GitHub's ``POST /repos/{owner}/{repo}/dispatches``."""

    def __init__(self):
        self.events = []

    def answer(self, path, headers, body):
        if headers.get("Authorization") != "Bearer t0ken":
            return 401, {"message": "Bad credentials"}
        if headers.get("Accept") != "application/vnd.github+json":
            return 415, {"message": "Unsupported 'Accept' header"}
        if headers.get("X-GitHub-Api-Version") != "2022-11-28":
            return 400, {"message": "unknown version"}
        if path != "/repos/team/models/dispatches":
            return 404, {"message": "Not Found"}
        payload = body.get("client_payload", {})
        is_valid = set(body) == {"event_type", "client_payload"} and 0 < len(body["event_type"]) <= 100
        if not is_valid or len(payload) > 10 or len(json.dumps(payload)) > 65_535:
            return 422, {"message": "Validation Failed"}
        self.events.append(body)
        return 204, None


@pytest.fixture
def environment(monkeypatch):
    """Set variables for the recipes, which the sink passes on to them."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    values = {
        "AIRFLOW_DAG": "retrain_delay",
        "AIRFLOW_USERNAME": "admin",
        "AIRFLOW_PASSWORD": "a secret",
        "GITHUB_REPOSITORY": "team/models",
        "GITHUB_TOKEN": "t0ken",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def sink(recipe):
    return CommandSink([sys.executable, str(RECIPES / recipe)])


@pytest.mark.system
def test_airflow_starts_one_run_for_each_request(environment, tmp_path):
    """The id of the request is the id of the run. A second POST conflicts, which is a success."""
    airflow, queue = Airflow(), RetrainingQueue(tmp_path / "queue.db")
    sent = request(detail="x" * 5_000)
    queue.put(sent)
    with serving(airflow.answer) as url:
        environment.setenv("AIRFLOW_URL", url)
        airflow.broken = 1
        assert RetrainingDelivery(queue, [sink("airflow_run.py")]).run_once() == 0
        assert RetrainingDelivery(queue, [sink("airflow_run.py")]).run_once() == 1
        sink("airflow_run.py").deliver(sent)
        environment.setenv("AIRFLOW_PASSWORD", "another")
        with pytest.raises(DeliveryError, match="exit code 1: Airflow: HTTP Error 401"):
            sink("airflow_run.py").deliver(sent)
    assert list(airflow.runs) == [sent.id]
    assert airflow.runs[sent.id]["conf"] == json.loads(queue.find(sent.id).to_json())
    queue.close()


@pytest.mark.system
def test_github_gets_a_small_event(environment):
    """Of the request, whatever its size is. A wrong token is an error."""
    github = GitHub()
    evidence = request().evidence * 500
    with serving(github.answer) as url:
        environment.setenv("GITHUB_API_URL", url)
        sink("github_dispatch.py").deliver(request(detail="x" * 100_000, evidence=evidence))
        environment.setenv("GITHUB_TOKEN", "old")
        with pytest.raises(DeliveryError, match="exit code 1: GitHub: HTTP Error 401"):
            sink("github_dispatch.py").deliver(request())
    ((event),) = github.events
    assert event["event_type"] == "driftline-retraining"
    assert event["client_payload"]["id"] == request().id


def test_the_workflow_of_github_uses_what_it_gets():
    """Its group is the id, and its type that of the event."""
    workflow = yaml.safe_load((RECIPES / "github_workflow.yaml").read_text(encoding="utf-8"))
    assert workflow[True]["repository_dispatch"]["types"] == ["driftline-retraining"]  # YAML 1.1 reads `on` as True
    assert workflow["concurrency"]["group"] == workflow["run-name"] == "${{ github.event.client_payload.id }}"
    text = (RECIPES / "github_workflow.yaml").read_text(encoding="utf-8")
    keys = set(re.findall(r"client_payload\.(\w+)", text))
    script = (RECIPES / "github_dispatch.py").read_text(encoding="utf-8")
    assert keys <= set(re.findall(r'"(\w+)"', script))


def test_the_dag_of_airflow_compiles():
    """Airflow itself runs it in a separate environment."""
    code = (RECIPES / "airflow_dag.py").read_text(encoding="utf-8")
    compile(code, "airflow_dag.py", "exec")
    assert 'dag_id="retrain_delay"' in code


@pytest.mark.parametrize("recipe", ["airflow_run.py", "github_dispatch.py"])
@pytest.mark.system
def test_a_recipe_without_its_server_asks_for_another_attempt(environment, recipe):
    """The message names the server, and there is no traceback."""
    for name in ("AIRFLOW_URL", "GITHUB_API_URL"):
        environment.setenv(name, "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, RECIPES / recipe], input=request().to_json(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(("Airflow: ", "GitHub: "))
    assert "Traceback" not in done.stderr
    assert os.environ["AIRFLOW_PASSWORD"] not in done.stderr
