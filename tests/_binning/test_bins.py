"""Bins: their labels, and their positions in standard deviations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from driftline._binning.bins import CategoricalBins, Feature, NumericBins, NumericSummary


def test_bins_have_labels():
    numeric = NumericBins((0.0, 1.5, 3.0))
    assert [numeric.label(number) for number in range(numeric.size)] == [
        "below 0",
        "0 to 1.5",
        "1.5 to 3",
        "above 3",
        "missing",
    ]
    categorical = CategoricalBins(("a",))
    assert [categorical.label(number) for number in range(categorical.size)] == ["a", "other", "unseen", "missing"]
    assert [NumericBins(()).label(number) for number in range(2)] == ["present", "missing"]


def test_positions_are_in_standard_deviations():
    """Of the bin's mean; of the minimum or maximum for bins out of range; nan for missing."""
    bins = NumericBins((0.0, 10.0, 20.0))
    feature = Feature("x", bins, (0, 5, 5, 0, 0), (0.0, 4.0, 16.0, 20.0, 0.0), NumericSummary(10, 10.0, 6.0, 1.0, 19.0))
    np.testing.assert_allclose(feature.positions(), [-1.5, -1.0, 1.0, 1.5, np.nan])


@pytest.mark.parametrize(
    "feature", [Feature("x", CategoricalBins(("a",)), (1, 0, 0, 0)), Feature("x", NumericBins(()), (0, 3))]
)
def test_bins_without_an_order_have_no_positions(feature):
    """Categories, and a numeric feature without a finite value."""
    assert np.isnan(feature.positions()).all()


def test_a_feature_is_immutable():
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
        Feature("x", NumericBins(()), (0, 0)).label = 5
