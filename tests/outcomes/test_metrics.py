"""Metrics from counts equal those of scikit-learn on raw values, and their intervals hold their level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, f1_score, precision_score, recall_score, roc_auc_score

from driftline._binning.bins import OutcomeCounts
from driftline.outcomes._estimate import estimated_accuracy
from driftline.outcomes._exact_sums import count_errors
from driftline.outcomes._grading import Grader
from driftline.outcomes._metrics import performance, wilson_interval
from driftline.outcomes._snapshot import OutcomeSnapshot


def measure(kind, outputs, actuals, classes=()):
    grader = Grader(kind, None, None)
    counts = grader.snapshot(grader.grade(list(zip(outputs, actuals, strict=True))).counts)
    return {(metric.metric, metric.label): metric for metric in performance(counts, classes)}


@pytest.fixture(scope="module")
def scored():
    """4,000 well-calibrated probabilities, and outcomes."""
    random = np.random.default_rng(3)
    scores = random.beta(1, 3, 4_000)
    return scores, random.random(4_000) < scores


def test_binary_metrics_equal_scikit_learn(scored):
    """Metrics of classes are equal, metrics of probabilities within the width of a bin."""
    scores, truth = scored
    predicted = scores >= 0.5
    metrics = measure("probability", scores.tolist(), truth.tolist(), [True])
    assert metrics["accuracy", None].value == (predicted == truth).mean()
    assert metrics["error_rate", None].value == pytest.approx((predicted != truth).mean())
    assert metrics["precision", True].value == precision_score(truth, predicted)
    assert metrics["recall", True].value == recall_score(truth, predicted)
    assert metrics["f1", True].value == pytest.approx(f1_score(truth, predicted))
    assert metrics["brier", None].value == pytest.approx(brier_score_loss(truth, scores), abs=2e-4)
    assert metrics["auc", None].value == pytest.approx(roc_auc_score(truth, scores), abs=2e-4)
    assert metrics["calibration_error", None].value < 0.03
    for metric in metrics.values():
        assert metric.lower <= metric.value <= metric.upper


def test_the_calibration_error_measures_exaggerated_scores(scored):
    scores, truth = scored
    extreme = np.clip(scores + 0.2, 0, 1)
    error = measure("probability", extreme.tolist(), truth.tolist())["calibration_error", None]
    assert error.value == pytest.approx(0.2, abs=0.02)
    assert error.lower > 0.15


def test_class_metrics_equal_scikit_learn():
    """Only the requested classes have metrics."""
    random = np.random.default_rng(4)
    actual = random.choice(["a", "b", "c"], 500, p=[0.6, 0.3, 0.1])
    predicted = np.where(random.random(500) < 0.7, actual, random.choice(["a", "b", "c"], 500))
    metrics = measure("label", predicted.tolist(), actual.tolist(), ["a", "c"])
    for label in ("a", "c"):
        for metric, function in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
            expected = function(actual, predicted, labels=[label], average=None)[0]
            assert metrics[metric, label].value == pytest.approx(expected)
    assert ("recall", "b") not in metrics


def test_regression_metrics_are_exact_within_the_width_of_a_bin():
    random = np.random.default_rng(5)
    error = random.normal(0.5, 3.0, 2_000)
    metrics = measure("quantity", error.tolist(), [0.0] * 2_000)
    assert metrics["mae", None].value == pytest.approx(np.abs(error).mean(), rel=0.01)
    assert metrics["rmse", None].value == pytest.approx(np.sqrt((error**2).mean()), rel=0.01)
    assert metrics["bias", None].value == pytest.approx(error.mean(), abs=0.05)
    assert ("accuracy", None) not in metrics


@pytest.mark.parametrize("rows", [10, 30, 100])
def test_the_interval_of_rmse_allows_for_a_tail_on_one_side(rows):
    """The errors of 1,000 samples are exponential. Without the allowance 66 to 93 % of the intervals hold the truth."""
    random = np.random.default_rng(8)
    covered = 0
    for errors in random.exponential(1.0, (1_000, rows)) - 1.0:
        snapshot = OutcomeSnapshot(errors=count_errors(errors, np.zeros(rows)))
        (rmse,) = (metric for metric in performance(snapshot, ()) if metric.metric == "rmse")
        covered += rmse.lower <= 1.0 <= rmse.upper
    assert covered >= 915


def test_no_counts_give_no_metrics():
    """An AUC needs both classes."""
    assert performance(OutcomeSnapshot(), [True]) == ()
    assert ("auc", None) not in measure("probability", [0.5, 0.7], [True, True])
    assert ("precision", True) not in measure("probability", [0.1], [True], [True])


@given(st.integers(1, 500), st.data())
def test_wilson_interval_equals_scipy(trials, data):
    successes = data.draw(st.integers(0, trials))
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-5)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "f1", "brier", "auc", "mae", "rmse", "bias"])
@pytest.mark.slow
def test_intervals_cover_the_true_value(metric):
    """In 250 repeats of a known model, about 95 % of them do."""
    random = np.random.default_rng(6)
    scores = random.beta(1, 2, 40_000)
    truth = random.random(40_000) < scores
    kind, column = ("quantity", scores * 20 - 4) if metric in {"mae", "rmse", "bias"} else ("probability", scores)
    population = measure(kind, column.tolist(), truth.tolist(), [True])
    expected = next(each.value for each in population.values() if each.metric == metric)
    covered = 0
    for _ in range(250):
        rows = random.integers(0, len(scores), 300)
        sample = measure(kind, column[rows].tolist(), truth[rows].tolist(), [True])
        interval = next(each for each in sample.values() if each.metric == metric)
        covered += interval.lower <= expected <= interval.upper
    assert 0.91 <= covered / 250 <= 0.99


def test_calibration_intervals_cover_zero_for_a_calibrated_model():
    """The noise of the groups is subtracted from the error of such a model, so that it is close to 0."""
    random = np.random.default_rng(8)
    covered, values = 0, []
    for _ in range(200):
        scores = random.beta(1, 2, 500)
        truth = random.random(500) < scores
        error = measure("probability", scores.tolist(), truth.tolist())["calibration_error", None]
        covered += error.lower == 0.0
        values.append(error.value)
    assert covered / 200 >= 0.93
    assert np.mean(values) < 0.02


@pytest.mark.parametrize(
    ("known", "correct", "current", "expected"),
    [
        ((10, 10), (9, 5), (30, 10), 0.8),
        ((10, 10), (9, 5), (0, 10), 0.5),
        ((10, 0), (9, 0), (30, 500), 0.9),
        ((10, 10), (9, 5), (0, 0), None),
        ((0, 0), (0, 0), (30, 10), None),
        ((10, 0), (9, 0), (0, 500), None),
    ],
)
def test_estimated_accuracy_weights_the_reference_by_the_window(known, correct, current, expected):
    """Bins of unknown accuracy are skipped."""
    estimate = estimated_accuracy(OutcomeCounts(known, correct), np.array(current))
    if expected is None:
        assert estimate is None
    else:
        assert estimate.value == pytest.approx(expected)
        assert 0.0 <= estimate.lower < estimate.value < estimate.upper <= 1.0


@given(st.integers(0, 2**16))
def test_the_estimate_for_the_reference_is_its_accuracy(seed):
    """This holds if every prediction has an outcome."""
    random = np.random.default_rng(seed)
    known = random.integers(1, 50, 6)
    correct = random.integers(0, known + 1)
    estimate = estimated_accuracy(OutcomeCounts(tuple(known.tolist()), tuple(correct.tolist())), known)
    assert estimate.value == pytest.approx(correct.sum() / known.sum())


@pytest.mark.parametrize(("rows", "known"), [(500, 5_000), (5_000, 500), (1_000, 1_000)])
def test_the_interval_of_the_estimate_covers_the_realised_accuracy(rows, known):
    """Under covariate shift, with either sample small, about 95 % of 400 repeats do."""
    random = np.random.default_rng(9)
    accuracy = np.array([0.97, 0.9, 0.75, 0.6, 0.55])
    earlier, later = np.array([0.4, 0.3, 0.1, 0.1, 0.1]), np.array([0.1, 0.1, 0.2, 0.3, 0.3])
    covered = 0
    for _ in range(400):
        reference_rows = random.multinomial(known, earlier)
        reference = OutcomeCounts(
            tuple(reference_rows.tolist()), tuple(random.binomial(reference_rows, accuracy).tolist())
        )
        current = random.multinomial(rows, later)
        estimate = estimated_accuracy(reference, current)
        covered += estimate.lower <= random.binomial(current, accuracy).sum() / rows <= estimate.upper
    assert 0.92 <= covered / 400 <= 0.985
