"""Rules that turn the counts of a window into the state of every feature."""

from __future__ import annotations

from driftline.detection._false_alarms import FalseAlarms
from driftline.detection._rules import Evidence, Judge, Look, Rule
from driftline.detection._thresholds import Thresholds, check_rule

__all__ = [
    "Evidence",
    "FalseAlarms",
    "Judge",
    "Look",
    "Rule",
    "Thresholds",
    "check_rule",
]
