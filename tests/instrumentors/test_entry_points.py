"""What the distribution declares, and what the OpenTelemetry distribution makes of it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from driftline import instrumentors
from driftline.instrumentors import environment_variables
from driftline.instrumentors._options import MODEL_KEYS
from driftline.instrumentors._startup import INSTRUMENTORS

ROOT = Path(__file__).parents[2]


def declared(group):
    """The entry points of a group that driftline declares, by name."""
    return {each.name: each for each in entry_points(group=group) if each.value.startswith("driftline.")}


def test_each_instrumentor_is_an_entry_point():
    """`driftline run` calls the same ones as the OpenTelemetry distribution."""
    points = declared("opentelemetry_instrumentor")
    assert {name: each.value for name, each in points.items()} == {
        name: f"driftline.instrumentors:{kind}" for name, kind in INSTRUMENTORS.items()
    }
    assert sorted(INSTRUMENTORS.values()) == instrumentors.__all__
    for each in points.values():
        assert issubclass(each.load(), BaseInstrumentor)


def test_no_extra_is_read_as_a_dependency_that_must_be_installed():
    """The distribution's loader skips all instrumentors of a package if a requirement of ``instruments`` is absent."""
    extras = distribution("driftline").metadata.get_all("Provides-Extra")
    assert not {"instruments", "instruments-any"} & set(extras)


def test_dependencies_are_requirements():
    """`instrument()` called by hand checks them."""
    for kind in INSTRUMENTORS.values():
        for requirement in getattr(instrumentors, kind)().instrumentation_dependencies():
            assert ">=" in requirement


def test_variables_are_options_of_the_command():
    """``opentelemetry-instrument --driftline_window 10min`` sets the variable."""
    (point,) = declared("opentelemetry_environment_variables").values()
    assert point.load() is environment_variables
    names = {name: getattr(environment_variables, name) for name in environment_variables.__all__}
    assert all(name == value for name, value in names.items())
    keys = {name.removeprefix("OTEL_PYTHON_DRIFTLINE_").lower() for name in names}
    assert keys <= set(MODEL_KEYS)


def test_an_absent_library_is_skipped(monkeypatch):
    """As the conventions have it, with the exception that the distribution's loader expects."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for kind in ("MLflowInstrumentor", "XGBoostInstrumentor", "OnnxRuntimeInstrumentor"):
        instrumentor = getattr(instrumentors, kind)()
        with pytest.raises(ModuleNotFoundError, match="No module named"):
            instrumentor.instrument(skip_dep_check=True)
        assert not instrumentor.is_instrumented_by_opentelemetry


@pytest.mark.slow
def test_instrumenting_imports_neither_numpy_nor_the_library():
    """Every Python process of an instrumented program pays for it, those without a model too."""
    script = (
        "import sys\n"
        "from driftline.instrumentors import *\n"
        "from driftline.instrumentors import _startup\n"
        "_startup.instrument()\n"
        "print([name for name in ('numpy', 'scipy', 'sklearn', 'joblib', 'fastapi') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
