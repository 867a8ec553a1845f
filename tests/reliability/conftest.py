"""Hosts in processes of their own, and the receiver that they send to."""

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
"""Programs of their own: they cannot be imported without their environment."""

HERE = Path(__file__).parent
SECONDS = 60
"""How long a host may run: it only matters when one hangs."""


@pytest.fixture
def receiver():
    """A receiver that listens."""
    with Receiver() as one:
        yield one


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
    """What the hosts of a test say that they have done."""

    def read():
        file = tmp_path / "ledger"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return read


@pytest.fixture
def host(environment, tmp_path):
    """Run a scenario of ``host.py`` to its end; what it wrote to stderr."""

    def run(scenario, code=0, **more):
        command = [sys.executable, HERE / "host.py", scenario]
        with (tmp_path / "stderr").open("w+", encoding="utf-8") as stderr:
            # A file and a session of its own: children that hang neither keep a pipe open nor outlive the test.
            process = subprocess.Popen(command, env={**environment, **more}, stderr=stderr, start_new_session=True)
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                # Every process says where each of its threads is.
                os.killpg(process.pid, signal.SIGUSR1)
                time.sleep(2.0)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            stderr.seek(0)
            said = stderr.read()
        assert process.returncode == code, said
        return said

    return run


@pytest.fixture
def sending(monkeypatch):
    """A set-up that sends to a receiver ten times a second, with time-outs of half a second."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    made = []

    def start(receiver):
        made.append(providers_to(receiver.endpoint))
        return made[-1]

    yield start
    for providers in made:
        for one in providers.values():
            one.shutdown()


@pytest.fixture
def make(sending, reference_file):
    """Make monitors that send, and that are shut down afterwards."""
    made = []

    def monitor(providers, name="m", **options):
        made.append(
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
        return made[-1]

    yield monitor
    for one in made:
        one.shutdown()
