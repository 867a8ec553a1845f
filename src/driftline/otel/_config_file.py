"""The declarative configuration file of OpenTelemetry, ``OTEL_CONFIG_FILE``."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import os
from collections.abc import Collection
from typing import Any

from driftline.errors import ConfigurationError

__all__ = ["VARIABLE", "apply_config_file", "config_file"]

_log = logging.getLogger("driftline")

VARIABLE = "OTEL_CONFIG_FILE"

SECTIONS = {"metrics": "meter_provider", "logs": "logger_provider", "traces": "tracer_provider"}
"""The section of the file that describes the provider of each signal."""


def config_file() -> str | None:
    """Return the path of the file, or None if there is none."""
    return os.environ.get(VARIABLE, "").strip() or None


def apply_config_file(path: str, present: Collection[str]) -> None:
    """
    Set the global providers up as the file says, except those of the signals that are *present*.

    If some are present, the file has probably been applied, as `opentelemetry-instrument` does. Its sections that no
    provider stands for are then applied, and nothing else of it.

    Raises:
        ConfigurationError: there is no such file, it is damaged, or the package that reads it is not installed.
    """
    try:
        configuration: Any = importlib.import_module("opentelemetry.configuration")  # an optional package
    except ImportError as error:
        msg = f"{VARIABLE}={path!r}: reading it needs a package (pip install opentelemetry-configuration): {error}"
        raise ConfigurationError(msg) from error
    try:
        file = configuration.load_config_file(path)
        for signal, section in SECTIONS.items():
            if getattr(file, section) is None and signal not in present and not file.disabled:
                _log.warning("configure_otlp: %s has no %s. No %s are exported.", VARIABLE, section, signal)
        if present:
            absent = {SECTIONS[signal]: None for signal in present}
            file = dataclasses.replace(file, propagator=None, instrumentation_development=None, **absent)
        configuration.configure_sdk(file)
    except Exception as error:
        msg = f"{VARIABLE}={path!r}: OpenTelemetry cannot apply this file: {error}"
        raise ConfigurationError(msg) from error
