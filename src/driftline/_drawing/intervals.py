"""Draws numbers with their intervals below each other, on the same axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftline._drawing.axis import draw_ticks, position
from driftline._drawing.text import escape

__all__ = ["Interval", "draw_intervals"]

ROW = 46
"""Pixels of a row: its words, and its interval below."""

SPACE = 0.12
"""Space at both ends of the axis, as a share of the range of the numbers."""


@dataclass(frozen=True, slots=True)
class Interval:
    """
    A number with its interval.

    Attributes:
        name: what it is.
        value: the number; None if it is not known.
        lower: the lower end; None if it is open or not known.
        upper: the upper end; likewise.
        text: the number in words.
        note: further words at the right.
        state: a class of CSS, for its colour.
    """

    name: str
    value: float | None
    lower: float | None
    upper: float | None
    text: str
    note: str = ""
    state: str = ""


def draw_intervals(intervals: Sequence[Interval], *, unit: str = "", limit: float | None = None) -> str:
    """
    Return intervals as SVG.

    Args:
        intervals: the intervals.
        unit: ``"%"`` if the numbers are shares.
        limit: a number that is marked by a line; None for none.
    """
    known = [end for each in intervals for end in (each.value, each.lower, each.upper) if end is not None] + (
        [] if limit is None else [limit]
    )
    if not known:
        return ""
    low, high = min(known), max(known)
    space = SPACE * (high - low) or abs(high) * SPACE or 1.0
    low, high = low - space, high + space
    if unit == "%":
        low, high = max(low, 0.0), min(high, 1.0)
    factor = 100.0 if unit == "%" else 1.0
    parts = ""
    for index, each in enumerate(intervals):
        top = index * ROW
        y = top + 30
        note = f' <tspan class="soft">{escape(each.note)}</tspan>' if each.note else ""
        parts += f'<text x="0" y="{top + 14}" class="name">{escape(each.name)}</text>'
        parts += f'<text x="100%" y="{top + 14}" text-anchor="end">{escape(each.text)}{note}</text>'
        start = 0.0 if each.lower is None else position(each.lower, low, high, 100.0)
        stop = 100.0 if each.upper is None else position(each.upper, low, high, 100.0)
        parts += f'<line class="axis" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
        if each.lower is not None or each.upper is not None:
            parts += f'<line class="span {each.state}" x1="{start:g}%" x2="{stop:g}%" y1="{y}" y2="{y}"/>'
        if each.value is not None:
            x = position(each.value, low, high, 100.0)
            parts += f'<circle class="dot {each.state}" cx="{x:g}%" cy="{y}" r="5"/>'
    height = len(intervals) * ROW
    if limit is not None:
        x = position(limit, low, high, 100.0)
        parts += f'<line class="limit" x1="{x:g}%" x2="{x:g}%" y1="20" y2="{height - 4}"/>'
    described = "; ".join(f"{each.name}: {each.text}" for each in intervals)
    ticks = draw_ticks(low * factor, high * factor, height + 8, 5, unit)
    return (
        f'<svg class="plot" role="img" aria-label="{escape(described, 400)}" width="100%" height="{height + 14}">'
        f"{parts}{ticks}</svg>"
    )
