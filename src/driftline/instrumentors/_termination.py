"""Flushes when SIGTERM ends a process that has no handler for it."""

from __future__ import annotations

import os
import signal
import threading

__all__ = ["flush_at_sigterm"]

FLUSH_SECONDS = 10.0
"""Seconds that the flush may take. Kubernetes kills a pod 30 s after SIGTERM."""


def flush_at_sigterm() -> None:
    """
    Flush all monitors and providers when SIGTERM ends the process, which then ends by SIGTERM as before.

    Python skips ``atexit`` then. `uvicorn` stops gracefully, and raises the signal again at its end. A program with a
    handler for it, or one that sets a handler later, is not affected.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, _: object) -> None:
    # The main thread may have been interrupted while it holds a lock that the flush needs.
    thread = threading.Thread(target=_flush, name="driftline-sigterm", daemon=True)
    try:
        thread.start()
        thread.join(FLUSH_SECONDS)
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _flush() -> None:
    from driftline import flush  # noqa: PLC0415 - a process without models has not imported it

    flush(FLUSH_SECONDS)
