"""
A service of one model. gunicorn runs several processes of it, in several containers.

Each process counts the rows that it serves, and exports the counts. It does not decide what drifts: `driftline judge`
does, by the counts of all processes together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import driftline as dl

dl.configure_otlp("orders")
monitor = dl.Monitor(
    "orders",
    version="3",
    reference=os.environ["REFERENCE"],
    window=dl.Window(os.environ["WINDOW"]),
    rule=dl.FalseAlarms(1, per="30d", scope="fleet"),
    export_bins=True,
)


@monitor.instrument
def predict(order: dict[str, float]) -> float:
    """Your model: how likely an order is paid late."""
    return order["amount"] / (order["amount"] + 40.0)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer ``POST /predict`` with an order such as ``{"amount": 40.0, "age": 33}``, and anything else with 404."""
    if environ["PATH_INFO"] != "/predict":
        start_response("404 Not Found", [("content-type", "text/plain")])
        return [b"POST /predict\n"]
    order = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    start_response("200 OK", [("content-type", "application/json")])
    return [json.dumps({"late": predict(order)}).encode()]
