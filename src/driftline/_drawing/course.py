"""Draws numbers with their ranges over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from driftline._drawing.axis import nice_ticks, position
from driftline._drawing.text import attribute, tick

__all__ = ["Course", "draw_course"]

HEIGHT = 96
"""Pixels of the plot, without the labels below."""

GUTTER = 52
"""Pixels at the left for the labels of the vertical axis."""

MARGIN = 0.08
"""Space above and below, as a share of the range of the numbers."""


@dataclass(frozen=True, slots=True)
class Course:
    """
    A number over time, with a range around it.

    Attributes:
        values: the numbers, the earliest first; nan where there is none.
        lower: the lower end of each range; nan where it is not known.
        upper: the upper end of each range.
        band: the range of the reference, such as its quartiles; None if there is none.
        line: the number of the reference, or a limit; None if there is none.
        start: what stands below the first number.
        end: what stands below the last number.
        unit: ``"%"`` if the numbers are shares, or an empty string.
        at: where each number stands on the axis; empty if they are evenly spaced.
    """

    values: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    band: tuple[float, float] | None = None
    line: float | None = None
    start: str = ""
    end: str = ""
    unit: str = ""
    at: Sequence[float] = ()


def _ends(course: Course) -> tuple[float, float]:
    """Return the ends of the vertical axis: those of all numbers, and of ranges that do not flatten the others."""
    main = [*course.values, *(course.band or ()), *(() if course.line is None else (course.line,))]
    main = [value for value in main if math.isfinite(value)]
    if not main:
        return 0.0, 1.0
    low, high = min(main), max(main)
    size = max(high - low, 1e-12)
    ranges = [value for value in (*course.lower, *course.upper) if math.isfinite(value)]
    # Early ranges are wide. They are cut off, so that the late ones can be read.
    low, high = max(min([low, *ranges]), low - 1.5 * size), min(max([high, *ranges]), high + 1.5 * size)
    space = MARGIN * (high - low) or abs(high) * MARGIN or 1.0
    return low - space, high + space


def draw_course(course: Course, description: str) -> str:
    """Return a course as SVG. *description* says what it shows, for those who do not see it."""
    low, high = _ends(course)
    size = len(course.values)

    def y(value: float) -> float:
        return 100.0 - position(value, low, high, 100.0)

    def x(index: int) -> float:
        if course.at and course.at[-1] > course.at[0]:
            return position(course.at[index], course.at[0], course.at[-1])
        return round(1000.0 * (index + 0.5) / size)

    shapes = ""
    if course.band is not None:
        top, bottom = y(course.band[1]), y(course.band[0])
        shapes += f'<path class="dl-ref" d="M0 {top:.1f}H1000V{bottom:.1f}H0z"/>'
    if course.line is not None:
        shapes += f'<path class="mref" d="M0 {y(course.line):.1f}H1000"/>'
    area = _area(course, x, y)
    line, dots = "", ""
    before = False
    for index, value in enumerate(course.values):
        if not math.isfinite(value):
            before = False
            continue
        line += f"{'L' if before else 'M'}{x(index):g} {y(value):.1f}"
        dots += f"M{x(index):g} {y(value):.1f}h0"
        before = True
    shapes += f'{area}<path class="line" d="{line}"/>'
    if size <= 24:  # noqa: PLR2004 - more dots than that are a line
        shapes += f'<path class="dots" d="{dots}"/>'
    factor = 100.0 if course.unit == "%" else 1.0
    labels = "".join(
        f'<text x="-8" y="{HEIGHT * y(value / factor) / 100 + 4:.1f}" text-anchor="end">{tick(value)}{course.unit}'
        "</text>"
        for value in nice_ticks(low * factor, high * factor, 4)
    )
    ends = (
        f'<text y="{HEIGHT + 16}">{course.start}</text>'
        f'<text x="100%" y="{HEIGHT + 16}" text-anchor="end">{course.end}</text>'
    )
    return (
        f'<div class="course"><svg class="plot" role="img"{attribute("aria-label", description)} width="100%" '
        f'height="{HEIGHT + 20}"><svg viewBox="0 0 1000 100" preserveAspectRatio="none" width="100%" '
        f'height="{HEIGHT}">{shapes}</svg>{labels}{ends}</svg></div>'
    )


def _area(course: Course, x: Callable[[int], float], y: Callable[[float], float]) -> str:
    """Return the ranges around the numbers as an area."""
    known = [
        index
        for index, pair in enumerate(zip(course.lower, course.upper, strict=True))
        if all(math.isfinite(each) for each in pair)
    ]
    if not known:
        return ""
    forth = "L".join(f"{x(index):g} {y(course.upper[index]):.1f}" for index in known)
    back = "L".join(f"{x(index):g} {y(course.lower[index]):.1f}" for index in reversed(known))
    return f'<path class="range" d="M{forth}L{back}z"/>'
