"""MLServer: what a runtime has answered has arrived after SIGTERM."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from libraries import require
from processes import free_port
from servers import answers, post, post_all, running

import driftline as dl
from driftline.integrations import _open_inference
from driftline.integrations.mlserver import monitored


def body(*values):
    """Return a request with several rows."""
    inputs = [
        {"name": "x", "shape": [len(values)], "datatype": "FP64", "data": list(values)},
        {"name": "channel", "shape": [len(values), 1], "datatype": "BYTES", "data": ["web"] * len(values)},
    ]
    return {"inputs": inputs}


@pytest.mark.system
def test_every_answer_has_arrived_after_the_stop(receiver, environment, tmp_path):
    """The export interval is an hour."""
    require("mlserver")
    port = free_port()
    settings = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "parallel_workers": 0}
    (tmp_path / "settings.json").write_text(json.dumps({**settings, "host": "127.0.0.1"}))
    model = {"name": "m", "implementation": "mlserver_app.Delay"}
    (tmp_path / "model-settings.json").write_text(json.dumps(model))
    command = [sys.executable, "-c", "from mlserver.cli import main; main()", "start", tmp_path]
    url = f"http://127.0.0.1:{port}/v2/models/m/infer"
    ready = f"http://127.0.0.1:{port}/v2/models/m/ready"
    with running(command, environment, tmp_path / "log", port, ready=lambda _: answers(ready)) as server:
        served = post_all(url, [body(float(turn), float(turn + 1)) for turn in range(0, 80, 2)])
        values = [value for each in served for value in each["outputs"][0]["data"]]
        assert values == [turn / 100.0 for turn in range(80)]
        assert post(url, {"inputs": body(1.0)["inputs"][1:]})[0] >= 400
        assert receiver.served() == 0
        server.stop()
    log = (tmp_path / "log").read_text()
    assert receiver.served() == 80, log
    assert sum(receiver.failed().values()) == 1
    assert receiver.observations("x") == receiver.observations("channel") == 81
    assert receiver.observations("prediction") == 80
    assert receiver.decreases == []


def tensor(data, *shape):
    """Return an input or output of the protocol."""
    return SimpleNamespace(name="a", shape=list(shape), data=data)


def test_tensors_of_all_shapes():
    """Flat, nested, with a column for each row, several columns, bytes, and empty."""
    assert _open_inference.columns([tensor([1, 2, 3], 3)]) == {"a": [1, 2, 3]}
    assert _open_inference.columns([tensor([[1], [2]], 2, 1)]) == {"a": [1, 2]}
    assert _open_inference.columns([tensor([b"web", "shop"], 2)]) == {"a": ["web", "shop"]}
    assert _open_inference.columns([tensor([], 0)]) == {"a": []}
    for data in ([1, 2, 3, 4], [[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])):
        table = _open_inference.columns([tensor(data, 2, 2)])
        assert table.tolist() == [[1, 2], [3, 4]]
    assert _open_inference.prediction([tensor([0.5], 1)]) == [0.5]
    assert _open_inference.prediction([]) is None


def test_a_class_that_is_no_runtime_is_refused(reference_file):
    """The message names the value."""
    monitor = dl.Monitor("m", reference=reference_file, enabled=False)
    for value in (3, int):
        with pytest.raises(dl.ConfigurationError, match=r"^monitored\(.*: expected a subclass of MLModel"):
            monitored(monitor, value)
