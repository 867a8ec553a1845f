"""FastAPI with uvicorn and gunicorn: what was answered has arrived after a graceful stop."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest
from libraries import require
from processes import free_port
from servers import post, post_all, row, running

import driftline as dl

fastapi = require("fastapi")
require("uvicorn")
TestClient = require("fastapi.testclient").TestClient

from pydantic import BaseModel  # noqa: E402 - after the check

from driftline.integrations.fastapi import instrument, lifespan  # noqa: E402 - as above

REQUESTS = 200


def uvicorn(port, *arguments):
    """Return the command of uvicorn."""
    return [sys.executable, "-m", "uvicorn", "fastapi_app:app", f"--port={port}", "--log-level=warning", *arguments]


def gunicorn(port, *arguments):
    """Return the command of gunicorn with two workers of uvicorn."""
    return [
        *(sys.executable, "-m", "gunicorn", "--workers=2", "--worker-class=uvicorn_worker.UvicornWorker"),
        *(f"--bind=127.0.0.1:{port}", "--log-level=warning", *arguments, "fastapi_app:app"),
    ]


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.parametrize(
    ("command", "arguments", "setup"),
    [
        (uvicorn, (), "import"),
        (uvicorn, ("--workers=2",), "import"),
        (gunicorn, (), "lifespan"),
        (gunicorn, ("--preload",), "import"),
        (gunicorn, ("--preload",), "lifespan"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "".join(value) or "plain",
)
def test_every_answer_has_arrived_after_the_stop(receiver, environment, tmp_path, command, arguments, setup):
    """The export interval is an hour: nothing but the flush in the lifespan sends."""
    port = free_port()
    with running(command(port, *arguments), {**environment, "SERVICE_SETUP": setup}, tmp_path / "log", port) as server:
        single = post_all(f"{server.url}/single", [row(turn) for turn in range(REQUESTS)])
        assert [answer["probability"] for answer in single] == [turn % 100 / 100.0 for turn in range(REQUESTS)]
        plain = post_all(f"{server.url}/plain", [row(turn) for turn in range(REQUESTS)])
        assert plain == [turn % 100 / 100.0 for turn in range(REQUESTS)]
        post_all(f"{server.url}/batch", [[row(turn), row(turn + 1), row(turn + 2)] for turn in range(20)])
        assert post(f"{server.url}/failing", row(1))[0] == 503
        assert post(f"{server.url}/single", {"x": "no number"})[0] == 422
        assert receiver.served() == 0
        server.stop()
    assert receiver.served() == 2 * REQUESTS + 60, (tmp_path / "log").read_text()
    assert receiver.failed() == {"fastapi.exceptions.HTTPException": 1}
    assert receiver.observations("channel") == 2 * REQUESTS + 61
    assert receiver.observations("prediction") == 2 * REQUESTS + 60
    assert receiver.total("ml.prediction.duration") == 2 * REQUESTS + 21
    assert receiver.decreases == []


@pytest.mark.system
def test_requests_under_way_are_counted(receiver, environment, tmp_path):
    """They are answered after SIGTERM, and the flush comes after them."""
    port, answers = free_port(), []
    with running(uvicorn(port), environment, tmp_path / "log", port) as server:
        clients = [
            threading.Thread(target=lambda turn: answers.append(post(f"{server.url}/slow", row(turn))), args=(turn,))
            for turn in range(8)
        ]
        for client in clients:
            client.start()
        time.sleep(0.5)
        server.stop(signal.SIGTERM)
        for client in clients:
            client.join()
    assert [status for status, _ in answers] == [200] * 8
    assert receiver.served() == 8


class Body(BaseModel):
    """The features of a row."""

    x: float
    channel: str = "web"


@pytest.fixture
def monitor(reference_file):
    """A monitor without telemetry."""
    running = dl.Monitor("m", reference=reference_file, synchronous=True, enabled=True)
    yield running
    running.shutdown()


def test_the_route_is_documented_as_before(monitor):
    """FastAPI sees the signature of the path function."""
    described = []
    for decorate in (lambda function: function, instrument(monitor)):
        app = fastapi.FastAPI()

        @app.post("/predict")
        @decorate
        def predict(body: Body, limit: int = 3) -> float:
            """Predict."""
            return body.x

        described.append(app.openapi())
    assert described[0] == described[1]


def test_an_instrumentor_may_call_it_directly(monitor):
    """`instrument(monitor, endpoint)` returns the endpoint, plain or async."""

    async def predict(body: Body) -> float:
        return 0.5

    app = fastapi.FastAPI()
    app.post("/predict")(instrument(monitor, predict))
    with TestClient(app) as client:
        assert client.post("/predict", json={"x": 1.0}).json() == 0.5
    assert monitor.snapshot().rows == 1


def test_the_body_is_found_or_named(monitor):
    """By the type of a parameter, or by its name where types do not say it."""

    def optional(body: Body | None = None) -> float:
        return 0.5

    def two(first: Body, second: Body) -> float:
        return 0.5

    def none(x: float) -> float:
        return 0.5

    def loose(payload: dict) -> float:
        return 0.5

    assert instrument(monitor)(optional)(body=Body(x=1.0)) == 0.5
    assert instrument(monitor, body="second")(two)(first=Body(x=1.0), second=Body(x=2.0)) == 0.5
    assert instrument(monitor, body="payload", features=lambda body: body["row"])(loose)({"row": {"x": 1.0}}) == 0.5
    assert monitor.snapshot().rows == 3
    with pytest.raises(dl.ConfigurationError, match=r"two has \['first', 'second'\] whose type is a pydantic model"):
        instrument(monitor, two)
    with pytest.raises(dl.ConfigurationError, match=r"none has no parameters whose type is a pydantic model"):
        instrument(monitor, none)
    with pytest.raises(dl.ConfigurationError, match=r"body='third': expected a parameter of the path function"):
        instrument(monitor, two, body="third")


def test_an_output_that_lacks_the_field_is_an_error_of_ours(monitor):
    """The answer reaches the client, and the error is counted."""

    def predict(body: Body) -> dict:
        return {"score": 0.5}

    assert instrument(monitor, predict, output="probability")(Body(x=1.0)) == {"score": 0.5}
    assert instrument(monitor, predict, output="score")(Body(x=1.0)) == {"score": 0.5}
    assert monitor.snapshot().rows == 2


def test_an_empty_batch_is_no_prediction(monitor):
    """It has no rows."""

    def predict(rows: list[Body]) -> list[float]:
        return [0.5 for _ in rows]

    assert instrument(monitor, predict)(rows=[]) == []
    assert monitor.snapshot().rows == 0


def test_the_lifespan_flushes_after_the_inner_one_also_when_that_fails(monkeypatch):
    """An application without a lifespan flushes too."""
    import contextlib  # noqa: PLC0415 - of this test

    from driftline.integrations import fastapi as adapter  # noqa: PLC0415 - its flush is replaced

    order = []
    monkeypatch.setattr(adapter, "flush", lambda: order.append("flush"))

    @contextlib.asynccontextmanager
    async def inner(app):
        yield {"a": 1}
        order.append("inner")
        raise RuntimeError

    with TestClient(fastapi.FastAPI(lifespan=lifespan())):
        pass
    assert order == ["flush"]
    with pytest.raises(RuntimeError), TestClient(fastapi.FastAPI(lifespan=lifespan(inner))):
        pass
    assert order == ["flush", "inner", "flush"]
