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
"""The name of the model's output, which is watched like a feature."""

MAX_FEATURES = 10_000
"""Features of one model. Memory grows with features times bins times panes, and a file must not choose how much."""

MAX_BINS = 4_096
"""Bins of one feature, for the same reason."""


@dataclass(frozen=True, slots=True)
class NumericBins:
    """
    Half-open bins ``[cuts[i], cuts[i+1])``, a bin below the first cut, a bin above the last, and a bin for missing.

    With ``k`` cuts the bin numbers are 0 (below), 1 … k-1 (between), k (above) and k+1 (missing).
    """

    cuts: tuple[float, ...]

    @property
    def size(self) -> int:
        """The number of bins, including those below, above and for missing values."""
        return len(self.cuts) + 2

    @property
    def missing(self) -> int:
        """The number of the bin of missing values."""
        return len(self.cuts) + 1

    def label(self, number: int) -> str:
        """Return a bin as a string: ``"1 to 2"``, ``"below 1"``, ``"above 9"``, ``"missing"``."""
        last = len(self.cuts)
        if number == last + 1:
            return "missing"
        if not self.cuts:
            return "present"
        if number == 0:
            return f"below {_cut_label(self.cuts[0])}"
        if number == last:
            return f"above {_cut_label(self.cuts[-1])}"
        return f"{_cut_label(self.cuts[number - 1])} to {_cut_label(self.cuts[number])}"


def _cut_label(cut: float) -> str:
    """Return a cut as a string. A range that starts at zero is widened by one float32 step: its cut is labelled 0."""
    return "0" if abs(cut) < np.finfo(np.float32).tiny else f"{cut:.6g}"


@dataclass(frozen=True, slots=True)
class CategoricalBins:
    """
    A bin per frequent category, then *other* (known but rare), *unseen* and *missing*.

    Attributes:
        categories: the categories that have a bin, the most frequent first.
        others: the categories that are counted as *other*.
        open: whether the reference had more categories than *others* can list. Then an unknown category may have been
            among them: it is counted as *other*, and no value is *unseen*.
    """

    categories: tuple[Label, ...]
    others: tuple[Label, ...] = ()
    open: bool = False

    @property
    def size(self) -> int:
        """The number of bins, including *other*, *unseen* and *missing*."""
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
        """Return a bin as a string: the category, ``"other"``, ``"unseen"`` or ``"missing"``."""
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
    A feature of the reference: its bins, and the counts of the training data in them.

    Attributes:
        name: the name of the column, or `PREDICTION`.
        bins: the bins.
        counts: rows of the training data in each bin.
        means: the mean of the training data in each bin of a numeric feature; empty without moments.
        moments: moments of the training data of a numeric feature; None if it has no finite value.
        once: categories that the training data have a single time. In as many new rows, about this many hold a
            category that was never seen (Good 1953, *The population frequencies of species*).
        twice: categories that the training data have two times, which tell how well *once* is known.
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
        Return the position of each bin, in standard deviations from the reference's mean, shape (bins,).

        A bin of missing values or of categories has the position nan. The bins out of range have the positions of the
        reference's minimum and maximum, because counts do not tell how far out their values are. So a distance that
        uses positions understates a shift beyond the range; the counts of the bins out of range show it.
        """
        positions = np.full(self.bins.size, np.nan)
        if not isinstance(self.bins, NumericBins) or self.moments is None or not self.bins.cuts:
            return positions
        last = len(self.bins.cuts)
        positions[1:last] = self.means[1:last]
        positions[0], positions[last] = self.moments.minimum, self.moments.maximum
        if self.moments.std == 0.0:
            # A constant has no standard deviation: every other value is one unit away.
            positions[:-1] = np.sign(np.arange(last + 1) - 1.0)
            return positions
        return (positions - self.moments.mean) / self.moments.std


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """
    Outcomes of the training data by bin of the prediction.

    Attributes:
        known: rows per bin whose outcome is known.
        correct: rows per bin whose prediction was correct.
        dispersion: variance of the correct ones over blocks of rows, divided by that of independent rows; at least 1.
    """

    known: tuple[int, ...]
    correct: tuple[int, ...]
    dispersion: float = 1.0
