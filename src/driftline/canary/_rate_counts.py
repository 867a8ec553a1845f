"""`RateCounts`: the events and trials of both variants for one rate, with their design effect."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._runtime.call_keys import ROW_KEY_BUCKETS
from driftline._windows.blocks import MAX_BLOCKS, BlockCounts, align_blocks, align_strata
from driftline._windows.call_tables import CallTables
from driftline.canary._evalues.clustered_rates import rate_design_effect
from driftline.canary._evalues.design_effect import KeyedCounts, calls_per_key, keys_in_effect
from driftline.canary._evalues.means import Moments
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._value_tables import ValueTables
from driftline.canary._variant_evidence import VariantEvidence
from driftline.typing import Counts, Floats

__all__ = [
    "RateCounts",
    "align_pair",
    "calls_of_a_key",
    "count_calls",
    "count_observations",
    "count_variants",
    "keyed_counts",
    "rows_of_a_key",
    "stratify_pair",
]

MAX_STRATA = MAX_BLOCKS // 2
"""Most blocks of time that are strata of a test. The design effect of time needs blocks that are shorter than that."""


@dataclass(frozen=True, slots=True, eq=False)
class RateCounts:
    """
    The events and trials of both variants for one rate.

    Attributes:
        counts: shape (strata, 2, 2): stratum, variant (baseline, candidate), and kind (events, trials).
        design_effect: variance inflation by which a test divides the counts, at least 1.
        keys: keys in effect of the variant that has fewer; infinity if keys are not counted.
    """

    counts: Floats
    design_effect: float = 1.0
    keys: float = math.inf

    @classmethod
    def of(
        cls, strata: Floats, blocks: Floats, keys: KeyedCounts | None, least_effect: float, *, late: bool = False
    ) -> RateCounts:
        """
        Return counts with an estimated design effect.

        Args:
            strata: see *counts*.
            blocks: events and trials by block of time, shape (blocks, 2, 2). If there are none, time has no effect.
            keys: the same trials by key; None if they are not counted.
            least_effect: the smallest design effect.
            late: whether trials without an event so far may still become events of the other kind, such as predictions
                that are not wrong so far. Differences then grow with the age of a block.
        """
        bad, trials = blocks[..., 0].T, blocks[..., 1].T
        if keys is not None and not keys.trials.any():
            keys = None
        effect, _ = rate_design_effect(trials - bad if late else bad, trials, keys, grows=late)
        in_effect = math.inf if keys is None else float(keys_in_effect(keys).min())
        return cls(strata, max(float(effect), least_effect), in_effect)


def count_variants(
    evidence: CanaryEvidence, read: Callable[[VariantEvidence], tuple[int, int]], design_effect: float
) -> RateCounts:
    """
    Return the counts of a rate by share of the candidate alone, without blocks of time or keys.

    Args:
        evidence: the evidence.
        read: returns (events, trials) of one variant.
        design_effect: variance inflation by which a test divides the counts.
    """
    counts = [(read(stratum.baseline), read(stratum.candidate)) for stratum in evidence.strata]
    return RateCounts(np.array(counts, dtype=np.float64).reshape(-1, 2, 2), design_effect)


def count_calls(evidence: CanaryEvidence, least_effect: float) -> RateCounts:
    """
    Return calls that raised, and all calls, by share of the candidate and by block of time.

    Shares without tables by time are single strata.

    Args:
        evidence: the evidence.
        least_effect: the smallest design effect.
    """
    strata, blocks = [], [np.zeros((0, 2, 2))]
    for stratum in evidence.strata:
        tables = stratum.baseline.call_tables, stratum.candidate.call_tables
        if tables[0] is None or tables[1] is None:
            pair = stratum.baseline, stratum.candidate
            strata.append(np.array([[(side.failed_calls, side.calls) for side in pair]], dtype=np.float64))
            continue
        # Tables hold (calls, raised), a rate has (events, trials).
        pair_tables = tables[0].calls, tables[1].calls
        strata.append(stratify_pair(pair_tables)[..., ::-1])
        blocks.append(align_pair(pair_tables)[..., ::-1])
    counts = np.concatenate(strata) if strata else np.zeros((0, 2, 2))
    return RateCounts.of(counts, np.concatenate(blocks), _call_key_counts(evidence), least_effect)


def count_observations(
    evidence: CanaryEvidence, name: str, tables: tuple[ValueTables, ValueTables] | None, least_effect: float
) -> RateCounts:
    """
    Return observations of a guardrail of the kind "rate" that were true, and all of them.

    Args:
        evidence: the evidence.
        name: name of the guardrail.
        tables: its observations by time and key; None if some are in no table. They are then counted by share alone.
        least_effect: the smallest design effect.
    """
    if tables is None:
        none = (Moments(), Moments())
        pairs = [stratum.guardrails.get(name, none) for stratum in evidence.strata]
        moments = [[(side.mean * side.count, side.count) for side in pair] for pair in pairs]
        return RateCounts(np.array(moments, dtype=np.float64).reshape(-1, 2, 2), least_effect)
    (baseline, baseline_keys), (candidate, candidate_keys) = (side.count_rate() for side in tables)
    keys = keyed_counts(np.stack([baseline_keys, candidate_keys]), np.stack([baseline.total(), candidate.total()]))
    pair_tables = baseline, candidate
    # Tables hold (observations, true ones), a rate has (events, trials).
    blocks, strata = (arrange(pair_tables)[..., ::-1] for arrange in (align_pair, stratify_pair))
    return RateCounts.of(strata, blocks, keys, least_effect)


def align_pair(tables: tuple[BlockCounts, BlockCounts]) -> Floats:
    """
    Return the counts of both variants on one grid of at most `MAX_BLOCKS` blocks, shape (blocks, 2, ...).

    Blocks without any count are dropped.
    """
    first, second = tables
    if (first.level, first.first, len(first)) == (second.level, second.first, len(second)):
        return _stack([first.counts, second.counts])
    return _stack(align_blocks(tables)[1])


def stratify_pair(tables: tuple[BlockCounts, BlockCounts]) -> Floats:
    """Return what `align_pair` returns, over the longer blocks within which the variants are compared."""
    return _stack(align_strata(tables, MAX_STRATA))


def _stack(pair: Sequence[Counts]) -> Floats:
    counts: Floats = np.stack(pair, axis=1).astype(np.float64)
    return counts[counts.any(axis=tuple(range(1, counts.ndim)))]


def _call_key_counts(evidence: CanaryEvidence) -> KeyedCounts | None:
    """Return calls that raised, and all calls, by bucket of their key; None if no call has a key."""
    pairs = [
        (stratum.baseline.call_tables, stratum.candidate.call_tables)
        for stratum in evidence.strata
        if stratum.baseline.call_tables is not None and stratum.candidate.call_tables is not None
    ]
    if not any(side.has_keys for pair in pairs for side in pair):
        return None
    keys = np.sum([[side.keys for side in pair] for pair in pairs], axis=0)
    calls = np.sum([[side.calls.total() for side in pair] for pair in pairs], axis=0)
    return keyed_counts(keys, calls)


def keyed_counts(keys: Counts, totals: Counts) -> KeyedCounts:
    """
    Return keyed counts of both variants.

    Args:
        keys: trials and bad events by bucket, shape (2, buckets, 2).
        totals: trials and bad events with or without a key, shape (2, 2).
    """
    # A difference of two readings may be slightly negative, because a corrected outcome moves from column to column.
    trials, calls = (np.maximum(counts[..., 0], 0).astype(np.float64) for counts in (keys, totals))
    bad, all_bad = (np.maximum(counts[..., 1], 0).astype(np.float64) for counts in (keys, totals))
    return KeyedCounts.of(np.minimum(bad, trials), trials, all_bad, calls)


def rows_of_a_key(evidence: CanaryEvidence) -> float:
    """
    Return the larger of both variants' number of rows that depend on each other, because they have a key or a call.

    It is at least 1, and the mean number of rows of a call if no call has a key. Rows of `Monitor.observe` have no
    call: they are independent, or have keys of their own.
    """
    sizes = [calls_of_a_key(evidence) * _rows_of_a_call(evidence)]
    pairs = [(stratum.baseline, stratum.candidate) for stratum in evidence.strata]
    tables = [(a.call_tables, b.call_tables) for a, b in pairs if a.call_tables and b.call_tables]
    if any(side.row_keys.any() for pair in tables for side in pair):
        rows = np.sum([[_row_keys(side) for side in pair] for pair in tables], axis=0)
        sizes.append(float(calls_per_key(KeyedCounts.of(np.zeros_like(rows), rows)).max()))
    return max(sizes)


def _rows_of_a_call(evidence: CanaryEvidence) -> float:
    """Return the larger of both variants' mean number of rows of a call, at least 1; 1 where batches have rows too."""
    sides = [side for stratum in evidence.strata for side in (stratum.baseline, stratum.candidate)]
    if any(side.batches for side in sides):
        return 1.0
    return max([1.0, *(side.rows / side.calls for side in evidence.pooled() or () if side.calls)])


def _row_keys(tables: CallTables) -> Floats:
    """Return calls and rows of batches by the bucket of their key, shape (`ROW_KEY_BUCKETS`,)."""
    calls = tables.keys[:, 0].reshape(-1, ROW_KEY_BUCKETS).sum(axis=0)
    rows: Floats = np.maximum(calls + tables.row_keys, 0).astype(np.float64)
    return rows


def calls_of_a_key(evidence: CanaryEvidence) -> float:
    """Return the larger of both variants' `calls_per_key`, at least 1; 1 if no call has a key."""
    keys = _call_key_counts(evidence)
    return 1.0 if keys is None else float(calls_per_key(keys).max())
