"""A Celery application whose broker and results are folders."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery, signals

import driftline as dl
from driftline.integrations.celery import flush_at_shutdown

FOLDER = Path(os.environ["SERVICE_FOLDER"])

app = Celery("service", broker="filesystem://", backend=(FOLDER / "results").as_uri())
app.conf.broker_transport_options = {"data_folder_in": str(FOLDER / "queue"), "data_folder_out": str(FOLDER / "queue")}
app.conf.broker_connection_retry_on_startup = True

if os.environ.get("SERVICE_SETUP") == "import":
    dl.configure_otlp()
else:

    @signals.worker_process_init.connect
    def configure(**_):
        """Set OpenTelemetry up in the child."""
        dl.configure_otlp()


if os.environ.get("SERVICE_FLUSH", "true") == "true":
    flush_at_shutdown()
    flush_at_shutdown()

monitor = dl.Monitor("m", reference=os.environ["SERVICE_REFERENCE"], export_bins=True)


@app.task
@monitor.instrument
def predict(features):
    """Predict one row."""
    return features["x"] / 100.0


@app.task
@monitor.instrument
def fail(features):
    """Fail."""
    raise LookupError(features)
