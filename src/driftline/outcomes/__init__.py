"""Outcomes that become known after a prediction. They are joined to predictions by id, graded and counted."""

from __future__ import annotations

from driftline.outcomes._joiner import Outcomes
from driftline.outcomes._ledger import OutcomeTally
from driftline.outcomes._metrics import Performance, estimated_accuracy, performance
from driftline.outcomes._policy import OutcomePolicy
from driftline.outcomes._snapshot import ClassCounts, OutcomeSnapshot
from driftline.outcomes._sqlite_store import read_totals

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
