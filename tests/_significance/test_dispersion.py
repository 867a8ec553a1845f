"""Overdispersion of right predictions: neighbouring rows are alike, which widens an interval of accuracy."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline._significance.dispersion import dispersion


def accuracy_by_day(rows, deviation, random):
    """Return the chance of each row to be right, over twenty days that differ by a standard deviation."""
    return np.clip(0.8 + deviation * np.repeat(random.standard_normal(20), rows // 20), 0.05, 0.95)


def test_independent_rows_have_a_dispersion_near_1():
    """And never below."""
    random = np.random.default_rng(1)
    estimates = [dispersion(np.zeros(4_000, dtype=int), random.random(4_000) < 0.8) for _ in range(100)]
    assert min(estimates) == 1.0
    assert np.mean(estimates) == pytest.approx(1.13, abs=0.1)


def test_days_that_differ_have_the_theoretical_dispersion():
    """1 + (n - 1) ρ, where ρ is the variance between days over that of a row."""
    random = np.random.default_rng(2)
    estimates = []
    for _ in range(100):
        chance = accuracy_by_day(4_000, 0.05, random)
        estimates.append(dispersion(np.zeros(4_000, dtype=int), random.random(4_000) < chance))
    assert np.mean(estimates) == pytest.approx(1 + 199 * 0.05**2 / (0.8 * 0.2), rel=0.15)


def test_differences_that_the_predictions_explain_do_not_count():
    """Days of hard cases, which their scores predict."""
    random = np.random.default_rng(3)
    bins = np.repeat(random.integers(0, 2, 20), 200)
    estimates = [dispersion(bins, random.random(4_000) < np.where(bins, 0.95, 0.6)) for _ in range(50)]
    assert np.mean(estimates) < 1.4


@pytest.mark.parametrize("right", [np.zeros(0, dtype=bool), np.ones(900, dtype=bool), np.ones(5_000, dtype=bool)])
def test_too_few_rows_or_no_wrong_prediction_give_1(right):
    """There is no variance to estimate."""
    assert dispersion(np.zeros(len(right), dtype=int), right) == 1.0


def test_a_reference_keeps_the_dispersion():
    """Through JSON. A merge takes the mean, weighted by outcomes."""
    random = np.random.default_rng(4)
    scores = np.full(4_000, 0.8) + random.uniform(-0.01, 0.01, 4_000)
    first, second = (
        dl.Reference.fit(
            {"x": scores},
            predictions=scores,
            outcomes=random.random(4_000) < accuracy_by_day(4_000, deviation, random),
            like=like,
        )
        for deviation, like in ((0.15, None), (0.0, None))
    )
    assert first.outcomes.dispersion > 10
    assert dl.Reference.from_json(first.to_json()) == first
    like = dl.Reference.fit({"x": scores}, predictions=scores, outcomes=scores > 0, like=first)
    assert first.merge(like).outcomes.dispersion == pytest.approx((first.outcomes.dispersion + 1) / 2)
    assert second.outcomes.dispersion < 2
