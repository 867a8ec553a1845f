"""Outcomes that become known after a prediction. They are joined to predictions by id, graded and counted."""

from __future__ import annotations

from driftline.outcomes._estimate import estimated_accuracy
from driftline.outcomes._joiner import Outcomes
from driftline.outcomes._metrics import performance
from driftline.outcomes._performance import Performance
from driftline.outcomes._policy import OutcomePolicy
from driftline.outcomes._snapshot import ClassCounts, OutcomeSnapshot
from driftline.outcomes._sqlite_store import read_totals
from driftline.outcomes._tally import OutcomeTally

__all__ = [
    "ClassCounts",
    "OutcomePolicy",
    "OutcomeSnapshot",
    "OutcomeTally",
    "Outcomes",
    "Performance",
    "estimated_accuracy",
    "performance",
    "read_totals",
]
