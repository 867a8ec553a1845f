"""
The errors that driftline raises at configuration. It raises none while a model serves.

    DriftlineError
    ├── ConfigurationError (also a ValueError)
    └── ReferenceError     (also a ValueError)
"""

from __future__ import annotations

__all__ = ["ConfigurationError", "DriftlineError", "ReferenceError"]


class DriftlineError(Exception):
    """The base class of all errors that driftline raises on purpose."""


class ConfigurationError(DriftlineError, ValueError):
    """An argument is of the wrong type or out of range. The message names the argument and what was expected."""


class ReferenceError(DriftlineError, ValueError):  # noqa: A001 - the public name; the builtin is about weak references
    """A reference file is damaged, hostile or of a newer schema. The message names the part of the file."""
