"""gunicorn's configuration for the tests: sets OpenTelemetry up in each worker where it is told to."""

from __future__ import annotations

import os


def post_fork(server, worker):
    """In the worker, before the application is loaded unless it was preloaded."""
    if os.environ.get("HOST_SETUP") == "post_fork":
        import driftline as dl  # noqa: PLC0415 - not in the master, whose workers patch themselves

        dl.configure_otlp("web")
