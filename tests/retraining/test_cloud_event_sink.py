"""The sink of CloudEvents against receivers that misbehave: delivered at least once, acted on once."""

from __future__ import annotations

import socket
import time

import pytest
from http_answers import http, server
from receivers import Receiver, request, running, wait_for

from driftline import ConfigurationError, RetrainingQueue
from driftline.retraining import CloudEventSink, DeliveryError, RetrainingDelivery
from driftline.retraining import _delivery as deliveries
from driftline.retraining._cloud_event_sink import seconds_of

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """Retry after milliseconds, which otherwise are seconds."""
    monkeypatch.setattr(deliveries, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(deliveries, "LONGEST_PAUSE", 0.1)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def queue(tmp_path):
    queue = RetrainingQueue(tmp_path / "queue.db")
    yield queue
    queue.close()


def at_first(status, headers=None, seconds=0.0, attempts=2):
    """Behave in this way at the first attempts, and well afterwards."""
    return lambda attempt: (status, headers or {}, seconds) if attempt <= attempts else (202, {}, 0.0)


BEHAVIOURS = {
    "healthy": (at_first(200), 1),
    "500": (at_first(500), 3),
    "503 with Retry-After": (at_first(503, {"Retry-After": "0"}), 3),
    "refuses with 400": (at_first(400), 3),
    "404, until it is deployed": (at_first(404), 3),
    "redirects": (at_first(307, {"Location": "http://127.0.0.1:9/"}), 3),
    "acts, and closes the connection": (at_first(None), 3),
    "acts, and responds after the time-out": (at_first(200, seconds=0.6, attempts=1), 2),
    "knows the id": (at_first(409), 1),
}


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_delivered_at_least_once_and_acted_on_once(queue, name, mode):
    """Whatever the receiver does at first. Later rounds deliver nothing again."""
    behaviour, attempts = BEHAVIOURS[name]
    receiver = Receiver(behaviour)
    sent = request()
    queue.put(sent)
    with running(receiver) as url:
        sink = CloudEventSink(url, mode=mode, timeout=0.3)
        with RetrainingDelivery(queue, [sink], every=0.02):
            wait_for(lambda: not queue.undelivered(sink.name))
            number = len(receiver.posts)
            time.sleep(0.1)
            assert len(receiver.posts) == number
    assert receiver.actions == ([] if name == "knows the id" else [sent.id])
    assert number == attempts
    bodies = {body for _, body, _ in receiver.posts}
    assert len(bodies) == 1, "each attempt has the same content"


def test_a_receiver_that_is_down_gets_it_when_it_is_up(queue):
    """The port refuses connections at first."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    receiver = Receiver()
    sink = CloudEventSink(f"http://127.0.0.1:{port}/retrain")
    queue.put(request())
    with RetrainingDelivery(queue, [sink], every=0.02) as delivery:
        wait_for(delivery.problems)
        assert "Connection refused" in delivery.problems()[sink.name]
        with running(receiver, port):
            wait_for(lambda: receiver.actions)
            wait_for(lambda: not delivery.problems())
    assert receiver.actions == ["retrain-m-3-1"]


def test_retry_after_is_obeyed(queue):
    """The next attempt does not come before the time that a response of 429 names."""
    receiver = Receiver(at_first(429, {"Retry-After": "1"}, attempts=1))
    queue.put(request())
    with running(receiver) as url, RetrainingDelivery(queue, [CloudEventSink(url)], every=0.02):
        wait_for(lambda: receiver.actions)
    first, second = (at for _, _, at in receiver.posts)
    assert second - first >= 0.99


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http("broken", "500 Internal Server Error"), "HTTP 500: broken"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP"),
        (b"", "no HTTP"),
        (http("see the token s3cret", "403 Forbidden"), r"HTTP 403: see the token \*\*\*"),
    ],
)
def test_messages_name_the_receiver_and_no_secret(answer, words):
    """Neither the path nor the token is shown."""
    with server(answer) as url:
        sink = CloudEventSink(f"{url}/hooks/T00/secret?key=1", token=lambda: "s3cret")
        with pytest.raises(DeliveryError, match=words) as caught:
            sink.deliver(request())
    assert str(caught.value).startswith("http://127.0.0.1:")
    assert "secret" not in str(caught.value)
    assert "secret" not in sink.name


def test_a_response_byte_by_byte_ends_at_the_time_out():
    """The time-out is that of the whole response."""
    with server(http("ok"), pause=0.2) as url:
        began = time.monotonic()
        with pytest.raises(DeliveryError, match=r"within [0-9.]+ seconds"):
            CloudEventSink(url, timeout=0.3).deliver(request())
        assert time.monotonic() - began < 5


def test_headers_and_token_arrive(queue):
    """With those of the event."""
    receiver = Receiver()
    with running(receiver) as url:
        sink = CloudEventSink(f"{url}?a=b", token=lambda: "s3cret", headers={"X-Team": "risk"}, mode="binary")
        sink.deliver(request())
    ((headers, _, _),) = receiver.posts
    assert (headers["authorization"], headers["x-team"], headers["ce-specversion"]) == ("Bearer s3cret", "risk", "1.0")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("9" * 400, 3_600.0),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("Sun, 09 Sep 2001 01:47:40 GMT", 60.0),
        ("Sun, 09 Sep 1999 01:47:40 GMT", 0.0),
        ("Sun, 99 Sep 2001 01:47:40 GMT", None),
        ("²", None),
    ],
)
def test_retry_after_has_two_forms(text, seconds):
    """Everything else counts as no header, and an hour is the most."""
    assert seconds_of(text, 1_000_000_000.0) == seconds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "ftp://x"}, "url ftp://x: expected an address"),
        ({"url": 1}, "url=1"),
        ({"url": "http://a:b@x/"}, "without a user and a password"),
        ({"url": "http://x/?a=b c"}, "percent-encoded"),
        ({"mode": "batched"}, "mode='batched'"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"token": "s3cret"}, "token="),
        ({"headers": {"a\n": "b"}}, "headers="),
        ({"headers": "a: b"}, "headers="),
        ({"name": ""}, "name=''"),
        ({"ca_file": "/nowhere.pem"}, "nowhere.pem"),
    ],
)
def test_wrong_arguments_are_errors(arguments, message):
    """They name the value."""
    with pytest.raises(ConfigurationError, match=message):
        CloudEventSink(**{"url": "http://x", **arguments})
