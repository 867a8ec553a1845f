"""A worker of a service, of which many serve one model: it predicts rows that arrive over HTTP, and exports counts."""

from __future__ import annotations

import json
import signal
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import driftline as dl


class Quiet(WSGIRequestHandler):
    """A handler that logs no requests."""

    def log_message(self, *_):
        pass


def main(port, reference, window, per):
    """Serve until a signal ends the process; after SIGTERM the exit of the process exports the rest."""
    dl.configure_otlp("orders")
    rule = dl.FalseAlarms(1, per=per, scope="fleet")
    monitor = dl.Monitor(
        "orders", version="3", reference=reference, window=dl.Window(window), rule=rule, export_bins=True
    )

    @monitor.instrument
    def predict(row):
        return row["amount"] > 0.0

    def app(environ, start_response):
        rows = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        answers = [predict(row) for row in rows]
        start_response("200 OK", [("content-type", "application/json")])
        return [json.dumps(len(answers)).encode()]

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    make_server("127.0.0.1", int(port), app, handler_class=Quiet).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
