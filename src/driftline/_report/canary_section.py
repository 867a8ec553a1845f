"""Draws a canary: its verdict, and each criterion with its interval, now and over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from driftline._drawing.course import Course, draw_course
from driftline._drawing.intervals import Interval, draw_intervals
from driftline._drawing.states import draw_state
from driftline._drawing.text import clean, count, escape_sentence, figure, isolated, number, sentence
from driftline._report.values import CanaryPoint, CanaryValues, CriterionValues

__all__ = ["draw_canary"]

MAX_REASON = 600
"""Characters of a reason that are shown."""


def draw_canary(canary: CanaryValues) -> str:
    """Return the section about a canary."""
    criteria = "".join(map(_criterion, canary.criteria))
    lead = ""
    if criteria:
        lead = (
            '<p class="lead">Harm is the value of the candidate minus that of the baseline, or the opposite where '
            "more is better. The interval may be read at any time. Beyond the dashed limit it is a rollback; "
            "below it, a promotion.</p>"
        )
    return (
        f'<section aria-labelledby="canary" class="{canary.state}">'
        f'<h2 id="canary">Canary {draw_state(canary.state)}</h2>'
        f'<p class="why">{escape_sentence(_sentence(canary.reason), MAX_REASON)}</p>{lead}{criteria}</section>'
    )


def _sentence(reason: str) -> str:
    reason = sentence(reason, MAX_REASON)
    return reason[:1].upper() + reason[1:] + ("" if reason.endswith(".") else ".")


def _criterion(criterion: CriterionValues) -> str:
    name = criterion.name.replace("_", " ")
    low, high = ("unknown" if each is None else number(each) for each in (criterion.lower, criterion.upper))
    span = f"{figure(criterion.lower, low)} to {figure(criterion.upper, high)}" if low != high else low
    interval = Interval(
        "harm",
        criterion.value,
        criterion.lower,
        criterion.upper,
        f"{number(criterion.value)} ({low} to {high})",
        f"limit {number(criterion.limit)}",
        criterion.state,
    )
    figures = (
        f'<tr><th scope="row">harm</th><td>{figure(criterion.value, number(criterion.value))}</td></tr>'
        f'<tr><th scope="row">interval</th><td>{span}</td></tr>'
        f'<tr><th scope="row">allowed</th><td>{figure(criterion.limit, number(criterion.limit))}</td></tr>'
        f'<tr><th scope="row">trials of the smaller variant</th><td>{count(criterion.rows)}</td></tr>'
    )
    if criterion.more_rows:
        figures += f'<tr><th scope="row">further trials needed, about</th><td>{count(criterion.more_rows)}</td></tr>'
    known = [point for point in criterion.course if point.value is not None]
    if all(point.value == criterion.limit for point in known):
        known, interval = [], replace(interval, value=None)
    picture = _course(criterion, known) if len(known) > 2 else draw_intervals([interval], limit=criterion.limit)  # noqa: PLR2004
    return (
        f'<div class="criterion {criterion.state}">{draw_state(criterion.state)} <h3>{isolated(name, 80)}</h3>'
        f'<div class="body"><p class="why">{escape_sentence(_sentence(criterion.reason), MAX_REASON)}</p>'
        f"<div>{picture}</div>"
        f"<div><table><tbody>{figures}</tbody></table></div></div></div>"
    )


def _course(criterion: CriterionValues, points: Sequence[CanaryPoint]) -> str:
    def known(values: Sequence[float | None]) -> list[float]:
        return [math.nan if value is None else value for value in values]

    course = Course(
        known([each.value for each in points]),
        known([each.lower for each in points]),
        known([each.upper for each in points]),
        None,
        criterion.limit,
        f"after {_duration(points[0].seconds)}, {count(points[0].rows)} trials",
        f"after {_duration(points[-1].seconds)}, {count(points[-1].rows)} trials",
        at=[float(each.rows) for each in points],
    )
    described = (
        f"Harm by {clean(criterion.name, 60)} over {len(points)} verdicts, last {number(points[-1].value)}, "
        f"limit {number(criterion.limit)}."
    )
    return f'{draw_course(course, described)}<p class="note">Harm with its interval; dashed: the limit.</p>'


def _duration(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
