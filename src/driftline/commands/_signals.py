"""What commands that run until a signal do with it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["set_on_signals"]


@contextlib.contextmanager
def set_on_signals(ended: threading.Event) -> Iterator[None]:
    """Set *ended* on SIGTERM and SIGINT during the block. Outside of the main thread, do nothing."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        ended.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
