"""`Evaluation`: what an evaluator knows behind its states, for reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftline._windows.ring import WindowCounts
from driftline.detection._rules import Evidence
from driftline.results import FeatureStatus, Score
from driftline.typing import Floats

__all__ = ["EvaluatedLength", "Evaluation"]


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedLength:
    """
    The latest evaluation of one window length.

    Attributes:
        label: the length, as `Window.label`.
        window: the counts that were compared.
        expected: shape (bins,), the counts that they were compared with, adjusted for the season. If None, they were
            compared with those of the reference.
        evidence: the evidence for each feature; empty if no rule was applied.
    """

    label: str
    window: WindowCounts
    expected: Floats | None
    evidence: Sequence[Evidence]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """
    The states of an evaluator, and what they follow from.

    Attributes:
        states: the state of each feature, by name.
        scores: the latest scores.
        lengths: the evaluated lengths, in windows.
        explained: for each feature that drifts, the length whose evidence explains it; 0 for the others.
        recent: the latest whole windows, the earliest first, at most as many as the longest length has.
    """

    states: Mapping[str, FeatureStatus]
    scores: tuple[Score, ...]
    lengths: Mapping[int, EvaluatedLength]
    explained: Sequence[int]
    recent: Sequence[WindowCounts]
