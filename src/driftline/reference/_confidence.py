"""Counts the outcomes of training data by the confidence of their predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import CategoricalBins, ConfidenceBins, ConfidenceCounts, Feature
from driftline._binning.calibration import fit_calibration
from driftline._binning.confidence import ConfidenceReader, fit_confidence_bins
from driftline._binning.label_scheme import LabelScheme
from driftline._capture.columns import as_floats
from driftline._significance.dispersion import excess_covariance
from driftline.typing import Column, Floats

__all__ = ["confidence_bins", "count_confidence"]


def confidence_bins(
    prediction: Feature, predictions: Column, scores: Floats | None, labels: LabelScheme | None
) -> ConfidenceBins | None:
    """
    Return the bins of the confidences of training data; None if the predictions have none.

    Args:
        prediction: the prediction as a feature.
        predictions: the predictions, as labels or numbers.
        scores: shape (rows,), the probabilities of labels; nan where they are not known. None if none is known.
        labels: how outcomes are read.
    """
    if labels is None:
        return None
    if isinstance(prediction.bins, CategoricalBins):
        known = len(prediction.bins.categories)
        return None if scores is None or not known else fit_confidence_bins(scores, known, None)
    if labels.kind != "probability":
        return None
    return fit_confidence_bins(as_floats(predictions), 0, labels.threshold)


def count_confidence(
    bins: ConfidenceBins,
    prediction: Feature,
    predictions: Column,
    scores: Floats | None,
    rows: NDArray[np.intp],
    right: NDArray[np.bool_],
) -> ConfidenceCounts:
    """
    Return the counts of outcomes by confidence.

    Args:
        bins: the bins of confidences.
        prediction: the prediction as a feature.
        predictions: the predictions of all rows, as labels or numbers.
        scores: the probabilities of labels, as for `confidence_bins`.
        rows: shape (known,), the rows with an outcome, ascending.
        right: shape (known,), whether the predictions of these rows are right.
    """
    reader = ConfidenceReader(bins, prediction.bins)
    cells = reader.cells(predictions, scores)[rows]
    has_confidence = cells < bins.size
    cells, right = cells[has_confidence], right[has_confidence]
    counts = ConfidenceCounts(bins, tuple(reader.count(cells).tolist()), tuple(reader.count(cells[right]).tolist()))
    calibration = fit_calibration(counts)
    excess = excess_covariance(calibration.accuracies[cells], right, calibration.groups[cells], bins.groups)
    return replace(counts, excess=excess)
