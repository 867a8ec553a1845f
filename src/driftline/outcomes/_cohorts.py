"""`OutcomeCohorts`: counts predictions and their outcomes by the time of the prediction, for canaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._windows.blocks import MAX_BLOCKS, MAX_LEVEL, BlockCounts
from driftline._windows.outcome_tables import AGE_EDGES, BAD, GOOD, PREDICTED, OutcomeTables
from driftline._windows.recent_blocks import RecentBlocks
from driftline.typing import Counts, Label

__all__ = ["CohortChanges", "OutcomeCohorts"]

COLUMNS = 3
"""Columns of `OutcomeTables.predictions`. Those of the other rates follow, two for each rate."""

MAX_RATES = 100
"""Rates with counts by time, at most: recall and precision of 50 classes. With 64 blocks they take 100 KB."""

Classes = tuple["Label | None", "Label | None"]
"""The predicted and the actual class of a pair, each None if it has no counts."""


@dataclass(slots=True)
class CohortChanges:
    """
    What some predictions and outcomes change in the counts of their source.

    Attributes:
        cells: (Unix time of the prediction, bucket of its key, column, amount).
        delays: (Unix time of the prediction, seconds until its outcome, amount).
        rates: (Unix time of the prediction, name of the rate, whether it is a success, amount).
    """

    cells: list[tuple[float, int | None, int, int]] = field(default_factory=list)
    delays: list[tuple[float, float, int]] = field(default_factory=list)
    rates: list[tuple[float, str, bool, int]] = field(default_factory=list)

    def add_prediction(self, time: float, bucket: int | None) -> None:
        """Add a prediction with an id."""
        self.cells.append((time, bucket, PREDICTED, 1))

    def add_outcome(
        self, time: float, bucket: int | None, delay: float, *, right: bool | None, classes: Classes | None, sign: int
    ) -> None:
        """
        Add the outcome of a prediction, or remove it.

        Args:
            time: Unix time of the prediction.
            bucket: bucket of its key; None without a key.
            delay: seconds from the prediction to its first outcome.
            right: whether the prediction was right. If None, only its classes count.
            classes: the predicted and the actual class; None if the outcome has none.
            sign: 1 to add, -1 to remove.
        """
        if right is not None:
            self.cells.append((time, bucket, GOOD if right else BAD, sign))
            self.delays.append((time, delay, sign))
        if classes is not None:
            predicted, actual = classes
            if actual is not None:
                self.rates.append((time, f"recall {actual}", predicted == actual, sign))
            if predicted is not None:
                self.rates.append((time, f"precision {predicted}", predicted == actual, sign))


@dataclass(frozen=True, slots=True, eq=False)
class _Cohorts:
    """
    Predictions since the start of one canary, and their outcomes.

    Attributes:
        since: Unix time from which predictions are counted.
        cells: shape (blocks, `COLUMNS` and two for each rate).
        keys: shape (`KEY_BUCKETS`, `COLUMNS`).
        rates: the index of each rate by its name.
        recent: predictions and outcomes of the last blocks of several lengths.
    """

    since: float
    cells: BlockCounts = field(default_factory=lambda: BlockCounts.none(COLUMNS))
    keys: Counts = field(default_factory=lambda: np.zeros((KEY_BUCKETS, COLUMNS), dtype=np.int64))
    rates: Mapping[str, int] = field(default_factory=dict)
    recent: RecentBlocks = field(default_factory=lambda: RecentBlocks.none(COLUMNS))

    def plus(self, changes: CohortChanges) -> _Cohorts:
        """Return these counts with changes."""
        since, rates = self.since, dict(self.rates)
        cells = [change for change in changes.cells if change[0] >= since]
        rows, columns, amounts = [each[0] for each in cells], [each[2] for each in cells], [each[3] for each in cells]
        recent = self.recent.with_counts(rows, columns, amounts)
        for time, name, is_success, amount in changes.rates:
            if time < since or (name not in rates and len(rates) >= MAX_RATES):
                continue
            first = COLUMNS + 2 * rates.setdefault(name, len(rates))
            rows += [time] * (1 + is_success)
            columns += [first, first + 1][1 - is_success :]
            amounts += [amount] * (1 + is_success)
        if not rows:
            return self
        keys = self.keys
        with_key = [(bucket, column, amount) for _, bucket, column, amount in cells if bucket is not None]
        if with_key:
            keys = keys.copy()
            bucket_rows, key_columns, key_amounts = np.array(with_key, dtype=np.intp).T
            np.add.at(keys, (bucket_rows, key_columns), key_amounts)
        table = _plus(self.cells, COLUMNS + 2 * len(rates), rows, columns, amounts)
        return _Cohorts(since, table, keys, rates, recent)

    def tables(self, delays: BlockCounts) -> OutcomeTables:
        """Return the tables of a canary."""
        cells = self.cells
        return OutcomeTables(
            replace(cells, counts=cells.counts[:, :COLUMNS]),
            self.keys,
            delays,
            {
                name: replace(cells, counts=cells.counts[:, COLUMNS + 2 * index : COLUMNS + 2 * index + 2])
                for name, index in self.rates.items()
            },
            self.recent,
        )


class OutcomeCohorts:
    """
    Counts predictions with an id, and their outcomes, by the time of the prediction. Its owner holds a lock.

    Each canary has separate counts, from its start on. So no block and no key mixes predictions that it compares with
    earlier ones, and a later canary takes nothing from it. An outcome of an earlier prediction counts for the delays
    only, which all canaries share. The arrays are never changed: those of a reading stay as they are.

    Args:
        since: Unix time from which predictions are counted before a canary starts.
    """

    __slots__ = ("_added", "_by_start", "_delays", "_has_canary", "_last")

    def __init__(self, since: float) -> None:
        self._last, self._has_canary = since, False
        self._added: CohortChanges | None = None
        self._by_start = {since: _Cohorts(since)}
        self.reset()

    def start(self, since: float) -> None:
        """
        Let a canary have counts of predictions since a Unix time. If it has them already, change nothing.

        An earlier time than now, as after a restart, lets outcomes of predictions of other processes count.
        """
        others = self._by_start if self._has_canary else {}
        self._by_start = {**others, since: self._by_start.get(since, _Cohorts(since))}
        self._last, self._has_canary = since, True

    def reset(self) -> None:
        """Remove all counts, as the child of a fork must."""
        self._delays = BlockCounts.none(len(AGE_EDGES) + 1)
        self._by_start = {since: _Cohorts(since) for since in self._by_start}

    def add(self, changes: CohortChanges) -> None:
        """Add changes. A second call with the same object, after an interrupt, adds nothing."""
        if changes is self._added:
            return
        by_start = {since: cohorts.plus(changes) for since, cohorts in self._by_start.items()}
        ages = np.searchsorted(AGE_EDGES, [max(0.0, each[1]) for each in changes.delays])
        times, signs = [each[0] for each in changes.delays], [each[2] for each in changes.delays]
        delays = _plus(self._delays, len(AGE_EDGES) + 1, times, ages, signs)
        # Without a call, so that no interrupt comes between.
        self._by_start, self._delays, self._added = by_start, delays, changes

    def read(self, since: float | None = None) -> OutcomeTables:
        """Return the counts of the canary that started at a time; if None, those of the last one that has started."""
        start = self._last if since is None else since
        return self._by_start.get(start, _Cohorts(start)).tables(self._delays)


def _plus(
    table: BlockCounts,
    columns: int,
    times: Sequence[float],
    indices: Iterable[int],
    amounts: Sequence[int],
) -> BlockCounts:
    """
    Return a table with further counts.

    Args:
        table: the table.
        columns: columns that the result has.
        times: Unix time in seconds of each count.
        indices: column of each count.
        amounts: the counts.
    """
    if not len(times):
        return table
    seconds = np.clip(np.asarray(times, dtype=np.float64), 0.0, 2.0**MAX_LEVEL).astype(np.int64)
    table = _covering(table, int(seconds.min()), int(seconds.max()))
    counts = np.zeros((len(table), columns), dtype=np.int64)
    counts[:, : table.counts.shape[1]] = table.counts
    np.add.at(counts, ((seconds >> table.level) - table.first, np.asarray(indices, dtype=np.intp)), amounts)
    return replace(table, counts=counts)


def _covering(table: BlockCounts, earliest: int, latest: int) -> BlockCounts:
    """Return a table with the blocks of two times and all between, at the finest level that has few enough blocks."""
    level = table.level
    if len(table):
        earliest = min(earliest, table.first << level)
        latest = max(latest, (table.first + len(table) << level) - 1)
    while (latest >> level) - (earliest >> level) >= MAX_BLOCKS:
        level += 1
    first, blocks = earliest >> level, (latest >> level) - (earliest >> level) + 1
    if level == table.level and blocks == len(table):
        return table
    folded = table.at_level(level)
    counts = np.zeros((blocks, table.counts.shape[1]), dtype=np.int64)
    counts[folded.first - first : folded.first - first + len(folded)] = folded.counts
    return BlockCounts(level, first, counts)
