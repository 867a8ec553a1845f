"""Imports the libraries that the tests of this folder need, or skips those tests where a library is absent."""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from types import ModuleType

import pytest

REQUIRED = os.environ.get("DRIFTLINE_REQUIRE_INTEGRATIONS") == "1"
"""Whether an absent library fails the tests. ``tools/test-integrations`` sets the variable."""


def require(name: str) -> ModuleType:
    """Return a library's module. Without it, skip the whole test module, or fail if the libraries are required."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module(name)
    except ModuleNotFoundError:
        if REQUIRED:
            raise
        pytest.skip(f"{name} is not installed here (tools/test-integrations installs it)", allow_module_level=True)
