"""gunicorn's configuration for the tests: sets OpenTelemetry up in each worker if ``HOST_SETUP`` says so."""

from __future__ import annotations

import os


def post_fork(server, worker):
    """Run in the worker, before it loads an application that was not preloaded."""
    if os.environ.get("HOST_SETUP") == "post_fork":
        import driftline as dl  # noqa: PLC0415 - not in the master, whose workers patch themselves

        dl.configure_otlp("web")
