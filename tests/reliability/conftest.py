"""Hosts in separate processes, and the receiver of their telemetry."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from otlp_receiver import Receiver
from senders import SETTINGS, providers_to

import driftline as dl

collect_ignore = ["host.py", "web.py", "gunicorn_setup.py", "soak.py"]
"""Programs, which cannot be imported without their environment."""

HERE = Path(__file__).parent
SECONDS = 60
"""Seconds that a host may run; reached only when it hangs."""


@pytest.fixture
def receiver():
    """A receiver that listens."""
    with Receiver() as running:
        yield running


@pytest.fixture(scope="session")
def reference_file(tmp_path_factory):
    """The reference of the hosts: a number and a category."""
    random = np.random.default_rng(5)
    reference = dl.Reference.fit(
        {
            "x": random.integers(0, 100, 2_000).astype(float),
            "channel": random.choice(["web", "shop", "phone"], 2_000).tolist(),
        },
        predictions=random.random(2_000),
    )
    file = tmp_path_factory.mktemp("reference") / "m.reference.json"
    reference.save(file)
    return file


@pytest.fixture
def environment(receiver, reference_file, tmp_path):
    """The environment of a host that sends to the receiver."""
    return {
        **os.environ,
        "HOST_LEDGER": str(tmp_path / "ledger"),
        "HOST_REFERENCE": str(reference_file),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1] / "src")]),
        # A fork with threads running is what is tested here.
        "PYTHONWARNINGS": "ignore::DeprecationWarning",
    }


@pytest.fixture
def ledger(tmp_path):
    """Return a function that reads the counts of the hosts of a test."""

    def read():
        file = tmp_path / "ledger"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return read


@pytest.fixture
def host(environment, tmp_path):
    """Return a function that runs a scenario of ``host.py`` and returns its stderr."""

    def run(scenario, code=0, **more):
        command = [sys.executable, HERE / "host.py", scenario]
        with (tmp_path / "stderr").open("w+", encoding="utf-8") as stderr:
            # A file and a separate session: children that hang neither keep a pipe open nor outlive the test.
            process = subprocess.Popen(command, env={**environment, **more}, stderr=stderr, start_new_session=True)
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                # Every process prints the stacks of its threads.
                os.killpg(process.pid, signal.SIGUSR1)
                time.sleep(2.0)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            stderr.seek(0)
            output = stderr.read()
        assert process.returncode == code, output
        return output

    return run


@pytest.fixture
def sending(monkeypatch):
    """Return a function that makes providers, which export ten times a second with time-outs of half a second."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    setups = []

    def start(receiver):
        setups.append(providers_to(receiver.endpoint))
        return setups[-1]

    yield start
    for providers in setups:
        for provider in providers.values():
            provider.shutdown()


@pytest.fixture
def make(sending, reference_file):
    """Return a function that makes monitors, which are shut down after the test."""
    monitors = []

    def monitor(providers, name="m", **options):
        monitors.append(
            dl.Monitor(
                name,
                **{
                    "reference": reference_file,
                    "window": dl.Window(rows=100),
                    "rule": dl.Thresholds(psi=0.2, min_rows=50),
                    "export_bins": True,
                    **providers,
                    **options,
                },
            )
        )
        return monitors[-1]

    yield monitor
    for running in monitors:
        running.shutdown()
