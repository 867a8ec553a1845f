"""The public names of `driftline`: each is importable, and imported at its first access only."""

from __future__ import annotations

import subprocess
import sys

import pytest

import driftline as dl


def test_every_public_name_is_importable():
    """It is the object of that name in its module. ``dir()`` lists the public names."""
    assert dir(dl) == dl.__all__ == sorted(dl.__all__)
    for name in dl.__all__:
        value = getattr(dl, name)
        assert getattr(sys.modules[value.__module__], name) is value
    with pytest.raises(AttributeError, match="module 'driftline' has no attribute 'Nothing'"):
        _ = dl.Nothing


def test_import_loads_no_module():
    """Neither numpy nor OpenTelemetry, nor another module of driftline."""
    code = "import sys, driftline; print([name for name in sys.modules if name.split('.')[0] in "
    code += "{'driftline', 'numpy', 'opentelemetry'}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['driftline']"
