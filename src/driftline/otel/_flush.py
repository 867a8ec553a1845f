"""Flushes the global providers, and those that monitors were given."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry import _logs, metrics, trace

from driftline.otel._stand_ins import actual_provider

__all__ = ["flush_providers"]

_log = logging.getLogger("driftline")

COLLECT_SECONDS = 0.5
"""Seconds that events and spans wait for the metrics: collecting them may evaluate windows, which emits events."""


def flush_providers(others: Iterable[object], seconds: float) -> bool:
    """
    Flush the global providers and *others*, at the same time. Return whether all have said so within *seconds*.

    Providers without a ``force_flush`` have nothing pending.
    """
    end = time.monotonic() + seconds
    results: list[bool] = []
    threads: list[threading.Thread] = []
    meters = actual_provider(metrics.get_meter_provider())
    # By identity, because a provider may have no hash.
    providers = {id(each): each for each in (meters, *others, _logs.get_logger_provider(), trace.get_tracer_provider())}
    flushes = [flush for each in providers.values() if (flush := getattr(each, "force_flush", None)) is not None]

    def run(flush: Callable[..., Any]) -> None:
        try:
            results.append(flush() is not False)  # those of vendors may return None
        except Exception as error:  # noqa: BLE001 - a provider of any kind; metrics raise if collecting takes too long
            _log.warning("telemetry could not be sent: %s", type(error).__name__)

    for flush in flushes:
        thread = threading.Thread(target=run, args=(flush,), name="driftline-flush", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started, as at the end of the interpreter
            run(flush)
            continue
        threads.append(thread)
        if len(threads) == 1:
            thread.join(COLLECT_SECONDS)
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return len(results) == len(flushes) and all(results)
