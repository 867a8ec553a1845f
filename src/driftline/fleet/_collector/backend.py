"""`Backend`: where a collector sends telemetry, and what that place demands."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

__all__ = ["CUMULATIVE", "DELTA", "SIGNALS", "TEMPORALITIES", "Backend", "Component", "Variable"]

CUMULATIVE, DELTA = TEMPORALITIES = ("cumulative", "delta")
"""Counters since the start of their process, or since the last export."""

SIGNALS = ("metrics", "logs", "traces")
"""The signals of OTLP that driftline exports; events are logs."""

BATCH_BYTES = 4_000_000
"""Largest request in bytes, before compression, where the backend sets no limit: the usual limit of gRPC servers."""


@dataclass(frozen=True, slots=True)
class Variable:
    """
    An environment variable of the collector.

    Attributes:
        name: its name.
        meaning: what it holds, for the comment of the file.
        default: its value if it is not set. If None, the collector needs it.
        secret: whether it is a credential.
    """

    name: str
    meaning: str
    default: str | None = None
    secret: bool = False

    @property
    def reference(self) -> str:
        """The expression that reads it in a configuration."""
        default = "" if self.default is None else f":-{self.default}"
        return f"${{env:{self.name}{default}}}"


@dataclass(frozen=True, slots=True)
class Component:
    """
    A component of the collector, as it stands in the file.

    Attributes:
        name: its identifier, ``type`` or ``type/name``.
        text: its settings in YAML, indented as a block of their own. They may be empty.
        why: the reason for it, a comment above it.
    """

    name: str
    text: str = ""
    why: str = ""

    @property
    def settings(self) -> list[str]:
        """The lines of its settings, without their common indent."""
        return dedent(self.text).strip("\n").splitlines()


@dataclass(frozen=True, slots=True)
class Backend:
    """
    A backend.

    Attributes:
        name: its name on the command line.
        title: its name in prose.
        endpoint: the variable with its address. Tests set it to a server of their own.
        exporter: the exporter, without what makes delivery reliable.
        variables: the other variables of its configuration.
        temporalities: what it accepts for counters and histograms, the recommended one first.
        signals: the signals that it accepts at the same address.
        extensions: extensions that the exporter needs, such as those that sign requests.
        processors: processors for its metrics that no other backend needs.
        batch_bytes: largest request in bytes, before compression.
        queued: whether the exporter has the collector's sending queue.
        beside: further exporters, which all signals go to as well.
        notes: paragraphs for the head of the file, with an empty line between two.
    """

    name: str
    title: str
    endpoint: Variable
    exporter: Component
    variables: tuple[Variable, ...] = ()
    temporalities: tuple[str, ...] = (CUMULATIVE,)
    signals: tuple[str, ...] = ("metrics",)
    extensions: tuple[Component, ...] = ()
    processors: tuple[Component, ...] = ()
    batch_bytes: int = BATCH_BYTES
    queued: bool = True
    beside: tuple[Component, ...] = ()
    notes: str = ""
