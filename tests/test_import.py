"""Importing driftline has no side effects, and it works without an SDK; each test runs a separate process."""

from __future__ import annotations

import subprocess
import sys

WATCH = """
import os, sys, threading
read = []
of = type(os.environ).__getitem__

def get(environment, key):
    frame = sys._getframe(1)
    while frame is not None:
        if "driftline" in frame.f_code.co_filename:
            read.append(key)
        frame = frame.f_back
    return of(environment, key)

# Imported first: numpy and OpenTelemetry's API read variables too.
import numpy, opentelemetry._logs, opentelemetry.metrics, opentelemetry.trace
type(os.environ).__getitem__ = get
before = threading.active_count()
import driftline
for name in driftline.__all__:
    getattr(driftline, name)  # the first access imports its module
heavy = ("pandas", "sklearn", "scipy", "polars", "pyarrow", "grpc", "requests", "rich")
"""


def run(script):
    """Run a script in a fresh interpreter, and return its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def test_import_has_no_side_effects():
    """It loads no SDK, exporter, frame library or scipy, starts no thread, and reads no environment variable."""
    output = run(
        WATCH
        + """
loaded = [name for name in sys.modules if name.partition(".")[0] in heavy]
loaded += [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]
print(loaded, threading.active_count() - before, read)
"""
    )
    assert output == "[] 0 []"


def test_everything_works_without_an_sdk():
    """There are scores and states, and nothing of the SDK is loaded."""
    output = run(
        WATCH
        + """
monitor = driftline.Monitor(
    "m",
    reference=driftline.Reference.fit({"x": numpy.arange(1_000.0)}),
    window=driftline.Window(rows=500),
    rule=driftline.Thresholds(psi=0.2),
)

@monitor.instrument
def predict(features):
    return features["x"] + 1

assert [predict({"x": float(x)}) for x in range(500)] == [x + 1 for x in range(500)]
status = monitor.status()["x"]
monitor.shutdown()
loaded = [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]
print(loaded, status.state, status.rows)
"""
    )
    assert output == "[] drifting 500"
