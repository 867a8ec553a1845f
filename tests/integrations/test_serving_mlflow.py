"""``mlflow models serve`` and watched models: what was answered has arrived after SIGTERM."""

from __future__ import annotations

import sys
import threading
import time

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from libraries import require
from processes import free_port
from servers import post, post_all, row, running

import driftline as dl

mlflow = require("mlflow")
require("mlflow.pyfunc")
require("mlflow.sklearn")

from sklearn.linear_model import LinearRegression  # noqa: E402 - after the check

from driftline.integrations import mlflow as adapter  # noqa: E402 - as above
from driftline.integrations.mlflow import monitored, watch  # noqa: E402 - as above

REQUESTS = 120


class Scaled:
    """A model of no library."""

    def predict(self, frame):
        """Predict; a row of 77 takes long, one of 66 fails."""
        if (frame["x"] == 77.0).any():
            time.sleep(1.5)
        if (frame["x"] == 66.0).any():
            raise LookupError
        return (frame["x"] / 100.0).to_numpy()


@pytest.fixture
def monitor(reference_file):
    """A monitor without telemetry."""
    running_monitor = dl.Monitor("m", reference=reference_file, synchronous=True, enabled=True)
    yield running_monitor
    running_monitor.shutdown()


@pytest.fixture(autouse=True)
def by_value():
    """Let cloudpickle store the model of this module as that of a notebook."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def payload(*turns):
    """Return a request with several rows."""
    return {"dataframe_records": [row(turn) for turn in turns]}


@pytest.mark.system
@pytest.mark.parametrize("workers", [1, 2])
def test_models_serve_loses_nothing(receiver, environment, reference_file, tmp_path, workers):
    """The model takes its monitor along, and the service has no line of driftline."""
    monitor = dl.Monitor("m", reference=reference_file, export_bins=True)
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=monitored(Scaled(), monitor))
    monitor.shutdown()
    port, late = free_port(), []
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", tmp_path / "model", "-p", str(port)]
    command += ["--env-manager", "local", "--workers", str(workers)]
    with running(command, environment, tmp_path / "log", port) as server:
        url = f"{server.url}/invocations"
        answers = post_all(url, [payload(turn, turn + 1) for turn in range(0, 60, 2)])
        assert [value for answer in answers for value in answer["predictions"]] == [turn / 100.0 for turn in range(60)]
        assert post(url, payload(66))[0] >= 400
        assert receiver.served() == 0
        clients = [threading.Thread(target=lambda: late.append(post(url, payload(77)))) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(0.6)
        server.stop()
        for client in clients:
            client.join()
    log = (tmp_path / "log").read_text()
    assert [status for status, _ in late] == [200] * 4, log
    assert receiver.served() == 64, log
    assert receiver.failed() == {"LookupError": 1}
    assert receiver.observations("x") == 65
    assert receiver.decreases == []


def test_a_watched_model_is_recorded(monitor, tmp_path):
    """Only this object changes, and only once."""
    frame = pd.DataFrame({"x": np.arange(20.0), "y": np.zeros(20)})
    model = LinearRegression().fit(frame, frame["x"])
    signature = mlflow.models.infer_signature(frame, model.predict(frame))
    mlflow.sklearn.save_model(model, tmp_path / "model", signature=signature, serialization_format="cloudpickle")
    loaded, other = (mlflow.pyfunc.load_model(str(tmp_path / "model")) for _ in range(2))
    assert watch(loaded, monitor) is loaded
    assert watch(loaded, monitor) is loaded
    assert np.allclose(loaded.predict(frame), other.predict(frame))
    assert monitor.snapshot().rows == 20
    with pytest.raises(mlflow.exceptions.MlflowException):
        loaded.predict(frame[["x"]])


def test_an_array_gets_the_names_of_the_signature_in_its_order(monitor):
    """The reference has another order than the model."""
    features = adapter._named(np.array([[1.0, 2.0], [3.0, 4.0]]), ["channel", "x"])
    assert {name: column.tolist() for name, column in features.items()} == {"channel": [1.0, 3.0], "x": [2.0, 4.0]}
    for data in ([[1.0]], np.zeros((2, 3)), np.zeros(2), pd.DataFrame({"a": [1]})):
        assert adapter._named(data, ["channel", "x"]) is data


def test_a_python_model_keeps_its_context_and_its_parameters(monitor, tmp_path):
    """`load_context` runs, artifacts and params arrive."""

    class Inner(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            self.loaded = True

        def predict(self, context, model_input, params=None):
            assert self.loaded
            return np.full(len(model_input), (params or {}).get("value", 0.5))

    frame = pd.DataFrame({"x": [1.0, 2.0], "channel": ["web", "shop"]})
    mlflow.pyfunc.save_model(
        tmp_path / "model",
        python_model=monitored(Inner(), monitor, setup=None),
        signature=mlflow.models.infer_signature(frame, np.zeros(2), {"value": 0.5}),
    )
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert loaded.predict(frame, params={"value": 0.25}).tolist() == [0.25, 0.25]
    assert monitor.snapshot().rows == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda monitor: watch("model", monitor), r"^model='model': expected what mlflow\.pyfunc\.load_model returns"),
        (lambda monitor: monitored(3, monitor), r"^model=3: expected a model with predict"),
        (lambda monitor: monitored(Scaled(), "m"), r"^monitor='m': expected a Monitor"),
    ],
)
def test_mistakes_are_named(monitor, call, message):
    """At configuration."""
    with pytest.raises(dl.ConfigurationError, match=message):
        call(monitor)


def test_a_model_that_is_loaded_often_has_one_monitor(reference_file, tmp_path):
    """Its series, threads and memory stay flat."""
    monitor = dl.Monitor("m", reference=reference_file)
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=monitored(Scaled(), monitor, setup=None))
    before = threading.active_count()
    frame = pd.DataFrame({"x": [1.0], "channel": ["web"]})
    for _ in range(30):
        mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(frame)
    assert monitor.snapshot().rows == 30
    assert threading.active_count() <= before + 1
    monitor.shutdown()
