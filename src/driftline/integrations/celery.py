"""Celery: the processes of a worker flush when they end."""

from __future__ import annotations

from typing import Any

from driftline import flush

__all__ = ["flush_at_shutdown"]


def flush_at_shutdown() -> None:
    """
    Flush in each process of a Celery worker when it ends: at a warm shutdown, and when a pool replaces the process.

    The children of the prefork pool end without ``atexit``, so what they counted since the last export would be lost.
    Call it in the module of the application. It does nothing in a process that is no worker. A second call does
    nothing. Decorate the function first, and then make it a task::

        @app.task
        @monitor.instrument
        def predict(features): ...

    A worker that is killed, or a child that exceeds its hard time limit, loses the time since the last export.
    """
    from celery import signals  # noqa: PLC0415 - importing this module needs no Celery

    # Of a child of the prefork pool, and of the worker itself, which runs the tasks of the other pools.
    for event in (signals.worker_process_shutdown, signals.worker_shutdown):
        event.connect(_flush, weak=False, dispatch_uid="driftline.flush")


def _flush(**_: Any) -> None:
    flush()
