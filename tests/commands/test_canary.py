"""`driftline canary` when it cannot find out: whatever a server or a file says, the exit code is no verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from http_answers import http, server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftline._backends.names import SPELLINGS
from driftline.canary._store import CanaryStore
from driftline.cli import main

MODEL = ["--model", "m", "--version", "2", "--state"]


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxy stands between a test and its server."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


def vector(*metrics, **more):
    """Return a response of Prometheus with one series for each dict of labels."""
    series = [{"metric": metric, "value": [1.0, "1"]} for metric in metrics]
    return http(json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}, **more}))


def state(value):
    return {"ml_canary_state": value}


NONSENSE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    "an incomplete body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
    "a long header": http("{}", headers=f"X: {'x' * 70_000}\r\n"),
    "200 headers": http("{}", headers="".join(f"X{i}: 1\r\n" for i in range(200))),
    "a redirect to itself": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "deep JSON": http("[" * 200_000),
    "deeper JSON that ends": http("[" * 100_000 + "]" * 100_000),
    "no UTF-8": http(b'{"status": "\xff"}'),
    "a long number": http('{"status": ' + "9" * 5_000 + "}"),
    "a page of HTML": http("<html>login</html>"),
    "null": http("null"),
    "a list": http("[]"),
    "a string": http('"success"'),
    "an error": http(json.dumps({"status": "error", "data": {"result": [{"metric": state("promote")}]}})),
    "no value": http(json.dumps({"status": "success", "data": {"result": [{"metric": state("promote")}]}})),
    "pairs": http(json.dumps({"status": "success", "data": [["result", [{"metric": state("promote")}]]]})),
    "no status": http(json.dumps({"data": {"result": [{"metric": state("promote")}]}})),
    "a matrix": http(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": []}})),
    "a result that is no list": http(json.dumps({"status": "success", "data": {"result": {}}})),
    "data that are a list": http(json.dumps({"status": "success", "data": []})),
    "a state that is a list": vector(state(["promote"])),
    "a state that is a dict": vector(state({})),
    "another state": vector(state("promote"), state("PROMOTE")),
    "a metric that is a string": http(
        json.dumps({"status": "success", "data": {"result": [{"metric": "ml_canary_state"}]}})
    ),
    "no labels": vector({}),
    "another value": http(
        json.dumps({"status": "success", "data": {"result": [{"metric": state("promote"), "value": [1, "2"]}]}})
    ),
    "an incomplete response": vector(state("promote"), warnings=["some store did not respond"]),
}


@pytest.mark.parametrize("source", [["--state"], [], ["--wait", "--timeout", "50ms", "--interval", "1ms"]])
@pytest.mark.parametrize("name", NONSENSE)
def test_a_response_that_is_no_verdict(name, source, capsys):
    """The code is 3, the message is a sentence, and there is no traceback: for states, for evidence, with a wait."""
    with server(NONSENSE[name]) as url:
        assert main(["canary", "--prometheus", url, *MODEL[:-1], *source]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("driftline canary: ")
    assert err.count("\n") == 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["success", "vector", "promote", "rollback"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["status", "data", "result", "resultType", "metric", "value", "ml_canary_state", "warnings"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=200)
    | st.binary(max_size=100).map(http)
    | JSON.map(json.dumps).map(http)
    | JSON.map(lambda result: http(json.dumps({"status": "success", "data": {"result": result}})))
    | JSON.map(vector)
)
def test_no_response_is_a_verdict_by_accident(response):
    """Only the word of a state in the right place is one."""
    with server(response) as url:
        code = main(["canary", "--prometheus", url, *MODEL])
    if b'"metric": {' not in response or b'"ml_canary_state": "' not in response:
        assert code in {2, 3}
    assert code in {0, 1, 2, 3}


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:abc",
        "http://local host:9090",
        "http://localhost:99999",
        "http://[::1",
        "http://localhost:9090/?a=b",
        "http://:9090",
        "ftp://localhost",
        "localhost:9090",
        "http://localhost\n:9090",
        "http://" + "a" * 300 + ".invalid",
        "http://\ud800",
        "",
    ],
)
def test_an_address_that_is_none(url, capsys):
    assert main(["canary", "--prometheus", url, *MODEL, "--wait", "--timeout", "1ms"]) == 3
    assert capsys.readouterr().err.startswith("driftline canary: ")


def test_a_password_is_in_no_message(capsys):
    """The address may come out of a secret."""
    assert main(["canary", "--prometheus", "http://user:hunter2@localhost:9090", *MODEL]) == 3
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("wait", [[], ["--wait", "--timeout", "300ms", "--interval", "10ms"]])
def test_a_slow_response_ends_in_time(wait, monkeypatch):
    """The limit is for the whole response: a byte now and then does not renew it."""
    monkeypatch.setattr("driftline.commands._prometheus.TIMEOUT", 0.3)
    with server(vector(state("promote")), pause=0.02) as url:
        start = time.monotonic()
        assert main(["canary", "--prometheus", url, *MODEL, *wait]) == 3
        assert time.monotonic() - start < 5.0


def test_wait_goes_on_after_a_broken_response(capsys):
    """As after a server that restarts."""
    with server(b"no HTTP at all", vector(state("promote"), warnings=["partial"]), vector(state("promote"))) as url:
        assert main(["canary", "--prometheus", url, *MODEL, "--wait", "--interval", "1ms"]) == 0
    assert capsys.readouterr().out == "promote: 1 process: promote\n"


@pytest.mark.parametrize("spell", SPELLINGS.values())
def test_names_are_read_in_each_spelling(spell, capsys):
    """Servers that keep dots return the series of all models, of which those of the model count."""

    def labels(version, value):
        names = {"ml.model.name": "m", "ml.model.version": version, "ml.canary.state": value}
        return {spell(name): text for name, text in names.items()}

    with server(vector(labels("2", "rollback"), labels("1", "promote"), labels("2", "promote"))) as url:
        assert main(["canary", "--prometheus", url, *MODEL]) == 1
    out, err = capsys.readouterr()
    assert out == "rollback: 2 processes: promote, rollback\n"
    assert err == "processes disagree: 1 promote, 1 rollback\n"


def test_a_rollback_counts_in_an_incomplete_response():
    with server(vector(state("rollback"), warnings=["some store did not respond"])) as url:
        assert main(["canary", "--prometheus", url, *MODEL]) == 1


# --- the process -----------------------------------------------------------------------------------------------------


def run(*arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "driftline.cli", *arguments], capture_output=True, text=True, check=False, **more
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_ctrl_c_is_no_verdict():
    with server(vector(state("inconclusive"))) as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "driftline.cli", "canary", "--prometheus", url, *MODEL, "--wait"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "inconclusive: 1 process: inconclusive\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "driftline: interrupted\n"


def test_a_broken_installation_is_no_verdict(tmp_path):
    """Numpy cannot be imported."""
    (tmp_path / "numpy.py").write_text("raise RuntimeError('no such CPU')", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = run("canary", "--path", "x", env=environment)
    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (
        3,
        "driftline: could not find out: RuntimeError: no such CPU",
    )


def test_an_unexpected_error_is_no_verdict(monkeypatch, capsys):
    for error in (RuntimeError("boom"), MemoryError(), RecursionError("deep"), KeyError("x"), StopIteration()):

        def read(path, error=error):
            raise error

        monkeypatch.setattr("driftline.commands._canary.read_path", read)
        assert main(["canary", "--path", "x"]) == 3
        assert f"could not find out: {type(error).__name__}" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "| true", "2>&- >&-"])
def test_a_verdict_does_not_depend_on_who_reads_the_line(redirection):
    """The standard output is full, closed, or a pipe without a reader."""
    with server(vector(state("rollback"))) as url:
        command = f'"$0" -m driftline.cli canary --prometheus {url} --model m --state {redirection}'
        if "|" in redirection:
            command = f"set -o pipefail; {command}"
        done = subprocess.run(["bash", "-c", command, sys.executable], check=False, capture_output=True)
    assert done.returncode == 1


def test_a_line_is_printed_in_any_encoding(tmp_path):
    """What the terminal cannot show, or would obey, is escaped."""
    path = tmp_path / "canary.db"
    CanaryStore(path, {}).save_verdict("rollback", "carrier: 'Ä\ud83d\x1b[2J'\nmore")
    done = run("canary", "--path", str(path), env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout) == (1, "rollback: carrier: '\\xc4\\ud83d\\x1b[2J'\\nmore\n")
