"""Reports: what a monitor, a canary or a data set shows, as an HTML page and as JSON."""

from __future__ import annotations

from driftline._report.document import Report, report

__all__ = ["Report", "report"]
