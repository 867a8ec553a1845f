"""The version is that of the installation, and wheels know it without the metadata of the package."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib import metadata

import driftline as dl
from driftline._runtime.version import UNKNOWN, VERSION


def test_version_is_that_of_the_package():
    assert metadata.version("driftline") == VERSION == dl.__version__


def test_nothing_needs_the_metadata_of_the_package():
    """Slim serverless packages, Lambda layers and copied folders have none. Only a wheel knows its version then."""
    program = """
from importlib import metadata
def missing(name):
    raise metadata.PackageNotFoundError(name)
metadata.version = metadata.distribution = missing
import driftline as dl
reference = dl.Reference.fit({"x": [1.0, 2.0, 3.0]})
for options in ({}, {"trace": True}, {"enabled": False}):
    dl.Monitor("A", reference=reference, **options).observe({"x": [1.0]})
print(dl.__version__)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    built = importlib.util.find_spec("driftline._runtime.built_version") is not None
    assert ended.stdout.strip() == (VERSION if built else UNKNOWN)
