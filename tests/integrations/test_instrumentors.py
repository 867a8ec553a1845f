"""Models of other libraries are watched as they load themselves, and results are bit-identical."""

from __future__ import annotations

import gc
import threading
import warnings

import numpy as np
import pytest
from libraries import require
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import driftline as dl
from driftline import instrumentors
from driftline.instrumentors import _state
from driftline.watching import monitor_of

NAMES = ["age", "amount", "hour"]


class Collected:
    """An in-memory provider, and the sums of its points."""

    def __init__(self):
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])

    def value(self, metric, **attributes):
        """Return the sum of the points of a metric with these attributes, or None."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        data = self.reader.get_metrics_data()
        points = [
            point.value
            for resource in ([] if data is None else data.resource_metrics)
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
            if wanted.items() <= dict(point.attributes).items()
        ]
        return sum(points) if points else None

    def served(self, name):
        """Return the predictions of a model."""
        return self.value("ml.predictions.served", ml__model__name=name)


@pytest.fixture
def collected():
    """Metrics in memory."""
    metrics = Collected()
    yield metrics
    metrics.provider.shutdown()


@pytest.fixture
def instrument(collected):
    """Return a function that instruments a library until the end of the test."""
    active = []
    _state.reset()

    def instrument(kind, **options):
        instrumentor = getattr(instrumentors, kind)()
        instrumentor.instrument(meter_provider=collected.provider, **options)
        active.append(instrumentor)
        return instrumentor

    yield instrument
    for instrumentor in active:
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


@pytest.fixture(scope="module")
def data():
    """Rows, labels, and columns by name."""
    random = np.random.default_rng(0)
    rows = random.normal(0.0, 1.0, (2_000, 3)).astype(np.float32)
    labels = (rows[:, 0] + random.normal(0, 1, 2_000) > 0).astype(int)
    return rows, labels, dict(zip(NAMES, rows.T.astype(float), strict=True))


def reference_of(data, predictions):
    """Return the reference of a model with these predictions."""
    return dl.Reference.fit(data[2], predictions=predictions)


def test_xgboost_models_are_watched_as_they_load(instrument, collected, data, tmp_path):
    """The estimator, and the booster in it as one prediction."""
    xgboost = require("xgboost")
    model = xgboost.XGBClassifier(n_estimators=5).fit(data[0], data[1])
    expected = model.predict(data[0])
    dl.carry(model, reference_of(data, expected)).save_model(tmp_path / "delay.json")
    originals = vars(xgboost.Booster)["load_model"], vars(xgboost.XGBModel)["load_model"]
    instrumentor = instrument("XGBoostInstrumentor")
    loaded, booster = xgboost.XGBClassifier(), xgboost.Booster()
    loaded.load_model(tmp_path / "delay.json")
    assert (loaded.predict(data[0]) == expected).all()
    assert collected.served("delay") == 2_000
    booster.load_model(tmp_path / "delay.json")
    booster.predict(xgboost.DMatrix(data[0][:5]))
    assert collected.served("delay") == 2_005
    instrumentor.uninstrument()
    assert (vars(xgboost.Booster)["load_model"], vars(xgboost.XGBModel)["load_model"]) == originals
    assert type(loaded) is xgboost.XGBClassifier


def test_lightgbm_models_are_watched_as_they_load(instrument, collected, data, tmp_path):
    """From a file and from a string; a booster for training is not affected."""
    lightgbm = require("lightgbm")
    model = lightgbm.train({"verbose": -1, "objective": "binary"}, lightgbm.Dataset(data[0], data[1]), 5)
    expected = model.predict(data[0])
    dl.carry(model, reference_of(data, expected)).save_model(tmp_path / "delay.txt")
    original = vars(lightgbm.Booster)["__init__"]
    instrumentor = instrument("LightGBMInstrumentor")
    loaded = lightgbm.Booster(model_file=tmp_path / "delay.txt")
    assert (loaded.predict(data[0]) == expected).all()
    assert collected.served("delay") == 2_000
    lightgbm.Booster(model_str=(tmp_path / "delay.txt").read_text()).predict(data[0][:4])
    assert collected.served("model") == 4
    trained = lightgbm.train({"verbose": -1}, lightgbm.Dataset(data[0], data[1]), 2)
    assert monitor_of(trained) is None
    instrumentor.uninstrument()
    assert vars(lightgbm.Booster)["__init__"] is original


def test_catboost_models_are_watched_as_they_load(instrument, collected, data, tmp_path):
    """`load_model` returns the model itself."""
    catboost = require("catboost")
    model = catboost.CatBoostClassifier(iterations=5, verbose=False, allow_writing_files=False).fit(data[0], data[1])
    expected = model.predict(data[0])
    dl.carry(model, reference_of(data, expected)).save_model(tmp_path / "delay.cbm")
    original = vars(catboost.CatBoost)["load_model"]
    instrumentor = instrument("CatBoostInstrumentor")
    loaded = catboost.CatBoostClassifier()
    assert loaded.load_model(tmp_path / "delay.cbm") is loaded
    assert (loaded.predict(data[0]) == expected).all()
    assert collected.served("delay") == 2_000
    instrumentor.uninstrument()
    assert vars(catboost.CatBoost)["load_model"] is original


@pytest.fixture(scope="module")
def onnx_file(data, tmp_path_factory):
    """An ONNX model of a classifier, with labels and probabilities, that carries a reference of its probabilities."""
    require("onnx")
    skl2onnx = require("skl2onnx")
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    model = LogisticRegression().fit(data[0], data[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = skl2onnx.to_onnx(model, data[0][:1], options={"zipmap": False})
    dl.carry(converted, reference_of(data, model.predict_proba(data[0])[:, 1]))
    path = tmp_path_factory.mktemp("onnx") / "delay.onnx"
    path.write_bytes(converted.SerializeToString())
    return path


def test_onnx_sessions_are_watched(instrument, collected, data, onnx_file):
    """A matrix, one row, and outputs that are asked for by name."""
    onnxruntime = require("onnxruntime")
    original = onnxruntime.InferenceSession.run, vars(onnxruntime.InferenceSession)["__init__"]
    bare = onnxruntime.InferenceSession(str(onnx_file))
    instrumentor = instrument("OnnxRuntimeInstrumentor")
    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    name, outputs = session.get_inputs()[0].name, [each.name for each in session.get_outputs()]
    for asked in (None, outputs, outputs[1:]):
        results, expected = session.run(asked, {name: data[0]}), bare.run(asked, {name: data[0]})
        assert all((result == other).all() for result, other in zip(results, expected, strict=True))
    session.run(output_names=None, input_feed={name: data[0][:1]})
    assert collected.served("delay") == 6_001
    assert collected.value("ml.monitor.errors") is None
    with pytest.raises(Exception, match=r"Required inputs|Invalid") as error:
        session.run(None, {"wrong": data[0]})
    assert "driftline" not in str(error.value)
    instrumentor.uninstrument()
    assert (onnxruntime.InferenceSession.run, vars(onnxruntime.InferenceSession)["__init__"]) == original
    session.run(None, {name: data[0]})


def test_onnx_sessions_see_a_drift(instrument, collected, data, onnx_file):
    """The columns of the matrix are the features of the reference."""
    onnxruntime = require("onnxruntime")
    instrument("OnnxRuntimeInstrumentor", window=2_000, monitors=[{"name": "delay", "export_bins": True}])
    session = onnxruntime.InferenceSession(str(onnx_file))
    shifted = data[0] + np.array([0.0, 2.0, 0.0], np.float32)
    for _ in range(3):
        session.run(None, {session.get_inputs()[0].name: shifted})
    drifting = {
        feature: collected.value(
            "ml.feature.drift.status", ml__feature__name=feature, ml__feature__drift__state="drifting"
        )
        for feature in [*NAMES, "prediction"]
    }
    assert drifting["amount"] == 1
    assert drifting["age"] == drifting["hour"] == 0
    assert collected.value("ml.feature.observations", ml__feature__name="prediction") == 6_000


def test_sessions_without_a_reference_are_not_affected(instrument, collected, data):
    """Neither are sessions of bytes."""
    onnxruntime, skl2onnx = require("onnxruntime"), require("skl2onnx")
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    converted = skl2onnx.to_onnx(LinearRegression().fit(data[0], data[1]), data[0][:1])
    instrument("OnnxRuntimeInstrumentor")
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    session.run(None, {session.get_inputs()[0].name: data[0]})
    assert collected.value("ml.predictions.served") is None


# --- MLflow ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow with a registry in a folder."""
    module = require("mlflow")
    require("mlflow.pyfunc")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny has no database
    monkeypatch.chdir(tmp_path)
    return module


def save(mlflow, data, path, *, signature=True, carry=True, **options):
    """Save a model of scikit-learn with MLflow, and return it."""
    import pandas as pd  # noqa: PLC0415
    from mlflow.models import infer_signature  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    frame = pd.DataFrame(data[2])
    model = LogisticRegression().fit(frame, data[1])
    predictions = model.predict(frame)
    carried = dl.mlflow.carry(reference_of(data, predictions)) if carry else {}
    mlflow.sklearn.save_model(
        model,
        str(path),
        signature=infer_signature(frame, predictions) if signature else None,
        serialization_format="cloudpickle",
        **carried,
        **options,
    )
    return model, frame


def test_pyfunc_models_are_watched(instrument, collected, data, tmp_path, mlflow):
    """By the reference in the folder of the model."""
    import mlflow.pyfunc  # noqa: PLC0415

    model, frame = save(mlflow, data, tmp_path / "delay")
    original = mlflow.pyfunc.load_model
    instrumentor = instrument("MLflowInstrumentor")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "delay"))
    assert (loaded.predict(frame) == model.predict(frame)).all()
    assert collected.served("delay") == 2_000
    assert collected.value("ml.monitor.errors") is None
    instrumentor.uninstrument()
    assert mlflow.pyfunc.load_model is original
    loaded.predict(frame)
    assert "predict" not in vars(loaded)


def test_native_models_are_watched(instrument, collected, data, tmp_path, mlflow):
    """`mlflow.sklearn.load_model` returns the estimator."""
    import mlflow.sklearn  # noqa: PLC0415

    model, frame = save(mlflow, data, tmp_path / "delay")
    instrument("MLflowInstrumentor")
    loaded = mlflow.sklearn.load_model(str(tmp_path / "delay"))
    assert (loaded.predict(frame) == model.predict(frame)).all()
    assert isinstance(loaded, type(model))
    assert collected.served("delay") == 2_000


@pytest.mark.parametrize("carry", [True, False])
def test_a_model_without_a_signature(instrument, collected, data, tmp_path, mlflow, caplog, carry):
    """Its columns are those of the frame. Without a reference, the first rows served are one."""
    import mlflow.pyfunc  # noqa: PLC0415

    model, frame = save(mlflow, data, tmp_path / "delay", signature=False, carry=carry)
    instrument("MLflowInstrumentor", window=500, learn=1_000)
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "delay"))
    for start in range(0, 2_000, 500):
        part = frame[start : start + 500]
        assert (loaded.predict(part) == model.predict(part)).all()
    assert collected.served("delay") == 2_000
    learned = "carries no reference: it is compared with its first 1000 rows" in caplog.text
    assert learned is not carry
    assert collected.value("ml.feature.drift.status", ml__feature__name="age") == 1


def test_learning_can_be_turned_off(instrument, collected, data, tmp_path, mlflow):
    """Then only models with a reference are watched."""
    import mlflow.pyfunc  # noqa: PLC0415

    _, frame = save(mlflow, data, tmp_path / "delay", carry=False)
    instrument("MLflowInstrumentor", learn=0)
    mlflow.pyfunc.load_model(str(tmp_path / "delay")).predict(frame)
    assert collected.value("ml.predictions.served") is None


def test_a_damaged_reference_is_counted(instrument, collected, data, tmp_path, mlflow, caplog):
    """The model serves without a monitor."""
    import mlflow.pyfunc  # noqa: PLC0415

    model, frame = save(mlflow, data, tmp_path / "delay")
    (damaged,) = (tmp_path / "delay" / "extra_files").iterdir()
    damaged.write_text("{")
    instrument("MLflowInstrumentor")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "delay"))
    assert (loaded.predict(frame) == model.predict(frame)).all()
    assert collected.value("ml.monitor.errors", ml__model__name="delay", ml__monitor__place="instrumentor") == 1
    assert "model delay, instrumentor: " in caplog.text


def test_registered_models_have_their_name_and_version(instrument, collected, data, tmp_path, mlflow):
    """By number and by alias."""
    import mlflow.pyfunc  # noqa: PLC0415
    from mlflow import MlflowClient  # noqa: PLC0415

    save(mlflow, data, tmp_path / "files")
    frame = save(mlflow, data, tmp_path / "again")[1]
    for name in ("files", "again"):
        mlflow.register_model(f"file://{tmp_path}/{name}", "delay")
    MlflowClient().set_registered_model_alias("delay", "champion", "2")
    instrument("MLflowInstrumentor")
    mlflow.pyfunc.load_model("models:/delay/1").predict(frame[:3])
    mlflow.pyfunc.load_model("models:/delay@champion").predict(frame[:5])
    counts = [
        collected.value("ml.predictions.served", ml__model__name="delay", ml__model__version=version)
        for version in ("1", "2")
    ]
    assert counts == [3, 5]


def test_a_model_that_is_loaded_many_times_has_one_monitor(instrument, collected, data, tmp_path, mlflow):
    """Threads and series are flat."""
    import mlflow.pyfunc  # noqa: PLC0415

    frame = save(mlflow, data, tmp_path / "delay")[1][:1]
    instrument("MLflowInstrumentor")
    mlflow.pyfunc.load_model(str(tmp_path / "delay")).predict(frame)
    threads = threading.active_count()
    for _ in range(50):
        mlflow.pyfunc.load_model(str(tmp_path / "delay")).predict(frame)
    gc.collect()
    assert threading.active_count() <= threads
    assert collected.served("delay") == 51
