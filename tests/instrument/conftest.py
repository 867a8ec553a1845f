"""A monitor of decorated functions, and what it counted."""

from __future__ import annotations

import pytest


@pytest.fixture
def monitor(make_monitor):
    """A synchronous monitor that logs errors."""
    return make_monitor(on_error="log", synchronous=True)


@pytest.fixture
def counted(telemetry, monitor):
    """A function that returns (predictions, failed predictions, durations) so far."""

    def read():
        monitor.flush()
        served = failed = durations = 0
        for name, attributes, value in telemetry.points():
            if name == "ml.prediction.duration":
                durations += value
            elif name == "ml.predictions.served":
                served += value * ("error.type" not in attributes)
                failed += value * ("error.type" in attributes)
        return served, failed, durations

    return read
