"""`Maturity`: which predictions are old enough to compare their outcomes, by the time of the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftline._windows.blocks import BlockCounts, align_blocks
from driftline._windows.outcome_tables import AGE_EDGES, BAD, GOOD, PREDICTED, OutcomeTables
from driftline.canary._evidence import CanaryEvidence
from driftline.typing import Floats

__all__ = ["Maturity", "format_age", "outcome_pairs"]

COMPLETE = 0.98
"""
Share of the outcomes that must have come by an age, before predictions of that age can promote a candidate. The rest
moves an accuracy by at most 2 points, the usual margin.
"""

SEASONED = 1.5
"""
Multiple of an age that predictions must have, to tell which share of their outcomes has come by that age. Younger ones
have shown their early outcomes only.
"""

MIN_OUTCOMES = 100
"""Outcomes from which the age is learned, at least; a share of 98 % then has a standard error of 1.4 points."""


def outcome_pairs(evidence: CanaryEvidence) -> list[tuple[OutcomeTables, OutcomeTables]] | None:
    """Return (baseline's tables, candidate's tables) for each share; None if any outcomes are in no table."""
    pairs = []
    for stratum in evidence.strata:
        baseline, candidate = stratum.baseline.outcome_tables, stratum.candidate.outcome_tables
        if baseline is None or candidate is None:
            return None
        pairs.append((baseline, candidate))
    return pairs


@dataclass(frozen=True, slots=True)
class Maturity:
    """
    Ages by which the outcomes of two variants are compared.

    Attributes:
        at: Unix time of the reading of the evidence, in seconds.
        began: Unix time at which the canary began. Blocks that ended before are not used. The block in which it began
            has no predictions of before: see `OutcomeCohorts`.
        harm_age: seconds that predictions must be old for evidence of harm. 0 compares all blocks, each at its age.
        safe_age: seconds that predictions must be old for evidence of safety; None if not known.
        predictions: predictions with an id, of both variants.
        missing: those without an outcome so far.
    """

    at: float
    began: float
    harm_age: float
    safe_age: float | None
    predictions: int
    missing: int

    @classmethod
    def of(
        cls, evidence: CanaryEvidence, pairs: Sequence[tuple[OutcomeTables, OutcomeTables]], declared: float | None
    ) -> Maturity:
        """
        Return the ages for an evidence.

        Args:
            evidence: the evidence.
            pairs: its tables; see `outcome_pairs`.
            declared: seconds after which all outcomes have come, if the policy says so.
        """
        tables = [side for pair in pairs for side in pair]
        ends = [(side.predictions.first + len(side.predictions)) << side.predictions.level for side in tables]
        at = evidence.at or float(max(ends, default=0))
        began = at - evidence.seconds if evidence.seconds else 0.0
        young = cls(at, began, 0.0, 0.0, 0, 0)
        predictions, known = young._sums(tables, 0.0)
        missing = predictions - known
        if declared is not None:
            age: float | None = declared
        elif not missing:
            age = 0.0
        else:
            age = young._learn(tables)
        return cls(at, began, declared or 0.0, age, predictions, missing)

    def _sums(self, tables: Sequence[OutcomeTables], age: float) -> tuple[int, int]:
        """Return the predictions of at least an age, and those of them with an outcome."""
        predictions = known = 0
        for side in tables:
            counts = self._select(side.predictions, age).counts
            predictions += int(counts[:, PREDICTED].sum())
            known += int(np.minimum(counts[:, BAD] + counts[:, GOOD], counts[:, PREDICTED]).sum())
        return predictions, known

    def _learn(self, tables: Sequence[OutcomeTables]) -> float | None:
        """
        Return the least age by which nearly all outcomes come; None if it is not known.

        Outcomes that have not come may come later, and may be of another kind. So nearly all predictions of that age
        must have their outcome, not only nearly all outcomes must have come by then.
        """
        for index, age in enumerate(AGE_EDGES):
            outcomes = early = 0
            for side in tables:
                ends = _ends(side.delays)
                counts = np.maximum(side.delays.counts[ends <= self.at - SEASONED * age], 0)
                outcomes += int(counts.sum())
                early += int(counts[:, : index + 1].sum())
            if outcomes < MIN_OUTCOMES:
                return None
            predictions, known = self._sums(tables, age)
            if early >= COMPLETE * outcomes and known >= COMPLETE * predictions:
                return age
        return None

    def _select(self, table: BlockCounts, age: float) -> BlockCounts:
        """Return the blocks of a table since the canary began whose predictions have at least an age."""
        ends = _ends(table)
        used = (ends > self.began) & ((ends <= self.at - age) if age else True)
        counts = np.where(used.reshape(-1, *[1] * (table.counts.ndim - 1)), np.maximum(table.counts, 0), 0)
        return BlockCounts(table.level, table.first, counts)

    def select(self, pair: tuple[BlockCounts, BlockCounts], age: float) -> tuple[BlockCounts, BlockCounts]:
        """
        Return the blocks of both variants whose predictions have at least an age, over blocks of the same length.

        Args:
            pair: tables of the baseline and of the candidate, of the same columns.
            age: seconds.
        """
        (level, first), aligned = align_blocks(pair)
        baseline, candidate = (self._select(BlockCounts(level, first, counts), age) for counts in aligned)
        return baseline, candidate


def _ends(table: BlockCounts) -> Floats:
    """Return the Unix times at which the blocks of a table end, shape (blocks,)."""
    return (table.first + 1.0 + np.arange(len(table), dtype=np.float64)) * table.seconds


def format_age(seconds: float) -> str:
    """Return seconds as a duration, such as ``"7 d"`` or ``"10 min"``."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
