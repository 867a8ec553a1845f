"""`driftline.mlflow` where MLflow is not installed; tests/integrations has the tests with it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import driftline as dl


def test_the_arguments_need_no_mlflow(reference):
    """The file is there, and the metadata say which it is."""
    arguments = dl.mlflow.carry(reference, extra_files=["a"], metadata={"team": "risk"})
    assert arguments["extra_files"][0] == "a"
    assert dl.Reference.load(arguments["extra_files"][1]).to_json() == reference.to_json()
    assert Path(arguments["extra_files"][1]).name == "driftline.reference.json"
    entry = {"fingerprint": reference.fingerprint, "path": "extra_files/driftline.reference.json", "schema_version": 1}
    assert arguments["metadata"] == {"team": "risk", "driftline": entry}


def test_importing_driftline_is_enough():
    """`driftline.mlflow` is a module of driftline, and MLflow is not imported."""
    script = """
import sys, driftline
assert "driftline.carrying" not in sys.modules
reference = driftline.Reference.fit({"a": range(200)})
assert list(driftline.mlflow.carry(reference)) == ["extra_files", "metadata"]
print([name for name in ("mlflow", "sklearn", "pandas") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="MLflow is installed")
def test_models_need_mlflow(tmp_path):
    """The error says so."""
    (tmp_path / "MLmodel").write_text("metadata: {}\n", encoding="utf-8")
    for model in (tmp_path, "models:/delay@champion", "runs:/1/model"):
        with pytest.raises(dl.ReferenceError, match=r"MLflow cannot read the model .* No module named 'mlflow'"):
            dl.carried(model)


@pytest.mark.parametrize("model", [None, 3, object()])
def test_other_objects_are_no_models(model):
    """They are a mistake where a model of MLflow is expected."""
    with pytest.raises(dl.ConfigurationError, match="expected a loaded pyfunc model, the path of its folder"):
        dl.mlflow.carried(model)
