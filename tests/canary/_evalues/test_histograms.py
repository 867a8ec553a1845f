"""Evidence about the histograms of two variants."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftline.canary._evalues.histograms import (
    Histograms,
    compared_counts,
    largest_differences,
    log_e_differences,
)
from driftline.canary._evalues.rates import log_e_two_rates, log_mean_exp


def largest_difference(baseline, candidate, *, ordered):
    return Histograms(baseline, candidate, ordered=ordered).largest_difference


def log_e_two_histograms(baseline, candidate, *, ordered, **test):
    return Histograms(baseline, candidate, ordered=ordered).log_e(**test)


def test_ordered_bins_are_compared_by_cumulative_shares():
    """Missing values are apart; each category is compared separately."""
    counts = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert compared_counts(counts, ordered=True).ravel().tolist() == [1.0, 3.0, 4.0]
    assert compared_counts(counts, ordered=False).ravel().tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(("ordered", "difference"), [(True, 0.2), (False, 0.2)])
def test_the_largest_difference_is_of_shares(ordered, difference):
    """The number of rows does not matter."""
    a, b = np.array([[50.0, 50.0, 0.0]]), np.array([[30.0, 70.0, 0.0]])
    assert largest_difference(a, b, ordered=ordered) == pytest.approx(difference)
    assert largest_difference(a, 10 * b, ordered=ordered) == pytest.approx(difference)
    assert math.isnan(largest_difference(a, 0 * b, ordered=ordered))


def test_a_shift_within_the_margin_is_safe_and_a_larger_shift_is_harm():
    """With ten thousand rows."""
    a, near, far = (np.array([row], dtype=float) for row in ([5000, 5000, 0], [5200, 4800, 0], [7000, 3000, 0]))
    for ordered in (True, False):
        assert log_e_two_histograms(a, near, ordered=ordered, allowed=0.1, side=-1) > math.log(20)
        assert log_e_two_histograms(a, near, ordered=ordered, allowed=0.1) < 0.0
        assert log_e_two_histograms(a, far, ordered=ordered, allowed=0.1) > math.log(1_000)
        assert log_e_two_histograms(far, a, ordered=ordered, allowed=0.1) > math.log(1_000)


def test_missing_values_are_a_difference():
    """The candidate has a tenth more missing values in each bin."""
    a, b = np.array([[500.0, 500.0, 0.0]]), np.array([[400.0, 400.0, 200.0]])
    assert largest_difference(a, b, ordered=True) == pytest.approx(0.2)
    assert log_e_two_histograms(a, b, ordered=True, allowed=0.05) > math.log(20)


def test_empty_histograms_are_no_evidence():
    nothing = np.zeros((1, 3))
    assert log_e_two_histograms(nothing, nothing, ordered=True, allowed=0.1) == 0.0


def test_evidence_is_at_most_that_of_two_rates_at_each_cut():
    """The mean over cuts and directions for harm, the smallest for safety, with fewer alternatives."""
    random = np.random.default_rng(3)
    a, b = random.integers(20, 240, (2, 6, 9)).astype(float)
    b[:, :3] *= 2
    n, m = a.sum(axis=1), b.sum(axis=1)
    for ordered in (True, False):
        k, j = (compared_counts(counts, ordered=ordered) for counts in (a, b))
        for side in (1, -1):
            expected = [
                float(log_e_two_rates(*counts, offset=0.07, side=side))
                for counts in [(x, n, y, m) for x, y in zip(k, j, strict=True)]
                + [(n - x, n, m - y, m) for x, y in zip(k, j, strict=True)]
            ]
            whole = log_mean_exp(np.array(expected)) if side > 0 else min(expected)
            log_e = Histograms(a, b, ordered=ordered).log_e(0.07, side=side)
            assert whole - 0.05 * abs(whole) - 1.0 <= log_e <= whole + 1e-9


def test_more_rows_of_the_same_kind_are_a_scale():
    a, b = np.array([[50.0, 50.0, 0.0]]), np.array([[30.0, 70.0, 0.0]])
    for side in (1, -1):
        more = Histograms(7 * a, 7 * b, ordered=True).log_e(0.1, side=side)
        assert Histograms(a, b, ordered=True).log_e(0.1, side=side, scale=7.0) == pytest.approx(more)


def test_inputs_that_move_while_the_share_moves_are_no_difference():
    """Both variants have the same rows in each stratum; pooled they differ by 32 points."""
    a, b = np.array([[900.0, 100.0, 0.0], [50.0, 450.0, 0.0]]), np.array([[90.0, 10.0, 0.0], [450.0, 4050.0, 0.0]])
    assert Histograms(a, b, ordered=True).largest_difference == pytest.approx(0.0)
    assert Histograms(a, b, ordered=True).log_e(0.1, side=-1) > math.log(20)
    pooled = Histograms(a.sum(axis=0, keepdims=True), b.sum(axis=0, keepdims=True), ordered=True)
    assert pooled.log_e(0.1) > math.log(1_000)


def test_evidence_about_several_features_is_the_mean_of_theirs():
    """Also if their rows differ, as those of a feature whose bins were replaced. Features near each other have none."""
    random = np.random.default_rng(4)
    features = [Histograms(*random.integers(5, 60, (2, 4, bins)), ordered=True) for bins in (5, 9, 5)]
    features.append(Histograms(np.array([[90.0, 900.0, 0.0]]), np.array([[900.0, 90.0, 0.0]]), ordered=True))
    expected = log_mean_exp(np.array([*(feature.log_e(0.05) for feature in features), -np.inf]))
    assert expected > 100.0
    assert log_e_differences(features, 0.05, 5) == pytest.approx(expected)
    assert log_e_differences([], 0.05, 5) == -math.inf


@pytest.mark.parametrize("ordered", [True, False])
def test_differences_of_several_features_are_those_of_each(ordered):
    """Strata without rows of a variant, and features without rows."""
    counts = np.random.default_rng(5).integers(0, 60, (4, 3, 2, 7)).astype(float)
    counts[0, 1, 0] = 0.0
    counts[1] = 0.0
    expected = [Histograms(part[:, 0], part[:, 1], ordered=ordered).largest_difference for part in counts]
    assert largest_differences(counts, ordered=ordered) == pytest.approx(expected, nan_ok=True)
