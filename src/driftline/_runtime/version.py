"""The version of driftline, from the tag of the commit. A package without its metadata knows it too."""

from __future__ import annotations

__all__ = ["VERSION"]

UNKNOWN = "0+unknown"
"""The version of a copied folder that was never installed."""

try:
    # The build writes this module, so that slim serverless packages, which have no metadata, know their version.
    from driftline._runtime.built_version import BUILT_VERSION
except ImportError:
    BUILT_VERSION = ""


def _installed() -> str:
    """Return the version in the metadata of the package."""
    from importlib import metadata  # noqa: PLC0415 - takes milliseconds, and only a checkout needs it

    try:
        return metadata.version("driftline")
    except metadata.PackageNotFoundError:
        return UNKNOWN


VERSION: str = BUILT_VERSION or _installed()
"""The version that the build has read from git: ``0.1.0`` at the tag ``v0.1.0``, ``0.1.1.dev3+g1a2b3c4`` after it."""
