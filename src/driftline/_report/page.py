"""Makes the page of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from driftline._drawing.states import draw_state, draw_states
from driftline._drawing.text import count, escape, escape_sentence, isolated
from driftline._report.canary_section import draw_canary
from driftline._report.feature_section import describe_states, draw_feature, draw_overview
from driftline._report.outcome_section import draw_outcomes
from driftline._report.reference_section import draw_reference
from driftline._report.style import POLICY, STYLE
from driftline._report.values import FeatureValues, ReportValues
from driftline._report.words import is_conspicuous

__all__ = ["draw_page"]

MAX_OPEN = 8
"""Features that are open at first: those that drift or look different, at most this many; else the first one."""

MAX_DETAILS = 110_000
"""
Characters of the parts of features with all details, those that matter most. The others follow without their course and
the table of their bins, so that the page of 50 features stays below 300 kB, and that of 500 below 2 MB.
"""


def draw_page(values: ReportValues) -> str:
    """Return a report as an HTML page that needs no other file."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,">'
        f"<title>{escape(values.headline, 200)} {escape(values.title, 80)}</title><style>{STYLE}</style></head>"
        f'<body class="driftline"><a class="skip" href="#main">Skip to the features</a>{_header(values)}'
        f'<main id="main">{"".join(_sections(values))}</main>{_footer(values)}</body></html>\n'
    )


def _header(values: ReportValues) -> str:
    states = describe_states(values.features)
    worst = "drifting" if states["drifting"] else ""
    if values.canary is not None and (values.canary.state == "rollback" or not values.features):
        worst = values.canary.state
    also = "".join(f"<li>{escape_sentence(sentence, 500)}</li>" for sentence in values.sentences)
    subject = " · ".join(f"{key} {isolated(part, 80)}" for key, part in values.subject.items())
    facts = [("Current rows", count(values.rows))] if values.rows is not None else []
    if values.reference is not None:
        facts += [("Reference rows", count(values.reference.rows)), ("Features", count(values.reference.features))]
    facts.append(("Created", escape(values.created.replace("T", " ").replace("+00:00", " UTC"))))
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    bar = draw_states(states) if values.features else ""
    return (
        f'<header><p class="eyebrow"><b>{isolated(values.title, 120)}</b><span>{subject}</span></p>'
        f'<h1 class="{worst}">{escape(values.headline, 200)}</h1>'
        f'{f"<ul class=also>{also}</ul>" if also else ""}{bar}<dl class="facts">{listed}</dl></header>'
    )


def _sections(values: ReportValues) -> Iterator[str]:
    if values.features:
        yield (
            '<section aria-labelledby="features"><h2 id="features">Features</h2><p class="lead">Those that matter most '
            "come first: by state, then by effect. PSI is corrected for the number of rows.</p>"
            f"{draw_overview(values.features)}</section>"
        )
    if values.canary is not None:
        yield draw_canary(values.canary)
    if values.outcomes is not None:
        yield draw_outcomes(values.outcomes)
    if values.states:
        rows = "".join(
            f'<tr><th scope="row">{isolated(each.name, 80)}</th><td class="words">{draw_state(each.state)}</td>'
            f'<td class="words">{escape_sentence(each.reason, 300)}</td></tr>'
            for each in values.states
        )
        yield (
            '<section aria-labelledby="states"><h2 id="states">Limits and detectors</h2>'
            f'<table class="plain"><tbody>{rows}</tbody></table></section>'
        )
    if values.features:
        parts = "".join(_features(values.features))
        yield (
            '<section aria-labelledby="each"><h2 id="each">Each feature</h2><p class="lead">'
            '<span class="key"><svg width="18" height="12" aria-hidden="true">'
            '<rect class="dl-ref" width="18" height="12"/></svg>reference</span>'
            '<span class="key"><svg width="18" height="12" aria-hidden="true">'
            '<rect class="dl-cur" x="1" y="1" width="16" height="10"/></svg>current</span>'
            f"In a plot of a quantity, the area of a bin is its share of the rows.</p>{parts}</section>"
        )
    if values.reference is not None:
        yield draw_reference(values.reference)


def _features(features: Sequence[FeatureValues]) -> Iterator[str]:
    """Yield the part of each feature."""
    used = 0
    for index, feature in enumerate(features):
        opened = index == 0 or (index < MAX_OPEN and (feature.state == "drifting" or is_conspicuous(feature)))
        part = draw_feature(index, feature, opened=opened, whole=used < MAX_DETAILS)
        used += len(part)
        yield part


def _footer(values: ReportValues) -> str:
    notes = "".join(f"<li>{escape_sentence(note, 400)}</li>" for note in values.notes)
    return (
        f"<footer>{f'<ul>{notes}</ul>' if notes else ''}<p>Counts only: this page holds no row of any data. "
        f"Made by driftline {escape(values.library)}.</p></footer>"
    )
