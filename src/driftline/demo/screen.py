"""Views of the telemetry that has arrived: a live picture for a terminal, and lines for a log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from driftline import Reference
from driftline.demo.flights import hour_to_date
from driftline.demo.received import DriftEvent, Received
from driftline.demo.summary import with_name

__all__ = ["Lines", "Picture", "Screen", "Span", "bars"]

BLOCKS = " ▁▂▃▄▅▆▇█"
COLOURS = {"drifting": "bold red", "stable": "green", "insufficient_data": "dim"}
VERDICTS = {"promote": "bold green", "rollback": "bold red", "inconclusive": "yellow"}
LINE_HOURS = 14 * 24
"""Simulated hours between two lines of `Lines`."""

MAX_BARS = 18
"""Largest number of bars of a histogram, so that two fit side by side in 80 columns."""


@dataclass(frozen=True, slots=True)
class Span:
    """The first and last hour of the replay, counted from `START`."""

    first: int
    last: int


class Screen(Protocol):
    """A view of the telemetry that has arrived."""

    def show(self, received: Received) -> None:
        """Draw or print the present state."""
        ...

    def __enter__(self) -> Self:
        """Start to use the terminal, and return this view."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the terminal."""
        ...


def bars(counts: NDArray[np.int64]) -> str:
    """
    Return counts as a string, one block character per count. The largest count has a full block.

    >>> bars(np.array([0, 4, 8]))
    ' ▄█'
    """
    top = counts.max(initial=0)
    if top <= 0:
        return " " * len(counts)
    # A bin that is not empty has at least the lowest block.
    heights = np.where(counts > 0, np.maximum(1, np.round(counts / top * (len(BLOCKS) - 1))), 0)
    return "".join(BLOCKS[int(height)] for height in heights)


class Picture:
    """
    A live picture in a terminal, redrawn in place.

    Args:
        console: the terminal.
        reference: the reference of the monitors, for the histograms.
        span: the first and last hour of the replay, for the progress bar.
    """

    def __init__(self, console: Console, reference: Reference, span: Span) -> None:
        self._reference = reference
        self._span = span
        self._live = Live(console=console, auto_refresh=False)
        self._start_time = time.monotonic()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, received: Received) -> None:
        """Redraw the picture."""
        self._live.update(Panel(Group(*self._parts(received)), title="driftline: flights of 2013"), refresh=True)

    def _parts(self, received: Received) -> list[Any]:
        elapsed = max(0.0, received.hour - self._span.first)
        head = Table.grid(expand=True, padding=(0, 1))
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(justify="right", no_wrap=True)
        rate = received.total / max(time.monotonic() - self._start_time, 0.1)
        date = f"{hour_to_date(max(received.hour, self._span.first)):%a %d %b %Y}"
        head.add_row(
            Text(date, style="bold"),
            ProgressBar(total=self._span.last - self._span.first, completed=elapsed),
            f"{received.total:,} predictions, {rate:,.0f}/s",
        )
        return [head, Text(), self._features(received), Text(), *_verdicts(received)]

    def _features(self, received: Received) -> Table:
        table = Table(box=None, expand=True, padding=(0, 1), pad_edge=False, header_style="dim")
        table.add_column("feature", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column("psi", justify="right", no_wrap=True)
        table.add_column("reference", no_wrap=True)
        table.add_column("now", no_wrap=True)
        for feature in self._reference.watched:
            state = received.states.get(feature.name, "")
            psi = received.psi.get(feature.name)
            expected, current = np.array(feature.counts), received.counts(feature.name, feature.bins.size)
            table.add_row(
                feature.name,
                Text("waiting" if state == "insufficient_data" else state, style=COLOURS.get(state, "")),
                "" if psi is None else f"{psi:.2f}",
                Text(bars(expected[-MAX_BARS:]), style="dim"),
                Text(bars(current[-MAX_BARS:]), style="red" if state == "drifting" else "cyan"),
            )
        return table


def _verdicts(received: Received) -> list[Text]:
    lines = []
    if received.canary:
        line = Text("canary      ")
        line.append(received.canary, style=VERDICTS.get(received.canary, ""))
        if received.canary_reason:
            line.append(f"  {received.canary_reason}", style="dim")
        lines.append(line)
    if received.accuracy:
        accuracies = (
            f"{variant} {accuracy:.1%}"
            + (f" (estimated {received.estimated[variant]:.1%})" if variant in received.estimated else "")
            for variant, accuracy in sorted(received.accuracy.items())
        )
        lines.append(Text(f"accuracy    {', '.join(accuracies)}"))
    if received.retraining:
        hour, reason = received.retraining[-1]
        lines.append(Text(f"retraining  requested on {hour_to_date(hour):%d %b}: {reason}", style="yellow"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


class Lines:
    """Printed lines for a log: one for each two weeks of simulated time, and one for each change."""

    def __init__(self, span: Span) -> None:
        self._next_line_hour = float(span.first)
        self._printed = (0, 0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, received: Received) -> None:
        """Print the changes since the last call."""
        drift, verdicts, retraining = self._printed
        for line in _drift_lines(received.drift[drift:]):
            print(line)
        for change in received.verdicts[verdicts:]:
            print(f"{hour_to_date(change.hour):%Y-%m-%d}  canary: {change.previous} to {change.state}, {change.reason}")
        for hour, reason in received.retraining[retraining:]:
            print(f"{hour_to_date(hour):%Y-%m-%d}  retraining requested: {reason}")
        self._printed = len(received.drift), len(received.verdicts), len(received.retraining)
        if received.hour >= self._next_line_hour:
            drifting = sorted(name for name, state in received.states.items() if state == "drifting")
            print(
                f"{received.date}  {received.total:,} predictions; drifting: {', '.join(drifting) or 'nothing'}",
                flush=True,
            )
            self._next_line_hour = received.hour + LINE_HOURS


def _drift_lines(events: Sequence[DriftEvent]) -> Iterator[str]:
    """Yield a line for each drift that starts or ends, and for each hour in which features first become stable."""
    stable: dict[float, list[str]] = {}
    for event in events:
        if (event.previous, event.state) == ("insufficient_data", "stable"):
            stable.setdefault(event.hour, []).append(event.feature)
    for hour, features in stable.items():
        yield f"{hour_to_date(hour):%Y-%m-%d}  as in the reference: {', '.join(features)}"
    for event in events:
        day = f"{hour_to_date(event.hour):%Y-%m-%d}"
        if event.state == "drifting":
            yield f"{day}  {event.feature} drifts: {with_name(event.feature, event.reason).partition(': ')[2]}"
        elif event.previous == "drifting":
            yield f"{day}  {event.feature} no longer drifts"
