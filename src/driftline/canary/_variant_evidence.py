"""`VariantEvidence`: the counts of one variant of a canary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from driftline._binning.bins import PREDICTION
from driftline._windows.call_tables import CallTables
from driftline._windows.outcome_tables import OutcomeTables
from driftline.canary._evalues.latencies import binned_quantile
from driftline.errors import ConfigurationError
from driftline.typing import Counts

__all__ = ["VariantEvidence", "describe_unreadable"]


@dataclass(frozen=True, slots=True, eq=False)
class VariantEvidence:
    """
    The counts of one variant's calls, rows and outcomes.

    ``a + b`` are the counts of two processes together. ``later - earlier`` are the counts of the time between two
    readings. Both operations raise `ConfigurationError` if the bins differ.

    Tests of errors and latency count calls, not rows, because the rows of a batch fail together and take the same time.

    Attributes:
        served: rows predicted.
        failed: rows of calls that raised.
        durations: calls that returned, per bin of duration, shape (edges + 1,). The first bin is below the first edge,
            the last bin above the last edge.
        edges: edges of the bins of *durations* in seconds, ascending.
        known: outcomes for which it is known whether the prediction was right.
        correct: known outcomes whose prediction was right.
        predictions: rows per bin of the prediction; None if the reference has no prediction.
        failed_calls: calls that raised.
        batches: batches that `Monitor.observe` recorded, without a call.
        rates: for each other rate of the outcomes by name, such as ``recall X``, (successes, trials).
        features: for each feature by name, rows per bin.
        unordered: names of features, or of the prediction, whose bins are categories.
        bins: for each feature and the prediction by name, a fingerprint of its bins.
        call_tables: calls by block of time and by key, since a canary asked for them. If None, they were not counted.
        outcome_tables: predictions and outcomes by the time of the prediction and by key; None as above.
        unreadable: outcomes that could not be read or compared with their prediction. If there are any, the other ones
            are a biased part, and no criterion decides by them.
    """

    served: int
    failed: int
    durations: Counts
    edges: tuple[float, ...]
    known: int
    correct: int
    predictions: Counts | None
    failed_calls: int = 0
    batches: int = 0
    rates: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    features: Mapping[str, Counts] = field(default_factory=dict)
    unordered: frozenset[str] = frozenset()
    bins: Mapping[str, str] = field(default_factory=dict)
    call_tables: CallTables | None = None
    outcome_tables: OutcomeTables | None = None
    unreadable: int = 0

    def __add__(self, other: VariantEvidence) -> VariantEvidence:
        return self._combine(other, 1)

    def __sub__(self, earlier: VariantEvidence) -> VariantEvidence:
        return self._combine(earlier, -1)

    def _combine(self, other: VariantEvidence, sign: int) -> VariantEvidence:
        """Return self + sign · other; raise ConfigurationError if they have different bins."""
        if self.edges != other.edges:
            msg = "evidence over different bins of duration does not add up"
            raise ConfigurationError(msg)
        for name, bins in self.bins.items():
            if not self.comparable(name, other):
                msg = f"evidence over different bins of {name!r} does not add up: {bins} and {other.bins[name]}"
                raise ConfigurationError(msg)
        predictions = self.predictions
        if predictions is not None and other.predictions is not None:
            predictions = _combine_counts(predictions, other.predictions, sign, PREDICTION)
        empty = np.zeros(0, dtype=np.int64)
        features = {
            name: _combine_counts(self.features.get(name, empty), other.features.get(name, empty), sign, name)
            for name in {**self.features, **other.features}
        }
        rates = {}
        for name in {**self.rates, **other.rates}:
            (a, n), (b, m) = self.rates.get(name, (0, 0)), other.rates.get(name, (0, 0))
            rates[name] = (a + sign * b, n + sign * m)
        return VariantEvidence(
            self.served + sign * other.served,
            self.failed + sign * other.failed,
            self.durations + sign * other.durations,
            self.edges,
            self.known + sign * other.known,
            self.correct + sign * other.correct,
            predictions,
            self.failed_calls + sign * other.failed_calls,
            self.batches + sign * other.batches,
            rates,
            features,
            self.unordered | other.unordered,
            {**other.bins, **self.bins},
            self._combine_calls(other, sign),
            self._combine_outcomes(other, sign),
            self.unreadable + sign * other.unreadable,
        )

    def _combine_calls(self, other: VariantEvidence, sign: int) -> CallTables | None:
        """Return the tables of self + sign · other; None if calls of either are in no table."""
        mine, others = self.call_tables, other.call_tables
        if mine is None or others is None:
            return mine if not other.calls else others if sign > 0 and not self.calls else None
        return mine + others if sign > 0 else mine - others

    def _combine_outcomes(self, other: VariantEvidence, sign: int) -> OutcomeTables | None:
        """Return the tables of self + sign · other; None if outcomes of either are in no table."""
        mine, others = self.outcome_tables, other.outcome_tables
        if mine is None or others is None:
            return mine if not other.known else others if sign > 0 and not self.known else None
        return mine + others if sign > 0 else mine - others

    def over(self, other: VariantEvidence) -> VariantEvidence:
        """
        Return this evidence with only those counts of features and predictions whose bins *other* has too.

        The result can be added to *other*. If *other* knows no bins, this evidence is returned unchanged.
        """
        predictions = self.predictions
        if not other.bins:
            return self
        if other.predictions is None or predictions is None or not self.comparable(PREDICTION, other):
            predictions = None if other.predictions is None else np.zeros_like(other.predictions)
        features = {
            name: counts
            for name, counts in self.features.items()
            if name in other.features and self.comparable(name, other)
        }
        tables = self.call_tables
        if tables is not None:
            known = {name: counts for name, counts in tables.bins.items() if self.comparable(name, other)}
            tables = replace(tables, bins={name: counts for name, counts in known.items() if name in other.bins})
        return replace(
            self,
            predictions=predictions,
            features=features,
            unordered=other.unordered,
            bins=other.bins,
            call_tables=tables,
        )

    def comparable(self, name: str, other: VariantEvidence) -> bool:
        """Return whether both count the feature *name* over the same bins; True if *bins* of either lacks the name."""
        return name not in self.bins or self.bins[name] == other.bins.get(name, self.bins[name])

    def empty(self) -> VariantEvidence:
        """Return evidence over the same bins whose counts are all zero."""
        tables = None if self.outcome_tables is None else OutcomeTables.none()
        return replace(self - self, outcome_tables=tables)

    def without_delays(self) -> VariantEvidence:
        """Return this evidence without the delays of outcomes, which a later reading of the same process has too."""
        tables = self.outcome_tables
        if tables is None:
            return self
        return replace(self, outcome_tables=replace(tables, delays=OutcomeTables.none().delays))

    @property
    def rows(self) -> int:
        """Number of rows that were predicted, plus rows of calls that raised."""
        return self.served + self.failed

    @property
    def calls(self) -> int:
        """Number of calls that returned or raised, plus *batches*."""
        return int(self.durations.sum()) + self.failed_calls + self.batches

    @property
    def error_rate(self) -> float:
        """Share of the rows whose call raised, in [0, 1]; 0 without rows."""
        return self.failed / self.rows if self.rows else 0.0

    def latency(self, quantile: float) -> float | None:
        """
        Return a quantile of the duration of a call, in seconds; None without calls.

        The result is the geometric middle of the quantile's bin.

        Args:
            quantile: in [0, 1].
        """
        return binned_quantile(self.durations.astype(np.float64), np.array(self.edges), quantile)


def describe_unreadable(**variants: int) -> str:
    """
    Return why the outcomes of variants decide nothing, and what to do: an empty string if all could be read.

    Args:
        variants: `VariantEvidence.unreadable` by name of the variant.
    """
    unreadable = {name: count for name, count in variants.items() if count > 0}
    if not unreadable:
        return ""
    numbers = " and ".join(f"{count:,} outcomes of the {name}" for name, count in unreadable.items())
    return (
        f"{numbers} could not be read or compared with their predictions, and the others are a biased part: see the "
        "log and ml.monitor.errors (place outcome), set positive=, classes= or kind= of OutcomePolicy, and start the "
        "canary again"
    )


def _combine_counts(a: Counts, b: Counts, sign: int, name: str) -> Counts:
    """
    Return *a* + *sign* · *b*; an empty array counts as zeros.

    *name* is the name of the feature, for the message of an error.

    Raises:
        ConfigurationError: the arrays have different lengths.
    """
    if not len(a) or not len(b):
        return a if not len(b) else sign * b
    if len(a) != len(b):
        msg = f"evidence over different bins of {name!r} does not add up: {len(a)} and {len(b)} bins"
        raise ConfigurationError(msg)
    return a + sign * b
