"""Shows the states of a fleet as a table or as JSON."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from driftline._runtime.output import escape, say, write
from driftline.fleet import FleetModel, FleetResult
from driftline.results import DriftState, FeatureStatus

__all__ = ["fleet_document", "print_document", "print_table"]

SCHEMA_VERSION = 1
"""Version of the form of the JSON."""

HEADINGS = ("feature", "state", "effect", "p", "rows", "reason")

MAX_WIDTH = 60
"""Most characters of a column that other rows are filled up to. A longer name moves its own row alone."""

STYLES: dict[DriftState, str] = {"drifting": "bold red", "insufficient_data": "yellow", "stable": "green"}
"""Colours of the states on a terminal, worst first."""


def print_table(model: FleetModel, result: FleetResult, states: Mapping[str, FeatureStatus], window: str) -> None:
    """
    Print a sentence and a table of the features, the worst first; on a terminal with the package rich, in colours.

    Args:
        model: the model.
        result: the result.
        states: the states by feature, with the reasons that are shown.
        window: the length of a window.
    """
    rows = [tuple(map(escape, _row(name, status))) for name, status in worst_first(states)]
    say(_sentence(model, result, window), sys.stdout)
    if sys.stdout is not None and sys.stdout.isatty() and _print_rich(rows):
        return
    texts = [HEADINGS, *rows]
    widths = [min(MAX_WIDTH, max(len(row[column]) for row in texts)) for column in range(len(HEADINGS) - 1)]
    for row in texts:
        cells = [text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)]
        say("  ".join(cells).rstrip(), sys.stdout)


def worst_first(states: Mapping[str, FeatureStatus]) -> list[tuple[str, FeatureStatus]]:
    """Return features and states in the order of a table: what drifts first, the most significant of it first."""
    order = list(STYLES)

    def rank(item: tuple[str, FeatureStatus]) -> tuple[float, ...]:
        status = item[1]
        p_value = 2.0 if status.p_value is None else status.p_value
        effect = -math.inf if status.effect is None or math.isnan(status.effect) else status.effect
        return order.index(status.state), p_value, -effect

    return sorted(states.items(), key=rank)


def fleet_document(
    model: FleetModel,
    result: FleetResult,
    states: Mapping[str, FeatureStatus],
    window: str,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return the states as a document for JSON. The arguments are those of `print_table`, and the notes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model.name,
        "version": model.version or None,
        "variant": model.variant or None,
        "state": result.state,
        "window": {"length": window, "start": _time(result.start), "end": _time(result.end)},
        "windows": result.windows,
        "rows": result.rows,
        "processes": result.processes,
        "features": [
            {
                "name": name,
                "state": status.state,
                "effect": _finite(status.effect),
                "p_value": _finite(status.p_value),
                "rows": status.rows,
                "reason": status.reason,
            }
            for name, status in worst_first(states)
        ],
        "scores": [
            {
                "feature": score.feature,
                "distance": score.distance,
                "value": _finite(score.value),
                "corrected": _finite(score.corrected),
                "rows": score.rows,
                "length": score.length,
            }
            for score in result.scores
        ],
        "notes": list(notes),
    }


def print_document(document: Mapping[str, Any]) -> None:
    """Print a document as JSON."""
    # Only ASCII, so that no terminal and no encoding changes it. A name may hold half of a surrogate pair.
    for line in json.dumps(document, allow_nan=False, indent=2).splitlines():
        say(line, sys.stdout)


def _sentence(model: FleetModel, result: FleetResult, window: str) -> str:
    number = sum(status.state == result.state for status in result.features.values())
    features = "" if result.state == "stable" else f" ({number} of {len(result.features)} features)"
    if math.isnan(result.end):
        return f"{model}: {result.state}, no window yet"
    return (
        f"{model}: {result.state}{features}, {result.rows} rows of {result.processes} processes in the {window} until "
        f"{_time(result.end)}, after {result.windows} windows"
    )


def _time(seconds: float) -> str | None:
    if math.isnan(seconds):
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _row(name: str, status: FeatureStatus) -> tuple[str, ...]:
    effect, p_value = _finite(status.effect), _finite(status.p_value)
    return (
        name,
        status.state,
        "" if effect is None else f"{effect:.3f}",
        "" if p_value is None else f"{p_value:.2g}",
        str(status.rows),
        status.reason,
    )


def _print_rich(rows: Sequence[tuple[str, ...]]) -> bool:
    """Print a table in colours, and return True; False without the package rich."""
    try:
        from rich.console import Console  # noqa: PLC0415 - an extra
        from rich.table import Table  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above
    except ImportError:
        return False
    table = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in {"effect", "p", "rows"} else "left")
    styles: dict[str, str] = {str(state): style for state, style in STYLES.items()}
    for row in rows:
        cells = [Text(text, style=styles.get(text, "") if column == 1 else "") for column, text in enumerate(row)]
        table.add_row(*cells)
    text = io.StringIO()
    Console(file=text, force_terminal=True, width=Console().width).print(table)
    write(text.getvalue().rstrip("\n"), sys.stdout)
    return True
