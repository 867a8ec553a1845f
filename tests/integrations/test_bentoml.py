"""``bentoml serve``: what a service has logged has arrived after SIGTERM."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from libraries import require
from processes import free_port
from servers import post, post_all, row, running

import driftline as dl

require("bentoml")

import bentoml  # noqa: E402 - after the check

from driftline.integrations.bentoml import Monitor  # noqa: E402 - as above

CONFIGURATION = """
services:
  Delay:
    workers: {workers}
    monitoring:
      enabled: true
      type: driftline.integrations.bentoml.Monitor
      options:
        reference: {reference}
        export_bins: true
"""


@pytest.mark.system
@pytest.mark.parametrize("first", ["plain", "batch"])
@pytest.mark.parametrize("workers", [1, 2])
def test_every_record_has_arrived_after_the_stop(receiver, environment, reference_file, tmp_path, workers, first):
    """The monitor is made in a thread or on the event loop, by the first request. The export interval is an hour."""
    configuration = tmp_path / "configuration.yaml"
    configuration.write_text(CONFIGURATION.format(workers=workers, reference=reference_file))
    port, late = free_port(), []
    command = [sys.executable, "-m", "bentoml", "serve", "bento_app:Delay", "--port", str(port)]
    environment |= {"BENTOML_CONFIG": str(configuration), "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "true"}
    ready = lambda server: post(f"{server.url}/readyz", None)[0] in {200, 404, 405}  # noqa: E731
    with running(command, environment, tmp_path / "log", port, ready=ready) as server:
        plain = [row(turn) for turn in range(60)]
        batches = [{"x": [1.0, 2.0, 3.0], "channel": ["web", "shop", "web"]}] * 10
        calls = {"plain": plain, "batch": batches}
        for path in sorted(calls, key=lambda path: path != first):
            post_all(f"{server.url}/{path}", calls[path])
        assert receiver.served() == 0
        clients = [
            threading.Thread(target=lambda: late.append(post(f"{server.url}/plain", {"x": 77.0, "channel": "web"})))
            for _ in range(4)
        ]
        for client in clients:
            client.start()
        time.sleep(0.6)
        server.stop()
        for client in clients:
            client.join()
    log = (tmp_path / "log").read_text()
    answered = sum(status == 200 for status, _ in late)
    assert receiver.observations("x") == receiver.observations("prediction") == 90 + answered, log
    assert receiver.served() == 90 + answered
    assert receiver.total("ml.outcomes") == 60 + answered
    assert receiver.decreases == []


@pytest.fixture
def options(reference_file):
    """The options of the configuration."""
    return {"reference": str(reference_file), "setup": False, "synchronous": True}


def test_the_class_does_as_bentoml_expects(options):
    """Single values, batches, classes, other roles, and a block that raises."""

    def record():
        return bentoml.monitor("m", monitor_class=Monitor, monitor_options={**options, "window": 100})

    with record() as m:
        m.log_batch([1.0, 2.0], "x", "feature", "numerical")
        m.log_batch(["web", "shop"], "channel", "feature", "categorical")
        m.log_batch([0.1, 0.2], "prediction", "prediction", "numerical")
        m.log_batch([1, 2], "trace", "other", "numerical")
        m.log_batch(3, "x", "feature", "numerical")
        m.log_table([[1.0]], {"x": "feature"})
    assert m.monitor.snapshot().rows == 2
    with record() as m:
        pass
    with pytest.raises(LookupError), record() as m:  # noqa: PT012 - the block of a service
        m.log(1.0, "x", "feature", "numerical")
        raise LookupError
    with record() as m:
        m.log(1.0, "x", "feature", "numerical")
        m.log("web", "channel", "feature", "categorical")
        m.log(0.5, "prediction", "prediction", "numerical")
        m.log(1, "late", "target", "numerical")
    assert m.monitor.snapshot().rows == 3
    assert sum(m.monitor.outcome_counts().results.values()) == 1
    m.monitor.shutdown()


def test_a_wrong_option_is_named(options):
    """When the service makes its first record."""
    with pytest.raises(dl.ConfigurationError, match=r"^rows=0"):
        Monitor("m", **options, window=0)
