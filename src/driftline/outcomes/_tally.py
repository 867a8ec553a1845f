"""`OutcomeTally`: the outcomes by result since the start, and those of the window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["OutcomeTally"]


@dataclass(frozen=True, slots=True)
class OutcomeTally:
    """
    The outcomes by result since the start, and the graded outcomes of the window.

    Attributes:
        results: number of outcomes since the start by result, as in the attribute ``ml.outcome.result``.
        recent_known: number of outcomes in the window that graded a prediction as right or wrong.
        recent_correct: number of outcomes in the window whose prediction was right.
        recent_unreadable: number of outcomes in the window that could not be read. If there are any, the graded ones
            are a biased part.
        known: number of outcomes since the start that graded a prediction as right or wrong.
        correct: number of outcomes since the start whose prediction was right. A corrected outcome counts as corrected.
    """

    results: Mapping[str, int]
    recent_known: int
    recent_correct: int
    recent_unreadable: int = 0
    known: int = 0
    correct: int = 0

    @property
    def accuracy(self) -> float | None:
        """The share of right predictions in the window, from 0 to 1. None without outcomes or with unreadable ones."""
        if not self.recent_known or self.recent_unreadable:
            return None
        return self.recent_correct / self.recent_known
