"""`Feature`: the bins of a feature, and the counts of the training data in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Label

__all__ = [
    "DECIMAL_STEPS",
    "MAX_BINS",
    "MAX_FEATURES",
    "PREDICTION",
    "Bins",
    "CategoricalBins",
    "ConfidenceBins",
    "ConfidenceCounts",
    "Feature",
    "NumericBins",
    "NumericSummary",
    "OutcomeCounts",
]


PREDICTION = "prediction"
"""Name of the model's output, which is counted like a feature."""

MAX_FEATURES = 10_000
"""Most features of one model. A file must not fill the memory, which grows with features times bins times panes."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""Smallest absolute value of a cut that is not shown as 0: the smallest float32 of full precision."""

DECIMAL_STEPS = (1.0, 0.1, 0.01, 0.001)
"""Units of the last decimal that are recognised. With more decimals, a value is as good as continuous."""

MAX_BINS = 4_096
"""Most bins of one feature, for the same reason as `MAX_FEATURES`."""


@dataclass(frozen=True, slots=True)
class NumericBins:
    """
    The bins of a numeric feature: between its cuts, below the first, above the last, and for missing values.

    With k cuts the bins have the numbers 0 (below), 1 … k-1 (``cuts[i-1] <= value < cuts[i]``), k (above) and k+1
    (missing). The value of the last cut is above.

    Attributes:
        cuts: increasing numbers. If there are none, bin 0 holds all numbers and bin 1 is for missing values.
        known_values: values of the training data that have their own bin, in ascending order.
        groups: for each bin but that of missing values, the number of its group: 0, then the same or 1 more. Distances
            that compare bin by bin, such as PSI, count a group as one bin. So a value that moves a little does not
            count as one that left. If empty, each bin is a group.
    """

    cuts: tuple[float, ...]
    known_values: tuple[float, ...] = ()
    groups: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The number of bins, including those below, above and for missing values."""
        return len(self.cuts) + 2

    @property
    def missing(self) -> int:
        """The number of the bin of missing values."""
        return len(self.cuts) + 1

    def label(self, number: int) -> str:
        """Return the name of bin *number*: such as ``"1 to 2"``, ``"1.5"``, ``"below 1"``, ``"above 9"``."""
        last = len(self.cuts)
        if number == last + 1:
            return "missing"
        if not self.cuts:
            return "present"
        if number == 0:
            return f"below {_cut_label(self.cuts[0])}"
        if number == last:
            return f"above {_cut_label(self.cuts[-1])}"
        start, stop = self.cuts[number - 1 : number + 1]
        value = next((value for value in self.known_values if start <= value < stop), None)
        return f"{_cut_label(start)} to {_cut_label(stop)}" if value is None else f"{value:.6g}"


def _cut_label(cut: float) -> str:
    """Return a cut as a string; "0" for a cut just below zero, which `fit_feature` makes for a minimum of 0."""
    return "0" if abs(cut) < SMALLEST else f"{cut:.6g}"


@dataclass(frozen=True, slots=True)
class CategoricalBins:
    """
    The bins of a categorical feature: one per frequent category, then *other*, *unseen* and *missing*.

    Attributes:
        categories: the categories that have their own bin, the most frequent first.
        others: the rare categories, which are counted as *other*.
        open: whether the training data had too many rare categories to list. Then *others* is empty, any category
            without a bin is counted as *other*, and no value is *unseen*.
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
        """The number of the bin of rare categories."""
        return len(self.categories)

    @property
    def unseen(self) -> int:
        """The number of the bin of categories that the training data did not have."""
        return len(self.categories) + 1

    @property
    def missing(self) -> int:
        """The number of the bin of missing values."""
        return len(self.categories) + 2

    def label(self, number: int) -> str:
        """Return the name of bin *number*: the category, ``"other"``, ``"unseen"`` or ``"missing"``."""
        if number < len(self.categories):
            return str(self.categories[number])
        return ("other", "unseen", "missing")[number - len(self.categories)]


Bins: TypeAlias = "NumericBins | CategoricalBins"


@dataclass(frozen=True, slots=True)
class NumericSummary:
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
        name: name of the column or derived feature, or `PREDICTION`.
        bins: the bins.
        counts: rows of the training data per bin.
        means: mean of the training data per bin of a numeric feature; empty if *moments* is None.
        moments: moments of a numeric feature. None if the feature is categorical or has no finite value.
        once: number of categories that occur once in the training data. Of as many new rows,
            about this number have an unseen category (Good 1953, *The population frequencies of species*).
        twice: number of categories that occur twice, from which the accuracy of *once* is estimated.
        rare: rows of the training data with each of the categories ``bins.others``; empty if they are not known.
        expected: rows with each of the categories ``bins.categories`` that as many new rows should have. They are fewer
            than in the training data, which selected the categories (see `_binning.selection`). Empty if the counts
            are not selected.
        quartiles: lower quartile, median and upper quartile of the values of a numeric feature, as `numpy.quantile`
            returns them; empty if they are not known, as after a merge.
        step: the unit of the last decimal of the values of a numeric feature, such as 1 for whole numbers and 0.01 for
            prices; 0 if they have more decimals, or if it is not known.
    """

    name: str
    bins: Bins
    counts: tuple[int, ...]
    means: tuple[float, ...] = ()
    moments: NumericSummary | None = None
    once: int = 0
    twice: int = 0
    rare: tuple[int, ...] = ()
    expected: tuple[float, ...] = ()
    quartiles: tuple[float, ...] = ()
    step: float = 0.0

    @property
    def unseen_share(self) -> float:
        """Share of the rows that should have a category that the training data do not have, without the missing."""
        if not isinstance(self.bins, CategoricalBins) or self.bins.open or not self.once:
            return 0.0
        return self.once / max(sum(self.counts[:-1]), 1)

    def positions(self) -> NDArray[np.float64]:
        """
        Return the mean value of each bin, in standard deviations from the training data's mean, shape (bins,).

        The bin of missing values has the position nan, and so have all bins of a categorical feature. The bins below
        and above the range have the positions of the minimum and the maximum, because counts do not say how far out
        their values are. A distance that uses positions therefore understates a shift beyond the range.
        """
        positions = np.full(self.bins.size, np.nan)
        if not isinstance(self.bins, NumericBins) or self.moments is None or not self.bins.cuts:
            return positions
        last = len(self.bins.cuts)
        positions[1:last] = self.means[1:last]
        positions[0], positions[last] = self.moments.minimum, self.moments.maximum
        if self.moments.std == 0.0:
            # A constant has the standard deviation 0, so every other value is placed one unit away.
            positions[:-1] = np.sign(np.arange(last + 1) - 1.0)
            return positions
        return (positions - self.moments.mean) / self.moments.std


@dataclass(frozen=True, slots=True)
class ConfidenceBins:
    """
    The bins of confidences: a row of cells for each label, which a probability has only one of.

    With k cuts a row has k+1 cells: below the first cut, between two cuts, and from the last cut.

    Attributes:
        cuts: increasing numbers from 0 to 1. A confidence that equals a cut is in the cell above.
        labels: number of the most frequent labels that have a row each. They are followed by a row for the other
            labels, and one for labels that the training data do not have. 0 if predictions are probabilities of the
            positive label: then there is one row.
        threshold: smallest probability that predicts the positive label; None if predictions are labels.
    """

    cuts: tuple[float, ...]
    labels: int = 0
    threshold: float | None = None

    @property
    def cells(self) -> int:
        """The number of cells in a row."""
        return len(self.cuts) + 1

    @property
    def rows(self) -> int:
        """The number of rows."""
        return 1 if self.labels == 0 else self.labels + 2

    @property
    def groups(self) -> int:
        """The number of predicted labels, or groups of labels: 2 for probabilities, which predict one of two."""
        return 2 if self.labels == 0 else self.rows

    @property
    def unseen(self) -> int:
        """The number of the group of labels that the training data do not have; -1 if predictions are probabilities."""
        return -1 if self.labels == 0 else self.rows - 1

    @property
    def size(self) -> int:
        """The number of cells in all rows."""
        return self.rows * self.cells


@dataclass(frozen=True, slots=True)
class ConfidenceCounts:
    """
    Counts of the outcomes of the training data, per cell of the confidence.

    Attributes:
        bins: the bins of confidences.
        known: rows per cell whose outcome is known.
        correct: rows per cell whose prediction is correct.
        excess: covariance of correct predictions between groups of labels because rows depend on each other, per row
            (see `driftline._significance.dispersion.excess_covariance`). Empty if it is not known.
    """

    bins: ConfidenceBins
    known: tuple[int, ...]
    correct: tuple[int, ...]
    excess: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """
    Counts of the outcomes of the training data, per bin of the prediction.

    Attributes:
        known: rows per bin whose outcome is known.
        correct: rows per bin whose prediction is correct.
        dispersion: variance of the number of correct predictions in blocks of rows, divided by that of independent
            rows; at least 1.
        confidence: the counts by confidence; None if predictions have none, or if an older release wrote the file.
    """

    known: tuple[int, ...]
    correct: tuple[int, ...]
    dispersion: float = 1.0
    confidence: ConfidenceCounts | None = None
