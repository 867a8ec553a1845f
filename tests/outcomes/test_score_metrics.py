"""Metrics of probabilities equal those of scikit-learn, also where scores are extreme, close together, rare or few."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from driftline.outcomes._exact_sums import count_errors
from driftline.outcomes._score_bins import SCORE_BINS, SCORE_EDGES, count_scores, mean_scores, spread_scores
from driftline.outcomes._score_metrics import score_metrics

RANDOM = np.random.default_rng(31)


def logistic(log_odds):
    return 1.0 / (1.0 + np.exp(-log_odds))


def measure(scores, truth):
    truth = np.asarray(truth)
    counts, errors = count_scores(scores, truth.astype(np.int64)), count_errors(scores, truth.astype(float))
    return {metric.metric: metric for metric in score_metrics(counts, errors)}


def sample(shift, scale, rows):
    """Scores around a log-odds, and outcomes that they order with an AUC of about 0.85."""
    latent = RANDOM.normal(size=rows)
    return logistic(shift + scale * latent), RANDOM.random(rows) < logistic(2 * latent)


DATA = {
    "all above 0.9999": (*sample(13.0, 1.0, 3_000), 2e-3),
    "all below 1e-6": (*sample(-20.0, 1.0, 3_000), 2e-3),
    "log-odds of -50": (*sample(-50.0, 3.0, 3_000), 5e-3),
    "both tails": (*sample(0.0, 15.0, 3_000), 2e-3),
    "usual": (*sample(0.0, 1.5, 3_000), 1e-3),
    "0.50 to 0.51": (0.505 + 0.005 * RANDOM.uniform(-1, 1, 3_000), None, 1e-2),
    "float32": (sample(0.0, 1.5, 3_000)[0].astype(np.float32).astype(float), None, 2e-3),
    "few values": (RANDOM.choice([0.1, 0.2, 0.25, 0.9], 3_000), None, 1e-12),
    "0 and 1 exactly": (RANDOM.choice([0.0, 0.5, 1.0], 3_000), None, 1e-12),
    "rare": (RANDOM.beta(0.5, 60, 4_000), None, 1e-2),
    "tiny": (RANDOM.random(8), np.array([0, 1, 0, 1, 1, 0, 0, 1], dtype=bool), 1e-12),
}


@pytest.mark.parametrize(("scores", "truth", "tolerance"), DATA.values(), ids=DATA)
def test_metrics_equal_scikit_learn(scores, truth, tolerance):
    """The Brier score is exact. The AUC is exact where bins order the scores, and close to it where they do not."""
    if truth is None:
        rank = np.argsort(np.argsort(scores)) / len(scores)
        truth = RANDOM.random(len(scores)) < (scores if scores.max() > 0.9 else 0.1 + 0.8 * rank)
    measured = measure(scores, truth)
    assert measured["brier"].value == pytest.approx(brier_score_loss(truth, scores), rel=1e-12)
    assert measured["auc"].value == pytest.approx(roc_auc_score(truth, scores), abs=tolerance)
    for metric in measured.values():
        assert metric.lower <= metric.value <= metric.upper
    assert measured["auc"].lower < measured["auc"].upper


def test_equal_scores_of_one_bin_have_no_order():
    measured = measure(np.full(100, 0.5), np.arange(100) % 2 == 0)
    assert measured["auc"].value == 0.5
    measured = measure(np.array([0.501, 0.502] * 50), np.arange(100) % 2 == 1)
    assert measured["auc"].value == pytest.approx(1.0, abs=1e-6), "two values of one bin"


WITHIN_ONE_BIN = {
    "uniform": RANDOM.uniform(-1, 1, 20_000),
    "two clusters": np.where(
        RANDOM.random(20_000) < 0.3, RANDOM.normal(2, 0.1, 20_000), RANDOM.normal(-1, 0.3, 20_000)
    ),
    "heavy tails": np.clip(RANDOM.standard_t(3, 20_000), -10, 10),
    "skewed": np.clip(RANDOM.exponential(1, 20_000), 0, 10),
    "five values": RANDOM.integers(-2, 3, 20_000).astype(float),
}


@pytest.mark.parametrize("latent", WITHIN_ONE_BIN.values(), ids=WITHIN_ONE_BIN)
def test_the_interval_holds_the_area_of_scores_within_one_bin(latent):
    """With 20,000 rows there is hardly any noise, but the shape of the scores within the bin is not known."""
    truth = RANDOM.random(len(latent)) < logistic(latent)
    measured = measure(0.41 + 0.0004 * latent, truth)["auc"]
    exact = roc_auc_score(truth, latent)
    assert measured.value == pytest.approx(exact, abs=0.06)
    assert measured.lower <= exact <= measured.upper


def test_the_bins_reach_from_the_smallest_float_to_one():
    assert np.all(np.diff(SCORE_EDGES) > 0)
    assert len(SCORE_EDGES) + 1 == SCORE_BINS
    assert 0.5 in SCORE_EDGES
    scores = np.array([0.0, 5e-324, 1e-300, 0.5, 1 - 2**-53, 1.0])
    assert len(set(np.searchsorted(SCORE_EDGES, scores, side="right").tolist())) == 6
    counts = count_scores(scores, np.zeros(6, dtype=np.int64))
    means = mean_scores(counts)
    assert means[[0, -1]].tolist() == [0.0, 1.0]
    assert np.nanmax(np.abs(means[np.searchsorted(SCORE_EDGES, scores, side="right")] - scores)) < 1e-3


def test_counts_of_parts_are_those_of_the_whole():
    scores, truth = RANDOM.random(500), RANDOM.integers(0, 2, 500)
    whole = count_scores(scores, truth)
    assert np.array_equal(count_scores(scores[:100], truth[:100]) + count_scores(scores[100:], truth[100:]), whole)
    negatives, positives = spread_scores(whole)
    assert (round(negatives.sum()), round(positives.sum())) == (int((truth == 0).sum()), int(truth.sum()))


def test_the_calibration_error_of_few_rows_is_not_the_noise():
    """Of 200 rows of a calibrated model it was 0.078."""
    values = []
    for _ in range(100):
        scores = RANDOM.beta(2, 2, 200)
        measured = measure(scores, RANDOM.random(200) < scores * 0.99)["calibration_error"]
        values.append(measured.value)
        assert measured.lower == 0.0 or measured.value < 0.15
    assert np.mean(values) < 0.03


def test_scores_out_of_range_withhold_the_metrics():
    errors = count_errors(np.array([0.5, np.nan]), np.array([1.0, 0.0]))
    assert list(score_metrics(count_scores(np.array([0.5]), np.array([1])), errors)) == []
