"""A server of LitServe."""

from __future__ import annotations

import os
import signal
import sys

import litserve as ls

import driftline as dl
from driftline.integrations.litserve import flushing

monitor = dl.Monitor("m", reference=os.environ["SERVICE_REFERENCE"], export_bins=True)


@flushing
class Delay(ls.LitAPI):
    """Predicts delays."""

    def setup(self, device):
        """Load the model."""
        self.scale = 100.0

    @monitor.instrument
    def predict(self, features):
        """Predict one row."""
        return features["x"] / self.scale


if __name__ == "__main__":
    # LitServe stops its processes at an interrupt of the keyboard only.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = ls.LitServer(Delay(), accelerator="cpu", workers_per_device=2)
    server.run(port=int(sys.argv[1]), generate_client_file=False, num_api_servers=1)
