"""Estimates the accuracy of a window from its predictions alone, before any outcome arrives."""

from __future__ import annotations

import math

import numpy as np

from driftline._binning.bins import Bins, ConfidenceCounts, OutcomeCounts
from driftline._binning.calibration import Calibration, fit_calibration
from driftline._binning.groups import add_up_groups
from driftline.outcomes._intervals import Z
from driftline.outcomes._performance import Performance
from driftline.outcomes._score_bins import mean_scores
from driftline.typing import Counts, Floats

__all__ = ["estimated_accuracy", "graded_confidences"]

LEAST_SHARE = 0.5
"""Share of the predictions that need a confidence. With fewer, the estimate is that without confidences."""

FEW_BLOCKS = 0.13
"""
What the quantile of the interval exceeds that of the normal distribution by, where the dispersion is large: it is an
estimate of about 19 degrees of freedom, whose quantile of Student's t is 2.09.
"""


def estimated_accuracy(
    reference: OutcomeCounts, current: Counts, bins: Bins | None = None, confidences: Counts | None = None
) -> Performance | None:
    """
    Estimate the accuracy of a window from its predictions alone, before any outcome arrives.

    The estimate is Σ q_b A_b. ``q_b`` is the window's share of predictions in bin b, ``A_b`` the reference's accuracy
    in that bin. With *confidences*, the bins are those of the confidence of each predicted label, and ``A_b`` is a
    smooth curve through the outcomes of the reference. This is confidence-based performance estimation, computed from
    counts. It is valid as long as the accuracy within each bin stays the same (covariate shift). It does not notice a
    change of that accuracy (concept shift).

    The interval is for the accuracy that these rows will have once all outcomes are known. Its variance is the sum of
    the reference's part, Σ q_b² A_b (1 - A_b) / (known_b + 2), or that of the curve, and the window's part,
    Σ q_b A_b (1 - A_b) / n. Both are multiplied by the dispersion of the reference, because neighbouring rows depend on
    each other. Of predicted labels that the reference never had, all or none may be right, which the interval allows.

    Args:
        reference: outcomes and correct predictions of the reference by bin of the prediction.
        current: shape (bins,), predictions of the window by bin.
        bins: the bins of the prediction. A prediction close to a known one then has the accuracy of that one (see
            `NumericBins.groups`). If None, each bin is by itself.
        confidences: shape (cells,), predictions of the window by cell of ``reference.confidence``. If None, or if most
            predictions have no confidence, the estimate uses *current*.

    Returns:
        The estimate, or None if no prediction falls into a bin of known accuracy.

    >>> estimate = estimated_accuracy(OutcomeCounts((100, 100), (90, 50)), np.array([300, 100]))
    >>> round(estimate.value, 2), round(estimate.lower, 2), round(estimate.upper, 2)
    (0.8, 0.74, 0.86)
    """
    confidence = reference.confidence
    if confidence is not None and confidences is not None and any(confidence.known):
        with_confidence, predictions = float(confidences.sum()), float(current[:-1].sum())
        if with_confidence and with_confidence >= LEAST_SHARE * predictions > 0:
            return _estimate_by_confidence(confidence, confidences)
    return _estimate_by_bin(reference, current, bins)


def graded_confidences(reference: OutcomeCounts, scores: Counts) -> Counts | None:
    """
    Return graded predictions per cell of confidence, shape (cells,); None if the reference has no confidences.

    Args:
        reference: the outcomes of the reference. The labels in a cell are those of the reference, because graded
            predictions are not counted by label and probability together.
        scores: their probabilities, as `OutcomeSnapshot.scores`.
    """
    confidence = reference.confidence
    if confidence is None or not any(confidence.known):
        return None
    bins, numbers = confidence.bins, scores[:, :, 0].sum(axis=1)
    present = numbers > 0
    cells = np.searchsorted(np.array(bins.cuts), mean_scores(scores)[present], side="right")
    row = np.bincount(cells, weights=numbers[present], minlength=bins.cells)
    known = np.array(confidence.known, dtype=np.float64).reshape(bins.rows, bins.cells)
    # One prediction more in each cell, with the label of any of the reference.
    known += known.sum(axis=1, keepdims=True) / known.sum()
    counts: Counts = (row * known / known.sum(axis=0)).ravel()
    return counts


def _estimate_by_bin(reference: OutcomeCounts, current: Counts, bins: Bins | None) -> Performance | None:
    known, correct = (np.array(counts, dtype=np.float64) for counts in (reference.known, reference.correct))
    if bins is not None:
        known, correct, current = (add_up_groups(bins, counts) for counts in (known, correct, current))
    usable = (known > 0) & (current > 0)
    rows = float(current[usable].sum())
    if not rows:
        return None
    known, correct = known[usable], correct[usable]
    share, accuracy = current[usable] / rows, correct / known
    # A bin with few outcomes, all right, is not certain. So the variance adds one right and one wrong outcome
    # (Agresti & Coull 1998, whose interval is close to Wilson's).
    smoothed = (correct + 1) / (known + 2)
    noise = smoothed * (1 - smoothed)
    variance = float((share**2 * noise / (known + 2)).sum() + (share * noise).sum() / rows)
    value, half = float((share * accuracy).sum()), Z * math.sqrt(variance * reference.dispersion)
    return Performance("accuracy_estimated", value, max(0.0, value - half), min(1.0, value + half), int(rows))


def _estimate_by_confidence(reference: ConfidenceCounts, current: Counts) -> Performance:
    """
    Return the estimate from the confidences of a window.

    Args:
        reference: the outcomes of the reference by confidence.
        current: shape (cells,), the predictions of the window.
    """
    calibration = fit_calibration(reference)
    rows = round(float(current.sum()))
    shares = current / rows
    value = float(shares @ calibration.accuracies)
    # Of labels that the reference never had, all or none may be right.
    unseen = shares * (calibration.groups == reference.bins.unseen)
    wrong, right = float(unseen @ calibration.accuracies), float(unseen @ (1.0 - calibration.accuracies))
    shares = shares - unseen
    noise = shares * calibration.accuracies * (1.0 - calibration.accuracies)
    # One right and one wrong outcome more, as above, so that a window of certain predictions is not beyond doubt.
    own = (float(noise.sum()) * rows + 0.5) / (rows + 2.0)
    dispersion = 1.0 + max(0.0, _excess(reference, calibration, shares)) / own
    variance = (calibration.variance(shares) + own / rows) * dispersion
    half = (Z + FEW_BLOCKS * (1.0 - 1.0 / dispersion)) * math.sqrt(variance)
    lower, upper = max(0.0, value - half - wrong), min(1.0, value + half + right)
    return Performance("accuracy_estimated", value, lower, upper, rows)


def _excess(reference: ConfidenceCounts, calibration: Calibration, shares: Floats) -> float:
    """Return what dependence adds to the variance of right predictions, per row, with these shares per cell."""
    if not reference.excess:
        return 0.0
    number = len(reference.excess)
    known = np.bincount(calibration.groups, weights=reference.known, minlength=number)
    present = np.bincount(calibration.groups, weights=shares, minlength=number)
    # Of a group without outcomes nothing is known, so that nothing is added.
    growth = present * known.sum() / np.maximum(known, 1.0)
    return float(growth @ np.array(reference.excess) @ growth)
