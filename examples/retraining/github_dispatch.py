"""
Starts a workflow of GitHub Actions for a request for retraining, which it reads as JSON from standard input.

    driftline judge --watch ... --retraining-queue queue.db --retraining-command "python github_dispatch.py"

GitHub does not recognise an event that it has had. The workflow does: see `github_workflow.yaml`.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

SECONDS = 20.0
"""Seconds that an answer may take."""

KEYS = ("id", "model", "version", "kind", "reason", "detail", "reference", "data_from", "data_until")
"""The parts of the request that the workflow gets. GitHub accepts ten keys at most."""

MAX_DETAIL = 2_000
"""Characters of the evidence that the workflow gets."""


def dispatch(request: dict[str, Any]) -> None:
    """Send the event ``driftline-retraining`` to the repository."""
    server = os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    payload = {**{key: request[key] for key in KEYS}, "detail": request["detail"][:MAX_DETAIL]}
    event = urllib.request.Request(  # noqa: S310 - GITHUB_API_URL
        f"{server}/repos/{os.environ['GITHUB_REPOSITORY']}/dispatches",
        json.dumps({"event_type": "driftline-retraining", "client_payload": payload}).encode(),
        {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        method="POST",
    )
    urllib.request.urlopen(event, timeout=SECONDS).close()  # noqa: S310 - as above


if __name__ == "__main__":
    try:
        dispatch(json.load(sys.stdin))
    except OSError as error:  # driftline tries again later
        sys.exit(f"GitHub: {error}")
