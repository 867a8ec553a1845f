"""The curve of accuracy by confidence: it follows the outcomes, and knows where it does not know."""

from __future__ import annotations

import numpy as np
import pytest

from driftline._binning.bins import ConfidenceBins, ConfidenceCounts
from driftline._binning.calibration import fit_calibration
from driftline._binning.confidence import GRID

PROBABILITIES = ConfidenceBins(tuple(GRID.tolist()), threshold=0.5)
MIDDLES = np.concatenate([[0.0], (GRID[1:] + GRID[:-1]) / 2, [1.0]])


def counts(known, accuracy, bins=PROBABILITIES):
    known = np.broadcast_to(known, bins.size).astype(int)
    correct = np.round(known * accuracy).astype(int)
    return ConfidenceCounts(bins, tuple(known.tolist()), tuple(correct.tolist()))


def test_without_outcomes_probabilities_are_believed():
    calibration = fit_calibration(counts(0, 0.0))
    believed = np.maximum(MIDDLES, 1 - MIDDLES)
    assert calibration.accuracies[5:-5] == pytest.approx(believed[5:-5], abs=0.01)


@pytest.mark.parametrize(
    "truth",
    [
        lambda p: p,
        lambda p: 0.5 + 0.5 * (p - 0.5),
        lambda p: p**2,
        lambda p: np.clip(p + 0.15 * np.sin(8 * p), 0, 1),
    ],
    ids=["calibrated", "exaggerated", "skewed", "wavy"],
)
def test_the_curve_is_that_of_many_outcomes(truth):
    positive = truth(MIDDLES)
    accuracy = np.where(MIDDLES >= 0.5, positive, 1 - positive)
    calibration = fit_calibration(counts(20_000, accuracy))
    assert calibration.accuracies == pytest.approx(accuracy, abs=0.03)


def test_cells_without_outcomes_are_uncertain():
    """All outcomes are of predictions around 0.9."""
    known = np.where(np.abs(MIDDLES - 0.9) < 0.05, 1_000, 0)
    calibration = fit_calibration(counts(known, 0.8))
    near, far = (np.eye(PROBABILITIES.size)[np.argmin(np.abs(MIDDLES - value))] for value in (0.9, 0.3))
    assert 100 * calibration.variance(near) < calibration.variance(far)


def test_each_label_has_its_curve():
    bins = ConfidenceBins((0.5, 0.7, 0.9), labels=2)
    accuracy = np.array([0.9] * 4 + [0.5] * 4 + [0.7] * 4 + [0.0] * 4)
    known = np.array([5_000] * 12 + [0] * 4)
    calibration = fit_calibration(counts(known, accuracy, bins))
    assert calibration.accuracies[:12] == pytest.approx(accuracy[:12], abs=0.02)
    shares = np.repeat(np.eye(4), 4, axis=1) / 4
    deviations = [calibration.variance(share) ** 0.5 for share in shares]
    assert max(deviations[:3]) < 0.01
    assert deviations[3] > 0.1, "no outcome is known"


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_predictions_that_are_all_right_or_wrong_have_a_curve(accuracy):
    calibration = fit_calibration(counts(100, accuracy))
    assert np.isfinite(calibration.covariance).all()
    assert calibration.accuracies[10:-10] == pytest.approx(np.full(PROBABILITIES.size - 20, accuracy), abs=0.05)


def test_a_reference_has_its_curve_fitted_once():
    first = counts(100, 0.7)
    assert fit_calibration(first) is fit_calibration(first)
