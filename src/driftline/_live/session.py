"""Runs a live view: reads again and again, and hands each view to the screens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from driftline._live.reader import LiveReader
from driftline._live.values import LiveView

__all__ = ["Screen", "follow"]


PAUSE = 3.0
"""
Least pause after a view, as a multiple of its time: a view of 22,500 series takes 0.4 s, and must not fill a core.
"""


class Screen(Protocol):
    """Shows views."""

    def show(self, view: LiveView) -> None:
        """Show the present view."""
        ...


def follow(
    reader: LiveReader,
    screens: Sequence[Screen],
    every: float,
    ended: threading.Event | Callable[[float], bool],
    seconds: float | None = None,
) -> LiveView:
    """
    Show views until the end, and once more after it. Return the last view.

    Args:
        reader: reads them.
        screens: show them.
        every: seconds between two views; more if a view takes long.
        ended: an event that is set at the end, or a function that waits for a time-out and returns whether it is the
            end.
        seconds: seconds after which it is the end; None for no limit.
    """
    wait = ended.wait if isinstance(ended, threading.Event) else ended
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        start = time.monotonic()
        view = reader.read()
        for screen in screens:
            screen.show(view)
        now = time.monotonic()
        pause = max(every, PAUSE * (now - start))
        remaining = pause if end is None else min(pause, end - now)
        if remaining <= 0.0 or wait(remaining):
            break
    view = reader.read()
    for screen in screens:
        screen.show(view)
    return view
