"""Shows the states of features as a table or as values for JSON, the worst first."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from driftline._runtime.output import escape, say, write
from driftline.results import WORST_FIRST, DriftState, FeatureStatus, Score

__all__ = [
    "EXIT_CODES",
    "finite",
    "print_columns",
    "print_document",
    "print_states",
    "score_documents",
    "state_documents",
    "worst_first",
]

HEADINGS = ("feature", "state", "effect", "p", "rows", "reason")

NUMBERS = {"effect", "p", "rows"}
"""Headings of the columns that a terminal aligns to the right."""

MAX_WIDTH = 60
"""Most characters of a column that other rows are filled up to. A longer name moves its own row alone."""

EXIT_CODES: Mapping[DriftState, int] = {"stable": 0, "drifting": 1, "insufficient_data": 2}
"""The exit code of each state of a whole file or model."""

STYLES: Mapping[str, str] = {"drifting": "bold red", "insufficient_data": "yellow", "stable": "green"}
"""Colours of the states on a terminal."""


def print_states(states: Mapping[str, FeatureStatus]) -> None:
    """Print a table of features, the worst first; on a terminal with the package rich, in colours."""
    print_columns(HEADINGS, [_row(name, status) for name, status in worst_first(states)], NUMBERS)


def print_columns(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Iterable[str] = (),
    styles: Mapping[str, str] = STYLES,
) -> None:
    """
    Print a table; on a terminal with the package rich, in colours.

    Args:
        headings: the names of the columns.
        rows: the cells of each row. Control characters are escaped.
        numbers: headings of the columns that a terminal aligns to the right.
        styles: the colour of a cell by its text.
    """
    texts = [tuple(map(escape, row)) for row in rows]
    if sys.stdout is not None and sys.stdout.isatty() and _print_rich(headings, texts, set(numbers), styles):
        return
    texts = [tuple(headings), *texts]
    widths = [min(MAX_WIDTH, max(len(row[column]) for row in texts)) for column in range(len(headings) - 1)]
    for row in texts:
        cells = [text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)]
        say("  ".join(cells).rstrip(), sys.stdout)


def worst_first(states: Mapping[str, FeatureStatus]) -> list[tuple[str, FeatureStatus]]:
    """Return features and states in the order of a table: what drifts first, the most significant of it first."""

    def rank(item: tuple[str, FeatureStatus]) -> tuple[float, ...]:
        status = item[1]
        p_value = 2.0 if status.p_value is None else status.p_value
        effect = -math.inf if status.effect is None or math.isnan(status.effect) else status.effect
        return WORST_FIRST.index(status.state), p_value, -effect

    return sorted(states.items(), key=rank)


def state_documents(states: Mapping[str, FeatureStatus]) -> list[dict[str, Any]]:
    """Return the states as values for JSON, the worst first."""
    return [
        {
            "name": name,
            "state": status.state,
            "effect": finite(status.effect),
            "p_value": finite(status.p_value),
            "rows": status.rows,
            "reason": status.reason,
        }
        for name, status in worst_first(states)
    ]


def score_documents(scores: Iterable[Score]) -> list[dict[str, Any]]:
    """Return scores as values for JSON."""
    return [
        {
            "feature": score.feature,
            "distance": score.distance,
            "value": finite(score.value),
            "corrected": finite(score.corrected),
            "rows": score.rows,
            "length": score.length,
        }
        for score in scores
    ]


def print_document(document: Mapping[str, Any]) -> None:
    """Print a document as JSON."""
    # Only ASCII, so that no terminal and no encoding changes it. A name may hold half of a surrogate pair.
    for line in json.dumps(document, allow_nan=False, indent=2).splitlines():
        say(line, sys.stdout)


def finite(value: float | None) -> float | None:
    """Return a number that JSON can hold: None for what is not finite."""
    return None if value is None or not math.isfinite(value) else value


def _row(name: str, status: FeatureStatus) -> tuple[str, ...]:
    effect, p_value = finite(status.effect), finite(status.p_value)
    return (
        name,
        status.state,
        "" if effect is None else f"{round(effect, 3) + 0.0:.3f}",
        "" if p_value is None else f"{p_value:.2g}",
        str(status.rows),
        status.reason,
    )


def _print_rich(
    headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[str], styles: Mapping[str, str]
) -> bool:
    """Print a table in colours, and return True; False without the package rich."""
    try:
        from rich.console import Console  # noqa: PLC0415 - an extra
        from rich.table import Table  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above
    except ImportError:
        return False
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left")
    for row in rows:
        table.add_row(*[Text(text, style=styles.get(text, "")) for text in row])
    text = io.StringIO()
    Console(file=text, force_terminal=True, width=Console().width).print(table)
    write(text.getvalue().rstrip("\n"), sys.stdout)
    return True
