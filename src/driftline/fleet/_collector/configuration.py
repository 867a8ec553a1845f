"""`Configuration`: a file for the collector, put together from its parts."""

from __future__ import annotations

from dataclasses import dataclass

from driftline import semconv as sc
from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.fleet._collector import summing
from driftline.fleet._collector.backend import CUMULATIVE, DELTA, SIGNALS, Backend, Component, Variable
from driftline.fleet._collector.backends import BACKENDS
from driftline.fleet._collector.delivery import QUEUE, QUEUE_VARIABLE, delivery

__all__ = ["APART", "BINS", "DROP", "KEEP", "Configuration", "Pipeline"]

KEEP, DROP, APART = BINS = ("keep", "drop", "judge")
"""Where counts per bin go: to the backend, nowhere, or to `driftline judge` alone."""

GRPC = Variable("DRIFTLINE_OTLP_GRPC", "address for OTLP/gRPC", "127.0.0.1:4317")
HTTP = Variable("DRIFTLINE_OTLP_HTTP", "address for OTLP/HTTP", "127.0.0.1:4318")
FLEET = Variable("DRIFTLINE_FLEET", "the receiver of the judge", "http://127.0.0.1:4319")

RECEIVER = Component(
    "otlp",
    f"""
    protocols:
      grpc:
        endpoint: {GRPC.reference}
      http:
        endpoint: {HTTP.reference}
    """,
)

LIMITER = Component(
    "memory_limiter",
    """
    check_interval: 1s
    limit_percentage: 80
    spike_limit_percentage: 20
    """,
    why="First in each pipeline: refuses telemetry before memory runs out. Exporters of the SDK then try again.",
)

TO_DELTA = Component(
    "cumulativetodelta",
    """
    # `auto` also sends the first point of a series that began after the collector did, so that its deltas add up.
    initial_value: auto
    # Drift states and canary verdicts are up-down counters, which stay unchanged.
    max_staleness: 24h
    """,
    why="Needs the points of a series in order and in one collector. Deltas pass through: with those of the SDK "
    "(OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta) nothing is lost when this collector restarts.",
)

FILTER_BINS = Component(
    "filter/bins",
    f"""
    error_mode: ignore
    metrics:
      metric:
        - name == "{sc.METRIC_FEATURE_OBSERVATIONS.name}"
    """,
    why="Counts per bin are most of the series of a model, and only the evaluation of a fleet needs them.",
)

FILTER_FLEET = Component(
    "filter/judge",
    f"""
    error_mode: ignore
    metrics:
      metric:
        - not (name == "{sc.METRIC_FEATURE_OBSERVATIONS.name}" or name == "{sc.METRIC_MONITOR_INFO.name}"
          or IsMatch(name, "^ml[.]canary[.]"))
    """,
    why="What driftline judge reads.",
)

FILTER_SCORES = Component(
    "filter/scores",
    f"""
    error_mode: ignore
    metrics:
      datapoint:
        - metric.name == "{sc.METRIC_FEATURE_DRIFT_SCORE.name}" and attributes["{sc.ML_WINDOW_SCOPE}"] == nil
    """,
    why="Drops the scores of single processes; those of the fleet, from driftline judge, have the attribute.",
)

FLEET_EXPORTER = Component("otlp_http/judge", f"endpoint: {FLEET.reference}", why="driftline judge --watch --otlp")

DEBUG = Component("debug", "verbosity: basic", why="Counts and discards the signals that the backend does not take.")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """
    A pipeline.

    Attributes:
        name: ``signal`` or ``signal/name``.
        receivers: its receivers.
        processors: its processors, in order.
        exporters: its exporters.
    """

    name: str
    receivers: tuple[Component, ...]
    processors: tuple[Component, ...]
    exporters: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Configuration:
    """
    What a collector does.

    Attributes:
        backend: the backend.
        gateway: whether it adds up the counters of all processes.
        bins: where counts per bin go, one of `BINS`.
        temporality: of the counters that the backend gets.
        further: further extensions.
    """

    backend: Backend
    gateway: bool
    bins: str
    temporality: str
    further: tuple[Component, ...] = ()

    @classmethod
    def of(
        cls, backend: str, *, gateway: bool = False, bins: str = KEEP, temporality: str | None = None
    ) -> Configuration:
        """
        Return the configuration for a backend.

        Args:
            backend: its name, one of `BACKENDS`.
            gateway: whether to add up the counters of all processes.
            bins: where counts per bin go, one of `BINS`.
            temporality: of the counters that the backend gets. If None, what is recommended for it.

        Raises:
            ConfigurationError: an argument has another value, or the backend does not accept the temporality.
        """
        chosen = BACKENDS[check.one_of("backend", backend, tuple(BACKENDS))]
        check.one_of("bins", bins, BINS)
        wanted = chosen.temporalities[0] if temporality is None else temporality
        if wanted not in chosen.temporalities:
            msg = f"temporality: {chosen.title} accepts {' and '.join(chosen.temporalities)} counters, got {wanted!r}"
            raise ConfigurationError(msg)
        if gateway and not chosen.queued:
            msg = f"gateway: the exporter for {backend} has no queue on disk, expected a backend with one"
            raise ConfigurationError(msg)
        return cls(chosen, gateway, bins, wanted)

    @property
    def queued(self) -> bool:
        """Whether an exporter has its queue on disk."""
        return self.backend.queued or self.bins == APART

    @property
    def exporter(self) -> Component:
        """The exporter of the backend, with its delivery."""
        backend, exporter = self.backend, self.backend.exporter
        if not backend.queued:
            return exporter
        lines = [*exporter.settings, *_compression(exporter), *delivery(backend.batch_bytes, block=self.gateway)]
        return Component(exporter.name, "\n".join(lines), exporter.why)

    @property
    def extensions(self) -> tuple[Component, ...]:
        """The extensions."""
        return (*self.backend.extensions, *([QUEUE] if self.queued else []), *self.further)

    @property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """The pipelines of all signals."""
        return (*self._metrics, *(self._events(signal) for signal in SIGNALS[1:]))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables, those that the collector needs first."""
        backend = self.backend
        own = sorted((backend.endpoint, *backend.variables), key=lambda variable: variable.default is not None)
        return (
            *own,
            GRPC,
            HTTP,
            *(summing.SUM_VARIABLES if self.gateway else ()),
            *((FLEET,) if self.bins == APART else ()),
            *((QUEUE_VARIABLE,) if self.queued else ()),
        )

    @property
    def _metrics(self) -> tuple[Pipeline, ...]:
        apart = self.bins == APART
        bins = () if self.bins == KEEP else (FILTER_BINS,)
        scores = (FILTER_SCORES,) if apart or self.gateway else ()
        exporters = (self.exporter, *self.backend.beside)
        fleet = Pipeline("metrics/judge", (RECEIVER,), (LIMITER, FILTER_FLEET), (_queued(FLEET_EXPORTER),))
        first = (fleet,) if apart else ()
        if not self.gateway:
            convert = (TO_DELTA,) if self.temporality == DELTA else ()
            processors = (LIMITER, *bins, *scores, *convert, *self.backend.processors)
            return (*first, Pipeline("metrics", (RECEIVER,), processors, exporters))
        single = (LIMITER, summing.FILTER_SINGLE, *scores, self._converter, *self.backend.processors)
        summed: tuple[Component, ...] = (TO_DELTA, *summing.SUM_PROCESSORS)
        if self.temporality == CUMULATIVE:
            summed = (*summed, summing.TO_CUMULATIVE)
        return (
            *first,
            Pipeline("metrics/batches", (RECEIVER,), (LIMITER, *bins, summing.FILTER_SUMMED), (summing.SUM_EXPORTER,)),
            Pipeline("metrics/sums", (summing.SUM_RECEIVER,), (*summed, *self.backend.processors), exporters),
            Pipeline("metrics/single", (RECEIVER,), single, exporters),
        )

    @property
    def _converter(self) -> Component:
        """The processor that converts what is not summed."""
        return TO_DELTA if self.temporality == DELTA else summing.TO_CUMULATIVE

    def _events(self, signal: str) -> Pipeline:
        backend = self.backend
        exporters = (self.exporter, *backend.beside) if signal in backend.signals else (DEBUG,)
        return Pipeline(signal, (RECEIVER,), (LIMITER,), exporters)


def _compression(exporter: Component) -> list[str]:
    return ["compression: gzip"] if exporter.name.startswith("otlp_http") else []


def _queued(exporter: Component) -> Component:
    lines = [*exporter.settings, *_compression(exporter), *delivery(4_000_000)]
    return Component(exporter.name, "\n".join(lines), exporter.why)
