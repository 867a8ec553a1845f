"""The command line: verdicts as exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

import driftline as dl
from driftline.canary import Verdict
from driftline.canary._sources import wait_for_verdict
from driftline.cli import main
from driftline.testing import in_memory_monitor


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxy stands between a test and its server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def prometheus():
    """A server that responds with the states in *responses*, the last one for ever, and records the queries."""
    responses, queries = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            queries.append(self.path)
            response = responses.pop(0) if len(responses) > 1 else responses[0]
            if isinstance(response, int):
                self.send_error(response)
                return
            body = response
            if isinstance(response, list):
                series = [{"metric": {"ml_canary_state": state}, "value": [0, "1"]} for state in response]
                body = json.dumps({"status": "success", "data": {"result": series}})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.responses, server.queries, server.url = responses, queries, f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("states", "code", "line"),
    [
        (["promote"], 0, "promote: 1 process: promote"),
        (["rollback"], 1, "rollback: 1 process: rollback"),
        (["inconclusive"], 2, "inconclusive: 1 process: inconclusive"),
        ([], 2, "inconclusive: no state of a canary of ml.model.name=m, ml.model.version=2 is exported"),
        (["promote", "rollback", "promote"], 1, "rollback: 3 processes: promote, rollback"),
        (["promote", "inconclusive"], 2, "inconclusive: 2 processes: inconclusive, promote"),
    ],
)
def test_the_verdict_in_prometheus_is_the_exit_code(prometheus, capsys, states, code, line):
    """Any rollback is a rollback; a promotion needs all processes."""
    prometheus.responses.append(states)
    assert main(["canary", "--prometheus", prometheus.url, "--model", "m", "--version", "2", "--state"]) == code
    assert capsys.readouterr().out.strip() == line
    query = parse_qs(urlsplit(prometheus.queries[0]).query)["query"][0]
    assert 'last_over_time({__name__=~"ml_canary_status(_total|_seconds|_ratio)?"' in query
    assert ',ml_model_name="m",ml_model_version="2"}[120s])' in query


def test_wait_ends_with_a_decision(prometheus, capsys):
    """A server that fails meanwhile is queried again, and each change is printed."""
    prometheus.responses.extend([[], ["inconclusive"], 503, ["inconclusive"], ["promote"]])
    assert (
        main(["canary", "--prometheus", prometheus.url, "--model", "m", "--state", "--wait", "--interval", "1ms"]) == 0
    )
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "inconclusive",
        "inconclusive",
        "promote",
    ]


def test_wait_ends_inconclusive_at_the_timeout(prometheus):
    prometheus.responses.append(["inconclusive"])
    arguments = ["--state", "--wait", "--interval", "1ms", "--timeout", "20ms"]
    assert main(["canary", "--prometheus", prometheus.url, "--model", "m", *arguments]) == 2


@pytest.mark.parametrize("response", ["no json", "{}", '{"data": {"result": [{}]}}', 503])
def test_invalid_response_is_exit_code_three(prometheus, capsys, response):
    """A message is printed instead of a traceback."""
    prometheus.responses.append(response)
    assert main(["canary", "--prometheus", prometheus.url, "--model", "m"]) == 3
    assert capsys.readouterr().err.startswith("driftline canary: ")


def test_unreachable_server_is_exit_code_three(prometheus):
    """With and without `--wait`."""
    url = prometheus.url
    prometheus.shutdown()
    prometheus.server_close()
    arguments = ["canary", "--prometheus", url, "--model", "m"]
    assert main(arguments) == 3
    assert main([*arguments, "--wait", "--timeout", "10ms", "--interval", "1ms"]) == 3


def test_wait_reads_at_each_interval_and_at_the_end():
    now, readings = [0.0], []

    def sleep(seconds):
        now[0] += seconds

    def read():
        readings.append(now[0])
        return Verdict("inconclusive", "")

    verdict = wait_for_verdict(read, 10.0, 4.0, lambda verdict: None, clock=lambda: now[0], sleep=sleep)
    assert verdict.state == "inconclusive"
    assert readings == [0.0, 4.0, 8.0, 10.0]


@pytest.fixture
def canaries(reference, row):
    """Serve with a canary, and return its evidence."""

    def serve(path=None, failed=0, calls=400):
        monitors = [in_memory_monitor("m", version=str(number), reference=reference) for number in (1, 2)]
        nothing = {"allowed_accuracy_drop": None, "allowed_latency_delta": None, "allowed_prediction_drift": None}
        canary = dl.Canary(*monitors, dl.CanaryPolicy(allowed_error_increase=0.05, **nothing), path=path)
        for monitor, bad in zip(monitors, (0, failed), strict=True):
            for number in range(calls):
                if number < bad:
                    with pytest.raises(KeyError), monitor.prediction(row):
                        raise KeyError
                    continue
                with monitor.prediction(row) as call:
                    call.output = 0.5
        canary.verdict()
        return canary.evidence()

    return serve


def test_the_verdict_in_a_file_is_the_exit_code(canaries, tmp_path, capsys):
    path = tmp_path / "canary.db"
    canaries(path, calls=5)
    assert main(["canary", "--path", str(path)]) == 2
    canaries(path, failed=200)
    assert main(["canary", "--path", str(path)]) == 1
    assert "error rate" in capsys.readouterr().out
    assert main(["canary", "--path", str(tmp_path / "none.db")]) == 3
    assert "expected the file of a canary" in capsys.readouterr().err


def test_evidence_of_several_hosts_is_added_up(canaries, tmp_path, capsys):
    """One host alone is inconclusive by the policy in the file, three hosts together are not."""
    files = [tmp_path / f"{host}.json" for host in range(3)]
    for file in files:
        file.write_text(canaries(calls=80).to_json(), encoding="utf-8")
    policy = tmp_path / "policy.json"
    policy.write_text(
        '{"allowed_error_increase": 0.05, "allowed_accuracy_drop": null, "allowed_latency_delta": null,'
        ' "allowed_prediction_drift": null}',
        encoding="utf-8",
    )
    arguments = ["canary", "--policy", str(policy), "--evidence"]
    assert main([*arguments, str(files[0])]) == 2
    assert main([*arguments, *map(str, files)]) == 0
    assert main(["canary", "--evidence", *map(str, files)]) == 2
    assert "accuracy: no predictions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: command"),
        (["canary"], "one of the arguments --prometheus --path --evidence is required"),
        (["canary", "--path", "x", "--prometheus", "y"], "not allowed with argument"),
        (["canary", "--prometheus", "http://x"], "--prometheus: expected --model too"),
        (["canary", "--prometheus", "file:///etc/passwd", "--model", "m"], "expected an address such as http://"),
        (["canary", "--prometheus", "x:9090", "--model", "m"], "expected an address such as http://"),
        (
            ["canary", "--prometheus", "http://x", "--model", "m", "--state", "--policy", "p"],
            "--policy: expected without --state",
        ),
        (["canary", "--path", "x", "--policy", "p"], "--policy: expected without --path"),
        (["canary", "--path", "x", "--state"], "--state: expected with --prometheus only"),
        (["canary", "--path", "x", "--baseline-version", "1"], "--baseline-version: expected with --prometheus only"),
        (["canary", "--path", "x", "--export-interval", "5s"], "--export-interval: expected with --prometheus only"),
        (
            ["canary", "--prometheus", "http://x", "--model", "m", "--state", "--baseline-version", "1"],
            "--baseline-version: expected without --state",
        ),
        (
            ["canary", "--prometheus", "http://x", "--model", "m", "--version", "1", "--baseline-version", "1"],
            "--baseline-version: expected another id, version",
        ),
        (
            ["canary", "--prometheus", "http://x", "--model", "m", "--selector", "namespace=prod"],
            "--selector namespace=prod: expected matchers of PromQL",
        ),
        (["canary", "--path", "x", "--model", "m"], "--model: expected with --prometheus only"),
        (["canary", "--path", "x", "--timeout", "soon"], "--timeout='soon': expected a positive duration"),
        (["canary", "--path", "x", "--interval=-1s"], "--interval='-1s': expected a positive duration"),
        (["canary", "--evidence", "/nowhere.json"], "No such file"),
        (["canary", "--evidence", "{damaged}"], "damaged.json: evidence: expected JSON"),
        (["canary", "--evidence", "{damaged}", "--policy", "{damaged}"], "policy: expected JSON"),
    ],
)
def test_bad_arguments_are_exit_code_three(capsys, tmp_path, arguments, message):
    """Not argparse's 2, which is a verdict. The message says what was expected."""
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{", encoding="utf-8")
    arguments = [argument.replace("{damaged}", str(damaged)) for argument in arguments]
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    assert code == 3
    assert message in capsys.readouterr().err


def test_help_lists_the_exit_codes():
    done = subprocess.run(
        [sys.executable, "-m", "driftline.cli", "canary", "--help"], capture_output=True, text=True, check=True
    )
    assert "0 promote or no drift, 1 rollback or drift, 2 undecided, 3 error" in " ".join(done.stdout.split())
