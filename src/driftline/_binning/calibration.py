"""
The accuracy of predictions by their confidence: a smooth curve for each predicted label, fitted to counts of outcomes.

The log-odds of a right prediction are a piecewise linear function of h, the log-odds of the confidence:

    f(h) = intercept + slope · h + Σ bend_k · max(0, h - knot_k)

Its coefficients are those of all labels together plus those of each label alone. All have normal priors: all labels
around a calibrated model (intercept 0, slope 1, no bends), each label around all. So few outcomes give a simple curve,
many the curve that they show, and a label without outcomes that of the others. The size of
the bends is the one of `BENDS` under which the counts are most likely (Laplace's approximation, as in Rasmussen &
Williams 2006, *Gaussian Processes for Machine Learning*, section 3.4). The coefficients are the most probable ones, and
their covariance is that of the same approximation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import ConfidenceBins, ConfidenceCounts
from driftline.typing import Floats

__all__ = ["Calibration", "fit_calibration"]

KNOTS = 8
"""Number of knots, at quantiles of h over the outcomes. More knots do not make the estimates better."""

LARGEST = 8.0
"""Largest |h|. Confidences beyond 0.9997 are alike, so that one exactly 1 has log-odds too."""

INTERCEPT, SLOPE, BEND = 2.0, 1.0, 1.0
"""Standard deviations of the priors of all labels together, in log-odds. That of bends is multiplied by a `BENDS`."""

OWN_INTERCEPT, OWN_SLOPE, OWN_BEND = 1.0, 0.5, 0.5
"""Standard deviations of the priors of each label alone."""

BENDS = (0.03, 0.1, 0.3, 1.0)
"""Factors for the size of bends, of which the counts choose one."""

STEPS, TOLERANCE = 50, 1e-6
"""Most steps of Newton's method, and the change of the logarithm of the posterior at which it ends."""

CACHED = 8
"""Calibrations that are kept: a monitor has one reference, and another while it is replaced."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """
    The accuracy in each cell of the confidence.

    Attributes:
        accuracies: shape (cells,), from 0 to 1.
        groups: shape (cells,), the number of the predicted label of each cell.
        terms: shape (cells, coefficients), the terms of each cell's log-odds.
        covariance: shape (coefficients, coefficients), that of the coefficients.
    """

    accuracies: Floats
    groups: NDArray[np.intp]
    terms: Floats
    covariance: Floats

    def variance(self, shares: Floats) -> float:
        """
        Return the variance of the accuracy of predictions that the number of the reference's outcomes leaves.

        Args:
            shares: shape (cells,), the share of predictions in each cell.
        """
        gradient = self.terms.T @ (shares * self.accuracies * (1.0 - self.accuracies))
        return float(gradient @ self.covariance @ gradient)


@lru_cache(maxsize=CACHED)
def fit_calibration(counts: ConfidenceCounts) -> Calibration:
    """Fit the accuracy in each cell to the outcomes of the training data."""
    confidences, groups = _cells(counts.bins)
    known, correct = (np.array(part, dtype=np.float64) for part in (counts.known, counts.correct))
    shape = _shape(confidences, known)
    terms, mean, deviations, is_bend = _model(shape, groups, counts.bins.groups)
    used = known > 0
    fits = []
    for factor in BENDS:
        precisions = np.where(is_bend, deviations * factor, deviations) ** -2.0
        fits.append((*_fit(terms[used], known[used], correct[used], mean, precisions), precisions))
    _, coefficients, precisions = max(fits, key=lambda fit: fit[0])
    accuracies = _logistic(terms @ coefficients)
    noise = known * accuracies * (1.0 - accuracies)
    information = terms.T @ (terms * noise[:, None]) + np.diag(precisions)
    return Calibration(accuracies, groups, terms, np.linalg.inv(information))


def _cells(bins: ConfidenceBins) -> tuple[Floats, NDArray[np.intp]]:
    """Return h and the number of the predicted label, or group of labels, for each cell."""
    cuts = np.array(bins.cuts)
    with np.errstate(divide="ignore"):
        edges = np.clip(np.log(cuts) - np.log1p(-cuts), -LARGEST, LARGEST)
    edges = np.concatenate([[-LARGEST], edges, [LARGEST]])
    middles = (edges[1:] + edges[:-1]) / 2.0
    if bins.threshold is None:
        return np.tile(middles, bins.rows), np.repeat(np.arange(bins.rows), bins.cells)
    positive = np.concatenate([[0.0], cuts]) >= bins.threshold
    return np.where(positive, middles, -middles), positive.astype(np.intp)


def _shape(confidences: Floats, known: Floats) -> Floats:
    """Return 1, h and the bends of each cell, shape (cells, 2 + knots)."""
    order = np.argsort(confidences, kind="stable")
    below = np.cumsum(known[order])
    wanted = below[-1] * np.arange(1, KNOTS + 1) / (KNOTS + 1)
    knots = np.unique(confidences[order][np.searchsorted(below, wanted)])
    bends = np.maximum(0.0, confidences[:, None] - knots)
    return np.column_stack([np.ones_like(confidences), confidences, bends])


def _model(shape: Floats, groups: NDArray[np.intp], number: int) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """
    Return the terms of each cell, and the priors of their coefficients.

    Args:
        shape: what `_shape` returns.
        groups: shape (cells,), the label of each cell.
        number: number of labels.

    Returns:
        the terms, shape (cells, coefficients); the means and the standard deviations of the priors; and which of the
        coefficients are bends.
    """
    width = shape.shape[1]
    terms = [shape, *(shape * (groups == group)[:, None] for group in range(number))]
    mean = np.zeros(width * (number + 1))
    mean[1] = 1.0
    own = np.array([OWN_INTERCEPT, OWN_SLOPE, *[OWN_BEND] * (width - 2)])
    deviations = np.concatenate([[INTERCEPT, SLOPE, *[BEND] * (width - 2)], np.tile(own, number)])
    return np.hstack(terms), mean, deviations, np.arange(len(mean)) % width >= 2  # noqa: PLR2004 - after the slope


def _fit(terms: Floats, known: Floats, correct: Floats, mean: Floats, precisions: Floats) -> tuple[float, Floats]:
    """Return the logarithm of the likelihood of a prior, up to a constant, and the most probable coefficients."""
    coefficients = mean.copy()
    value = -math.inf
    half_log_determinant = 0.0
    for _ in range(STEPS):
        accuracies = _logistic(terms @ coefficients)
        noise = known * accuracies * (1.0 - accuracies)
        information = terms.T @ (terms * noise[:, None])
        information[np.diag_indices_from(information)] += precisions
        gradient = terms.T @ (correct - known * accuracies) - precisions * (coefficients - mean)
        half_log_determinant = float(np.linalg.slogdet(information)[1]) / 2.0
        step = np.linalg.solve(information, gradient)
        before = _log_posterior(terms, known, correct, coefficients, mean, precisions)
        size = 1.0
        while True:
            moved = coefficients + size * step
            value = _log_posterior(terms, known, correct, moved, mean, precisions)
            if value >= before - TOLERANCE or size < TOLERANCE:
                break
            size /= 2.0
        coefficients = moved
        if value - before < TOLERANCE:
            break
    return value + float(np.log(precisions).sum()) / 2.0 - half_log_determinant, coefficients


def _log_posterior(
    terms: Floats, known: Floats, correct: Floats, coefficients: Floats, mean: Floats, precisions: Floats
) -> float:
    log_odds = terms @ coefficients
    likelihood = correct @ log_odds - known @ np.logaddexp(0.0, log_odds)
    return float(likelihood - (precisions * (coefficients - mean) ** 2).sum() / 2.0)


def _logistic(log_odds: Floats) -> Floats:
    result: Floats = 0.5 + 0.5 * np.tanh(log_odds / 2.0)
    return result
