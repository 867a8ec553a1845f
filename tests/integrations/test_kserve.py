"""KServe: what a model server has answered, by either protocol, has arrived after SIGTERM."""

from __future__ import annotations

import sys

import pytest
from libraries import require
from processes import free_port
from servers import APPS, post, post_all, row, running

import driftline as dl
from driftline.integrations.kserve import monitored


@pytest.mark.system
def test_every_answer_has_arrived_after_the_stop(receiver, environment, tmp_path):
    """The export interval is an hour."""
    require("kserve")
    port = free_port()
    command = [sys.executable, APPS / "kserve_app.py", str(port), "1"]
    with running(command, environment, tmp_path / "log", port) as server:
        bodies = [{"instances": [row(turn), row(turn + 1)]} for turn in range(0, 40, 2)]
        answers = post_all(f"{server.url}/v1/models/m:predict", bodies)
        assert [value for each in answers for value in each["predictions"]] == [turn / 100.0 for turn in range(40)]
        inputs = [
            {"name": "x", "shape": [3], "datatype": "FP64", "data": [1.0, 2.0, 3.0]},
            {"name": "channel", "shape": [3], "datatype": "BYTES", "data": ["web", "shop", "web"]},
        ]
        post_all(f"{server.url}/v2/models/m/infer", [{"inputs": inputs}] * 10)
        assert post(f"{server.url}/v1/models/m:predict", {"instances": [{"channel": "web"}]})[0] == 500
        assert receiver.served() == 0
        server.stop()
    log = (tmp_path / "log").read_text()
    assert receiver.served() == 70, log
    assert sum(receiver.failed().values()) == 1
    assert receiver.observations("x") == receiver.observations("channel") == 71
    assert receiver.observations("prediction") == 70
    assert receiver.decreases == []


def test_a_class_that_is_no_model_is_refused(reference_file):
    """The message names the value."""
    monitor = dl.Monitor("m", reference=reference_file, enabled=False)
    for value in (3, int):
        with pytest.raises(dl.ConfigurationError, match=r"^monitored\(.*: expected a subclass of kserve\.Model"):
            monitored(monitor, value)
