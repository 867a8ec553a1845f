"""Formats values as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Results", "Row", "rate", "share", "table"]

Row = Mapping[str, Any]
Results = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> list[str]:
    """Return the lines of a table. Its first *left* columns are aligned to the left."""
    line = "|".join(["---"] * left + ["---:"] * (len(head) - left))
    return ["", f"| {' | '.join(head)} |", f"|{line}|", *(f"| {' | '.join(map(str, row))} |" for row in rows), ""]


def rate(row: Row | None) -> str:
    """Format the alarms in thirty days with their interval."""
    if row is None:
        return ""
    return f"{row['alarms in 30 days']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def share(row: Row | None) -> str:
    """Format the share of drifts found, and the median of the rows until then."""
    if row is None:
        return ""
    median = row["median rows until found"]
    return f"{row['found']:.0%}" + (f", {median:,}" if median is not None else "")
