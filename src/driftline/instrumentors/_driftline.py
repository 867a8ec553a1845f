"""`DriftlineInstrumentor`: the section ``driftline`` of a declarative configuration file."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from driftline.instrumentors._state import configure, reset

__all__ = ["DriftlineInstrumentor"]


class DriftlineInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """
    Configures the monitors of all other instrumentors of this package. It wraps nothing.

    ``instrumentation/development: python: driftline:`` of the file has its arguments: see ``docs/zero-code.md``.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing, because no library is instrumented."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        """
        Use these options in all instrumentors from now on.

        Raises:
            ConfigurationError: a key is unknown, or a value is of the wrong type or out of range.
            ReferenceError: the file of a reference cannot be read or is damaged.
        """
        if kwargs:
            configure(kwargs)

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the signature of the base class
        reset()
