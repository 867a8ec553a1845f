"""References that travel with MLflow models: saved, logged, registered, loaded."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from libraries import require
from sklearn.linear_model import LogisticRegression

import driftline as dl
from driftline.carrying import feature_names

mlflow = require("mlflow")
yaml = require("yaml")
for library in ("catboost", "lightgbm", "onnx", "skl2onnx", "xgboost"):
    require(library)

import catboost  # noqa: E402
import lightgbm  # noqa: E402
import skl2onnx  # noqa: E402
import xgboost  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow and its libraries warn of themselves

NAMES = ["age", "amount", "height"]


@pytest.fixture(scope="module")
def data():
    """A frame of three features, and labels."""
    frame = pd.DataFrame(np.random.default_rng(3).normal(size=(300, 3)), columns=NAMES)
    return frame, (frame["age"] > 0).astype(int)


@pytest.fixture(scope="module")
def reference(data):
    """The reference of the frame."""
    return dl.Reference.fit(data[0], predictions=data[1])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Runs and a registry in a folder."""
    folder = tmp_path_factory.mktemp("mlflow")
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    # MLflow sets both variables, and programs that tests start would have them too.
    patch.setenv("MLFLOW_TRACKING_URI", f"file://{folder}/runs")
    patch.setenv("MLFLOW_REGISTRY_URI", f"file://{folder}/runs")
    mlflow.set_tracking_uri(f"file://{folder}/runs")
    mlflow.set_registry_uri(f"file://{folder}/runs")
    yield folder
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])
    patch.undo()


def signature(data):
    """The signature of the models."""
    return mlflow.models.infer_signature(data[0], data[1])


FLAVOURS = {
    "sklearn": lambda *data: LogisticRegression().fit(*data),
    "xgboost": lambda *data: xgboost.XGBClassifier(n_estimators=2).fit(*data),
    "lightgbm": lambda *data: lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(*data),
    "catboost": lambda *data: catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False).fit(
        *data
    ),
    "onnx": lambda frame, labels: skl2onnx.to_onnx(
        LogisticRegression().fit(frame.to_numpy(), labels), frame.to_numpy()[:1].astype("float32")
    ),
}


def save(flavour, model, path, **arguments):
    """Save a model by one of the flavours."""
    if flavour in {"sklearn", "lightgbm"}:
        arguments["serialization_format" if flavour == "sklearn" else "skops_trusted_types"] = (
            "cloudpickle" if flavour == "sklearn" else None
        )
    arguments = {name: value for name, value in arguments.items() if value is not None}
    getattr(mlflow, flavour).save_model(model, str(path), pip_requirements=[], **arguments)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_saved_models_of_every_flavour(data, reference, tmp_path, flavour):
    """The folder has the file, and the metadata have only what says which it is."""
    arguments = dl.mlflow.carry(reference, metadata={"team": "risk"})
    save(flavour, FLAVOURS[flavour](*data), tmp_path / "model", signature=signature(data), **arguments)
    assert dl.carried(tmp_path / "model").to_json() == reference.to_json()
    for path in (str(tmp_path / "model"), f"{tmp_path}/model/", (tmp_path / "model").as_uri()):
        assert dl.mlflow.carried(path).to_json() == reference.to_json(), path
    metadata = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text(encoding="utf-8"))["metadata"]
    entry = {"fingerprint": reference.fingerprint, "path": "extra_files/driftline.reference.json", "schema_version": 1}
    assert metadata == {"team": "risk", "driftline": entry}


def test_logged_and_registered_models(data, reference, store):
    """`runs:/`, `models:/` by id, version and alias, and the loaded model all lead to the reference."""
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            LogisticRegression().fit(*data),
            name="model",
            registered_model_name="delay",
            signature=signature(data),
            pip_requirements=[],
            **dl.mlflow.carry(reference),
        )
    mlflow.MlflowClient().set_registered_model_alias("delay", "champion", 1)
    uris = [info.model_uri, f"runs:/{run.info.run_id}/model", "models:/delay/1", "models:/delay@champion"]
    for uri in uris:
        assert dl.carried(uri).to_json() == reference.to_json(), uri
        assert dl.mlflow.carried(uri).to_json() == reference.to_json(), uri
        loaded = mlflow.pyfunc.load_model(uri)
        assert dl.carried(loaded).to_json() == reference.to_json()
        assert feature_names(loaded) == tuple(NAMES)
    mlflow.set_tracking_uri((store / "elsewhere").as_uri())
    try:
        assert dl.carried(loaded).to_json() == reference.to_json(), "its artifacts are where they were"
    finally:
        mlflow.set_tracking_uri((store / "runs").as_uri())
    assert list(Path(tempfile.gettempdir()).glob("driftline-*/MLmodel")) == []
    with pytest.raises(dl.ReferenceError, match="models:/absent/1: MLflow cannot read the model"):
        dl.carried("models:/absent/1")
    with pytest.raises(dl.ReferenceError, match="runs:/0/model: MLflow cannot"):
        dl.carried("runs:/0/model")


def test_a_loaded_model_that_was_not_logged(data, reference, tmp_path):
    """It does not know its folder: the error says to pass that."""
    save("sklearn", FLAVOURS["sklearn"](*data), tmp_path / "model", **dl.mlflow.carry(reference))
    with pytest.raises(dl.ReferenceError, match="pass the path of the folder"):
        dl.carried(mlflow.pyfunc.load_model(str(tmp_path / "model")))


@pytest.mark.parametrize("flavour", ["sklearn", "xgboost", "lightgbm", "catboost"])
def test_the_model_inside_may_carry_instead(data, reference, tmp_path, flavour):
    """`driftline.carry` before `save_model` is enough for a loaded model."""
    model = dl.carry(FLAVOURS[flavour](*data), reference)
    save(flavour, model, tmp_path / "model")
    assert dl.carried(mlflow.pyfunc.load_model(str(tmp_path / "model"))).to_json() == reference.to_json()


def test_models_without_reference(data, tmp_path):
    """Neither the folder nor the loaded model has one."""
    save("sklearn", FLAVOURS["sklearn"](*data), tmp_path / "model")
    assert dl.carried(tmp_path / "model") is None
    assert dl.carried(mlflow.pyfunc.load_model(str(tmp_path / "model"))) is None
    assert feature_names(mlflow.pyfunc.load_model(str(tmp_path / "model"))) is None
    dl.carry(tmp_path / "model", dl.Reference.fit(data[0]))
    assert dl.carried(tmp_path / "model").rows == 300


def test_a_model_without_signature_takes_every_reference(data, reference, tmp_path):
    """There is nothing to compare with."""
    save("sklearn", FLAVOURS["sklearn"](*data), tmp_path / "model", **dl.mlflow.carry(reference))
    assert dl.carried(tmp_path / "model").rows == 300


def test_the_signature_is_compared(data, reference, tmp_path):
    """A reference of other features is refused with both lists when it is read."""
    other = dl.Reference.fit(data[0].rename(columns={"age": "years"}))
    arguments = {"signature": signature(data), **dl.mlflow.carry(other)}
    save("sklearn", FLAVOURS["sklearn"](*data), tmp_path / "model", **arguments)
    with pytest.raises(
        dl.ConfigurationError, match=r"\['years', 'amount', 'height'\] .* \['age', 'amount', 'height'\]"
    ):
        dl.carried(tmp_path / "model")
    tensor = mlflow.models.infer_signature(data[0].to_numpy())
    for columns, fits in ((NAMES, True), (NAMES[:2], False)):
        folder = tmp_path / str(len(columns))
        carry = dl.mlflow.carry(dl.Reference.fit(data[0][columns]))
        save("sklearn", FLAVOURS["sklearn"](*data), folder, signature=tensor, **carry)
        if fits:
            assert dl.carried(folder).columns == tuple(columns)
        else:
            with pytest.raises(dl.ConfigurationError, match="do not fit 3 columns without names"):
                dl.carried(folder)


def edit(folder, change):
    """Change the metadata of a saved model."""
    path = folder / "MLmodel"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


HOSTILE = {
    "another fingerprint": (lambda d: d["metadata"]["driftline"].update(fingerprint="0"), "the file is of another"),
    "another path": (lambda d: d["metadata"]["driftline"].update(path="../../etc/passwd"), "expected 'extra_files/"),
    "no path": (lambda d: d["metadata"]["driftline"].pop("path"), "metadata.driftline.path is None"),
    "no mapping": (lambda d: d["metadata"].update(driftline=[1]), r"metadata.driftline is \[1\], expected a mapping"),
    "metadata of another kind": (lambda d: d.update(metadata=["driftline"]), "MLflow cannot read the model"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_metadata_are_errors(data, reference, tmp_path, name):
    """They name the part; no other file is read."""
    save("sklearn", FLAVOURS["sklearn"](*data), tmp_path / "model", **dl.mlflow.carry(reference))
    change, message = HOSTILE[name]
    edit(tmp_path / "model", change)
    with pytest.raises(dl.ReferenceError, match=message):
        dl.carried(tmp_path / "model")


def test_a_damaged_or_absent_file_is_an_error(data, reference, tmp_path):
    """The metadata say that it was there."""
    save("sklearn", FLAVOURS["sklearn"](*data), tmp_path / "model", **dl.mlflow.carry(reference))
    file = tmp_path / "model" / "extra_files" / "driftline.reference.json"
    file.write_text(file.read_text(encoding="utf-8")[:-100], encoding="utf-8")
    with pytest.raises(dl.ReferenceError, match=r"driftline\.reference\.json"):
        dl.carried(tmp_path / "model")
    file.unlink()
    with pytest.raises(dl.ReferenceError, match=r"driftline\.reference\.json"):
        dl.carried(tmp_path / "model")
    (tmp_path / "model" / "MLmodel").write_text("a: [", encoding="utf-8")
    with pytest.raises(dl.ReferenceError, match="MLflow cannot read the model"):
        dl.carried(tmp_path / "model")


def test_other_files_and_metadata_stay(data, reference, tmp_path):
    """Those that the user logs with the model."""
    (tmp_path / "notes.txt").write_text("notes", encoding="utf-8")
    arguments = dl.mlflow.carry(reference, extra_files=[tmp_path / "notes.txt"], metadata={"a": 1})
    save("sklearn", FLAVOURS["sklearn"](*data), tmp_path / "model", **arguments)
    names = sorted(path.name for path in (tmp_path / "model" / "extra_files").iterdir())
    assert names == ["driftline.reference.json", "notes.txt"]


def test_files_to_log_are_few_and_removed_at_exit(reference):
    """Equal references share a file; a forked child removes nothing of its parent."""
    first, again = dl.mlflow.carry(reference), dl.mlflow.carry(dl.Reference.from_json(reference.to_json()))
    assert first == again
    script = """
import os, driftline as dl
path = dl.mlflow.carry(dl.Reference.fit({"a": range(300)}))["extra_files"][0]
if hasattr(os, "fork"):
    child = os.fork()
    if child == 0:
        raise SystemExit(0)
    os.waitpid(child, 0)
assert os.path.isfile(path)
print(path)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).parent.parent.exists()


@pytest.mark.parametrize(
    "arguments", [{"extra_files": "a"}, {"extra_files": 1}, {"metadata": 1}, {"metadata": {"driftline": 1}}]
)
def test_arguments_are_checked(reference, arguments):
    """Each error names the argument."""
    with pytest.raises(dl.ConfigurationError, match=f"{next(iter(arguments))}="):
        dl.mlflow.carry(reference, **arguments)


def test_a_loaded_model_is_not_carried_on(data, tmp_path, reference):
    """The message names what to do."""
    save("sklearn", FLAVOURS["sklearn"](*data), tmp_path / "model")
    with pytest.raises(dl.ConfigurationError, match=r"\*\*driftline.mlflow.carry\(reference\)"):
        dl.carry(mlflow.pyfunc.load_model(str(tmp_path / "model")), reference)
    with pytest.raises(dl.ConfigurationError, match="expected a loaded pyfunc model"):
        dl.mlflow.carried(LogisticRegression())
