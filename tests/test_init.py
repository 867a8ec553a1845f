"""The names at the root: each is where its table says, and none is loaded before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import driftline as dl


def test_every_name_has_a_home():
    """And is what that home calls by its name."""
    assert dir(dl) == dl.__all__ == sorted(dl.__all__)
    for name in dl.__all__:
        value = getattr(dl, name)
        assert getattr(sys.modules[value.__module__], name) is value
    with pytest.raises(AttributeError, match="module 'driftline' has no attribute 'Nothing'"):
        _ = dl.Nothing


def test_importing_loads_nothing():
    """Neither numpy nor OpenTelemetry, nor any module of driftline's own."""
    code = "import sys, driftline; print([one for one in sys.modules if one.split('.')[0] in "
    code += "{'driftline', 'numpy', 'opentelemetry'}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['driftline']"
