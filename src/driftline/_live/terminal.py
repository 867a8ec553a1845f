"""Draws a live view in a terminal, as high and as wide as the terminal is (extra ``cli``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from driftline._drawing.states import WORDS
from driftline._drawing.text import clean, count, percent, plural, sentence
from driftline._live.values import Event, FeatureView, LiveView
from driftline._live.words import (
    canary_lines,
    event_line,
    evidence,
    headline,
    label_of,
    latency_text,
    outcome_line,
    quality_lines,
    rate_text,
    rest_line,
    retraining_line,
    time_text,
)

__all__ = ["TerminalScreen", "blocks", "draw"]

BLOCKS = " ▁▂▃▄▅▆▇█"

COLOURS = {
    "drifting": "bold red",
    "stable": "green",
    "insufficient_data": "yellow",
    "promote": "bold green",
    "rollback": "bold red",
    "inconclusive": "yellow",
}

MAX_BARS, COURSE = 18, 12
"""Characters of a histogram, so that two fit side by side in 80 columns, and of a course."""

MAX_MODELS, MAX_PROBLEMS = 8, 4
"""Lines of models and problems."""

MIN_FEATURES, EVENTS = 3, 6
"""Lines that features have at least, and events at most."""

AROUND = 3
"""Lines around the features: the heads of the columns, what is not listed, and an empty one."""

WIDE, NARROW = 110, 70
"""Columns from which histograms are shown, and below which the course is not."""


def blocks(values: Sequence[float], top: float | None = None) -> str:
    """
    Return numbers as a string, one block character each. The largest one, or *top*, has a full block.

    >>> blocks([0, 4, 8])
    ' ▄█'
    """
    highest = max(values, default=0.0) if top is None else top
    if not highest > 0.0:
        return " " * len(values)
    # What is not 0 has at least the lowest block.
    return "".join(
        BLOCKS[max(1, round(min(value / highest, 1.0) * (len(BLOCKS) - 1))) if value > 0.0 else 0] for value in values
    )


def draw(view: LiveView, console: Console) -> Panel:
    """Return a view as a panel that fits into a console."""
    width, height = max(20, console.width - 4), max(10, console.height - 2)
    options = console.options.update(width=width, height=None)
    first: list[RenderableType] = [_head(view), Text(), *_models(view, width)]
    canaries, notes = list(_canaries(view)), list(_notes(view))
    events = [_event(view, event) for event in view.events[-EVENTS:]]

    def last() -> list[RenderableType]:
        title = [Text(), Text("recent events", style="dim")] if events and (canaries or notes) else []
        return [*canaries, *notes, *title, *events]

    def lines(parts: Sequence[RenderableType]) -> int:
        return sum(len(console.render_lines(part, options)) for part in parts)

    while lines([*first, *last()]) + MIN_FEATURES + AROUND > height:
        # The reasons of verdicts are the longest parts, and the events have them too.
        if len(canaries) > len(view.canaries):
            canaries.pop()
        elif len(events) > 1:
            events.pop(0)
        elif canaries or notes:
            (notes or canaries).pop()
        else:
            break
    space = max(MIN_FEATURES, height - lines([*first, *last()]) - AROUND)
    return Panel(Group(*first, *_features(view, space, width), *last()), title=Text(clean(view.title, 60)))


def _head(view: LiveView) -> Table:
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(no_wrap=True)
    head.add_column(ratio=1, no_wrap=True)
    head.add_column(justify="right", no_wrap=True)
    total = sum(model.predictions for model in view.models)
    rates = [model.rate for model in view.models if model.rate is not None]
    style = (
        "bold red" if any(feature.state == "drifting" for model in view.models for feature in model.features) else ""
    )
    if view.progress is None:
        middle: RenderableType = Text(headline(view), style=style, overflow="ellipsis")
    else:
        middle = ProgressBar(total=1.0, completed=view.progress)
    rate = f", {rate_text(sum(rates))}" if rates else ""
    _add_row(
        head,
        Text(time_text(view.time, dates_only=view.dates_only), style="bold"),
        middle,
        f"{plural(total, 'prediction')}{rate}",
    )
    return head


def _models(view: LiveView, width: int) -> Iterator[RenderableType]:
    if view.trouble:
        yield Text(f"{clean(view.source, 80)} cannot be read: {sentence(view.trouble, 300)}", style="bold red")
    if view.hint:
        yield Text(sentence(view.hint, 600))
    if not view.models:
        return
    is_wide = width >= WIDE
    columns = [("model", ""), ("predictions", "r"), ("rate", "r"), ("failed", "r"), ("p50 / p95", "r")]
    table = _table(*columns)
    if is_wide:
        table.add_column("accuracy and other measures", ratio=1)
    for model in view.models[:MAX_MODELS]:
        quality = "; ".join(filter(None, (outcome_line(model), *islice(quality_lines(model), 3))))
        _add_row(
            table,
            Text(clean(model.key, 40) if is_wide else label_of(model, view.models) or clean(model.key, 24)),
            count(model.predictions),
            rate_text(model.rate),
            Text(percent(model.error_rate), style="red" if model.failed else ""),
            latency_text(model.latency),
            *([Text(quality or "–")] if is_wide else []),
        )
    yield table
    if not is_wide:
        for model in view.models[:MAX_MODELS]:
            if quality := outcome_line(model):
                yield Text(f"{label_of(model, view.models) or 'accuracy'}: {quality}")
    if len(view.models) > MAX_MODELS:
        yield Text(f"and {plural(len(view.models) - MAX_MODELS, 'more model', 'more models')}", style="dim")
    yield Text()


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1), pad_edge=False, header_style="dim")
    for name, side in columns:
        table.add_column(name, justify="right" if side else "left", no_wrap=True)
    return table


def _add_row(table: Table, *cells: RenderableType) -> None:
    """Add a row. Names are shown as they are: a string would be read as markup."""
    table.add_row(*(Text(each) if isinstance(each, str) else each for each in cells))


def _features(view: LiveView, space: int, width: int) -> Iterator[RenderableType]:
    rows = [(model, feature) for model in view.models for feature in model.features]
    if not rows:
        return
    order = {state: index for index, state in enumerate(("drifting", "insufficient_data", "stable"))}
    rows.sort(key=lambda row: (order.get(row[1].state, 3), -(row[1].effect or 0.0), -(row[1].score or 0.0)))
    several = len(view.models) > 1
    has_bins = width >= WIDE and any(feature.current for _, feature in rows)
    table = _table(*([("model", "")] if several else []), ("feature", ""), ("state", ""), ("effect", "r"), ("p", "r"))
    table.add_column("raw PSI", justify="right", no_wrap=True, style="dim")
    if width >= NARROW:
        table.add_column("course", no_wrap=True, style="dim")
    if has_bins:
        table.add_column("reference", no_wrap=True, style="dim")
        table.add_column("now", no_wrap=True)
    for model, feature in rows[:space]:
        cells: list[Any] = [Text(label_of(model, view.models), style="dim")] if several else []
        cells += [Text(clean(feature.name, 40)), _state(feature), *evidence(feature)]
        if width >= NARROW:
            cells.append(_course(feature))
        if has_bins:
            colour = "red" if feature.state == "drifting" else "cyan"
            cells += [blocks(feature.reference[-MAX_BARS:]), Text(blocks(feature.current[-MAX_BARS:]), style=colour)]
        _add_row(table, *cells)
    yield table
    rest = rest_line([feature for _, feature in rows[space:]])
    if rest:
        yield Text(rest, style="dim")
    yield Text()


def _state(feature: FeatureView) -> Text:
    text = Text(WORDS.get(feature.state, clean(feature.state, 20)), style=COLOURS.get(feature.state, ""))
    total = sum(feature.processes.values())
    if total > 1 and feature.processes.get(feature.state, 0) < total:
        text.append(f" ({feature.processes.get(feature.state, 0)} of {total})", style="dim")
    return text


def _course(feature: FeatureView) -> str:
    """Return the course of the score as blocks, evenly spaced in time."""
    points = feature.course
    if len(points) < 2 or points[-1][0] <= points[0][0]:  # noqa: PLR2004 - a course has two ends
        return ""
    start, end = points[0][0], points[-1][0]
    values, index = [], 0
    for step in range(COURSE):
        moment = start + (end - start) * step / (COURSE - 1)
        while index + 1 < len(points) and points[index + 1][0] <= moment:
            index += 1
        values.append(points[index][1])
    return blocks(values)


def _canaries(view: LiveView) -> Iterator[Text]:
    for canary in view.canaries:
        text = Text("canary      ")
        text.append(WORDS.get(canary.state, clean(canary.state, 20)), style=COLOURS.get(canary.state, ""))
        name = " ".join(filter(None, (canary.model, canary.id)))
        if len(view.canaries) > 1:
            text.append(f"  {clean(name, 40)}")
        yield text
        for line in canary_lines(canary):
            yield Text(f"  {line}", style="dim")


def _notes(view: LiveView) -> Iterator[Text]:
    for model in view.models:
        label = label_of(model, view.models)
        name = f" ({label})" if label else ""
        if model.retraining:
            yield Text(f"retraining  {retraining_line(model)}{name}", style="yellow")
        for problem in model.problems[:MAX_PROBLEMS]:
            where = clean(problem.where, 40)
            text = Text(f"{problem.kind:<11} {count(problem.count)} at {where}{name}: ", style="red")
            text.append(sentence(problem.remedy, 200), style="")
            yield text


def _event(view: LiveView, event: Event) -> Text:
    text = Text(f"{time_text(event.time, dates_only=view.dates_only)}  ", style="dim")
    text.append(event_line(event), style="")
    variant = event.model.variant if len(view.models) > 1 else ""
    if variant and event.kind != "canary":
        text.append(f" ({clean(variant, 24)})", style="dim")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


class TerminalScreen:
    """
    A live view in a terminal, redrawn in its place.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, view: LiveView) -> None:
        """Redraw the view."""
        self._live.update(draw(view, self._console), refresh=True)
