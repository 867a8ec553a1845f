"""What `DriftlineInstrumentor` has configured for all instrumentors of this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from driftline.errors import DriftlineError
from driftline.instrumentors._options import Options, read_options

__all__ = ["configure", "current_options", "reset", "switched_off"]

DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"

_section: list[Options | DriftlineError] = []
"""The options of the configuration file, or the error in them. Empty without a file."""


def configure(section: Mapping[str, Any]) -> None:
    """
    Use the options of a section of a configuration file, over those of environment variables, from now on.

    After an error there are no options, so that no model is watched with others than those intended.

    Raises:
        ConfigurationError: a key is unknown, or a value is of the wrong type or out of range.
        ReferenceError: the file of a reference cannot be read or is damaged.
    """
    try:
        options: Options | DriftlineError = read_options(section)
    except DriftlineError as error:
        options = error
        raise
    finally:
        _section[:] = [options]


def reset() -> None:
    """Use only the options of environment variables from now on."""
    _section.clear()


def current_options() -> Options:
    """
    Return the options that are configured, or those of environment variables.

    Raises:
        ConfigurationError: they are wrong.
        ReferenceError: the file of a reference cannot be read or is damaged.
    """
    if not _section:
        _section.append(read_options({}))
    options = _section[0]
    if isinstance(options, DriftlineError):
        raise options
    return options


def switched_off() -> bool:
    """Return whether ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` names driftline, which turns all instrumentors off."""
    names = {name.strip() for name in os.environ.get(DISABLED, "").split(",")}
    return bool(names & {"driftline", "*"})
