"""
Receives MLflow's webhook for the tag `driftline.retraining`, and starts a training once for each request.

    RETRAINING_SECRET=... python mlflow_webhook.py 127.0.0.1:8090 runs python mlflow_train.py

The webhook is created once, with the same secret:

    MlflowClient().create_webhook("retraining", "https://trainer.example/", ["model_version_tag.set"], secret=...)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEY, PREFIX = "driftline.retraining", "requested:"

MAX_AGE = 300.0
"""Seconds after which a signed message does not count, so that it cannot be sent again by others."""

MAX_BYTES = 65_536
"""Most bytes of a message."""


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Return whether MLflow has signed a message in the last minutes with a secret."""
    delivery, sent = headers.get("X-MLflow-Delivery-Id", ""), headers.get("X-MLflow-Timestamp", "")
    content = f"{delivery}.{sent}.".encode() + body
    digest = base64.b64encode(hmac.digest(secret.encode(), content, hashlib.sha256)).decode()
    is_recent = sent.isdigit() and abs(now - float(sent)) <= MAX_AGE
    return is_recent and hmac.compare_digest(f"v1,{digest}", headers.get("X-MLflow-Signature", ""))


def start_once(runs: Path, command: list[str], data: Mapping[str, str]) -> bool:
    """Start the training of a request, unless the folder *runs* shows that it was started."""
    id_ = data["value"].removeprefix(PREFIX)
    if not id_.replace("-", "").isalnum():
        return False
    try:
        log = (runs / f"{id_}.log").open("xb")
    except FileExistsError:
        return False
    with log:
        subprocess.Popen([*command, id_, data["name"], data["version"]], stdout=log, stderr=log)  # noqa: S603 - as started
    return True


def server(address: str, runs: Path, command: list[str], secret: str) -> ThreadingHTTPServer:
    """Return a server that listens at an address."""

    class Webhook(BaseHTTPRequestHandler):
        """Answers to MLflow, which sends a message again if the answer is an error of the server."""

        def do_POST(self) -> None:
            """Start the training of a request."""
            body = self.rfile.read(min(int(self.headers.get("content-length", 0)), MAX_BYTES))
            if not is_signed(secret, self.headers, body, time.time()):
                self.send_error(401)
                return
            data = json.loads(body)["data"]
            is_request = data.get("key") == KEY and data.get("value", "").startswith(PREFIX)
            started = is_request and start_once(runs, command, data)
            self.send_response(201 if started else 200)
            self.send_header("content-length", "0")
            self.end_headers()

    host, _, port = address.rpartition(":")
    return ThreadingHTTPServer((host, int(port)), Webhook)


if __name__ == "__main__":
    where, folder, *training = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    server(where, Path(folder), training, os.environ["RETRAINING_SECRET"]).serve_forever()
