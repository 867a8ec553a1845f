"""
Starts a run of an Airflow 3 DAG for a request for retraining, which it reads as JSON from standard input.

    driftline judge --watch ... --retraining-queue queue.db --retraining-command "python airflow_run.py"

The id of the request is the id of the run, so that Airflow refuses a second run for the same request.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

CONFLICT = 409
"""The status with which Airflow answers if there is a run of this id."""

SECONDS = 20.0
"""Seconds that an answer may take."""


def post(url: str, content: dict[str, Any], token: str | None = None) -> Any:
    """Send JSON and return the JSON of the answer."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(content).encode(), headers, method="POST")  # noqa: S310 - AIRFLOW_URL
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - as above
        return json.load(answer)


def start_run(request: dict[str, Any]) -> str:
    """Start a run for a request, unless there is one. Return what happened."""
    server = os.environ["AIRFLOW_URL"].rstrip("/")
    dag = urllib.parse.quote(os.environ["AIRFLOW_DAG"], safe="")
    user = {"username": os.environ["AIRFLOW_USERNAME"], "password": os.environ["AIRFLOW_PASSWORD"]}
    token = post(f"{server}/auth/token", user)["access_token"]
    run = {"dag_run_id": request["id"], "logical_date": None, "conf": request, "note": request["detail"][:1_000]}
    try:
        post(f"{server}/api/v2/dags/{dag}/dagRuns", run, token)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != CONFLICT:
                raise
        return f"{request['id']} was started before"
    return f"{request['id']} is started"


if __name__ == "__main__":
    try:
        print(start_run(json.load(sys.stdin)))
    except OSError as error:  # driftline tries again later
        sys.exit(f"Airflow: {error}")
