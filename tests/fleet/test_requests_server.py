"""Tests of the HTTP endpoint at which pipelines report: over real sockets, with wrong and hostile clients."""

from __future__ import annotations

import http.client
import json
import socket

import pytest

from driftline.fleet._receiver.addresses import Address, Door
from driftline.fleet._requests_server import PATH, requests_server
from driftline.retraining import RetrainingQueue, RetrainingRequest

TOKEN = "a-token-of-a-pipeline"  # noqa: S105 - of these tests


@pytest.fixture
def queue(tmp_path):
    queue = RetrainingQueue(tmp_path / "queue")
    queue.put(RetrainingRequest("", "m", "3", "drift", "age: median 40 to 50", ("age",), 1.5e9, ordinal=0))
    yield queue
    queue.close()


@pytest.fixture(params=["with a token", "without"])
def server(request, queue):
    token = (lambda: TOKEN) if request.param == "with a token" else None
    server = requests_server(Address("127.0.0.1", 0), Door(token=token), queue)
    yield server
    server.close()


@pytest.fixture
def guarded(queue):
    server = requests_server(Address("127.0.0.1", 0), Door(token=lambda: TOKEN), queue)
    yield server
    server.close()


def ask(server, method, path, body=None, **headers):
    """The status and the body of the response to one request."""
    connection = http.client.HTTPConnection(str(server.address), timeout=10)
    sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    data = json.dumps(body) if isinstance(body, dict) else body
    connection.request(method, path, data, {name: value for name, value in sent.items() if value is not None})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if response.headers["Content-Type"] == "application/json" else text


def test_a_pipeline_reports_how_far_it_is(server, queue):
    """It reads the requests, and reports states, again if it must."""
    status, document = ask(server, "GET", PATH)
    (request,) = document["requests"]
    assert (status, request["state"], request["features"]) == (200, "requested", ["age"])
    path = f"{PATH}/{request['id']}"
    for state in ("running", "running", "succeeded"):
        status, document = ask(server, "POST", path, {"state": state, "who": "airflow", "comment": "run 5"})
        assert (status, document["state"]) == (200, state)
    stored = queue.find(request["id"])
    assert [(each.state, each.who) for each in stored.history[1:]] == [("running", "airflow"), ("succeeded", "airflow")]
    assert ask(server, "GET", path)[1] == stored.to_dict() | json.loads(json.dumps(stored.to_dict()))
    status, text = ask(server, "POST", path, {"state": "running", "who": "airflow"})
    assert (status, b"is succeeded, expected a later state" in text) == (409, True)


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic YTpi", f"Bearer {TOKEN}x", TOKEN, "Bearer"])
def test_no_token_no_entry(guarded, queue, authorization):
    path = f"{PATH}/{queue.pending()[0].id}"
    assert ask(guarded, "GET", PATH, Authorization=authorization)[0] == 401
    report = {"state": "rejected", "who": "mallory"}
    assert ask(guarded, "POST", path, report, Authorization=authorization)[0] == 401
    assert len(queue.pending()) == 1


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8322", "", "10.0.0.1"])
def test_without_a_token_a_page_in_a_browser_gets_nothing(queue, host):
    """A name of another site that points to this host, and the content types that forms can send."""
    server = requests_server(Address("127.0.0.1", 0), Door(), queue)
    try:
        path = f"{PATH}/{queue.pending()[0].id}"
        assert ask(server, "GET", PATH, Host=host)[0] == 403
        assert ask(server, "POST", path, {"state": "rejected", "who": "page"}, Host=host)[0] == 403
        for kind in ("text/plain", "application/x-www-form-urlencoded", None):
            assert ask(server, "POST", path, {"state": "rejected", "who": "page"}, Content_Type=kind)[0] == 415
        assert ask(server, "OPTIONS", path)[0] in {405, 501}
    finally:
        server.close()
    assert len(queue.pending()) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "expected"),
        ("{", "expected"),
        ("[]", "expected an object"),
        ({"state": "lost", "who": "a"}, "state is 'lost'"),
        ({"state": "running"}, "who is absent"),
        ({"state": "running", "who": ""}, "who is ''"),
        ({"state": "running", "who": 5}, "who is 5"),
        ({"state": "running", "who": "a", "comment": []}, "comment is []"),
        ("[" * 60_000, "expected"),
        (b"\xff\xfe", "utf-8"),
    ],
)
def test_bad_reports_are_refused(guarded, queue, body, message):
    status, text = ask(guarded, "POST", f"{PATH}/{queue.pending()[0].id}", body)
    assert status == 400
    assert message in text.decode()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/retraining", 404),
        ("GET", f"{PATH}x", 404),
        ("GET", f"{PATH}/unknown", 404),
        ("GET", f"{PATH}/%00%ff", 404),
        ("GET", f"{PATH}/..%2f..%2fetc%2fpasswd", 404),
        ("POST", PATH, 405),
        ("POST", f"{PATH}/unknown", 404),
        ("DELETE", PATH, 501),
    ],
)
def test_other_paths_and_methods_are_refused(guarded, method, path, status):
    assert ask(guarded, method, path, {"state": "running", "who": "a"} if method == "POST" else None)[0] == status


def test_bodies_are_short_and_have_a_length(guarded, queue):
    path = f"{PATH}/{queue.pending()[0].id}"
    assert ask(guarded, "POST", path, "x" * 70_000)[0] == 413
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += "Content-Type: application/json\r\n"
    for more, status in (
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        ("\r\n", b"411"),
        ("Content-Length: -1\r\n\r\n", b"411"),
        ("Content-Length: 9999999999999999\r\n\r\n", b"413"),
    ):
        with socket.create_connection((guarded.address.host, guarded.address.port), timeout=10) as connection:
            connection.sendall((head + more).encode())
            assert connection.recv(4_096).split()[1] == status
    assert len(queue.pending()) == 1
