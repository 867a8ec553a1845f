"""`driftline judge` when a server answers with something else than counts: the exit code is 3, and says no state."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from http_answers import http, server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import driftline as dl
from driftline.cli import main


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxy stands between a test and its server."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The file of a reference, and the labels of the monitor that has it."""
    reference = dl.Reference.fit({"amount": np.random.default_rng(0).normal(size=1_000)})
    file = tmp_path_factory.mktemp("reference") / "reference.json"
    reference.save(file)
    return file, {
        "ml_model_name": "m",
        "ml_monitor_process": "a",
        "ml_reference_fingerprint": reference.fingerprint,
    }


def response(kind, result, **more):
    return http(json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}))


def answers(labels, *histories):
    """Return the responses about processes that export now, and then these histories."""
    info = response("vector", [{"metric": labels, "value": [time.time(), "1"]}])
    return [info, info, info, *histories]


def history(labels, values):
    """Return values at these seconds before the end of the last window of an hour whose exports have arrived."""
    end = (time.time() - 60.0) // 3_600.0 * 3_600.0
    return response("matrix", [{"metric": labels, "values": [[end - seconds, value] for seconds, value in values]}])


LATER = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
    "an incomplete body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
    "deep JSON": http("[" * 200_000),
    "a page of HTML": http("<html>login</html>"),
    "a vector": response("vector", []),
    "no list": http(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": {}}})),
    "no values": response("matrix", [{"metric": {}}]),
    "a value that is no pair": response("matrix", [{"metric": {}, "values": [3]}]),
    "a value that is no number": response("matrix", [{"metric": {}, "values": [[1.0, "many"]]}]),
    "an incomplete response": response("matrix", [], warnings=["some store did not respond"]),
    "an error": http(
        '{"status": "error", "error": "query processing would load too many samples"}', "422 Unprocessable"
    ),
}


def run(path, url, *arguments):
    return main(["judge", "--prometheus", url, "--reference", str(path), "--since", "2h", *arguments])


@pytest.mark.parametrize("stage", [0, 3, 4, 5])
@pytest.mark.parametrize("name", LATER)
def test_a_response_that_has_no_counts(path, name, stage, capsys):
    """At each of the requests: about processes, their presence, their rows, and their counts."""
    file, labels = path
    presence = history({"ml_monitor_process": "a"}, [(600, "1"), (1_000, "1")])
    sequence = [*answers(labels), presence, presence, presence][:stage]
    with server(*sequence, LATER[name]) as url:
        assert run(file, url) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("driftline judge: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("value", ["-5", "NaN", "+Inf", "1e300", "9007199254740993"])
def test_values_that_are_no_counts(path, value):
    """A store may hold anything. Nothing but counts changes a state."""
    file, labels = path
    presence = history({"ml_monitor_process": "a"}, [(600, "1"), (1_000, "1")])
    counts = history({"ml_feature_name": "amount", "ml_feature_bin": "1"}, [(500, value)])
    with server(*answers(labels), presence, counts) as url:
        assert run(file, url) in {2, 3}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["success", "matrix", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "data", "result", "resultType", "metric", "values", "value", "warnings"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 5), JSON.map(json.dumps) | JSON.map(lambda value: response("matrix", value)))
def test_no_response_is_a_state_by_accident(path, stage, last):
    """Whatever the server says, the process ends with a code, and not with 0 or 1."""
    file, labels = path
    presence = history({"ml_monitor_process": "a"}, [(600, "1")])
    body = last if isinstance(last, bytes) else http(last)
    with server(*[*answers(labels), presence, presence][:stage], body) as url:
        assert run(file, url, "--json") in {2, 3}


def test_a_slow_server_ends_in_time(path):
    """The limit is for the whole response, and there is one for the whole command."""
    file, labels = path
    with server(*answers(labels)[:1], pause=0.05) as url:
        start = time.monotonic()
        assert run(file, url, "--request-timeout", "300ms") == 3
        assert run(file, url, "--timeout", "300ms") == 3
        assert time.monotonic() - start < 10.0
