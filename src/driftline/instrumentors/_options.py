"""`Options`: what a file, environment variables or arguments configure."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "DEFAULT_KEYS",
    "DEFAULT_LEARN_ROWS",
    "MODEL_KEYS",
    "MONITOR_KEYS",
    "ModelOptions",
    "Options",
    "read_options",
]

DEFAULT_LEARN_ROWS = 10_000
"""Rows from which a reference is learned for an MLflow model that carries none."""

MONITOR_KEYS = (
    *("window", "rule", "distances", "cluster", "outcomes", "learned_path", "on_error"),
    *("export_bins", "export_labels", "export_duration", "trace"),
)
"""Keys that are arguments of `Monitor`."""

DEFAULT_KEYS = (*MONITOR_KEYS, "learn")
"""Keys that apply to all models, unless the entry of a model has them too."""

MODEL_KEYS = ("name", "version", "variant", "reference", "model", "route", "output", *DEFAULT_KEYS)
"""Keys of the entry of one model in ``monitors``."""

PREFIXES = ("DRIFTLINE_", "OTEL_PYTHON_DRIFTLINE_")
"""Prefixes of the variables. The first one that is set counts."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """
    What is configured for one model.

    Attributes:
        name: the attribute ``ml.model.name``. If None, the name of the model's file or registry entry.
        version: the attribute ``ml.model.version``.
        variant: the attribute ``ml.model.variant``.
        reference: the path of the reference, for a model that carries none.
        model: a pattern of the model's path or URI, such as ``"*/delay.joblib"``. If None, the name must be equal.
        route: the path of a FastAPI route whose endpoint is the model, such as ``"/predict"``.
        output: the field of the route's answer that is the prediction.
        learn: number of rows from which a reference is learned for an MLflow model without one; 0 for never.
        arguments: arguments of `Monitor`.
    """

    name: str | None = None
    version: str | None = None
    variant: str | None = None
    reference: str | None = None
    model: str | None = None
    route: str | None = None
    output: str | None = None
    learn: int = DEFAULT_LEARN_ROWS
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def describes(self, name: str, source: str | None) -> bool:
        """Return whether these are the options of a model with this name, loaded from this path or URI."""
        if self.model is not None:
            return source is not None and fnmatch.fnmatch(source, self.model)
        return self.name is not None and self.name == name


@dataclass(frozen=True, slots=True)
class Options:
    """
    What is configured for all models.

    Attributes:
        default: the options of a model without an entry.
        models: the entries of single models.
    """

    default: ModelOptions = field(default_factory=ModelOptions)
    models: tuple[ModelOptions, ...] = ()

    def of(self, name: str, source: str | None) -> ModelOptions:
        """Return the options of a model with this name, loaded from this path or URI."""
        return next((each for each in self.models if each.describes(name, source)), self.default)

    def routes(self) -> Iterator[ModelOptions]:
        """Return the entries that have a route."""
        return (each for each in self.models if each.route is not None)


def read_options(section: Mapping[str, Any]) -> Options:
    """
    Return the checked options of a section of a configuration file, over those of environment variables.

    A variable counts for what the section does not have. ``DRIFTLINE_NAME``, ``DRIFTLINE_REFERENCE``,
    ``DRIFTLINE_ROUTE`` and the like describe a process that serves one model.

    Raises:
        ConfigurationError: a key is unknown, or a value is of the wrong type or out of range.
        ReferenceError: the file of a reference cannot be read or is damaged.
    """
    variables = dict(_variables())
    stated = {key: value for key, value in section.items() if value is not None}
    if not variables and not stated:
        return Options()
    # Imported here, because it imports numpy: a process without models and configuration needs none.
    from driftline.instrumentors._checks import checked_options  # noqa: PLC0415

    return checked_options(stated, variables)


def _variables() -> Iterator[tuple[str, tuple[str, str]]]:
    """Return name and value of the variables that are set, by the keys of options."""
    for key in MODEL_KEYS:
        names = [f"{prefix}{key.upper()}" for prefix in PREFIXES]
        name = next((each for each in names if os.environ.get(each, "").strip()), None)
        if name is not None:
            yield key, (name, os.environ[name].strip())
