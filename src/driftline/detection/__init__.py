"""Drift rules. A rule turns the counts of a window into `Evidence` for or against the drift of each feature."""

from __future__ import annotations

from driftline.detection._false_alarms import FalseAlarms
from driftline.detection._rules import Evidence, Judge, Look, Rule, check_rule
from driftline.detection._thresholds import Thresholds

__all__ = [
    "Evidence",
    "FalseAlarms",
    "Judge",
    "Look",
    "Rule",
    "Thresholds",
    "check_rule",
]
