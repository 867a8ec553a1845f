"""Prints a live view as lines for a log: each event once, in the order of their times, and the state now and then."""

from __future__ import annotations

import sys
from types import TracebackType

from typing_extensions import Self

from driftline._drawing.text import clean, plural
from driftline._live.values import Event, LiveView
from driftline._live.words import event_line, time_text
from driftline._runtime.output import say

__all__ = ["Lines"]

HOLD_SECONDS = 6.0
"""Seconds that an event is held back, because an earlier one may arrive later: SDKs send logs after 5 s at most."""


class Lines:
    """
    Printed lines.

    Args:
        seconds: seconds of the time that is shown between two lines about the state.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = -1.0
        self._printed: set[Event] = set()
        self._last: LiveView | None = None
        self._trouble = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._last is not None:
            self._print_events(self._last, float("inf"))

    def show(self, view: LiveView) -> None:
        """Print what has changed since the last call."""
        self._last = view
        if view.trouble != self._trouble:
            self._trouble = view.trouble
            if view.trouble:
                say(f"{self._time(view, view.time)}  {view.source} cannot be read: {view.trouble}", sys.stdout)
        # Of a replay, all events of a day have one time, and the day is over when the next one begins.
        self._print_events(view, view.time - (1.0 if view.dates_only else HOLD_SECONDS))
        if view.models and view.time >= self._next:
            drifting = sorted(
                {clean(each.name) for model in view.models for each in model.features if each.state == "drifting"}
            )
            total = sum(model.predictions for model in view.models)
            say(
                f"{self._time(view, view.time)}  {plural(total, 'prediction')}; drifting: "
                f"{', '.join(drifting) or 'nothing'}",
                sys.stdout,
            )
            self._next = view.time + self._seconds

    def _print_events(self, view: LiveView, until: float) -> None:
        due = [event for event in view.events if event.time <= until and event not in self._printed]
        for event in due:
            variant = f" ({clean(event.model.variant, 24)})" if event.model.variant and event.kind != "canary" else ""
            say(f"{self._time(view, event.time)}  {event_line(event)}{variant}", sys.stdout)
        # An event that a view has no more will not come again.
        self._printed = {*due, *self._printed.intersection(view.events)}

    @staticmethod
    def _time(view: LiveView, seconds: float) -> str:
        return time_text(seconds, dates_only=view.dates_only)
