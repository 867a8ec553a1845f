"""`VariantEvidence`: the counts of one variant of a canary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from driftline._binning.bins import PREDICTION
from driftline.canary._evalues.quantiles import binned_quantile
from driftline.errors import ConfigurationError
from driftline.typing import Counts

__all__ = ["VariantEvidence"]


@dataclass(frozen=True, slots=True, eq=False)
class VariantEvidence:
    """
    The counts of one variant's calls, rows and outcomes. ``a + b`` are the counts of two processes together.

    ``later - earlier`` are the counts of the time between two readings. Both raise ConfigurationError if the operands
    have different bins.

    Tests of errors and latency count calls, not rows, because the rows of a batch fail together and take the same time.

    Attributes:
        served: rows predicted.
        failed: rows of calls that raised.
        durations: calls that returned, by duration; shape (edges + 1,): below the first edge, between edges, above the
            last.
        edges: edges of the bins of *durations* in seconds, ascending.
        known: outcomes for which it is known whether the prediction was right.
        correct: known outcomes whose prediction was right.
        predictions: rows per bin of the prediction; None if the reference has no prediction.
        failed_calls: calls that raised.
        batches: batches that `Monitor.observe` recorded, without a call.
        rates: name to (successes, trials) of other rates of the outcomes, such as ``recall X``.
        features: name to rows per bin of each feature.
        unordered: names of features, or of the prediction, whose bins are categories.
        bins: name to a fingerprint of the bins, of each feature and of the prediction.
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
        )

    def over(self, other: VariantEvidence) -> VariantEvidence:
        """
        Return this evidence without its counts of features and predictions over other bins than those of *other*.

        The result can be added to *other*. If the bins of *other* are not known, the evidence is returned as it is.
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
        return replace(self, predictions=predictions, features=features, unordered=other.unordered, bins=other.bins)

    def comparable(self, name: str, other: VariantEvidence) -> bool:
        """Return whether both count the feature or prediction *name* over the same bins; True if one does not know."""
        return name not in self.bins or self.bins[name] == other.bins.get(name, self.bins[name])

    def empty(self) -> VariantEvidence:
        """Return evidence with zero counts over the same bins."""
        return self - self

    @property
    def rows(self) -> int:
        """Number of rows that were predicted, or whose call raised."""
        return self.served + self.failed

    @property
    def calls(self) -> int:
        """Number of calls that returned or raised, plus *batches*."""
        return int(self.durations.sum()) + self.failed_calls + self.batches

    @property
    def error_rate(self) -> float:
        """Share of the rows that failed, in [0, 1]; 0 without rows."""
        return self.failed / self.rows if self.rows else 0.0

    def latency(self, quantile: float) -> float | None:
        """
        Return a quantile of the duration of a call, in seconds; None without calls.

        The result is the geometric middle of the quantile's bin.

        Args:
            quantile: in [0, 1].
        """
        return binned_quantile(self.durations.astype(np.float64), np.array(self.edges), quantile)


def _combine_counts(a: Counts, b: Counts, sign: int, name: str) -> Counts:
    """
    Return a + sign · b, where an empty array counts as zeros; *name* is the feature in the message of an error.

    Raises:
        ConfigurationError: the arrays have different lengths.
    """
    if not len(a) or not len(b):
        return a if not len(b) else sign * b
    if len(a) != len(b):
        msg = f"evidence over different bins of {name!r} does not add up: {len(a)} and {len(b)} bins"
        raise ConfigurationError(msg)
    return a + sign * b
