"""Prints the alerts that Alertmanager sends, one a line."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Webhook(BaseHTTPRequestHandler):
    """Receives notifications."""

    def do_POST(self) -> None:
        """Print each alert of a notification."""
        for alert in json.loads(self.rfile.read(int(self.headers["content-length"])))["alerts"]:
            print(alert["status"], alert["labels"]["alertname"], alert["annotations"]["description"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print no line for a request."""


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    HTTPServer((host, int(port)), Webhook).serve_forever()
