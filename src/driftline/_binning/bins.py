"""The bins of a feature and the counts of the training data in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Label

__all__ = [
    "MAX_BINS",
    "MAX_FEATURES",
    "PREDICTION",
    "Bins",
    "CategoricalBins",
    "Feature",
    "Moments",
    "NumericBins",
    "OutcomeCounts",
]


PREDICTION = "prediction"
"""The name under which the model's output is watched like any feature."""

MAX_FEATURES = 10_000
"""Features of one model. Memory grows with features times bins times panes, and a file must not choose how much."""

MAX_BINS = 4_096
"""Bins of one feature, for the same reason."""


# --- the reference ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NumericBins:
    """
    Half-open bins ``[cuts[i], cuts[i+1])`` with a bin below the first cut, one above the last and one for missing.

    With ``k`` cuts the bin numbers are 0 (below), 1 … k-1 (between), k (above) and k+1 (missing).
    """

    cuts: tuple[float, ...]

    @property
    def size(self) -> int:
        """Number of bins, the ones out of range and the one for missing included."""
        return len(self.cuts) + 2

    @property
    def missing(self) -> int:
        """The number of the bin of missing values."""
        return len(self.cuts) + 1

    def label(self, number: int) -> str:
        """The bin in words."""
        last = len(self.cuts)
        if number == last + 1:
            return "missing"
        if not self.cuts:
            return "present"
        if number == 0:
            return f"below {_shown(self.cuts[0])}"
        if number == last:
            return f"above {_shown(self.cuts[-1])}"
        return f"{_shown(self.cuts[number - 1])} to {_shown(self.cuts[number])}"


def _shown(cut: float) -> str:
    """A cut in words; one that lies below zero only because the range was widened by one float32 step is zero."""
    return "0" if abs(cut) < np.finfo(np.float32).tiny else f"{cut:.6g}"


@dataclass(frozen=True, slots=True)
class CategoricalBins:
    """
    A bin per frequent category, then *other* (known but rare), *unseen* and *missing*.

    ``open`` says that the reference had more categories than are kept, so that an unknown one may well have been among
    them: it counts as *other*, and nothing is ever *unseen*.
    """

    categories: tuple[Label, ...]
    others: tuple[Label, ...] = ()
    open: bool = False

    @property
    def size(self) -> int:
        """Number of bins, *other*, *unseen* and *missing* included."""
        return len(self.categories) + 3

    @property
    def other(self) -> int:
        """The number of the bin of known, rare categories."""
        return len(self.categories)

    @property
    def unseen(self) -> int:
        """The number of the bin of categories that the reference did not have."""
        return len(self.categories) + 1

    @property
    def missing(self) -> int:
        """The number of the bin of missing values."""
        return len(self.categories) + 2

    def label(self, number: int) -> str:
        """The bin in words."""
        if number < len(self.categories):
            return str(self.categories[number])
        return ("other", "unseen", "missing")[number - len(self.categories)]


Bins: TypeAlias = "NumericBins | CategoricalBins"


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean, population standard deviation and range of the finite values of a numeric feature."""

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Feature:
    """
    A feature of the reference: its bins, what the training data put into them, and the mean within each bin.

    ``once`` is the number of categories that the training data had a single time: about as many rows in as many again
    hold a category that was never seen (Good 1953, *The population frequencies of species*). ``twice``, of those
    that it had two times, tells how well that is known.
    """

    name: str
    bins: Bins
    counts: tuple[int, ...]
    means: tuple[float, ...] = ()
    moments: Moments | None = None
    once: int = 0
    twice: int = 0

    def positions(self) -> NDArray[np.float64]:
        """
        Where each bin lies, in standard deviations from the reference's mean; nan where a bin has no place.

        Values out of range lie at least at the reference's minimum or maximum: how far out is not known from counts, so
        distances that use positions understate a shift beyond the range (the out-of-range bin itself tells of it).
        """
        places = np.full(self.bins.size, np.nan)
        if not isinstance(self.bins, NumericBins) or self.moments is None or not self.bins.cuts:
            return places
        last = len(self.bins.cuts)
        places[1:last] = self.means[1:last]
        places[0], places[last] = self.moments.minimum, self.moments.maximum
        if self.moments.std == 0.0:
            # A constant has no spread to measure in: whatever differs from it lies one unit away.
            places[:-1] = np.sign(np.arange(last + 1) - 1.0)
            return places
        return (places - self.moments.mean) / self.moments.std


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """
    Per bin of the prediction: outcomes known in the reference, and how many of them the prediction got right.

    ``dispersion``: how much more the right ones scatter over stretches of rows than those of independent rows would.
    """

    known: tuple[int, ...]
    correct: tuple[int, ...]
    dispersion: float = 1.0
