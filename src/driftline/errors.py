"""
The errors that driftline raises, all at configuration and none while serving.

    DriftlineError
    ├── ConfigurationError (also a ValueError)
    └── ReferenceError     (also a ValueError)
"""

from __future__ import annotations

__all__ = ["ConfigurationError", "DriftlineError", "ReferenceError"]


class DriftlineError(Exception):
    """Everything that driftline raises on purpose."""


class ConfigurationError(DriftlineError, ValueError):
    """An argument is of the wrong type or out of range; the message names it and what was expected."""


class ReferenceError(DriftlineError, ValueError):  # noqa: A001 - the public name; the builtin is about weak references
    """A reference file is damaged, hostile or of a newer schema; the message says where."""
