"""
The SDK's reader and exporters, extended to survive forks and to count telemetry that was not sent.

This is the one module that uses private parts of the SDK: `PRIVATE_PARTS` lists them.
"""

from __future__ import annotations

import logging
import netrc  # noqa: F401 - requests imports it while it sends for the first time, and a fork then loses its lock
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.metrics import MeterProvider as ApiMeterProvider
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from driftline import semconv as sc
from driftline.otel import meter_of
from driftline.otel._batches import batches
from driftline.otel._limits import MONITOR_SETS
from driftline.otel._scope import SCOPE

__all__ = [
    "PRIVATE_PARTS",
    "ForkSafeReader",
    "LossCounter",
    "MetricSender",
    "RecordSender",
    "SpanSender",
    "export_losses",
    "missing_parts",
    "survive_forks",
    "wide_views",
]

_log = logging.getLogger("driftline")

FORK_SECONDS = 5.0
"""Seconds that a fork waits for a running collection. A collection takes milliseconds, unless a callback hangs."""

COLLECT_MILLISECONDS = 30_000
"""Milliseconds of the shortest timeout of a collection. This is the default of OTEL_METRIC_EXPORT_TIMEOUT."""

PRIVATE_PARTS = (
    ("exporter", "_preferred_temporality"),  # read by `MetricSender`
    ("exporter", "_preferred_aggregation"),  # read by `MetricSender`
    ("reader", "_receive_metrics"),  # overridden: it separates collecting from sending
    ("reader", "_at_fork_reinit"),  # overridden: the SDK calls it in the child of a fork
    ("reader", "_export_lock"),  # replaced in the child of a fork
    ("reader", "_shutdown_event"),  # replaced in the child of a fork
    ("reader", "_export_interval_millis"),  # read: whether collections are to come within a second
)
"""
Attributes of the SDK's metric exporter and periodic reader that are not public, and that surviving a fork needs.

The SDK has no public way to do this: its locks and its connections do not survive a fork in the middle of their use.
"""


def missing_parts(exporter: MetricExporter, reader: PeriodicExportingMetricReader) -> list[str]:
    """
    Return the `PRIVATE_PARTS` that this version of the SDK lacks, as ``"Class.attribute"``.

    Args:
        exporter: an exporter of the SDK.
        reader: a reader of the SDK itself, because `ForkSafeReader` defines some parts.
    """
    owners: dict[str, object] = {"exporter": exporter, "reader": reader}
    return [
        f"{type(owners[owner]).__name__}.{name}" for owner, name in PRIVATE_PARTS if not hasattr(owners[owner], name)
    ]


def wide_views() -> list[View]:
    """Return the views that let the SDK keep as many attribute sets of driftline's metrics as wide models need."""
    try:
        return [View(instrument_name="ml.*", meter_name=SCOPE, aggregation_cardinality_limit=MONITOR_SETS)]
    except TypeError:  # an SDK before 1.45, which has no limit
        return []


class LossCounter:
    """Counts items of telemetry that were not sent, per signal, and logs the first loss of each signal."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set all counts to zero, as the child of a fork must."""
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def add(self, signal: str, items: int) -> None:
        """Count items of *signal* (metrics, logs or traces) that were not sent, and log the first loss."""
        with self._lock:
            first = signal not in self._counts
            self._counts[signal] = self._counts.get(signal, 0) + items
        if first:
            effect = "the next export repeats cumulative metrics" if signal == "metrics" else f"{items} are lost"
            _log.warning(
                "%s could not be sent: %s. %s counts further losses.",
                signal,
                effect,
                sc.METRIC_MONITOR_TELEMETRY_LOST.name,
            )

    @contextmanager
    def counting(self, signal: str, items: int) -> Iterator[None]:
        """Count *items* as not sent if the block raises, as exporters before SDK 1.40 do without a connection."""
        try:
            yield
        except Exception:
            self.add(signal, items)
            raise

    @property
    def counts(self) -> dict[str, int]:
        """The number of items that were not sent, by signal."""
        with self._lock:
            return dict(self._counts)

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """Return one observation per signal, as the callback of an observable counter."""
        return [Observation(count, {sc.ML_MONITOR_SIGNAL: signal}) for signal, count in self.counts.items()]


class MetricSender(MetricExporter):
    """
    A metric exporter that opens a new connection in the child of a fork.

    Args:
        create: returns a new exporter of the SDK.
        losses: counts exports that failed.
    """

    def __init__(self, create: Callable[[], MetricExporter], losses: LossCounter) -> None:
        self._create, self._losses, self._inner = create, losses, create()
        super().__init__(
            preferred_temporality=self._inner._preferred_temporality,  # noqa: SLF001 - as the SDK's own reader does
            preferred_aggregation=self._inner._preferred_aggregation,  # noqa: SLF001 - as above
        )

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Send one collection, in several requests if it is large. Count a failure as a loss, and return the result."""
        with self._losses.counting("metrics", 1):
            # The SDK's exporters cannot divide a collection for HTTP before version 1.42.
            results = [self._inner.export(batch, timeout_millis, **kwargs) for batch in batches(metrics_data)]
        failed = [result for result in results if result is not MetricExportResult.SUCCESS]
        if failed:
            self._losses.add("metrics", 1)
            return failed[0]
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Send pending metrics. Return whether that was done in time."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close the connection."""
        self._inner.shutdown(timeout_millis, **kwargs)

    def renew(self) -> None:
        """Replace the exporter, so that this process has its own connection."""
        self._inner = self._create()


class RecordSender(LogRecordExporter):
    """A log exporter that opens a new connection in the child of a fork. The arguments are as for `MetricSender`."""

    def __init__(self, create: Callable[[], LogRecordExporter], losses: LossCounter) -> None:
        self._create, self._losses, self._inner = create, losses, create()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Send a batch, count its items as lost if that fails, and return the SDK's result."""
        with self._losses.counting("logs", len(batch)):
            result = self._inner.export(batch)
        if result is not LogRecordExportResult.SUCCESS:
            self._losses.add("logs", len(batch))
        return result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:  # noqa: ARG002 - the SDK's signature
        """Return True: pending records are in the SDK's processor, not here."""
        return True

    def shutdown(self) -> None:
        """Close the connection."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def renew(self) -> None:
        """Replace the exporter, so that this process has its own connection."""
        self._inner = self._create()


class SpanSender(SpanExporter):
    """A span exporter that opens a new connection in the child of a fork. The arguments are as for `MetricSender`."""

    def __init__(self, create: Callable[[], SpanExporter], losses: LossCounter) -> None:
        self._create, self._losses, self._inner = create, losses, create()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch, count its items as lost if that fails, and return the SDK's result."""
        with self._losses.counting("traces", len(spans)):
            result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._losses.add("traces", len(spans))
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._inner.shutdown()

    def renew(self) -> None:
        """Replace the exporter, so that this process has its own connection."""
        self._inner = self._create()


CLOCK_SECONDS = 0.01
"""Seconds by which the clock of the day may be behind the one that measures a pause."""


class ForkSafeReader(PeriodicExportingMetricReader):
    """
    The SDK's periodic reader, with two additions: a fork waits for a running collection, and the child starts empty.

    The SDK holds a lock while it collects. A child that is forked meanwhile would wait for this lock for ever.
    The child would also continue the parent's histograms, and send them a second time under its own instance.
    """

    def __init__(self, exporter: MetricSender) -> None:
        self._collecting = threading.RLock()
        # A fork queues for this lock too, so that a series of collections does not keep it waiting.
        self._turn = threading.RLock()
        # Collections are sent in their order. Otherwise cumulative counters would decrease.
        self._order = threading.RLock()
        self._abandoned = False
        self._renewing = False
        self._second, self._apart = 0, False
        super().__init__(exporter)
        deltas = AggregationTemporality.DELTA in (exporter._preferred_temporality or {}).values()  # noqa: SLF001 - as above
        # Where collections are to come within a second, the backend is none that keeps one point for each.
        self._apart = deltas and self._export_interval_millis >= 1_000.0  # noqa: PLR2004 - milliseconds of a second

    def collect(self, timeout_millis: float = 10_000) -> None:  # type: ignore[misc]  # final, and guarded here
        """Collect and export. A fork waits for the collection, but not for the export."""
        with self._order:
            if self._abandoned:
                return
            if self._apart:
                self._await_next_second()
            try:
                # Within the block, because an interrupt may come as soon as the lock is acquired.
                self._start_collecting()
                # The SDK limits the last collection to its interval. A short one fails on a busy host.
                super().collect(max(timeout_millis, COLLECT_MILLISECONDS))
            finally:
                with suppress(RuntimeError):  # an interrupt came before the lock was acquired
                    self._collecting.release()

    def _await_next_second(self) -> None:
        """
        Wait until the second in which the last collection ended has passed, so that no two of deltas share one.

        Datadog keeps one point of a series for each second. A flush at the end of a process would replace the counts of
        the collection before, usually by zero. https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest/metrics/
        """
        now = time.time()
        if int(now) == self._second:
            time.sleep(self._second + 1 - now + CLOCK_SECONDS)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self._second = int(time.time())  # no point has a later time
        self._collecting.release()
        try:
            super()._receive_metrics(metrics_data, timeout_millis, **kwargs)
        finally:
            self._start_collecting()

    def _start_collecting(self) -> None:
        """Acquire the lock of a collection. A fork that waits for this lock gets it first."""
        with self._turn:
            self._collecting.acquire()

    def block_collections(self) -> bool:
        """Block collections before a fork. Return False, and block none, if a running one lasts over `FORK_SECONDS`."""
        if not self._turn.acquire(timeout=FORK_SECONDS):
            return False
        if self._collecting.acquire(timeout=FORK_SECONDS):
            return True
        self._turn.release()
        return False

    def resume_collections(self) -> None:
        """Allow collections again after a fork that `block_collections` has prepared."""
        self._collecting.release()
        self._turn.release()

    def abandon(self) -> None:
        """
        Log that this child exports no metrics.

        It was forked during a collection. No thread of the child will ever release the SDK's lock.
        """
        _log.warning("This process was forked while a metric callback was running. It exports no metrics.")

    def _at_fork_reinit(self) -> None:
        # Locks that another thread held at the fork stay locked for ever.
        self._collecting, self._turn, self._order = threading.RLock(), threading.RLock(), threading.RLock()
        # Until `start_empty` removes the parent's state. The SDK's thread starts earlier.
        self._abandoned = True
        self._export_lock = threading.Lock()
        self._shutdown_event = threading.Event()
        super()._at_fork_reinit()  # type: ignore[no-untyped-call]

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Collect and export once more, and stop. Do nothing while `start_empty` registers the reader again."""
        if not self._renewing:
            super().shutdown(timeout_millis, **kwargs)

    def start_empty(self, provider: MeterProvider) -> None:
        """Remove the state of the parent in the child of a fork, and collect again. *provider* owns the reader."""
        if hasattr(provider, "remove_metric_reader"):  # since SDK 1.43
            self._renewing = True
            try:
                provider.remove_metric_reader(self)
                provider.add_metric_reader(self)
            finally:
                self._renewing = False
        self._abandoned = False


def export_losses(provider: object, losses: LossCounter) -> None:
    """Export the lost telemetry as a counter of *provider*, a meter provider of any kind."""
    meter_of(cast(ApiMeterProvider, provider)).create_observable_counter(
        sc.METRIC_MONITOR_TELEMETRY_LOST.name,
        [losses.observe],
        sc.METRIC_MONITOR_TELEMETRY_LOST.unit,
        sc.METRIC_MONITOR_TELEMETRY_LOST.brief,
    )


def survive_forks(
    provider: Any,
    readers: Sequence[ForkSafeReader],
    senders: Sequence[MetricSender | RecordSender | SpanSender],
    losses: LossCounter,
    on_fork: Callable[[], object] | None = None,
) -> None:
    """
    Register hooks: a fork waits for a running collection, and each child starts empty with its own connections.

    Args:
        provider: a provider that was set up here. It owns *readers*, if there are any. The hooks work while it exists.
        readers: collect the metrics.
        senders: open new connections in the child.
        losses: the counts of lost telemetry, which the child resets.
        on_fork: called in the child, before it exports anything.
    """
    if not hasattr(os, "register_at_fork"):
        return
    reference, blocked = weakref.ref(provider), list[ForkSafeReader]()

    def before() -> None:
        blocked[:] = [reader for reader in readers if reader.block_collections()] if reference() is not None else []

    def in_parent() -> None:
        for reader in blocked:
            reader.resume_collections()

    def in_child() -> None:
        inherited = reference()
        if inherited is None:
            return
        losses.reset()
        if on_fork is not None:
            on_fork()
        for sender in senders:
            sender.renew()
        for reader in readers:
            reader.start_empty(inherited) if reader in blocked else reader.abandon()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
