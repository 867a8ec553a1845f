"""Reads the exported counts of one side of a canary, and makes `VariantEvidence` of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from driftline import semconv as sc
from driftline._backends.counts import CountSource, Grid, Match, as_counts, bin_index
from driftline._binning.bins import PREDICTION
from driftline._runtime.call_keys import KEY_BUCKETS, ROW_KEY_BUCKETS
from driftline._windows.blocks import BlockCounts
from driftline._windows.call_tables import CallTables
from driftline._windows.outcome_tables import OutcomeTables
from driftline._windows.totals import DURATION_EDGES
from driftline.canary._variant_evidence import VariantEvidence
from driftline.typing import Counts

__all__ = ["Blocks", "FeatureRows", "ProcessGroup", "SideCounts", "SideReader", "align_features"]

GAP_SECONDS = 3_600.0
"""Longest time without an export, at the start of the canary, that the counts of an older process survive."""

EDGES = tuple(DURATION_EDGES.tolist())

BINS = len(EDGES) + 1


class Blocks(NamedTuple):
    """
    The blocks of time of a canary.

    Attributes:
        level: binary logarithm of the seconds of a block.
        grid: the points between which the blocks lie. The first one is the start of the canary.
    """

    level: int
    grid: Grid

    def table(self, counts: Counts) -> BlockCounts:
        """Return counts of shape (blocks, ...) as a table."""
        return BlockCounts(self.level, int(self.grid.start) >> self.level, counts).trimmed()


class ProcessGroup(NamedTuple):
    """
    Processes whose counts are read together.

    Attributes:
        side: ``ml.canary.side`` of their series.
        dialect: the spelling of their names in the store.
        names: their ids.
        older: whether they began before the canary, so that what they had counted by then is subtracted.
    """

    side: str
    dialect: str
    names: Collection[str]
    older: bool


_Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SideReader:
    """
    Reads the counts of one side of a canary since its start.

    Attributes:
        source: the store.
        groups: the processes.
        grid: the points of time, from the start of the canary until now.
    """

    source: CountSource
    groups: Sequence[ProcessGroup]
    grid: Grid

    def only(self, names: Collection[str]) -> SideReader:
        """Return a reader of those processes alone."""
        groups = [group._replace(names=[name for name in group.names if name in names]) for group in self.groups]
        return replace(self, groups=[group for group in groups if group.names])

    def blocks(self, metric: sc.Metric, by: Sequence[str], match: Match) -> dict[_Key, Counts]:
        """Return the counts of each block of time, shape (points - 1,), by the values of the attributes *by*."""
        return {key: np.diff(values) for key, values in self._cumulative(metric, by, match, self.grid).items()}

    def totals(self, metric: sc.Metric, by: Sequence[str], match: Match) -> dict[_Key, int]:
        """Return the counts since the start of the canary, by the values of the attributes *by*."""
        grid = self.grid
        whole = Grid(grid.start, max(grid.end - grid.start, grid.step), 2)
        return {key: int(values[1] - values[0]) for key, values in self._cumulative(metric, by, match, whole).items()}

    def _cumulative(self, metric: sc.Metric, by: Sequence[str], match: Match, grid: Grid) -> dict[_Key, Counts]:
        """
        Return sums over all processes at the points of a grid.

        Raises:
            OSError: a counter has decreased, so the store has lost values.
        """
        sums: dict[_Key, Counts] = {}
        for group in self.groups:
            series = self.source.history(
                metric,
                {sc.ML_CANARY_SIDE: group.side, sc.ML_CANARY_PROCESS: group.names, **match},
                unit=sc.ML_CANARY_PROCESS,
                by=by,
                grid=grid,
                within=grid.end - grid.start + GAP_SECONDS,
                dialect=group.dialect,
            )
            for key, values in series.items():
                counts = as_counts(values)
                if not group.older:
                    counts[0] = 0  # whatever their clocks say: these processes began with the canary or later
                if metric.instrument == "counter" and (np.diff(counts) < 0).any():
                    msg = f"the store has lost values of {metric.name}, or the canary is older than what it keeps"
                    raise OSError(msg)
                sums[key] = sums[key] + counts if key in sums else counts
        return sums


class FeatureRows(NamedTuple):
    """
    Rows of one feature over one set of bins.

    Attributes:
        ordered: whether the bins are ranges in ascending order.
        rows: rows per block and bin, shape (blocks, bins).
    """

    ordered: bool
    rows: Counts


@dataclass(frozen=True, slots=True)
class SideCounts:
    """
    The counts of one side of a canary.

    Attributes:
        blocks: the blocks of time.
        calls: calls per block by result, each of shape (blocks,).
        keys: calls with a key by (result, bucket).
        rows: rows by result.
        row_keys: rows of batches with a key by bucket.
        durations: calls that returned after the warm-up, shape (blocks, bins).
        warm_up: calls that returned during the warm-up, shape (bins,).
        outcomes: predictions by what is known of them.
        outcome_tables: predictions and outcomes by the time of the prediction; None if *outcomes* counts.
        features: rows by (name of the feature, fingerprint of its bins).
    """

    blocks: Blocks
    calls: Mapping[str, Counts] = field(default_factory=dict)
    keys: Mapping[tuple[str, str], int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    row_keys: Mapping[str, int] = field(default_factory=dict)
    durations: Counts = field(default_factory=lambda: np.zeros((0, BINS), dtype=np.int64))
    warm_up: Counts = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    outcomes: Mapping[str, int] = field(default_factory=dict)
    outcome_tables: OutcomeTables | None = None
    features: Mapping[tuple[str, str], FeatureRows] = field(default_factory=dict)

    @classmethod
    def read(cls, reader: SideReader, blocks: Blocks) -> SideCounts:
        """
        Read all counts of a side.

        Raises:
            OSError: the store cannot be reached, is late, or its response is incomplete.
            ValueError: a response cannot be read.
        """
        result, phase = [sc.ML_CANARY_RESULT], sc.ML_CANARY_PHASE
        calls = reader.blocks(sc.METRIC_CANARY_CALLS, result, {})
        if not calls:
            return cls(blocks)
        keys = reader.totals(sc.METRIC_CANARY_CALLS, [sc.ML_CANARY_RESULT, sc.ML_CANARY_KEY_BUCKET], {})
        rows = reader.totals(sc.METRIC_CANARY_ROWS, [sc.ML_CANARY_RESULT, sc.ML_CANARY_KEY_BUCKET], {})
        serving = reader.blocks(sc.METRIC_CANARY_DURATIONS, [sc.ML_CANARY_BIN], {phase: "serving"})
        durations = np.zeros((blocks.grid.points - 1, BINS), dtype=np.int64)
        for (index,), counts in serving.items():
            durations[:, bin_index(index, BINS)] += counts
        warm_up = np.zeros(BINS, dtype=np.int64)
        for (index,), count in reader.totals(
            sc.METRIC_CANARY_DURATIONS, [sc.ML_CANARY_BIN], {phase: "warm_up"}
        ).items():
            warm_up[bin_index(index, BINS)] += count
        known = {sc.ML_CANARY_BLOCK: "", sc.ML_CANARY_KEY_BUCKET: ""}
        outcomes = reader.totals(sc.METRIC_CANARY_OUTCOMES, [sc.ML_CANARY_OUTCOME], known)
        return cls(
            blocks,
            {name: counts for (name,), counts in calls.items()},
            {(name, bucket): count for (name, bucket), count in keys.items() if bucket},
            {name: count for (name, bucket), count in rows.items() if not bucket},
            {bucket: count for (_, bucket), count in rows.items() if bucket},
            durations,
            warm_up,
            {name: max(0, count) for (name,), count in outcomes.items()},
            features=_read_features(reader),
        )

    def evidence(self, features: Mapping[str, tuple[str, FeatureRows]]) -> VariantEvidence:
        """
        Return the evidence of this side.

        Args:
            features: for each feature and the prediction by name, (fingerprint of its bins, rows).
        """
        rows = {name: found.rows.sum(axis=0) for name, (_, found) in features.items()}
        predictions = rows.pop(PREDICTION, None)
        failed = int(self.calls["failed"].sum()) if "failed" in self.calls else 0
        batches = int(self.calls["batch"].sum()) if "batch" in self.calls else 0
        bad, correct = self.outcomes.get("bad", 0), self.outcomes.get("good", 0)
        if self.outcome_tables is not None:
            _, bad, correct = self.outcome_tables.predictions.total().tolist()
        return VariantEvidence(
            self.rows.get("returned", 0),
            self.rows.get("failed", 0),
            self.durations.sum(axis=0) + self.warm_up,
            EDGES,
            bad + correct,
            correct,
            predictions,
            failed,
            batches,
            features=rows,
            unordered=frozenset(name for name, (_, found) in features.items() if not found.ordered),
            bins={name: fingerprint for name, (fingerprint, _) in features.items()},
            call_tables=self._call_tables(features) if self.calls else None,
            outcome_tables=self.outcome_tables,
            unreadable=self.outcomes.get("unreadable", 0),
        )

    def _call_tables(self, features: Mapping[str, tuple[str, FeatureRows]]) -> CallTables:
        size = len(self.durations)
        failed = self.calls.get("failed", np.zeros(size, dtype=np.int64))
        returned = self.calls.get("returned", np.zeros(size, dtype=np.int64))
        keys = np.zeros((KEY_BUCKETS, 2), dtype=np.int64)
        for (result, bucket), count in self.keys.items():
            index = bin_index(bucket, KEY_BUCKETS)
            keys[index, 0] += count
            keys[index, 1] += count * (result == "failed")
        row_keys = np.zeros(ROW_KEY_BUCKETS, dtype=np.int64)
        for bucket, count in self.row_keys.items():
            row_keys[bin_index(bucket, ROW_KEY_BUCKETS)] += count
        return CallTables(
            self.blocks.table(np.stack([returned + failed, failed], axis=1)),
            self.blocks.table(self.durations),
            self.warm_up,
            keys,
            {name: self.blocks.table(found.rows) for name, (_, found) in features.items()},
            row_keys=row_keys,
        )


def _read_features(reader: SideReader) -> dict[tuple[str, str], FeatureRows]:
    by = [sc.ML_FEATURE_NAME, sc.ML_REFERENCE_FINGERPRINT, sc.ML_FEATURE_KIND, sc.ML_FEATURE_BIN]
    bins: dict[tuple[str, str, str], dict[int, Counts]] = {}
    for (name, fingerprint, kind, text), counts in reader.blocks(sc.METRIC_CANARY_BINS, by, {}).items():
        bins.setdefault((name, fingerprint, kind), {})[bin_index(text, MAX_BINS)] = counts
    features = {}
    for (name, fingerprint, kind), columns in bins.items():
        rows = np.zeros((reader.grid.points - 1, max(columns) + 1), dtype=np.int64)
        for index, counts in columns.items():
            rows[:, index] = counts
        features[name, fingerprint] = FeatureRows(kind != "categorical", rows)
    return features


MAX_BINS = 100_000
"""Most bins of a feature, so that a damaged response does not fill the memory."""


def align_features(*sides: SideCounts) -> list[dict[str, tuple[str, FeatureRows]]]:
    """
    Return for each side the rows of each feature over one set of bins, by name: (fingerprint, rows).

    A reference that was replaced gives a feature two sets. The set that all sides have, with the most rows, counts.
    """
    names = {name for side in sides for name, _ in side.features}
    aligned: list[dict[str, tuple[str, FeatureRows]]] = [{} for _ in sides]
    for name in sorted(names):
        present = [{fingerprint for other, fingerprint in side.features if other == name} for side in sides]
        common = set.intersection(*present)
        size = 0
        for side, fingerprints, result in zip(sides, present, aligned, strict=True):
            # Without a common set, or on one side alone, each side has its largest.
            candidates = common or fingerprints
            if candidates:
                rows = {each: _least_rows(sides if common else (side,), (name, each)) for each in candidates}
                best = max(sorted(rows), key=rows.__getitem__)
                result[name] = best, side.features[name, best]
                size = max(size, side.features[name, best].rows.shape[1])
        if common:
            for result in aligned:
                fingerprint, (ordered, counts) = result[name]
                padded = np.pad(counts, ((0, 0), (0, size - counts.shape[1])))
                result[name] = fingerprint, FeatureRows(ordered, padded)
    return aligned


def _least_rows(sides: Sequence[SideCounts], key: tuple[str, str]) -> int:
    return min(int(side.features[key].rows.sum()) for side in sides)
