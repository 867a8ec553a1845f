"""Importing driftline has no side effects, and it works without an SDK; each test runs a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from driftline.otlp import OLDEST_SDK

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


@pytest.mark.slow
def test_everything_works_without_an_sdk():
    """There are scores and states, and nothing of the SDK is loaded."""
    output = run(
        WATCH
        + """
monitor = driftline.Monitor(
    "m",
    reference=driftline.Reference.fit({"x": numpy.arange(1_000) * 617.0 % 1_000}),
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


@pytest.mark.slow
def test_everything_works_as_on_windows(tmp_path):
    """Without fork, most signals and `resource`: modules, a file of outcomes, threads and the end of a process."""
    without_posix = Path(__file__).parent / "without_posix"
    script = """
import os, pkgutil, signal, sys, threading
import numpy, driftline

assert not hasattr(os, "fork") and not hasattr(signal, "SIGALRM") and sys.modules["resource"] is None
for module in pkgutil.walk_packages(driftline.__path__, "driftline."):
    # The demo, the terminal and the dashboards have extras; and the SDK of Grafana warns when it is imported.
    extras = (".demo", "._dashboards", "._live.terminal")
    if not module.name.endswith("__main__") and not any(name in module.name for name in extras):
        __import__(module.name)
x = numpy.arange(1_000) * 617.0 % 1_000
reference = driftline.Reference.fit({"x": x}, predictions=x > 400, outcomes=x > 500)
monitor = driftline.Monitor("m", reference=reference, outcomes=sys.argv[1])
predict = monitor.instrument(lambda features, key: features["x"] > 400, prediction_id=lambda features, key: key)

def serve(part):
    for i in range(part, 1_000, 4):
        predict({"x": float(i)}, i)
        monitor.outcome(i, i > 500)

threads = [threading.Thread(target=serve, args=(part,)) for part in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
monitor.flush()
print(monitor.evidence().served, sum(monitor.outcome_counts().results.values()))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path / "outcomes.sqlite")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(without_posix)},
    )
    assert (done.stdout.split(), done.stderr) == (["1000", "1000"], "")


def test_an_sdk_that_is_too_old_is_a_configuration_error():
    """The message names the version. The same version stands in ``pyproject.toml``."""
    output = run(
        """
import opentelemetry.sdk._logs as logs
del logs.ReadableLogRecord  # as in 1.38
import driftline
try:
    driftline.configure_otlp("service")
except driftline.ConfigurationError as error:
    print(error)
"""
    )
    assert f"opentelemetry-sdk {OLDEST_SDK} or newer" in output
    assert f"found {version('opentelemetry-sdk')}: cannot import name 'ReadableLogRecord'" in output
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert f'"opentelemetry-sdk>={OLDEST_SDK},<2"' in project
