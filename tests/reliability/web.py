"""A service for gunicorn, as a WSGI and an ASGI application; ``HOST_SETUP`` says where OpenTelemetry is set up."""

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
    """Predict."""
    return features["x"] / 100.0


for warm in range(int(os.environ.get("HOST_WARM", "0"))):
    predict({"x": float(warm), "channel": "web"})


def answer(query):
    """Make one prediction for a request."""
    turn = int(query or 0)
    return repr(predict({"x": float(turn % 100), "channel": ("web", "shop", "phone")[turn % 3]})).encode()


def wsgi(environ, start_response):
    """Answer for the workers sync, gthread and gevent."""
    body = answer(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    """Answer for uvicorn. It ends processes by a signal without atexit, so the lifespan flushes."""
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
