"""The graceful stop of a process: `flush` sends what is pending, `flush_at_stop` does so when a signal arrives."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from driftline._runtime import validation as check
from driftline._runtime.process_hooks import flush_components, in_children
from driftline.otel import flush_providers

__all__ = ["flush", "flush_at_stop", "stop_requested"]

FLUSH_SECONDS = 30.0
"""Seconds that a flush may take. Kubernetes kills a pod after 30 s, and other orchestrators sooner."""

_earlier: dict[int, Any] = {}
"""The handlers that were installed before that of `flush_at_stop`, by signal."""

_requested: list[int] = []


def flush(seconds: float = FLUSH_SECONDS) -> bool:
    """
    Evaluate the pending windows of all monitors of this process, and send all pending telemetry.

    Call it before a process ends that skips ``atexit``: in the hook for the shutdown of a server, at the end of the
    handler of a serverless function. Errors are logged. The flush goes on in a thread if it takes longer.

    Args:
        seconds: longest time to wait.

    Returns:
        whether everything was sent in time, as far as the providers say so.

    Raises:
        ConfigurationError: *seconds* is not a number above 0.
    """
    end = time.monotonic() + check.number("seconds", seconds, above=0.0)
    result: list[bool] = []

    def run() -> None:
        result.append(flush_providers(flush_components(), max(0.1, end - time.monotonic())))

    thread = threading.Thread(target=run, name="driftline-flush", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # at the end of the interpreter
        run()
    else:
        thread.join(seconds)
    return result == [True]


def flush_at_stop(signals: Sequence[int] = (signal.SIGTERM,)) -> bool:
    """
    Call `flush` when a signal asks this process to stop. Then do what the signal did before.

    Python's default for SIGTERM, and servers such as uvicorn, end a process without ``atexit``. Call this in the main
    thread, before the server starts where possible: uvicorn passes the signal on after it has answered all requests.
    If a server has a handler already, that is called first, and then the flush runs. A call that ends later is sent if
    the code that serves it asks `stop_requested` after it, and flushes.

    Args:
        signals: the signals. Those that the process ignores stay ignored.

    Returns:
        whether the handlers are installed. False outside the main thread, where Python allows none.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    if not _earlier:
        in_children(_requested.clear)
    for number in signals:
        present = signal.getsignal(number)
        if present is not signal.SIG_IGN and present is not None and present is not _on_stop:
            _earlier[number] = present
            signal.signal(number, _on_stop)
    return True


def stop_requested() -> bool:
    """Return whether a signal of `flush_at_stop` has arrived, so that a call that ends now must be flushed."""
    return bool(_requested)


def _on_stop(number: int, frame: FrameType | None) -> None:
    _requested.append(number)
    earlier: Callable[[int, FrameType | None], Any] | int = _earlier.get(number, signal.SIG_DFL)
    if callable(earlier):
        earlier(number, frame)  # an exception ends the process by ``atexit``, which flushes
        flush()
    else:
        flush()
        signal.signal(number, earlier)
        signal.raise_signal(number)
