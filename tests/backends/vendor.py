"""What a vendor documents for OTLP: its address, its headers and its rules. The `OTEL_*` variables follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from sink_rules import LOOKED_UP, Refused, Rule

SIGNALS = ("metrics", "logs", "traces")


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence, the page that says so, and the day on which it was read. Without a page it is not confirmed."""

    text: str
    source: str = ""
    date: str = LOOKED_UP


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """
    A backend.

    Attributes:
        name: as in ``driftline collector --backend``.
        title: its own spelling.
        host: the address in the vendor's words, with parts in capitals to replace.
        paths: of the URL of each signal that it takes through OTLP.
        rules: what it documents.
        headers: of a request to it, with parts in capitals to replace.
        sample: values for those parts, for tests.
        needs_collector: why a process cannot send to it without a collector; empty if it can.
        protocol: ``"otlp"``, or ``"remote write"``.
        delta: whether counters and histograms are sent as deltas.
        unknown: what the sink does not refuse, because no page confirms it.
    """

    name: str
    title: str
    host: str
    paths: Mapping[str, str]
    rules: tuple[Rule, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    sample: Mapping[str, str] = field(default_factory=dict)
    needs_collector: str = ""
    protocol: str = "otlp"
    delta: bool = False
    unknown: tuple[Fact, ...] = ()

    def filled(self, text: str) -> str:
        """Return a text with the values of `sample` in place of the parts to replace."""
        for part, value in self.sample.items():
            text = text.replace(part, value)
        return text

    @property
    def path(self) -> str:
        """The path of the metrics, with sample values."""
        return self.filled(self.paths["metrics"])

    @property
    def sample_headers(self) -> dict[str, str]:
        """Headers of a request that the sink accepts."""
        return {key: self.filled(value) for key, value in self.headers.items()}

    @property
    def refused(self) -> set[tuple[str, str | None]]:
        """The kinds of metrics that are refused, with their temporality."""
        return {(rule.kind, rule.temporality) for rule in self.rules if isinstance(rule, Refused)}

    def variables(self) -> dict[str, str]:
        """Return the variables with which `configure_otlp` sends to it, without a collector."""
        common = self.paths["metrics"].removesuffix("/v1/metrics")
        variables = {}
        if all(path == f"{common}/v1/{signal}" for signal, path in self.paths.items()):
            variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.host + common
        else:
            for signal, path in self.paths.items():
                variables[f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"] = self.host + path
        if self.headers:
            variables["OTEL_EXPORTER_OTLP_HEADERS"] = ",".join(
                f"{key}={quote(value, safe=':')}" for key, value in self.headers.items()
            )
        variables["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"
        if self.delta:
            variables["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "delta"
        for signal in SIGNALS:
            if signal not in self.paths:
                variables[f"OTEL_{signal.upper()}_EXPORTER"] = "none"
        return variables
