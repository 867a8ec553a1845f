"""Flushes providers: the global ones, those that monitors were given, those of `configure_otlp`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from opentelemetry import _logs, metrics, trace

from driftline.otel._stand_ins import actual_provider

__all__ = ["flush_of", "flush_providers", "run_together"]

_log = logging.getLogger("driftline")

COLLECT_SECONDS = 0.5
"""Seconds that events and spans wait for the metrics: collecting them may evaluate windows, which emits events."""


def flush_providers(others: Iterable[object], seconds: float) -> bool:
    """
    Flush the global providers and *others*, at the same time. Return whether all have said so within *seconds*.

    Providers without a ``force_flush`` have nothing pending.
    """
    meters = actual_provider(metrics.get_meter_provider())
    # By identity, because a provider may have no hash.
    providers = {id(each): each for each in (meters, *others, _logs.get_logger_provider(), trace.get_tracer_provider())}
    return all(run_together([("telemetry", flush_of(each)) for each in providers.values()], seconds))


def flush_of(provider: Any) -> Callable[[], bool]:
    """Return a function that flushes a provider, and returns whether it could."""

    def flush() -> bool:
        flush_provider = getattr(provider, "force_flush", None)
        # Providers without a flush have nothing pending. Those of vendors may return None.
        return flush_provider is None or flush_provider() is not False

    return flush


def run_together(functions: Sequence[tuple[str, Callable[[], bool]]], seconds: float) -> list[bool]:
    """
    Run functions, and return their results in their order; False if one raises or takes longer than *seconds*.

    Each runs in its own thread, so that an unreachable collector costs one timeout, not three. The first one gets
    `COLLECT_SECONDS` by itself.

    Args:
        functions: each with what it sends, which the log names if it cannot.
        seconds: how long they may take together.
    """
    results = [False] * len(functions)

    def run(index: int) -> None:
        what, function = functions[index]
        try:
            results[index] = function()
        except Exception as error:  # noqa: BLE001 - a provider of any kind; metrics raise if collecting takes too long
            _log.warning("%s could not be sent: %s", what, type(error).__name__)

    end = time.monotonic() + seconds
    threads: list[threading.Thread] = []
    for index, (what, _) in enumerate(functions):
        thread = threading.Thread(target=run, args=(index,), name=f"driftline-{what}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started, as at the end of the interpreter
            run(index)
            continue
        threads.append(thread)
        if len(threads) == 1:
            thread.join(COLLECT_SECONDS)
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return list(results)
