"""
Bins of confidences, from which accuracy is estimated before outcomes arrive.

The confidence of a prediction is the probability that the model gives it. Of a binary classifier the probability of the
positive label is counted, which says the prediction and its confidence. Of labels the predicted label and its
probability are counted together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Bins, CategoricalBins, ConfidenceBins
from driftline._binning.layout import binner
from driftline._binning.prediction_kind import ROUNDING
from driftline._capture.class_scores import ScoredLabel, split_scores
from driftline._capture.columns import CategoricalColumn, NullableColumn, as_floats
from driftline.typing import Column, Counts, Floats

__all__ = ["MAX_LABELS", "ConfidenceReader", "Confidences", "fit_confidence_bins"]

MAX_LABELS = 8
"""Most labels whose confidences are counted apart, the most frequent ones. The other labels are counted together."""

QUANTILES = 64
"""Cells of equal numbers of training rows. They are fine where most predictions are, at whatever scale that is."""

_LOG_ODDS = np.concatenate([np.arange(-12.0, -6.0), np.arange(-24, 25) / 4.0, np.arange(7.0, 13.0)])

GRID = 1.0 / (1.0 + np.exp(-_LOG_ODDS))
"""Further cuts, a quarter apart in log-odds from -6 to 6, for predictions where the training data have few or none."""


class Confidences(NamedTuple):
    """
    Outputs with their confidences.

    Attributes:
        outputs: the labels or numbers without confidences, as a column of the prediction.
        cells: shape (rows,), the cell of each output; ``bins.size`` for an output without a confidence. None if no
            output has one.
    """

    outputs: Column
    cells: NDArray[np.intp] | None


def fit_confidence_bins(scores: Floats, labels: int, threshold: float | None) -> ConfidenceBins | None:
    """
    Return bins for the confidences of training data; None if no row has one.

    Args:
        scores: shape (rows,), the probabilities of the predicted labels, or of the positive one; nan if unknown.
        labels: number of labels that the predictions have; 0 if predictions are probabilities of the positive label.
        threshold: smallest probability that predicts the positive label. It is one of the cuts.
    """
    known = scores[_is_probability(scores)]
    if not len(known):
        return None
    middle = np.linspace(0.0, 1.0, QUANTILES + 1)[1:-1]
    cuts = [np.quantile(known, middle, method="higher"), GRID, [] if threshold is None else [threshold]]
    distinct = np.unique(np.clip(np.concatenate(cuts), 0.0, 1.0))
    return ConfidenceBins(tuple(distinct.tolist()), min(labels, MAX_LABELS), threshold)


class ConfidenceReader:
    """
    Reads the confidences of outputs, and counts them.

    Args:
        bins: the bins of confidences.
        prediction: the bins of the prediction, which say the label of an output.
        column: number of captured columns before that of the outputs.

    Attributes:
        bins: as above, and so is *column*.
    """

    __slots__ = ("_assign_bins", "_cuts", "_rows", "bins", "column")

    def __init__(self, bins: ConfidenceBins, prediction: Bins, column: int = 0) -> None:
        self.bins, self.column = bins, column
        self._cuts = np.array(bins.cuts)
        self._assign_bins = binner(prediction)
        self._rows = _rows_by_bin(bins, prediction) if isinstance(prediction, CategoricalBins) else None

    def read(self, outputs: Column) -> Confidences:
        """Return outputs, of which some may be a `ScoredLabel`, with the cell of each."""
        if self._rows is None:
            return Confidences(outputs, self.cells(outputs, None))
        if isinstance(outputs, (np.ndarray, CategoricalColumn, NullableColumn)):
            return Confidences(outputs, None)
        if ScoredLabel not in set(map(type, outputs)):
            return Confidences(outputs, None)
        labels, scores = split_scores(outputs)
        return Confidences(labels, self.cells(labels, scores))

    def cells(self, outputs: Column, scores: Floats | None) -> NDArray[np.intp]:
        """
        Return the cell of each output, shape (rows,); ``bins.size`` for an output without a confidence.

        Args:
            outputs: labels, or probabilities of the positive label.
            scores: shape (rows,), the probabilities of labels. None if outputs are probabilities, or none is known.
        """
        rows: NDArray[np.intp] = np.zeros(len(outputs), dtype=np.intp)
        if self._rows is not None:
            scores = np.full(len(outputs), np.nan) if scores is None else scores
            rows = self._rows[self._assign_bins(outputs)]
        elif scores is None:
            scores = as_floats(outputs)
        cells: NDArray[np.intp] = rows * self.bins.cells + np.searchsorted(self._cuts, scores, side="right")
        cells[~_is_probability(scores) | (rows < 0)] = self.bins.size
        return cells

    def count(self, cells: NDArray[np.intp] | None) -> Counts:
        """Return the number of outputs in each cell, shape (bins.size,)."""
        if cells is None:
            return np.zeros(self.bins.size, dtype=np.int64)
        counts: Counts = np.bincount(cells, minlength=self.bins.size + 1)[: self.bins.size]
        return counts


def _is_probability(scores: Floats) -> NDArray[np.bool_]:
    return (scores >= -ROUNDING) & (scores <= 1.0 + ROUNDING)


def _rows_by_bin(bins: ConfidenceBins, prediction: CategoricalBins) -> NDArray[np.intp]:
    """Return the row of each bin of the prediction in the counts of confidences; -1 for missing predictions."""
    rows = np.minimum(np.arange(prediction.size), bins.labels)
    rows[prediction.unseen] = bins.labels if prediction.open else bins.labels + 1
    rows[prediction.missing] = -1
    return rows
