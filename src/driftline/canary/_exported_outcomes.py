"""Reads the exported outcomes of both sides of a canary, by the time of the prediction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftline import semconv as sc
from driftline._backends.counts import Sample, bin_index
from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._windows.blocks import MAX_LEVEL, BlockCounts
from driftline._windows.outcome_tables import AGE_EDGES, BAD, GOOD, PREDICTED, OutcomeTables
from driftline._windows.recent_blocks import RING_LEVELS, RING_SLOTS, RecentBlocks, ring_blocks
from driftline.canary._exported_counts import SideCounts, SideReader
from driftline.canary._maturity import COMPLETE, MIN_OUTCOMES
from driftline.typing import Counts

__all__ = ["OutcomeSpan", "add_outcomes"]

COLUMNS = {"predicted": PREDICTED, "bad": BAD, "good": GOOD}
"""Columns of `OutcomeTables` by ``ml.canary.outcome``."""


@dataclass(frozen=True, slots=True)
class OutcomeSpan:
    """
    The blocks of predictions whose outcomes are compared.

    Attributes:
        level: binary logarithm of the seconds of a block, of `RING_LEVELS`.
        began: index of the block in which the canary began, or of the first one that all processes still export.
        first: index of the first block that counts. If the baseline served before the canary, its predictions of the
            block in which the canary began are older than the candidate's, so that block does not count.
        last: index of the present block.
        start: Unix time at which the canary began, in seconds.
        now: Unix time in seconds.
    """

    level: int
    began: int
    first: int
    last: int
    start: float
    now: float

    @classmethod
    def of(cls, start: float, now: float, *, older: bool) -> OutcomeSpan:
        """
        Return the blocks of the shortest level of which all processes still export all.

        Args:
            start: see *start*.
            now: see *now*.
            older: whether processes of the baseline served before the canary.
        """
        for level in RING_LEVELS:
            began, last = int(start) >> level, int(now) >> level
            # A slot remains for a process whose clock is ahead.
            if last - began < RING_SLOTS - 1:
                return cls(level, began, began + older, last, start, now)
        oldest = last - RING_SLOTS + 2
        return cls(level, oldest, oldest, last, start, now)

    def blocks(self, counts: Mapping[int, Counts]) -> BlockCounts:
        """Return the counts of shape (3,) by index of the block as a table."""
        if self.last < self.first:
            return BlockCounts.none(len(COLUMNS))
        zero = np.zeros(len(COLUMNS), dtype=np.int64)
        rows = [counts.get(index, zero) for index in range(self.first, self.last + 1)]
        return BlockCounts(self.level, self.first, np.stack(rows)).trimmed()


def add_outcomes(
    sides: Sequence[SideCounts],
    readers: Sequence[SideReader],
    span: OutcomeSpan,
    started: Mapping[str, float],
    alive: Collection[str],
) -> tuple[list[SideCounts], list[str]]:
    """
    Return the counts of both sides with tables of their outcomes, and notes about what does not count.

    Outcomes of a process that has ended are lost if they come later, so their predictions would look right for ever.
    Only processes that still export count, and those of which nearly all outcomes had come before the end.

    Args:
        sides: the counts of both sides.
        readers: the readers of both sides.
        span: the blocks of predictions.
        started: Unix time in seconds at which each process began, by its id.
        alive: ids of processes that still export.

    Raises:
        OSError: the store cannot be reached, is late, or its response is incomplete.
        ValueError: a response cannot be read.
    """
    result, ended = [], 0
    for side, reader in zip(sides, readers, strict=True):
        by_process = _read_blocks(reader, span)
        counted = [name for name, table in by_process.items() if name in alive or _is_complete(table)]
        ended += len(by_process) - len(counted)
        predictions = BlockCounts.none(len(COLUMNS))
        for name in counted:
            predictions += by_process[name]
        began = min((started[name] for name in counted), default=span.start)
        tables = _read_tables(reader.only(counted), span, predictions, began)
        result.append(replace(side, outcome_tables=tables))
    if not ended:
        return result, []
    return result, [f"outcomes of {ended} processes that have ended do not count: some may have come afterwards"]


def _is_complete(table: BlockCounts) -> bool:
    """Return whether nearly all of at least `MIN_OUTCOMES` predictions have an outcome."""
    predictions, bad, good = table.total().tolist()
    return bool(predictions >= MIN_OUTCOMES and bad + good >= COMPLETE * predictions)


def _read_blocks(reader: SideReader, span: OutcomeSpan) -> dict[str, BlockCounts]:
    """Return the predictions and outcomes by block, by id of the process, of processes that have predictions."""
    slots = [f"{span.level}.{slot}" for slot in range(RING_SLOTS)]
    clocks = _latest(reader, sc.METRIC_CANARY_COUNTED, {}, span)
    samples = _latest(reader, sc.METRIC_CANARY_OUTCOMES, {sc.ML_CANARY_BLOCK: slots}, span)
    # A store may have copies of all series of a process, with other labels. The newest copy of a process counts.
    copies: dict[frozenset[tuple[str, str]], list[Sample]] = {}
    for sample in samples:
        copies.setdefault(_copy(sample), []).append(sample)
    newest: dict[str, tuple[float, list[Sample]]] = {}
    for clock in clocks:
        name, counts = clock.attributes.get(sc.ML_CANARY_PROCESS, ""), copies.get(_copy(clock))
        if counts is not None and 0.0 <= clock.value < 2.0**MAX_LEVEL and clock.value > newest.get(name, (-1.0,))[0]:
            newest[name] = clock.value, counts
    return {name: span.blocks(_by_block(counts, at, span.level)) for name, (at, counts) in newest.items()}


def _latest(
    reader: SideReader, metric: sc.Metric, match: Mapping[str, Collection[str]], span: OutcomeSpan
) -> list[Sample]:
    return [
        sample
        for group in reader.groups
        for sample in reader.source.latest(
            metric,
            {sc.ML_CANARY_SIDE: group.side, sc.ML_CANARY_PROCESS: group.names, **match},
            at=span.now,
            within=max(span.now - span.start, 1.0),
        )
    ]


def _copy(sample: Sample) -> frozenset[tuple[str, str]]:
    """Return the labels that all series of a process have in one copy."""
    own = {sc.ML_CANARY_BLOCK, sc.ML_CANARY_OUTCOME, "__name__"}
    return frozenset((name, value) for name, value in sample.attributes.items() if name not in own and value)


def _by_block(samples: Sequence[Sample], clock: float, level: int) -> dict[int, Counts]:
    """
    Return the counts of shape (3,) by index of the block that each slot held at a time.

    Raises:
        ValueError: a sample is no count of a slot.
    """
    indices = ring_blocks(RecentBlocks.none().at(clock).last)[RING_LEVELS.index(level)]
    counts: dict[int, Counts] = {}
    for sample in samples:
        slot = sample.attributes[sc.ML_CANARY_BLOCK].partition(".")[2]
        column = COLUMNS.get(sample.attributes.get(sc.ML_CANARY_OUTCOME, ""))
        if column is not None:
            index = int(indices[int(slot)])
            counts.setdefault(index, np.zeros(len(COLUMNS), dtype=np.int64))[column] = round(_count(sample))
    return counts


def _count(sample: Sample) -> float:
    """
    Return the value of a sample.

    Raises:
        ValueError: it is no count.
    """
    if not 0.0 <= sample.value < MAX_COUNT:
        msg = f"expected a count of a canary, not {sample.value:g} of {dict(sample.attributes)}"
        raise ValueError(msg)
    return sample.value


MAX_COUNT = 2.0**53
"""Counts below it are exact in a store of floats."""


def _read_tables(reader: SideReader, span: OutcomeSpan, predictions: BlockCounts, began: float) -> OutcomeTables:
    """
    Return the predictions with their keys and delays.

    Args:
        reader: reads the processes that count.
        span: the blocks of predictions.
        predictions: the predictions.
        began: Unix time in seconds at which the first of these processes began.
    """
    tables = OutcomeTables.none()
    by_key = [sc.ML_CANARY_OUTCOME, sc.ML_CANARY_KEY_BUCKET]
    keys = tables.keys
    for (outcome, bucket), count in reader.totals(sc.METRIC_CANARY_OUTCOMES, by_key, {sc.ML_CANARY_BLOCK: ""}).items():
        if bucket and outcome in COLUMNS:
            keys[bin_index(bucket, KEY_BUCKETS), COLUMNS[outcome]] += max(0, count)
    classes = np.zeros((1, len(AGE_EDGES) + 1), dtype=np.int64)
    # How late outcomes come is learned from all that the processes have exported, also from before the canary.
    delays: dict[tuple[str, str], float] = {}
    for sample in _latest(reader, sc.METRIC_CANARY_DELAYS, {}, span):
        key = sample.attributes.get(sc.ML_CANARY_PROCESS, ""), sample.attributes.get(sc.ML_CANARY_BIN, "")
        delays[key] = max(delays.get(key, 0.0), _count(sample))
    for (_, index), outcomes in delays.items():
        classes[0, bin_index(index, classes.shape[1])] += round(outcomes)
    # Delays are not exported by block. They stand in the block in which the first process began, so they are used for
    # an age when that is 1.5 times as old. They hold early outcomes of younger predictions too. That is safe, because
    # nearly all predictions of that age must have an outcome as well.
    return OutcomeTables(predictions, keys, BlockCounts(span.level, max(0, int(began)) >> span.level, classes))
