"""Cells of confidences: their cuts, and what falls into which cell."""

from __future__ import annotations

import numpy as np
import pytest

from driftline._binning.bins import CategoricalBins, ConfidenceBins, NumericBins
from driftline._binning.confidence import MAX_LABELS, ConfidenceReader, fit_confidence_bins
from driftline._capture.class_scores import ScoredLabel

LABELS = CategoricalBins(("a", "b", "c"), ("d",))
CUTS = ConfidenceBins((0.5, 0.9), labels=2)
NUMBERS = NumericBins((0.0, 1.1))


def test_cells_are_fine_where_most_confidences_are():
    """A model whose scores lie within 0.004 has as many cells for them as another one."""
    scores = np.random.default_rng(0).uniform(0.408, 0.412, 10_000)
    bins = fit_confidence_bins(scores, 0, 0.5)
    assert sum(0.408 < cut < 0.412 for cut in bins.cuts) >= 60
    assert len(bins.cuts) < 130
    assert bins.cuts == tuple(sorted(set(bins.cuts)))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 1.0])
def test_the_threshold_is_a_cut(threshold):
    scores = np.random.default_rng(0).random(1_000)
    assert threshold in fit_confidence_bins(scores, 0, threshold).cuts


@pytest.mark.parametrize("scores", [[], [np.nan], [2.0, -1.0, np.inf, -np.inf]])
def test_without_a_probability_there_are_no_cells(scores):
    assert fit_confidence_bins(np.array(scores, dtype=np.float64), 0, 0.5) is None


@pytest.mark.parametrize(("labels", "rows"), [(1, 3), (3, 5), (500, MAX_LABELS + 2)])
def test_memory_does_not_grow_with_the_number_of_labels(labels, rows):
    bins = fit_confidence_bins(np.array([0.3, 0.9]), labels, None)
    assert bins.rows == rows
    assert bins.size == rows * (len(bins.cuts) + 1)


def test_labels_are_counted_with_their_confidence():
    """The first two labels have rows, then come other labels and those that the training data do not have."""
    outputs = [
        ScoredLabel("a", 0.4),
        ScoredLabel("a", 0.9),
        ScoredLabel("b", 0.6),
        ScoredLabel("c", 0.6),
        ScoredLabel("d", 1.0),
        ScoredLabel("x", 0.99),
        None,
        "a",
        ScoredLabel("a", float("nan")),
        ScoredLabel(None, 0.7),
    ]
    reader = ConfidenceReader(CUTS, LABELS)
    labels, cells = reader.read(outputs)
    assert labels[:6] == ["a", "a", "b", "c", "d", "x"]
    assert reader.count(cells).reshape(4, 3).tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_any_rare_label_is_another_one_if_the_training_data_had_too_many():
    reader = ConfidenceReader(CUTS, CategoricalBins(("a", "b"), open=True))
    _, cells = reader.read([ScoredLabel("x", 0.99)])
    assert reader.count(cells).reshape(4, 3)[2, 2] == 1


@pytest.mark.parametrize("outputs", [["a", None, "x"], np.array(["a", "b"], dtype=object), []])
def test_labels_without_probabilities_stay_as_they_are(outputs):
    reader = ConfidenceReader(CUTS, LABELS)
    labels, cells = reader.read(outputs)
    assert labels is outputs
    assert reader.count(cells).sum() == 0


def test_probabilities_are_counted_on_both_sides_of_the_threshold():
    reader = ConfidenceReader(ConfidenceBins((0.2, 0.5), threshold=0.5), NUMBERS)
    outputs = [0.0, 0.1, 0.2, 0.49, 0.5, 1.0, 1.0 + 1e-7, -1e-7, None, float("nan"), float("inf"), 1.5, -0.5]
    _, cells = reader.read(outputs)
    assert reader.count(cells).tolist() == [3, 2, 3]
