"""The version of driftline. A package without its metadata, as slim serverless packages are, knows it too."""

from __future__ import annotations

__all__ = ["VERSION"]

VERSION = "0.1.0"
"""The version in ``pyproject.toml``; a test compares the two."""
