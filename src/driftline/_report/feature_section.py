"""Draws features: the table of all, and a part of the page for each."""

from __future__ import annotations

from collections.abc import Sequence

from driftline._drawing.bars import share_row
from driftline._drawing.course import Course, draw_course
from driftline._drawing.histogram import (
    Density,
    Marks,
    draw_copy,
    draw_density,
    draw_small_values,
    draw_values,
    trim,
)
from driftline._drawing.states import draw_state
from driftline._drawing.text import (
    clean,
    count,
    escape,
    escape_sentence,
    figure,
    isolated,
    number,
    percent,
    plural,
    probability,
)
from driftline._report.values import BinValues, CourseValues, FeatureValues
from driftline.results import WORST_FIRST

__all__ = ["describe_states", "draw_feature", "draw_overview"]

MAX_CATEGORIES = 12
"""Categories of a feature that are drawn: those whose share changed most. The others are added up."""

MAX_VALUES = 40
"""Bars of a numeric feature of few values: those with most rows."""

MAX_MINI = 12
"""Bars of the small picture in a row."""

MAX_REASON = 400
"""Characters of a reason that are shown."""


def _within(feature: FeatureValues) -> list[BinValues]:
    return [each for each in feature.bins if each.where == "within"]


def _is_discrete(bins: Sequence[BinValues]) -> bool:
    """Return whether most rows have a value that has its own bin, so that bars of shares are right, and not areas."""
    return sum(each.reference for each in bins if each.single) > sum(each.reference for each in bins) / 2.0


def _density(bins: Sequence[BinValues]) -> Density:
    edges = [each.low or 0.0 for each in bins] + [bins[-1].high or 0.0]
    return Density(edges, [each.reference for each in bins], [each.current or 0.0 for each in bins])


def _by_change(bins: Sequence[BinValues]) -> list[BinValues]:
    return sorted(bins, key=lambda each: -abs((each.current or 0.0) - each.reference))


def draw_overview(features: Sequence[FeatureValues]) -> str:
    """Return the table of all features. It has roles, because narrow screens get no table but a list."""
    heads = (
        ("", "Feature"),
        ("words", "State"),
        ("words shape", "Reference, current"),
        ("psi", "PSI"),
        ("p", "p"),
        ("words change", "Largest change"),
    )
    head = "".join(f'<th scope="col" role="columnheader" class="{name}">{text}</th>' for name, text in heads)
    rows = "".join(_row(index, feature) for index, feature in enumerate(features))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="All features"><table class="overview" role="table">'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead><tbody role="rowgroup">{rows}</tbody></table></div>'
    )


def _row(index: int, feature: FeatureValues) -> str:
    cells = (
        ("words", draw_state(feature.state)),
        ("shape", _mini(feature, index)),
        ("psi", number(feature.effect)),
        ("p", probability(feature.p_value)),
        ("words change", _change(feature)),
    )
    return (
        f'<tr role="row" class="{feature.state}"><th scope="row" role="rowheader">'
        f'<a href="#f{index}">{isolated(feature.name, 44)}</a></th>'
        + "".join(f'<td role="cell" class="{name}">{content}</td>' for name, content in cells)
        + "</tr>"
    )


def _change(feature: FeatureValues) -> str:
    """Return the parts of the difference that count in a few words, or why there are none."""
    if feature.state == "drifting":
        first = feature.parts[0].words if feature.parts else ""
        shift = _shift(feature)
        return ", ".join(escape(part) for part in (first, shift) if part) or escape_sentence(feature.reason, 90)
    return escape_sentence(feature.reason, 100) if feature.state == "insufficient_data" else ""


def _shift(feature: FeatureValues) -> str:
    """Return the two medians, or the bin whose share changed most."""
    before, now = feature.medians
    lead = feature.parts[0].name if feature.parts else ""
    if lead == "location" and before is not None and now is not None and before != now:
        return f"median {number(before)} → {number(now)}"
    changed = [each for each in _by_change(feature.bins) if lead != "missing" or each.where == "missing"]
    if not changed or changed[0].current is None:
        return ""
    return f"{clean(changed[0].name, 30)} {percent(changed[0].reference)} → {percent(changed[0].current)}"


def _mini(feature: FeatureValues, index: int) -> str:
    """Return the plot of a feature as a small picture."""
    if _within(feature):
        return draw_copy(f"s{index}")
    large = sorted(feature.bins, key=lambda each: -max(each.reference, each.current or 0.0))[:MAX_MINI]
    shown = [each for each in feature.bins if each in large and (each.reference or each.current)]
    if not shown:
        return ""
    return draw_small_values([each.reference for each in shown], [each.current or 0.0 for each in shown])


def draw_feature(index: int, feature: FeatureValues, *, opened: bool, whole: bool) -> str:
    """
    Return the part of a page about a feature.

    Args:
        index: its number on the page.
        feature: the feature.
        opened: whether it is open at first.
        whole: whether to write the course, the distances and the table of all bins.
    """
    parts = [
        f'<p class="why">{_reason(feature)}</p>',
        f"<div>{_picture(feature, index)}</div>",
        f"<div>{_evidence(feature)}</div>",
    ]
    if whole and feature.course is not None:
        parts.append(f'<div class="full">{_draw_course(feature.course)}</div>')
    if whole:
        parts.append(_details(feature))
    output = ' <span class="note">model output</span>' if feature.output else ""
    summary = (
        f"{draw_state(feature.state)}<h3>{isolated(feature.name, 120)}</h3>{output}"
        f'<span class="sum">PSI {figure(feature.effect, number(feature.effect))} · p '
        f"{figure(feature.p_value, probability(feature.p_value))} · {count(feature.rows)} rows</span>"
    )
    return (
        f'<details class="feature {feature.state}" id="f{index}"{" open" if opened else ""}>'
        f'<summary>{summary}</summary><div class="body">{"".join(parts)}</div></details>'
    )


def _reason(feature: FeatureValues) -> str:
    """Return the reason as a sentence, without the name of the feature, which stands above it."""
    reason = feature.reason.removeprefix(f"{feature.name}: ")
    text = escape_sentence(reason[:1].upper() + reason[1:], MAX_REASON)
    return text if text.endswith(".") else f"{text}."


def _picture(feature: FeatureValues, index: int) -> str:
    """Return the distributions of both sides."""
    now = "" if feature.bins and feature.bins[0].current is not None else " There are no current rows."
    if feature.kind == "categorical":
        return _categories(feature)
    bins = _within(feature)
    if not bins:
        return f'<p class="note">No range: the reference has no numbers.{now}</p>{_outside(feature, [])}'
    described = f"Distribution of {clean(feature.name, 80)}.{now}"
    if _is_discrete(bins):
        large = sorted(bins, key=lambda each: -max(each.reference, each.current or 0.0))[:MAX_VALUES]
        bins = [each for each in bins if each in large and (each.reference or each.current)]
        picture = draw_values(
            [each.name for each in bins],
            [each.reference for each in bins],
            [each.current or 0.0 for each in bins],
            described,
            f"s{index}",
        )
        note = '<p class="note">Each bar is a value, or a range between values.</p>'
        return f"{picture}{note}{_outside(feature, [])}"
    shown, start, end = trim(_density(bins))
    picture, cut = draw_density(shown, Marks(*feature.medians), described, f"s{index}")
    notes = [_medians(feature)] if _medians(feature) else []
    if cut:
        notes.append(f"{plural(cut, 'bin')} {'is' if cut == 1 else 'are'} higher than the plot.")
    hidden = [*bins[:start], *bins[len(bins) - end :]]
    if hidden:
        notes.append("The long tail is listed below, not drawn.")
    note = f'<p class="note">{escape(" ".join(notes), 300)}</p>' if notes else ""
    return f"{picture}{note}{_outside(feature, hidden)}"


def _medians(feature: FeatureValues) -> str:
    before, now = feature.medians
    if before is None and now is None:
        return ""
    return f"Dashed: medians, {number(before, 4)} in the reference and {number(now, 4)} now."


def _outside(feature: FeatureValues, hidden: Sequence[BinValues]) -> str:
    """Return the shares of rows that the plot does not show: beyond its ends, and missing values."""
    bins = [each for each in feature.bins if each.where in {"below", "above", "missing", "present"}]
    bins = [each for each in (*hidden, *bins) if each.reference or each.current]
    if not bins:
        return ""
    top = max(max(each.reference, each.current or 0.0) for each in bins)
    names = {"below": "{} (open end)", "above": "{} (open end)"}
    rows = "".join(
        share_row(escape(names.get(each.where, "{}").format(each.name)), each.reference, each.current or 0.0, top)
        for each in bins
    )
    return (
        f'<table><thead><tr><th scope="col">Not in the plot</th><td></td><th scope="col">reference</th>'
        f'<th scope="col">current</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _categories(feature: FeatureValues) -> str:
    """Return the categories whose share changed most, the frequent ones first."""
    named = [each for each in feature.bins if each.where == "category"]
    rest = [each for each in feature.bins if each.where != "category" and (each.reference or each.current)]
    chosen = _by_change(named)[:MAX_CATEGORIES] if len(named) > MAX_CATEGORIES + 1 else named
    others = [each for each in named if each not in chosen]
    chosen = [each for each in named if each in chosen]
    shown = [*chosen, *rest]
    sums = sum(each.reference for each in others), sum(each.current or 0.0 for each in others)
    top = max([max(each.reference, each.current or 0.0) for each in shown] + [0.0])
    rows = "".join(share_row(isolated(each.name, 40), each.reference, each.current or 0.0, top) for each in shown)
    caption = ""
    if others:
        largest = max(abs((each.current or 0.0) - each.reference) for each in others)
        rows += share_row(
            f"<i>{plural(len(others), 'further category', 'further categories')}</i>", *sums, max(top, *sums)
        )
        caption = (
            f"<caption>The {len(chosen)} categories whose share changed most. None of the others changed by more than "
            f"{percent(largest)} of the rows.</caption>"
        )
    return (
        f'<table>{caption}<thead><tr><th scope="col">Category</th><td></td><th scope="col">reference</th>'
        f'<th scope="col">current</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _evidence(feature: FeatureValues) -> str:
    """Return the parts of the difference, and the evidence by window length."""
    result = ""
    if feature.parts:
        rows = "".join(
            f'<tr><th scope="row">{escape(part.words)}</th><td>{number(part.size, 2)}</td>'
            f"<td>{probability(part.p_value)}</td></tr>"
            for part in feature.parts
        )
        result += (
            '<table><thead><tr><th scope="col">Part of the difference</th><th scope="col">size in σ</th>'
            f'<th scope="col">p</th></tr></thead><tbody>{rows}</tbody></table>'
        )
    if len(feature.lengths) > 1:
        rows = "".join(
            f'<tr><th scope="row">{escape(each.length)}{" ◂" if each.explains else ""}</th><td>{count(each.rows)}</td>'
            f"<td>{number(each.effect)}</td><td>{probability(each.p_value)}</td></tr>"
            for each in feature.lengths
        )
        result += (
            '<table class="lengths"><thead><tr><th scope="col">Window length</th><th scope="col">rows</th>'
            f'<th scope="col">PSI</th><th scope="col">p</th></tr></thead><tbody>{rows}</tbody></table>'
            '<p class="note">◂ the length that the state follows from</p>'
        )
    else:
        result += f'<p class="note">Current rows: {escape(feature.length)}.</p>'
    if feature.seasonal:
        result += '<p class="note">Compared with what is expected in the hours and days of these rows.</p>'
    return result


def _draw_course(course: CourseValues) -> str:
    def known(values: Sequence[float | None]) -> list[float]:
        return [float("nan") if value is None else value for value in values]

    size = len(course.values)
    what = "Median and quartiles" if not course.share else f"Share of {clean(course.of, 40)}"
    drawn = Course(
        known(course.values),
        known(course.lower) or [float("nan")] * size,
        known(course.upper) or [float("nan")] * size,
        course.band,
        course.reference,
        escape(course.start),
        escape(course.end),
        "%" if course.share else "",
    )
    last = next((value for value in reversed(course.values) if value is not None), None)
    write = percent if course.share else number
    described = f"{what} over {size} windows: {write(course.values[0])} first, {write(last)} last."
    grey = "Grey: the quartiles of the reference; dashed: its median." if course.band else "Dashed: the reference."
    return f'<h4>{escape(what)} over time</h4>{draw_course(drawn, described)}<p class="note">{grey}</p>'


def _details(feature: FeatureValues) -> str:
    """Return the distances and all bins as tables, which are closed at first."""
    scores = "".join(
        f'<tr><th scope="row">{escape(each.distance)}, {escape(each.length)}</th>'
        f"<td>{figure(each.value, number(each.value))}</td><td>{figure(each.corrected, number(each.corrected))}</td>"
        f"<td>{count(each.rows)}</td></tr>"
        for each in feature.scores
    )
    tables = ""
    if scores:
        tables += (
            '<table><thead><tr><th scope="col">Distance</th><th scope="col">value</th><th scope="col">corrected</th>'
            f'<th scope="col">rows</th></tr></thead><tbody>{scores}</tbody></table>'
        )
    if feature.kind == "numeric" and feature.bins:
        rows = "".join(
            f'<tr><th scope="row">{escape(each.name)}</th><td>{percent(each.reference)}</td>'
            f"<td>{percent(each.current)}</td></tr>"
            for each in feature.bins
        )
        tables += (
            '<table><thead><tr><th scope="col">Bin</th><th scope="col">reference</th><th scope="col">current</th></tr>'
            f"</thead><tbody>{rows}</tbody></table>"
        )
    if not tables:
        return ""
    return (
        f'<details class="more full"><summary>Distances and all bins of {escape(feature.name, 40)}</summary>'
        f'<div class="columns">{tables}</div></details>'
    )


def describe_states(features: Sequence[FeatureValues]) -> dict[str, int]:
    """Return the number of features in each state, in the order in which they matter."""
    return {state: sum(feature.state == state for feature in features) for state in WORST_FIRST}
