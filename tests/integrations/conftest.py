"""Marks the tests of this folder, and lets the libraries that they need give warnings."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Mark the tests as ``integration``. Warnings are errors only in driftline's modules."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)
            for action in ("default", "error:::driftline"):
                item.add_marker(pytest.mark.filterwarnings(action), append=False)
