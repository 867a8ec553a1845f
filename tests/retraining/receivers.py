"""A receiver of requests for retraining that misbehaves on demand, and acts once for each id."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from driftline.retraining import RetrainingEvidence, RetrainingRequest


def request(number=1, model="m", version="3", kind="retrain", **more):
    """Return a request."""
    values = {"reason": "drift", "detail": "age: median 40 to 50", "features": ("age",), "created": 1e9 + number}
    values |= {"evidence": (RetrainingEvidence(reason="drift", words="age: median 40 to 50", name="age", value=0.3),)}
    return RetrainingRequest(f"{kind}-{model}-{version}-{number}", model, version, kind=kind, **{**values, **more})


class Receiver:
    """
    What a receiver has got, and what it has done.

    *behaviour* is called with the number of the attempt, from 1, and returns (status, headers, seconds): the status is
    sent after these seconds. A status of None closes the connection without a response.
    """

    def __init__(self, behaviour=lambda _: (200, {}, 0.0)):
        self.behaviour = behaviour
        self.posts = []
        self.acted = set()
        self.actions = []
        self.lock = threading.Lock()
        self.ended = threading.Event()

    def on_post(self, headers, body):
        """Act on an id that is not known yet, and return the response."""
        with self.lock:
            self.posts.append((dict(headers), body, time.monotonic()))
            status, more, seconds = self.behaviour(len(self.posts))
            id_ = headers.get("ce-id") or json.loads(body).get("id")
            if (status is None or 200 <= status < 300) and id_ not in self.acted:
                self.acted.add(id_)
                self.actions.append(id_)
        self.ended.wait(seconds)
        return status, more


@contextmanager
def running(receiver, port=0):
    """Run a receiver on a real socket, and yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            status, more = receiver.on_post({name.lower(): value for name, value in self.headers.items()}, body)
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"content-length": "0", **more}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_):
            """Print no line for a request."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_):
            """The client may be gone."""

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/retrain"
        finally:
            receiver.ended.set()
            server.shutdown()
            thread.join(10)


def wait_for(condition, seconds=30.0):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
