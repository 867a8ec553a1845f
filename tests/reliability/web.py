"""A service behind gunicorn: the model as a WSGI or an ASGI application, set up where an environment variable says."""

from __future__ import annotations

import os

from opentelemetry import metrics

import driftline as dl

if os.environ.get("HOST_SETUP") == "import":
    dl.configure_otlp("web")

monitor = dl.Monitor(
    "m",
    reference=os.environ["HOST_REFERENCE"],
    window=dl.Window(rows=200),
    rule=dl.Thresholds(psi=0.2),
    export_bins=True,
)


@monitor.instrument
def predict(features):
    """The model."""
    return features["x"] / 100.0


for warm in range(int(os.environ.get("HOST_WARM", "0"))):
    predict({"x": float(warm), "channel": "web"})


def answer(query):
    """One prediction per request."""
    turn = int(query or 0)
    return repr(predict({"x": float(turn % 100), "channel": ("web", "shop", "phone")[turn % 3]})).encode()


def wsgi(environ, start_response):
    """For the workers sync, gthread and gevent."""
    body = answer(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    """For uvicorn, which ends a process by the signal that it was sent: the lifespan is what ends in good order."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        monitor.flush()
        metrics.get_meter_provider().force_flush()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = answer(scope["query_string"].decode())
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})
