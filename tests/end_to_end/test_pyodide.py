"""driftline in Pyodide, the Python of browsers: without threads, and its wheel in the real thing under Node."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "pyodide" / "run.mjs"

PYODIDE = "pyodide@314.0.7"
"""The npm package: Python 3.14 and its standard library as WebAssembly, without numpy and scipy."""

PURE = (
    *("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-instrumentation", "opentelemetry-semantic-conventions"),
    *("typing-extensions", "packaging", "wrapt"),
)
"""What driftline imports beside numpy and scipy. All have wheels without compiled code."""

WITHOUT_THREADS = '''
import sys
import threading


class Absent:
    """Refuse the modules that Pyodide lacks."""

    def find_spec(self, name, path=None, target=None):
        if name in {"resource", "grp", "pwd"}:
            raise ModuleNotFoundError(name)


def start(self):
    raise RuntimeError("can't start new thread")


sys.meta_path.insert(0, Absent())
threading.Thread.start = start

import numpy as np

import driftline as dl
from driftline import oneshot

random = np.random.default_rng(0)
before, after = random.normal(size=2_000), random.normal(1.0, 1.0, 2_000)
report = oneshot.compute_mean_drift(before, after)
verdict = oneshot.evaluate_canary({"latency": 0.1}, {"accuracy": 0.9, "latency": 0.1})
oneshot.record_snapshot(oneshot.build_observability_snapshot(report, verdict, predictions_served=3))
assert report.triggered and verdict.promote

reference = dl.Reference.fit({"x": before})
for synchronous in (True, False):  # without threads, the callers do the work of the worker
    monitor = dl.Monitor("m", reference=reference, window=dl.Window(rows=500), synchronous=synchronous)
    for part in np.split(after, 4):
        monitor.observe({"x": part})
    with monitor.prediction({"x": 1.0}) as call:
        call.output = 1.0
    monitor.flush()
    assert monitor.status()["x"].state == "drifting"
    assert dl.report(None, monitor).headline == "The only feature drifts."
    monitor.shutdown()
'''


@pytest.mark.slow
def test_works_where_no_thread_starts():
    """The lesson's functions, a reference, monitors of both kinds and their reports."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THREADS], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def pyodide(tmp_path_factory):
    """Return the folder of the npm package; skip where it cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node and npm here")
    folder = tmp_path_factory.mktemp("pyodide")
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, PYODIDE]
    if subprocess.run(install, capture_output=True, timeout=180, check=False).returncode:
        pytest.skip(f"npm cannot install {PYODIDE}")
    return folder / "node_modules" / "pyodide"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Return driftline's wheel and the wheels without compiled code of what it needs; skip without a registry."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps"]
    pure = ["--only-binary", ":all:", "--platform", "any", "--abi", "none", "--python-version", "3.14"]
    download = [*pip, "download", *quiet, *pure, "--dest", folder, *PURE]
    if subprocess.run(download, capture_output=True, timeout=180, check=False).returncode:
        pytest.skip("pip cannot download wheels")
    subprocess.run([*pip, "wheel", *quiet, "--wheel-dir", folder, ROOT], check=True, timeout=300)
    return sorted(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_lacks_only_numpy(pyodide, wheels):
    """In the real Pyodide all but numpy is there; docs/notebooks/README.md says so."""
    done = subprocess.run(["node", SCRIPT, pyodide, *wheels], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["platform"] == "emscripten"
    assert seen["thread"] == "RuntimeError: can't start new thread"
    assert seen["card"].startswith('<div class="driftline card')
    assert set(seen["modules"].values()) == {"imported", "ModuleNotFoundError: No module named 'numpy'"}
    imported = {name for name, result in seen["modules"].items() if result == "imported"}
    assert {"opentelemetry.sdk.metrics", "wrapt", "driftline.semconv", "driftline._runtime.worker"} <= imported
