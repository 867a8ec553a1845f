"""`CanaryExporter`: a canary's evidence in one process as points of metrics, within a fixed number of series."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from driftline import semconv as sc
from driftline._binning.bins import PREDICTION
from driftline._runtime.call_keys import KEY_BUCKETS, ROW_KEY_BUCKETS
from driftline._runtime.process_id import new_process_id
from driftline._windows.outcome_tables import AGE_EDGES, BAD, GOOD, PREDICTED, OutcomeTables
from driftline._windows.recent_blocks import RING_LEVELS, RING_SLOTS
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._variant_evidence import VariantEvidence
from driftline.typing import Counts

__all__ = ["MAX_SERIES", "CanaryExporter", "Point", "coarse_bin"]

_log = logging.getLogger("driftline")

MAX_SERIES = 1_500
"""
Series that one canary of one side exports at most in a process, so that ten processes cost as many as one host that
`node_exporter` reports.
"""

FINE_DURATIONS = 300
"""
Bins of durations with a series of their own, 3 decades. Bins that are used after these are taken are exported as
coarse bins.
"""

FINE_PER_COARSE = 10
"""Bins of durations in a coarse bin: a coarse bin is 26 % wide, a fine one 2.3 %."""

FINE_PER_WARM_UP = 20
"""Bins of durations in a coarse bin of the warm-up, which is 58 % wide. The warm-up is reported, and not tested."""

FINE_BINS = 900
"""Bins between the edges of durations; another one is below, and another one above them."""

OUTCOME_COLUMNS = {"predicted": PREDICTED, "bad": BAD, "good": GOOD}
"""Columns of `OutcomeTables` by ``ml.canary.outcome``."""

BLOCK_SERIES = len(RING_LEVELS) * RING_SLOTS * len(OUTCOME_COLUMNS)
"""Series of outcomes by block of time."""

OTHER_SERIES = 16
"""Totals by result, rows, outcomes, start, end, time of the counts, and states."""

BIN_SERIES = MAX_SERIES - (
    (FINE_DURATIONS + FINE_BINS // FINE_PER_COARSE + 2)
    + (FINE_BINS // FINE_PER_WARM_UP + 2)
    + 2 * KEY_BUCKETS  # calls that returned and that raised, by key
    + 2 * KEY_BUCKETS  # predictions and wrong ones, by key
    + ROW_KEY_BUCKETS  # rows of batches, by key
    + (len(AGE_EDGES) + 1)
    + BLOCK_SERIES
    + OTHER_SERIES
)
"""Series that are left for the bins of the prediction and of features."""

SHOWN = 5
"""Names in a message about features whose bins are not exported."""


class Point(NamedTuple):
    """One value of one series."""

    value: float
    attributes: Mapping[str, str]


_Key: TypeAlias = tuple[tuple[str, str], ...]
"""Attributes of a series beside those of the canary."""

_Values: TypeAlias = Iterable[tuple[_Key, float]]


def coarse_bin(index: int, width: int) -> int:
    """
    Return the fine bin that stands for a coarse bin of durations: one in its middle.

    Args:
        index: index of any fine bin within it. The first and the last bin, which are unbounded, stand for themselves.
        width: fine bins in a coarse bin, a divisor of `FINE_BINS`.
    """
    if not 0 < index <= FINE_BINS:
        return index
    return (index - 1) // width * width + width // 2 + 1


class CanaryExporter:
    """
    Makes points of the evidence of one canary in one process.

    Counts only grow, apart from those of corrected outcomes, and of blocks of time, whose series are used again. Each
    canary in each process has a random id, so a restarted process begins new series and no counter is ever reset.
    Points of ended processes stay right for ever.

    Args:
        canary_id: the id that all processes of a release share.
        sides: the sides that this process serves, each with the attributes of its variant.
        began: Unix time in seconds at which the canary began in this process.
    """

    def __init__(self, canary_id: str, sides: Mapping[str, Mapping[str, str]], began: float) -> None:
        self._id, self._sides = canary_id, dict(sides)
        self.restart(began)

    def restart(self, began: float) -> None:
        """Begin new series, as the child of a fork must."""
        self._began, self._ended = began, None
        process = new_process_id()
        self._attributes = {
            side: {
                **attributes,
                sc.ML_CANARY_ID: self._id,
                sc.ML_CANARY_SIDE: side,
                sc.ML_CANARY_PROCESS: process,
            }
            for side, attributes in self._sides.items()
        }
        self._known: dict[tuple[str, _Key], Mapping[str, str]] = {}
        self._fine: dict[str, set[int]] = {side: set() for side in self._sides}
        self._slots = {side: np.zeros((len(RING_LEVELS), RING_SLOTS), dtype=bool) for side in self._sides}
        self._granted: dict[str, dict[tuple[str, str], int]] = {side: {} for side in self._sides}
        self._refused: set[str] = set()
        self._last: dict[sc.Metric, list[Point]] = {}

    _ended: float | None

    @property
    def ended(self) -> bool:
        """Whether the canary has ended in this process."""
        return self._ended is not None

    def end(self, evidence: CanaryEvidence | None, now: float) -> None:
        """
        Export these last counts from now on, and the time of the end. A second call does nothing.

        Args:
            evidence: the last evidence. If None, the counts that were exported last.
            now: Unix time in seconds.
        """
        if self._ended is None:
            if evidence is not None:
                self.points(evidence)
            self._ended = now
            for side in self._sides:
                self._last.setdefault(sc.METRIC_CANARY_ENDED, []).append(self._point(side, now, ()))

    def points(self, evidence: CanaryEvidence | None) -> Mapping[sc.Metric, list[Point]]:
        """
        Return the points of each metric.

        Args:
            evidence: the evidence of this process. If None, and after the end, return the points of last time.
        """
        if evidence is None or self._ended is not None or (pooled := evidence.pooled()) is None:
            return self._last
        variants = dict(zip(sc.CANARY_SIDES, pooled, strict=True))
        points: dict[sc.Metric, list[Point]] = {}
        for side in self._sides:
            for metric, values in self._values(side, variants[side], evidence.at):
                points.setdefault(metric, []).extend(self._point(side, value, key) for key, value in values)
        self._last = points
        return points

    def _point(self, side: str, value: float, key: _Key) -> Point:
        attributes = self._known.get((side, key))
        if attributes is None:
            attributes = self._known[side, key] = {**self._attributes[side], **dict(key)}
        return Point(value, attributes)

    def _values(self, side: str, counts: VariantEvidence, at: float) -> Iterator[tuple[sc.Metric, _Values]]:
        yield sc.METRIC_CANARY_STARTED, [((), self._began)]
        yield sc.METRIC_CANARY_COUNTED, [((), at)]
        yield sc.METRIC_CANARY_CALLS, _calls(counts)
        yield sc.METRIC_CANARY_ROWS, _rows(counts)
        tables = counts.call_tables
        durations = counts.durations if tables is None else tables.durations.total()
        yield sc.METRIC_CANARY_DURATIONS, self._durations(side, durations)
        if tables is not None:
            yield sc.METRIC_CANARY_DURATIONS, _warm_up(tables.warm_up)
        yield sc.METRIC_CANARY_BINS, self._bins(side, counts)
        yield sc.METRIC_CANARY_OUTCOMES, _outcomes(counts)
        if counts.outcome_tables is not None:
            delays = np.maximum(counts.outcome_tables.delays.total(), 0)
            yield sc.METRIC_CANARY_OUTCOMES, self._blocks(side, counts.outcome_tables, at)
            yield sc.METRIC_CANARY_DELAYS, _by_index(delays, sc.ML_CANARY_BIN, ())

    def _durations(self, side: str, counts: Counts) -> _Values:
        """Return the calls per bin: per fine bin of the first `FINE_DURATIONS` that were used, else per coarse bin."""
        fine, totals = self._fine[side], dict[int, int]()
        for index in np.flatnonzero(counts).tolist():
            if index not in fine and len(fine) < FINE_DURATIONS:
                fine.add(index)
            # A coarse bin and the fine bin that stands for it share a series.
            shown = index if index in fine else coarse_bin(index, FINE_PER_COARSE)
            totals[shown] = totals.get(shown, 0) + int(counts[index])
        return [
            (((sc.ML_CANARY_PHASE, "serving"), (sc.ML_CANARY_BIN, str(index))), calls)
            for index, calls in totals.items()
        ]

    def _blocks(self, side: str, tables: OutcomeTables, at: float) -> _Values:
        """
        Return the outcomes by block of the time of the prediction, as they are in the rings at a time.

        A slot that was exported once is exported for ever, with zeros too, because a store keeps the last value.
        """
        counts = np.maximum(tables.recent.at(at).counts, 0)
        used = self._slots[side]
        used |= counts.any(axis=2)
        for level, slot in np.argwhere(used).tolist():
            block = (sc.ML_CANARY_BLOCK, f"{RING_LEVELS[level]}.{slot}")
            for outcome, column in OUTCOME_COLUMNS.items():
                yield ((sc.ML_CANARY_OUTCOME, outcome), block), int(counts[level, slot, column])

    # --- bins of the prediction and of features ----------------------------------------------------------------------

    def _bins(self, side: str, counts: VariantEvidence) -> _Values:
        """Return the rows per bin of the prediction and of those features whose bins fit into the series."""
        features = dict(counts.features)
        if counts.predictions is not None:
            features = {PREDICTION: counts.predictions, **features}
        self._grant(side, counts.bins, features)
        for name, rows in features.items():
            fingerprint = counts.bins.get(name, "")
            if (name, fingerprint) in self._granted[side]:
                kind = "categorical" if name in counts.unordered else "numeric"
                shared = (
                    (sc.ML_FEATURE_NAME, name),
                    (sc.ML_FEATURE_KIND, kind),
                    (sc.ML_REFERENCE_FINGERPRINT, fingerprint),
                )
                yield from _by_index(rows, sc.ML_FEATURE_BIN, shared)

    def _grant(self, side: str, bins: Mapping[str, str], features: Mapping[str, Counts]) -> None:
        """Grant series to the prediction first, and then to features. Log once which features have none."""
        granted, refused = self._granted[side], []
        for name, rows in features.items():
            key = name, bins.get(name, "")
            if key in granted:
                continue
            # Bins over which nothing is counted any more keep their series: the SDK never forgets one.
            if sum(granted.values()) + len(rows) <= BIN_SERIES:
                granted[key] = len(rows)
            elif name not in self._refused:
                refused.append(name)
        if refused:
            self._refused.update(refused)
            shown = ", ".join(repr(name[:60]) for name in refused[:SHOWN])
            _log.warning(
                "canary %s: the bins of %d features are not exported: %s%s. A process exports at most %d series of a "
                "canary. The split is checked by the other features.",
                self._id,
                len(refused),
                shown,
                ", …" if len(refused) > SHOWN else "",
                MAX_SERIES,
            )


def _by_index(counts: Counts, attribute: str, shared: _Key) -> _Values:
    """Return the counts that are not zero, by their index as *attribute*."""
    return [((*shared, (attribute, str(index))), int(counts[index])) for index in np.flatnonzero(counts).tolist()]


def _calls(counts: VariantEvidence) -> _Values:
    """Return the calls by result: those with a key by its bucket too, the others without one."""
    tables = counts.call_tables
    with_key = np.zeros((KEY_BUCKETS, 2), dtype=np.int64) if tables is None else tables.keys
    by_result = {"returned": with_key[:, 0] - with_key[:, 1], "failed": with_key[:, 1]}
    totals = {"returned": int(counts.durations.sum()), "failed": counts.failed_calls}
    for result, buckets in by_result.items():
        key = ((sc.ML_CANARY_RESULT, result),)
        yield key, max(0, totals[result] - int(buckets.sum()))
        yield from _by_index(buckets, sc.ML_CANARY_KEY_BUCKET, key)
    if counts.batches:
        yield ((sc.ML_CANARY_RESULT, "batch"),), counts.batches


def _rows(counts: VariantEvidence) -> _Values:
    """Return the rows by result. Rows of batches are returned ones, and those with a key count by its bucket too."""
    yield ((sc.ML_CANARY_RESULT, "returned"),), counts.served
    yield ((sc.ML_CANARY_RESULT, "failed"),), counts.failed
    if counts.call_tables is not None:
        keyed = np.maximum(counts.call_tables.row_keys, 0)
        yield from _by_index(keyed, sc.ML_CANARY_KEY_BUCKET, ((sc.ML_CANARY_RESULT, "batch"),))


def _warm_up(counts: Counts) -> _Values:
    totals: dict[int, int] = {}
    for index in np.flatnonzero(counts).tolist():
        shown = coarse_bin(index, FINE_PER_WARM_UP)
        totals[shown] = totals.get(shown, 0) + int(counts[index])
    return [
        (((sc.ML_CANARY_PHASE, "warm_up"), (sc.ML_CANARY_BIN, str(index))), calls) for index, calls in totals.items()
    ]


def _outcomes(counts: VariantEvidence) -> _Values:
    """Return what is known of the predictions: in all, and by bucket of the key."""
    tables = counts.outcome_tables
    if tables is None:
        totals = {"bad": counts.known - counts.correct, "good": counts.correct} if counts.known else {}
    else:
        sums = np.maximum(tables.predictions.total(), 0)
        totals = {outcome: int(sums[column]) for outcome, column in OUTCOME_COLUMNS.items()}
    if counts.unreadable > 0:
        totals["unreadable"] = counts.unreadable
    for outcome, count in totals.items():
        yield ((sc.ML_CANARY_OUTCOME, outcome),), count
    if tables is not None:
        for outcome, column in (("predicted", PREDICTED), ("bad", BAD)):
            buckets = np.maximum(tables.keys[:, column], 0)
            yield from _by_index(buckets, sc.ML_CANARY_KEY_BUCKET, ((sc.ML_CANARY_OUTCOME, outcome),))
