"""Draws the density of a numeric feature: in each bin the area is the share of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftline._drawing.axis import draw_ticks, position
from driftline._drawing.text import attribute, escape

__all__ = ["Density", "Marks", "draw_copy", "draw_density", "draw_shares", "draw_values", "trim"]

HEIGHT = 120
"""Pixels of the shapes of a plot, without the labels below."""

WIDE = 0.3
"""Share of the axis beyond which the first or the last bin is not drawn: it would flatten all others."""

TAIL = 0.08
"""Largest share of the reference in a bin that is not drawn for this reason."""

NARROW = 0.012
"""Share of the axis below which a bin may be cut off at the top: a single frequent value would flatten all others."""

SPIKE = 4.0
"""Height from which such a bin is cut off, as a multiple of the highest of the others."""

FEW = 6
"""Bars below which there is space for long labels."""

HEADROOM = 1.06
"""Height of the plot, as a multiple of the highest density."""


@dataclass(frozen=True, slots=True)
class Density:
    """
    Shares of rows in bins that lie side by side.

    Attributes:
        edges: k + 1 increasing numbers.
        reference: k shares of all rows of the reference.
        current: k shares of all current rows.
    """

    edges: Sequence[float]
    reference: Sequence[float]
    current: Sequence[float]


@dataclass(frozen=True, slots=True)
class Marks:
    """The medians of both sides, which are marked in the plot; None if not known."""

    reference: float | None = None
    current: float | None = None


def trim(density: Density) -> tuple[Density, int, int]:
    """
    Return the part of a density that is drawn, and the number of bins that are not, at the start and at the end.

    A long tail is a bin that holds few rows of the reference and takes much of the axis.
    """
    start, stop = 0, len(density.reference)
    while stop - start > 2:  # noqa: PLR2004 - a plot of a single bin shows nothing
        width = density.edges[stop] - density.edges[start]
        first, last = density.edges[start + 1] - density.edges[start], density.edges[stop] - density.edges[stop - 1]
        if last >= first and last > WIDE * width and density.reference[stop - 1] <= TAIL:
            stop -= 1
        elif first > WIDE * width and density.reference[start] <= TAIL:
            start += 1
        else:
            break
    shown = Density(density.edges[start : stop + 1], density.reference[start:stop], density.current[start:stop])
    return shown, start, len(density.reference) - stop


def _heights(density: Density) -> tuple[list[float], list[float], int]:
    """Return the heights of both sides, from 0 to 1, and how many bins are higher than the plot."""
    width = density.edges[-1] - density.edges[0]
    widths = [(b - a) / width for a, b in zip(density.edges, density.edges[1:], strict=False)]
    sides = [
        [share / size for share, size in zip(shares, widths, strict=True)]
        for shares in (density.reference, density.current)
    ]
    highest = [max(pair) for pair in zip(*sides, strict=True)]
    wide = [height for height, size in zip(highest, widths, strict=True) if size >= NARROW]
    top = HEADROOM * min(max(highest), SPIKE * (max(wide, default=0.0) or max(highest))) or 1.0
    cut = sum(height > top for height in highest)
    scaled = [[min(height / top, 1.0) for height in side] for side in sides]
    return scaled[0], scaled[1], cut


def _steps(edges: Sequence[float], heights: Sequence[float]) -> str:
    """Return the outline of bars as the data of a path, in a box of 1000 by 100."""
    low, high = edges[0], edges[-1]
    parts = [f"M{position(low, low, high):g} 100"]
    for height, end in zip(heights, edges[1:], strict=True):
        parts.append(f"V{100 - 100 * height:.1f}H{position(end, low, high):g}")
    return "".join(parts) + "V100"


def _box(shapes: str, height: int) -> str:
    """Return shapes in a box of 1000 by 100 that is stretched to the width of the page."""
    return f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" width="100%" height="{height}">{shapes}</svg>'


def _shapes(density: Density) -> tuple[str, int]:
    """Return the shapes of a density, and how many bins are higher than the plot."""
    before, now, cut = _heights(density)
    edges = density.edges
    return f'<path class="dl-ref" d="{_steps(edges, before)}"/><path class="dl-cur" d="{_steps(edges, now)}"/>', cut


def _medians(density: Density, marks: Marks) -> str:
    low, high = density.edges[0], density.edges[-1]
    return "".join(
        f'<path class="{side}" d="M{position(value, low, high):g} 0V100"/>'
        for side, value in (("mref", marks.reference), ("mcur", marks.current))
        if value is not None and low <= value <= high
    )


def _named(shapes: str, name: str) -> str:
    return f'<g id="{name}">{shapes}</g>' if name else shapes


def draw_copy(name: str) -> str:
    """Return shapes with a name, which another plot of the page draws, as a small picture for the row of a table."""
    return _small(f'<use href="#{name}"/>')


def draw_shares(edges: Sequence[float], shares: Sequence[float]) -> str:
    """Return the density of a single side as a small picture. A long tail is not drawn."""
    shown = trim(Density(edges, shares, shares))[0]
    return _small(f'<path class="dl-ref" d="{_steps(shown.edges, _heights(shown)[0])}"/>')


def _small(shapes: str) -> str:
    return f'<svg class="mini" aria-hidden="true" width="100%" height="26">{_box(shapes, 26)}</svg>'


def draw_density(density: Density, marks: Marks, description: str, name: str = "") -> tuple[str, int]:
    """
    Return a density as SVG, and how many of its bins are higher than the plot.

    Args:
        density: the shares. Areas of both sides have the same scale.
        marks: the medians.
        description: what the plot shows, for those who do not see it.
        name: the id of the shapes, so that `draw_copy` can show them again.
    """
    shapes, cut = _shapes(density)
    shapes = _named(shapes, name) + _medians(density, marks)
    labels = draw_ticks(density.edges[0], density.edges[-1], HEIGHT + 16)
    picture = (
        f'<svg class="plot" role="img"{attribute("aria-label", description)} width="100%" height="{HEIGHT + 20}">'
        f"{_box(shapes, HEIGHT)}{labels}</svg>"
    )
    return picture, cut


def _pairs(reference: Sequence[float], current: Sequence[float]) -> str:
    """Return pairs of bars in a box of 1000 by 100: those of the reference wide, the current ones before them."""
    top = HEADROOM * max(*reference, *current) or 1.0
    slot = 1000.0 / len(reference)
    bars = {"dl-ref": "", "dl-cur bar": ""}
    for index, pair in enumerate(zip(reference, current, strict=True)):
        for (name, left, width), share in zip((("dl-ref", 0.1, 0.8), ("dl-cur bar", 0.3, 0.4)), pair, strict=True):
            height = 100.0 * share / top
            bars[name] += f"M{slot * (index + left):.1f} 100v{-height:.1f}h{slot * width:.1f}V100"
    return "".join(f'<path class="{name}" d="{data}"/>' for name, data in bars.items())


def draw_values(
    names: Sequence[str], reference: Sequence[float], current: Sequence[float], description: str, name: str = ""
) -> str:
    """
    Return bars for single values in their order, as SVG. The height is the share of the rows.

    *description* and *name* are as for `draw_density`.
    """
    size, every = len(names), max(1, -(-len(names) // 12))
    most, y = 12 if size <= FEW else 7, HEIGHT + 16
    labels = "".join(
        f'<text x="{100 * (index + 0.5) / size:.1f}%" y="{y}" text-anchor="middle">{escape(label, most)}</text>'
        for index, label in enumerate(names)
        if index % every == 0
    )
    return (
        f'<svg class="plot" role="img"{attribute("aria-label", description)} width="100%" height="{HEIGHT + 20}">'
        f"{_box(_named(_pairs(reference, current), name), HEIGHT)}{labels}</svg>"
    )


def draw_small_values(reference: Sequence[float], current: Sequence[float]) -> str:
    """Return bars for single values or categories as a small picture for the row of a table."""
    return _small(_pairs(reference, current))
