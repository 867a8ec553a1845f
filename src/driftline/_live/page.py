"""Draws a live view as a page of HTML. The page replaces its parts when they change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from driftline._drawing.axis import position
from driftline._drawing.histogram import draw_small_values
from driftline._drawing.intervals import Interval, draw_intervals
from driftline._drawing.states import WORDS, draw_state, draw_states
from driftline._drawing.text import DASH, clean, count, escape, escape_sentence, figure, isolated, number, percent
from driftline._live.style import SCRIPT, STYLE
from driftline._live.values import CanaryView, FeatureView, LiveView, ModelView
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

__all__ = ["draw_live_page", "draw_parts"]

MAX_FEATURES = 60
"""Features with all details. Others follow in a part that is closed."""

MAX_REST = 2_000
"""Features in that part."""

MAX_EVENTS = 60
"""Events of a page."""

MAX_REASON = 400
"""Characters of a reason in a table."""

STATES = ("drifting", "insufficient_data", "stable")


def draw_live_page(view: LiveView, tag: str, every: float) -> str:
    """
    Return the whole page.

    Args:
        view: the view.
        tag: identifies the parts of the view.
        every: seconds between two requests of the page.
    """
    moment = "" if view.dates_only else f"updated {time_text(view.time, dates_only=False)}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f'<link rel="icon" href="data:,"><title>{escape(view.title, 80)}</title><style>{STYLE}</style></head>'
        '<body class="driftline"><a class="skip" href="#live">Skip to the view</a>'
        '<main id="main"><p class="eyebrow"><b>'
        f'{isolated(view.title, 120)}</b><span>{isolated(view.source, 120)} <span id="clock">{moment}</span></span>'
        '</p><p id="note" class="trouble" role="alert"></p><p id="said" class="vh" role="status"></p>'
        f'<div id="live" data-tag="{escape(tag)}" data-every="{round(1_000 * every)}">{draw_parts(view)}</div>'
        "<noscript><p>This page updates itself with JavaScript. Without it, reload the page.</p></noscript></main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def draw_parts(view: LiveView) -> str:
    """Return the parts of a page that change, each with an id."""
    parts = (
        _head(view),
        _canaries(view),
        _models(view.models),
        _features(view),
        _problems(view.models),
        _events(view),
    )
    return "".join(parts)


def _head(view: LiveView) -> str:
    states = [feature.state for model in view.models for feature in model.features]
    worst = "drifting" if "drifting" in states else ""
    if any(canary.state == "rollback" for canary in view.canaries):
        worst = "rollback"
    trouble = view.trouble and (
        f'<p class="trouble">{escape(view.source, 120)} cannot be read: {escape_sentence(view.trouble, 300)}</p>'
    )
    hint = f'<p class="hint">{escape_sentence(view.hint, 600)}</p>' if view.hint else ""
    facts = []
    if view.dates_only:
        facts.append(("Date", time_text(view.time, dates_only=True)))
    if view.models:
        rates = [model.rate for model in view.models if model.rate is not None]
        total = sum(model.predictions for model in view.models)
        failed = sum(sum(model.failed.values()) for model in view.models)
        facts += [
            ("Predictions", figure(float(total), count(total))),
            ("Rate", rate_text(sum(rates) if rates else None)),
            ("Failed", percent(failed / total if total else None)),
            ("Processes", count(sum(model.processes for model in view.models)) if view.models else ""),
        ]
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    bar = draw_states({state: states.count(state) for state in STATES}) if states else ""
    done = ""
    if view.progress is not None:
        done = f'<progress aria-label="progress of the replay" max="100" value="{100 * view.progress:.0f}"></progress>'
    return (
        f'<div id="part-head">{trouble}<h1 class="{worst}">{escape(headline(view), 200)}</h1>{hint}{done}{bar}'
        f"{f'<dl class=facts>{listed}</dl>' if listed else ''}</div>"
    )


def _section(name: str, title: str, body: str, lead: str = "") -> str:
    first = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<section id="part-{name}" aria-labelledby="h-{name}"><h2 id="h-{name}">{title}</h2>{first}{body}</section>'


def _scroll(name: str, label: str, table: str) -> str:
    """Return a table that scrolls within the page, and that the keyboard reaches."""
    return f'<div class="scroll" id="scroll-{name}" tabindex="0" role="region" aria-label="{label}">{table}</div>'


def _table(name: str, heads: Sequence[tuple[str, str]], rows: Iterator[str]) -> str:
    head = "".join(f'<th scope="col" class="{kind}">{title}</th>' for title, kind in heads)
    return f'<table class="{name}"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _models(models: Sequence[ModelView]) -> str:
    if not models:
        return ""
    heads = [(name, "") for name in ("model", "predictions", "rate", "failed", "p50 / p95")]
    heads.append(("accuracy and other measures", "words"))

    def rows() -> Iterator[str]:
        for model in models:
            failed = ", ".join(
                f"{clean(error, 40)} {count(number)}" for error, number in model.failed.items() if number
            )
            cells = [
                figure(float(model.predictions), count(model.predictions)),
                rate_text(model.rate),
                percent(model.error_rate) + (f" ({escape_sentence(failed, 80)})" if failed else ""),
                escape(latency_text(model.latency)),
                "; ".join(escape_sentence(line, 200) for line in (outcome_line(model), *quality_lines(model)) if line)
                or "–",
            ]
            labels = [title for title, _ in heads[1:]]
            values = "".join(f'<td data-label="{title}">{each}</td>' for title, each in zip(labels, cells, strict=True))
            yield f'<tr><th scope="row">{isolated(model.key, 80)}</th>{values}</tr>'

    return _section("models", "Models", _scroll("models", "Models", _table("models", heads, rows())))


# --- features --------------------------------------------------------------------------------------------------------


def _features(view: LiveView) -> str:
    rows = [(model, feature) for model in view.models for feature in model.features]
    if not rows:
        return ""
    rows.sort(key=lambda row: (STATES.index(row[1].state), -(row[1].effect or 0.0), -(row[1].score or 0.0)))
    has_bins = any(feature.current for _, feature in rows)
    heads = [
        ("feature", ""),
        ("state", "words"),
        ("effect", "effect"),
        ("p", "p"),
        ("raw PSI", "raw"),
        ("course of raw PSI", "past"),
        *([("reference and now", "bins")] if has_bins else []),
        ("what has changed", "words change"),
    ]

    def drawn() -> Iterator[str]:
        for model, feature in rows[:MAX_FEATURES]:
            yield _row(feature, label_of(model, view.models), has_bins=has_bins)

    lead = (
        "Those that matter most come first. Effect and p are those at the last change of the state, from its event. "
        "The raw PSI of the last window has the noise of few rows in it, so it may be large where nothing drifts."
    )
    table = _scroll("features", "Features", _table("features", heads, drawn()))
    return _section("features", "Features", table + _rest(rows[MAX_FEATURES:]), lead)


def _row(feature: FeatureView, label: str, *, has_bins: bool) -> str:
    effect, p, score = evidence(feature)
    total = sum(feature.processes.values())
    here = feature.processes.get(feature.state, 0)
    some = f' <span class="raw">{here} of {total}</span>' if total > 1 and here < total else ""
    reason = feature.reason.removeprefix(f"{feature.name}: ")
    bins = ""
    if has_bins:
        picture = draw_small_values(feature.reference, feature.current) if feature.current else ""
        bins = f'<td class="bins">{picture}</td>'
    return (
        f'<tr class="{feature.state}"><th scope="row">{isolated(feature.name)}'
        f"{f'<span class=of>{escape(label)}</span>' if label else ''}</th>"
        f'<td class="words">{draw_state(feature.state)}{some}</td>'
        f'<td class="effect">{figure(feature.effect, effect)}</td><td class="p">{figure(feature.p_value, p)}</td>'
        f'<td class="raw">{escape(score)}</td><td class="past">{_course(feature)}</td>{bins}'
        f'<td class="words change{"" if reason else " none"}">'
        f"{escape_sentence(reason, MAX_REASON) if reason else DASH}</td></tr>"
    )


def _course(feature: FeatureView) -> str:
    """Return the course of the score as a small picture, from 0 up."""
    points = feature.course
    if len(points) < 2 or points[-1][0] <= points[0][0]:  # noqa: PLR2004 - a course has two ends
        return ""
    start, end, top = points[0][0], points[-1][0], max(value for _, value in points) or 1.0
    line = "L".join(
        f"{position(time, start, end):.0f} {96 - 0.92 * position(value, 0.0, top, 100.0):.0f}" for time, value in points
    )
    return (
        '<svg class="mini" aria-hidden="true" width="100%" height="26"><svg viewBox="0 0 1000 100" width="100%" '
        f'preserveAspectRatio="none" height="26"><path class="line" d="M{line}"/></svg></svg>'
    )


def _rest(rows: Sequence[tuple[ModelView, FeatureView]]) -> str:
    """Return the features that are not in the table, in a part that is closed."""
    if not rows:
        return ""
    items = "".join(
        f"<li>{isolated(feature.name)}: {WORDS[feature.state]}, raw PSI {escape(evidence(feature)[2])}</li>"
        for _, feature in rows[:MAX_REST]
    )
    more = f"<p>and {count(len(rows) - MAX_REST)} more</p>" if len(rows) > MAX_REST else ""
    words = escape_sentence(rest_line([feature for _, feature in rows]), 200)
    return (
        f'<details class="more" id="rest"><summary id="rest-summary">{words}</summary>'
        f'<ul class="criteria">{items}</ul>{more}</details>'
    )


# --- what else there is ----------------------------------------------------------------------------------------------


def _canaries(view: LiveView) -> str:
    if not view.canaries:
        return ""
    return _section("canary", "Canary", "".join(_canary(canary) for canary in view.canaries))


def _canary(canary: CanaryView) -> str:
    name = " · ".join(isolated(part, 80) for part in (canary.model, canary.id) if part)
    lines = "".join(f"<li>{escape_sentence(line, 400)}</li>" for line in canary_lines(canary))
    pictures = ""
    for each in canary.criteria:
        if each.harm is None or each.lower is None or each.upper is None or each.allowed is None:
            continue
        words = clean(each.name.replace("_", " "), 40)
        interval = Interval(
            words, each.harm, each.lower, each.upper, number(each.harm), f"limit {number(each.allowed)}"
        )
        pictures += draw_intervals([interval], limit=each.allowed)
    return (
        f"<p>{draw_state(canary.state)} {name}</p>{f'<ul class=criteria>{lines}</ul>' if lines else ''}"
        f"{f'<div class=intervals>{pictures}</div>' if pictures else ''}"
    )


def _problems(models: Sequence[ModelView]) -> str:
    requests = "".join(
        f"<li>{isolated(model.key, 80)}: {escape_sentence(retraining_line(model), 300)}</li>"
        for model in models
        if model.retraining
    )
    rows = [
        f'<tr><th scope="row">{escape(problem.where, 40)}</th><td class="words">{isolated(model.key, 60)}</td>'
        f"<td>{count(problem.count)} {problem.kind}</td>"
        f'<td class="words">{escape_sentence(problem.remedy, 200)}</td></tr>'
        for model in models
        for problem in model.problems
    ]
    parts = _section("retraining", "Retraining", f'<ul class="criteria">{requests}</ul>') if requests else ""
    if rows:
        heads = (("where", ""), ("model", "words"), ("how many", ""), ("what to do", "words"))
        table = _scroll("problems", "Errors and dropped rows", _table("problems", heads, iter(rows)))
        parts += _section("problems", "Errors and dropped rows", table)
    return parts


def _events(view: LiveView) -> str:
    if not view.events:
        return ""
    items = "".join(
        f"<li><time>{time_text(event.time, dates_only=view.dates_only)}</time><span>"
        f"{escape_sentence(event_line(event), MAX_REASON)}"
        f"{f' <span class=of>{escape(event.model.variant, 24)}</span>' if event.model.variant else ''}</span></li>"
        for event in reversed(view.events[-MAX_EVENTS:])
    )
    return _section("events", "Recent events", f'<ol class="events" reversed>{items}</ol>', "The latest comes first.")
