"""Shows the states of a fleet as a table or as JSON."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from driftline._runtime.output import say
from driftline.commands._state_table import print_states, score_documents, state_documents
from driftline.fleet import FleetModel, FleetResult
from driftline.results import FeatureStatus

__all__ = ["fleet_document", "print_table"]

SCHEMA_VERSION = 1
"""Version of the form of the JSON."""


def print_table(model: FleetModel, result: FleetResult, states: Mapping[str, FeatureStatus], window: str) -> None:
    """
    Print a sentence and a table of the features, the worst first; on a terminal with the package rich, in colours.

    Args:
        model: the model.
        result: the result.
        states: the states by feature, with the reasons that are shown.
        window: the length of a window.
    """
    say(_sentence(model, result, window), sys.stdout)
    print_states(states)


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
        "features": state_documents(states),
        "scores": score_documents(result.scores),
        "notes": list(notes),
    }


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
