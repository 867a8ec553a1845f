"""Draws predicted probabilities against the share of the outcomes that came true."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["draw_reliability"]


def draw_reliability(points: Sequence[tuple[float, float, float, float]]) -> str:
    """
    Return a square plot as SVG.

    Args:
        points: for each group the mean prediction, the share that came true, and the ends of its interval, from 0 to 1.
    """
    marks = ""
    for predicted, actual, lower, upper in points:
        x = f"{100 * predicted:.1f}%"
        marks += f'<line class="span" x1="{x}" x2="{x}" y1="{100 - 100 * lower:.1f}%" y2="{100 - 100 * upper:.1f}%"/>'
        marks += f'<circle class="dot" cx="{x}" cy="{100 - 100 * actual:.1f}%" r="4.5"/>'
    ticks = "".join(
        f'<line class="axis" x1="{share}%" x2="{share}%" y1="0" y2="100%"/>'
        f'<line class="axis" y1="{100 - share}%" y2="{100 - share}%" x1="0" x2="100%"/>'
        f'<text x="{share}%" y="100%" dy="17" text-anchor="middle">{share}%</text>'
        f'<text x="0" dx="-8" y="{100 - share}%" dy="4" text-anchor="end">{share}%</text>'
        for share in (0, 50, 100)
    )
    described = f"{len(points)} groups of predicted probabilities, and the share of each that came true."
    return (
        f'<div class="square"><svg class="plot" role="img" aria-label="{described}" width="100%" height="100%">{ticks}'
        f'<line class="limit" x1="0" y1="100%" x2="100%" y2="0"/>{marks}</svg></div>'
    )
