"""Fixtures of the tests of the benchmarks."""

from __future__ import annotations

import importlib
import logging
import sys

import pytest


@pytest.fixture(scope="module")
def part(request):
    """Return a function that imports a module of the benchmark in the test's `FOLDER`, as its scripts do."""
    folder = request.module.FOLDER
    before, names = list(sys.path), {path.stem for path in folder.glob("*.py")}
    sys.path.insert(0, str(folder))
    yield importlib.import_module
    sys.path[:] = before
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def level_of_the_log():
    """Restore the level of driftline's log, which the scripts of the benchmarks raise for their own process."""
    logger = logging.getLogger("driftline")
    level = logger.level
    yield
    logger.setLevel(level)
