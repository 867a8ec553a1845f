"""Axes: round numbers between two ends, and where they stand."""

from __future__ import annotations

import math

from driftline._drawing.text import tick

__all__ = ["draw_ticks", "nice_ticks", "position"]

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Distances of ticks, as multiples of a power of ten."""


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """
    Return round numbers from *low* to *high*, at most *most*.

    >>> nice_ticks(0.0, 97.0), nice_ticks(-1.0, 1.0, 3)
    ([0.0, 20.0, 40.0, 60.0, 80.0], [-1.0, 0.0, 1.0])
    """
    width = high - low
    if not 0.0 < width < math.inf:
        return []
    power = 10.0 ** math.floor(math.log10(width / most))
    for step in (step * power * factor for factor in (1.0, 10.0) for step in STEPS):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [index * step for index in range(first, last + 1)]
    return []


def position(value: float, low: float, high: float, size: float = 1000.0) -> float:
    """Return where a number stands between two ends, from 0 to *size*; beyond them it stands at the end."""
    return round(min(max((value - low) / (high - low), 0.0), 1.0) * size, 1)


def draw_ticks(low: float, high: float, y: int, most: int = 5, unit: str = "") -> str:
    """Return labels below an axis as SVG text, placed in per cent of the width."""
    parts = []
    for value in nice_ticks(low, high, most):
        x = position(value, low, high, 100.0)
        anchor = "start" if x < 3 else "end" if x > 97 else "middle"  # noqa: PLR2004 - a label is about 6 % wide
        parts.append(f'<text x="{x:g}%" y="{y}" text-anchor="{anchor}">{tick(value)}{unit}</text>')
    return "".join(parts)
