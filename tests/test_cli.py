"""The command line: verdicts as exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import driftline as dl
from driftline.canary import Verdict
from driftline.canary._sources import wait_for
from driftline.cli import main
from driftline.testing import in_memory_monitor


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxy stands between a test and its server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def prometheus():
    """A server that answers queries with the states that it is given, and keeps what it was asked."""
    answers, asked = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, int):
                self.send_error(answer)
                return
            body = (
                answer
                if isinstance(answer, str)
                else json.dumps(
                    {"status": "success", "data": {"result": [{"metric": {"ml_canary_state": one}} for one in answer]}}
                )
            )
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.answers, server.asked, server.url = answers, asked, f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("states", "code", "word"),
    [
        (["promote"], 0, "promote: 1 process: promote"),
        (["rollback"], 1, "rollback: 1 process: rollback"),
        (["inconclusive"], 2, "inconclusive: 1 process: inconclusive"),
        ([], 2, 'inconclusive: no canary of {ml_model_name="m",ml_model_version="2"} is exported'),
        (["promote", "rollback", "promote"], 1, "rollback: 3 processes: promote, rollback"),
        (["promote", "inconclusive"], 2, "inconclusive: 2 processes: inconclusive, promote"),
    ],
)
def test_the_verdict_in_prometheus_is_the_exit_code(prometheus, capsys, states, code, word):
    """Any rollback is one; all must promote."""
    prometheus.answers.append(states)
    assert main(["canary", "--prometheus", prometheus.url, "--model", "m", "--version", "2"]) == code
    assert capsys.readouterr().out.strip() == word
    assert "ml_canary_status%7Bml_model_name%3D%22m%22%2Cml_model_version%3D%222%22%7D" in prometheus.asked[0]


def test_waiting_ends_with_a_verdict(prometheus, capsys):
    """A server that fails in between is asked again, and what changes is told."""
    prometheus.answers.extend([[], ["inconclusive"], 503, ["inconclusive"], ["promote"]])
    assert main(["canary", "--prometheus", prometheus.url, "--model", "m", "--wait", "--interval", "1ms"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "inconclusive",
        "inconclusive",
        "promote",
    ]


def test_waiting_ends_with_the_time(prometheus):
    """Inconclusive, then."""
    prometheus.answers.append(["inconclusive"])
    arguments = ["--wait", "--interval", "1ms", "--timeout", "20ms"]
    assert main(["canary", "--prometheus", prometheus.url, "--model", "m", *arguments]) == 2


@pytest.mark.parametrize("answer", ["no json", "{}", '{"data": {"result": [{}]}}', 503])
def test_answers_that_are_none_are_errors(prometheus, capsys, answer):
    """Exit code 3, and a message instead of a traceback."""
    prometheus.answers.append(answer)
    assert main(["canary", "--prometheus", prometheus.url, "--model", "m"]) == 3
    assert capsys.readouterr().err.startswith("driftline canary: ")


def test_a_server_that_is_not_there_is_an_error_in_the_end(prometheus):
    """Whether one waits or not."""
    url = prometheus.url
    prometheus.shutdown()
    prometheus.server_close()
    arguments = ["canary", "--prometheus", url, "--model", "m"]
    assert main(arguments) == 3
    assert main([*arguments, "--wait", "--timeout", "10ms", "--interval", "1ms"]) == 3


def test_waits_by_its_clock():
    """So many questions as fit into the time, the last one at its end."""
    now, asked = [0.0], []

    def sleep(seconds):
        now[0] += seconds

    def ask():
        asked.append(now[0])
        return Verdict("inconclusive", "")

    assert wait_for(ask, 10.0, 4.0, lambda verdict: None, clock=lambda: now[0], sleep=sleep).state == "inconclusive"
    assert asked == [0.0, 4.0, 8.0, 10.0]


@pytest.fixture
def canaries(reference, row):
    """Serve with a canary; its evidence."""

    def serve(path=None, failed=0, calls=400):
        monitors = [in_memory_monitor("m", version=str(one), reference=reference) for one in (1, 2)]
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


def test_the_verdict_that_stands_in_a_file(canaries, tmp_path, capsys):
    """Of a canary with a path."""
    path = tmp_path / "canary.db"
    canaries(path, calls=5)
    assert main(["canary", "--path", str(path)]) == 2
    canaries(path, failed=200)
    assert main(["canary", "--path", str(path)]) == 1
    assert "error rate" in capsys.readouterr().out
    assert main(["canary", "--path", str(tmp_path / "none.db")]) == 3
    assert "expected the file of a canary" in capsys.readouterr().err


def test_evidence_of_several_hosts_is_judged_together(canaries, tmp_path, capsys):
    """By a policy from a file; what one host alone cannot say, three can."""
    files = [tmp_path / f"{host}.json" for host in range(3)]
    for file in files:
        file.write_text(canaries(calls=80).to_json(), encoding="utf-8")
    policy = tmp_path / "policy.json"
    policy.write_text(
        '{"allowed_error_increase": 0.05, "allowed_accuracy_drop": null, "allowed_latency_delta": null,'
        ' "allowed_prediction_drift": null}',
        encoding="utf-8",
    )
    judged = ["canary", "--policy", str(policy), "--evidence"]
    assert main([*judged, str(files[0])]) == 2
    assert main([*judged, *map(str, files)]) == 0
    assert main(["canary", "--evidence", *map(str, files)]) == 2
    assert "accuracy: no outcomes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: command"),
        (["canary"], "one of the arguments --prometheus --path --evidence is required"),
        (["canary", "--path", "x", "--prometheus", "y"], "not allowed with argument"),
        (["canary", "--prometheus", "http://x"], "--prometheus: expected --model too"),
        (["canary", "--prometheus", "file:///etc/passwd", "--model", "m"], "expected an address such as http://"),
        (["canary", "--prometheus", "x:9090", "--model", "m"], "expected an address such as http://"),
        (["canary", "--prometheus", "http://x", "--model", "m", "--policy", "p"], "--policy: only evidence is judged"),
        (["canary", "--path", "x", "--model", "m"], "--model: expected with --prometheus only"),
        (["canary", "--path", "x", "--timeout", "soon"], "--timeout='soon': expected a positive duration"),
        (["canary", "--path", "x", "--interval=-1s"], "--interval='-1s': expected a positive duration"),
        (["canary", "--evidence", "/nowhere.json"], "No such file"),
        (["canary", "--evidence", "{damaged}"], "damaged.json: evidence: not JSON"),
        (["canary", "--evidence", "{damaged}", "--policy", "{damaged}"], "policy: not JSON"),
    ],
)
def test_bad_arguments_are_exit_code_three(capsys, tmp_path, arguments, message):
    """Never two, which is a verdict; the message says what was expected."""
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{", encoding="utf-8")
    arguments = [one.replace("{damaged}", str(damaged)) for one in arguments]
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    assert code == 3
    assert message in capsys.readouterr().err


def test_the_command_as_it_is_installed():
    """It tells its exit codes."""
    done = subprocess.run(
        [sys.executable, "-m", "driftline.cli", "canary", "--help"], capture_output=True, text=True, check=True
    )
    assert "0 promote, 1 rollback, 2 inconclusive, 3 the question could not be answered" in " ".join(
        done.stdout.split()
    )
