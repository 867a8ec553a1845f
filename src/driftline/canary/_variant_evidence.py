"""What one variant has done: counts that add up over threads, processes, hosts and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from driftline._binning.bins import PREDICTION
from driftline.canary._evalues.quantiles import quantile_of
from driftline.errors import ConfigurationError
from driftline.typing import Counts

__all__ = ["VariantEvidence"]


@dataclass(frozen=True, slots=True, eq=False)
class VariantEvidence:
    """
    What one variant has done: counts, which add up.

    A trial is a *call*: the rows of a batch fail, and take their time, together. An outcome is a trial of its own.

    Attributes:
        served: rows predicted.
        failed: rows of calls that raised.
        durations: calls by duration: below the first edge, between, above the last.
        edges: seconds.
        known: outcomes that could be called right or wrong.
        correct: those that the prediction got right.
        predictions: rows per bin of the prediction; None where it is not watched.
        failed_calls: calls that raised.
        batches: batches that were no call.
        rates: (successes, trials) of other rates by name.
        features: rows per bin of each feature.
        unordered: features, or the prediction, whose bins are categories.
        bins: fingerprints of the bins of features and the prediction, by name: counts over other bins do not add up.
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
        return self._combined(other, 1)

    def __sub__(self, earlier: VariantEvidence) -> VariantEvidence:
        return self._combined(earlier, -1)

    def _combined(self, other: VariantEvidence, sign: int) -> VariantEvidence:
        if self.edges != other.edges:
            msg = "evidence over different bins of duration does not add up"
            raise ConfigurationError(msg)
        ours, theirs = self.predictions, other.predictions
        for name, bins in self.bins.items():
            if not self.comparable(name, other):
                msg = f"evidence over different bins of {name!r} does not add up: {bins} and {other.bins[name]}"
                raise ConfigurationError(msg)
        predictions = _counts_sum(ours, theirs, sign, PREDICTION) if ours is not None and theirs is not None else ours
        nothing = np.zeros(0, dtype=np.int64)
        features = {
            name: _counts_sum(self.features.get(name, nothing), other.features.get(name, nothing), sign, name)
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
        """The same, without counts over other bins than those of *other*: its reference has taken their place."""
        predictions = self.predictions
        if not other.bins:
            return self  # it has none yet
        if other.predictions is None or predictions is None or not self.comparable(PREDICTION, other):
            predictions = None if other.predictions is None else np.zeros_like(other.predictions)
        features = {
            name: counts
            for name, counts in self.features.items()
            if name in other.features and self.comparable(name, other)
        }
        return replace(self, predictions=predictions, features=features, unordered=other.unordered, bins=other.bins)

    def comparable(self, name: str, other: VariantEvidence) -> bool:
        """Whether both count a feature, or the prediction, over the same bins, as far as is known."""
        return name not in self.bins or self.bins[name] == other.bins.get(name, self.bins[name])

    def empty(self) -> VariantEvidence:
        """Nothing, over the same bins."""
        return self - self

    @property
    def rows(self) -> int:
        """Predictions, made or failed."""
        return self.served + self.failed

    @property
    def calls(self) -> int:
        """Calls, and batches that were no call, made or failed."""
        return int(self.durations.sum()) + self.failed_calls + self.batches

    @property
    def error_rate(self) -> float:
        """Share of rows that failed."""
        return self.failed / self.rows if self.rows else 0.0

    def latency(self, quantile: float) -> float | None:
        """A quantile of the seconds a call took, read from the bins (geometric middle); None without calls."""
        return quantile_of(self.durations.astype(np.float64), np.array(self.edges), quantile)


def _counts_sum(ours: Counts, theirs: Counts, sign: int, name: str) -> Counts:
    if not len(ours) or not len(theirs):
        return ours if not len(theirs) else sign * theirs
    if len(ours) != len(theirs):
        msg = f"evidence over different bins of {name!r} does not add up: {len(ours)} and {len(theirs)} bins"
        raise ConfigurationError(msg)
    return ours + sign * theirs
