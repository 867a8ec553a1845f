"""Draws values as cards for notebooks: a state, the reason for it, and a table of figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from driftline._drawing.intervals import Interval, draw_intervals
from driftline._drawing.states import draw_state, draw_states
from driftline._drawing.style import CARD, NOTEBOOK_PALETTE, PALETTE, PARTS, compact
from driftline._drawing.text import count, escape_sentence, isolated, number, percent, probability

__all__ = ["MAX_ROWS", "draw_card", "draw_monitor", "draw_outcomes", "draw_status", "draw_table", "draw_verdict"]

MAX_ROWS = 30
"""Rows of a table in a card. A report has all of them."""

MAX_REASON = 500
"""Characters of a reason that are shown."""

STYLE = compact(PALETTE + NOTEBOOK_PALETTE + PARTS + CARD)
"""The style of a card. It names its own classes only, so that it does not reach the rest of the notebook."""

Part = tuple[str, "float | None", float]
"""The words of a part of a difference, its size, and its p-value."""


def draw_card(head: str, *parts: str, state: str = "") -> str:
    """Return a card as HTML. *head* and *parts* are HTML; *state* sets the colour."""
    body = f'<div class="head">{head}</div>{"".join(parts)}'
    return f'<div class="driftline card {state}"><style>{STYLE}</style>{body}</div>'


def draw_table(heads: Sequence[str], rows: Iterable[Sequence[str]], more: int = 0, name: str = "") -> str:
    """Return a table. The cells are HTML; *more* is the number of rows that are not shown; *name* a class of CSS."""
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{each}</td>" for each in rest)}</tr>' for first, *rest in rows
    )
    note = f'<p class="soft">and {count(more)} more</p>' if more > 0 else ""
    return f'<table class="{name}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}'


def _reason(reason: str) -> str:
    return f"<p>{escape_sentence(reason[:1].upper() + reason[1:], MAX_REASON)}</p>"


def draw_status(
    state: str, reason: str, p_value: float | None, effect: float | None, rows: int, parts: Sequence[Part]
) -> str:
    """Return the state of a feature as a card."""
    figures = f'<p class="soft">PSI {number(effect)} · p {probability(p_value)} · {count(rows)} rows</p>'
    table = ""
    if parts:
        cells = ((escape_sentence(words, 60), number(size, 2), probability(p)) for words, size, p in parts)
        table = draw_table(("part of the difference", "size in σ", "p"), cells)
    return draw_card(draw_state(state), _reason(reason), figures, table, state=state)


def draw_verdict(state: str, reason: str, criteria: Sequence[tuple[Interval, float]]) -> str:
    """Return the verdict of a canary as a card. *criteria* are the intervals of the harm, each with its limit."""
    pictures = "".join(draw_intervals([interval], limit=limit) for interval, limit in criteria)
    return draw_card(f"Canary {draw_state(state)}", _reason(reason), pictures)


def draw_outcomes(
    results: Mapping[str, int], accuracy: float | None, known: int, classes: Sequence[tuple[str, int, int, int]]
) -> str:
    """Return counts of outcomes as a card. *classes* have a name, and true and false positives and false negatives."""
    words = " · ".join(f"{count(number)} {escape_sentence(name, 40)}" for name, number in results.items() if number)
    parts = [f'<p class="soft">{words or "none yet"}</p>']
    if classes:
        cells = ((isolated(name, 40), *map(count, counts)) for name, *counts in classes[:MAX_ROWS])
        heads = ("class", "predicted rightly", "predicted wrongly", "not predicted")
        parts.append(draw_table(heads, cells, len(classes) - MAX_ROWS))
    return draw_card(f"Outcomes: accuracy {percent(accuracy)} of {count(known)}", *parts)


def draw_monitor(
    name: str, states: Sequence[tuple[str, str, float | None, float | None, str]], rows: Mapping[str, str]
) -> str:
    """
    Return a monitor as a card.

    Args:
        name: its name.
        states: name, state, effect, p-value and reason of each feature, those that matter most first.
        rows: further facts by name, such as the version.
    """
    facts = " · ".join(f"{escape_sentence(key, 40)} {isolated(value, 60)}" for key, value in rows.items())
    numbers = {state: sum(each[1] == state for each in states) for state in ("drifting", "insufficient_data", "stable")}
    cells = (
        (isolated(feature, 60), draw_state(state), number(effect), probability(p), escape_sentence(reason, 80))
        for feature, state, effect, p, reason in states[:MAX_ROWS]
    )
    table = draw_table(("feature", "state", "PSI", "p", "reason"), cells, len(states) - MAX_ROWS, "reasons")
    parts = [f'<p class="soft">{facts}</p>' if facts else "", draw_states(numbers), table] if states else ["not yet"]
    return draw_card(isolated(name, 80), *parts)
