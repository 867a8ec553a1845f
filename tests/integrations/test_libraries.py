"""What the environment of `tools/test-integrations` has."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import distributions

import pytest
from libraries import REQUIRED, require

LIBRARIES = ("catboost", "lightgbm", "mlflow", "onnx", "onnxruntime", "skl2onnx", "skops", "xgboost")


@pytest.mark.parametrize("name", LIBRARIES)
def test_library_is_importable(name):
    """Each is imported where the libraries are required."""
    if not REQUIRED:
        pytest.skip("the libraries are not required here (tools/test-integrations)")
    assert require(name) is import_module(name)


def test_no_library_for_gpus_is_installed():
    """They take gigabytes that no test uses."""
    names = [distribution.metadata["Name"] or "" for distribution in distributions()]
    assert [name for name in names if name.lower().startswith("nvidia")] == []


def test_an_absent_library_skips_or_fails():
    """It is skipped with the reason, or raises where libraries are required."""
    expected = ModuleNotFoundError if REQUIRED else pytest.skip.Exception
    with pytest.raises(expected, match="driftline_absent"):
        require("driftline_absent")
