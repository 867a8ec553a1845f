"""Rows next to each other are alike: how much that widens the interval of what they promise."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline._significance.dispersion import dispersion


def days(rows, scatter, random):
    """Twenty days, each better or worse than its predictions promise."""
    return np.clip(0.8 + scatter * np.repeat(random.standard_normal(20), rows // 20), 0.05, 0.95)


def test_independent_rows_have_none():
    """One, give or take, and never less."""
    random = np.random.default_rng(1)
    found = [dispersion(np.zeros(4_000, dtype=int), random.random(4_000) < 0.8) for _ in range(100)]
    assert min(found) == 1.0
    assert np.mean(found) == pytest.approx(1.13, abs=0.1)


def test_days_that_differ_have_the_one_of_theory():
    """1 + (n - 1) ρ, with the variance of the days over that of a row as ρ."""
    random = np.random.default_rng(2)
    found = []
    for _ in range(100):
        chance = days(4_000, 0.05, random)
        found.append(dispersion(np.zeros(4_000, dtype=int), random.random(4_000) < chance))
    assert np.mean(found) == pytest.approx(1 + 199 * 0.05**2 / (0.8 * 0.2), rel=0.15)


def test_what_the_predictions_explain_is_no_dispersion():
    """Days of hard cases, which their scores foretell."""
    random = np.random.default_rng(3)
    bins = np.repeat(random.integers(0, 2, 20), 200)
    found = [dispersion(bins, random.random(4_000) < np.where(bins, 0.95, 0.6)) for _ in range(50)]
    assert np.mean(found) < 1.4


@pytest.mark.parametrize("right", [np.zeros(0, dtype=bool), np.ones(900, dtype=bool), np.ones(5_000, dtype=bool)])
def test_too_few_rows_or_none_wrong_say_nothing(right):
    """One."""
    assert dispersion(np.zeros(len(right), dtype=int), right) == 1.0


def test_a_reference_keeps_it():
    """Through JSON, and as the mean of two parts by their outcomes; it widens the interval."""
    random = np.random.default_rng(4)
    scores = np.full(4_000, 0.8) + random.uniform(-0.01, 0.01, 4_000)
    first, second = (
        dl.Reference.fit(
            {"x": scores}, predictions=scores, outcomes=random.random(4_000) < days(4_000, scatter, random), like=like
        )
        for scatter, like in ((0.15, None), (0.0, None))
    )
    assert first.outcomes.dispersion > 10
    assert dl.Reference.from_json(first.to_json()) == first
    like = dl.Reference.fit({"x": scores}, predictions=scores, outcomes=scores > 0, like=first)
    assert first.merge(like).outcomes.dispersion == pytest.approx((first.outcomes.dispersion + 1) / 2)
    assert second.outcomes.dispersion < 2
