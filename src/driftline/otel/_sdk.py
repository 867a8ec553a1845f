"""The SDK's reader and exporters, made to survive a fork in the middle of anything and to say what did not arrive."""

from __future__ import annotations

import logging
import netrc  # noqa: F401 - requests imports it while it sends for the first time, and a fork then loses its lock
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from driftline import semconv as sc
from driftline.otel import meter_of

__all__ = ["ForkedReader", "Lost", "MetricSender", "RecordSender", "SpanSender", "survive_forks"]

_log = logging.getLogger("driftline")

FORK_SECONDS = 5.0
"""How long a fork waits for a collection to end. One takes milliseconds, unless a callback hangs."""

COLLECT_MILLISECONDS = 30_000
"""How long a collection may take at least, as OTEL_METRIC_EXPORT_TIMEOUT has it by default."""


class Lost:
    """Counts what did not arrive, per signal, and logs the first of each."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget: the child of a fork starts here."""
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def note(self, signal: str, items: int) -> None:
        """So many items of a signal could not be sent."""
        with self._lock:
            first = signal not in self._counts
            self._counts[signal] = self._counts.get(signal, 0) + items
        if first:
            rest = "what is cumulative comes with the next export" if signal == "metrics" else f"{items} are lost"
            _log.warning(
                "%s could not be sent: %s. What follows of this kind is counted in %s.",
                signal,
                rest,
                sc.METRIC_MONITOR_TELEMETRY_LOST.name,
            )

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """The counts, as a callback of an observable counter."""
        with self._lock:
            counts = dict(self._counts)
        return [Observation(count, {sc.ML_MONITOR_SIGNAL: signal}) for signal, count in counts.items()]


class MetricSender(MetricExporter):
    """Exports metrics by an exporter that is made anew in the child of a fork: a connection serves one process."""

    def __init__(self, make: Callable[[], MetricExporter], lost: Lost) -> None:
        self._make, self._lost, self._inner = make, lost, make()
        super().__init__(
            preferred_temporality=self._inner._preferred_temporality,  # noqa: SLF001 - as the SDK's own reader does
            preferred_aggregation=self._inner._preferred_aggregation,  # noqa: SLF001 - as above
        )

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Send one collection."""
        result = self._inner.export(metrics_data, timeout_millis, **kwargs)
        if result is not MetricExportResult.SUCCESS:
            self._lost.note("metrics", 1)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Send what is left."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close the connection."""
        self._inner.shutdown(timeout_millis, **kwargs)

    def renew(self) -> None:
        """Take a connection of this process's own."""
        self._inner = self._make()


class RecordSender(LogRecordExporter):
    """As `MetricSender`, for log records."""

    def __init__(self, make: Callable[[], LogRecordExporter], lost: Lost) -> None:
        self._make, self._lost, self._inner = make, lost, make()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Send a batch."""
        result = self._inner.export(batch)
        if result is not LogRecordExportResult.SUCCESS:
            self._lost.note("logs", len(batch))
        return result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:  # noqa: ARG002 - the SDK's signature
        """Nothing is kept back: the SDK's processor holds what waits."""
        return True

    def shutdown(self) -> None:
        """Close the connection."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def renew(self) -> None:
        """Take a connection of this process's own."""
        self._inner = self._make()


class SpanSender(SpanExporter):
    """As `MetricSender`, for spans."""

    def __init__(self, make: Callable[[], SpanExporter], lost: Lost) -> None:
        self._make, self._lost, self._inner = make, lost, make()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._lost.note("traces", len(spans))
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._inner.shutdown()

    def renew(self) -> None:
        """Take a connection of this process's own."""
        self._inner = self._make()


class ForkedReader(PeriodicExportingMetricReader):
    """
    The SDK's reader, which a fork does not catch within a collection and which starts empty in the child.

    The SDK holds a lock while it collects; a child that is forked meanwhile would wait for it for ever. And the child
    would go on from the parent's histograms and send them a second time, under an instance of its own.
    """

    def __init__(self, exporter: MetricSender) -> None:
        self._collecting = threading.RLock()
        # A fork queues here too, so that collections that follow one another do not keep it out.
        self._turn = threading.RLock()
        # What is collected first is sent first: counters would go back otherwise.
        self._order = threading.RLock()
        self._wedged = False
        self._renewing = False
        super().__init__(exporter)

    def collect(self, timeout_millis: float = 10_000) -> None:  # type: ignore[misc]  # final, and guarded here
        """Collect and export; only the collection keeps a fork waiting."""
        with self._order:
            if self._wedged:
                return
            self._enter()
            try:
                # The SDK gives the last collection as long as its interval is: a short one is lost on a busy host.
                super().collect(max(timeout_millis, COLLECT_MILLISECONDS))
            finally:
                self._collecting.release()

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self._collecting.release()
        try:
            super()._receive_metrics(metrics_data, timeout_millis, **kwargs)
        finally:
            self._enter()

    def _enter(self) -> None:
        with self._turn:
            self._collecting.acquire()

    def hold(self) -> bool:
        """Keep collections out, as long as a fork lasts; False where one does not end."""
        if not self._turn.acquire(timeout=FORK_SECONDS):
            return False
        if self._collecting.acquire(timeout=FORK_SECONDS):
            return True
        self._turn.release()
        return False

    def go_on(self) -> None:
        """Let collections in again."""
        self._collecting.release()
        self._turn.release()

    def give_up(self) -> None:
        """The fork has caught a collection: the SDK's lock is lost with it, and waiting for it would hang the host."""
        _log.warning("this process was forked while a callback did not end: no metric is exported from it")

    def _at_fork_reinit(self) -> None:
        # Locks that another thread held at the fork stay locked for ever.
        self._collecting, self._turn, self._order = threading.RLock(), threading.RLock(), threading.RLock()
        # Until the state of the parent is forgotten; the SDK's thread starts before.
        self._wedged = True
        self._export_lock = threading.Lock()
        self._shutdown_event = threading.Event()
        super()._at_fork_reinit()  # type: ignore[no-untyped-call]

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Collect and export once more, and stop."""
        if not self._renewing:
            super().shutdown(timeout_millis, **kwargs)

    def start_empty(self, provider: MeterProvider) -> None:
        """Forget what was collected before the fork."""
        if hasattr(provider, "remove_metric_reader"):  # since SDK 1.43
            self._renewing = True
            try:
                provider.remove_metric_reader(self)
                provider.add_metric_reader(self)
            finally:
                self._renewing = False
        self._wedged = False


def survive_forks(
    provider: MeterProvider,
    reader: ForkedReader,
    senders: Sequence[MetricSender | RecordSender | SpanSender],
    lost: Lost,
) -> None:
    """Keep forks out of collections, give children connections of their own, and let them start empty."""
    meter_of(provider).create_observable_counter(
        sc.METRIC_MONITOR_TELEMETRY_LOST.name,
        [lost.observe],
        sc.METRIC_MONITOR_TELEMETRY_LOST.unit,
        sc.METRIC_MONITOR_TELEMETRY_LOST.brief,
    )
    if not hasattr(os, "register_at_fork"):
        return
    owner, held = weakref.ref(provider), [False]

    def before() -> None:
        held[0] = owner() is not None and reader.hold()

    def in_parent() -> None:
        if held[0]:
            reader.go_on()

    def in_child() -> None:
        one = owner()
        if one is None:
            return
        lost.reset()
        for sender in senders:
            sender.renew()
        if held[0]:
            reader.start_empty(one)
        else:
            reader.give_up()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
