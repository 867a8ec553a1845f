"""Counts to metrics: those of scikit-learn on the raw values, with intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, f1_score, precision_score, recall_score, roc_auc_score

from driftline._binning.bins import OutcomeCounts
from driftline.outcomes._grading import Grader
from driftline.outcomes._metrics import estimated_accuracy, performance, wilson_interval
from driftline.outcomes._snapshot import OutcomeSnapshot


def measured(kind, said, was, classes=()):
    grader = Grader(kind, None, None)
    counts = grader.snapshot(grader.grade(list(zip(said, was, strict=True))).counts)
    return {(one.metric, one.label): one for one in performance(counts, classes)}


@pytest.fixture(scope="module")
def scored():
    """4,000 probabilities, well calibrated, and outcomes."""
    random = np.random.default_rng(3)
    scores = random.beta(1, 3, 4_000)
    return scores, random.random(4_000) < scores


def test_binary_metrics_are_those_of_scikit_learn(scored):
    """What depends on the order or on 0.5 exactly, what depends on the values within the width of a bin."""
    scores, truth = scored
    said = scores >= 0.5
    found = measured("probability", scores.tolist(), truth.tolist(), [True])
    assert found["accuracy", None].value == (said == truth).mean()
    assert found["error_rate", None].value == pytest.approx((said != truth).mean())
    assert found["precision", True].value == precision_score(truth, said)
    assert found["recall", True].value == recall_score(truth, said)
    assert found["f1", True].value == pytest.approx(f1_score(truth, said))
    assert found["brier", None].value == pytest.approx(brier_score_loss(truth, scores), abs=2e-4)
    assert found["auc", None].value == pytest.approx(roc_auc_score(truth, scores), abs=2e-4)
    assert found["calibration_error", None].value < 0.03
    for one in found.values():
        assert one.lower <= one.value <= one.upper


def test_a_model_that_exaggerates_is_badly_calibrated(scored):
    """By about how much it exaggerates."""
    scores, truth = scored
    extreme = np.clip(scores + 0.2, 0, 1)
    found = measured("probability", extreme.tolist(), truth.tolist())["calibration_error", None]
    assert found.value == pytest.approx(0.2, abs=0.02)
    assert found.lower > 0.15


def test_class_metrics_are_those_of_scikit_learn():
    """Of the classes asked for."""
    random = np.random.default_rng(4)
    was = random.choice(["a", "b", "c"], 500, p=[0.6, 0.3, 0.1])
    said = np.where(random.random(500) < 0.7, was, random.choice(["a", "b", "c"], 500))
    found = measured("label", said.tolist(), was.tolist(), ["a", "c"])
    for label in ("a", "c"):
        for metric, function in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
            expected = function(was, said, labels=[label], average=None)[0]
            assert found[metric, label].value == pytest.approx(expected)
    assert ("recall", "b") not in found


def test_regression_metrics():
    """Within what a bin is wide."""
    random = np.random.default_rng(5)
    error = random.normal(0.5, 3.0, 2_000)
    found = measured("quantity", error.tolist(), [0.0] * 2_000)
    assert found["mae", None].value == pytest.approx(np.abs(error).mean(), rel=0.01)
    assert found["rmse", None].value == pytest.approx(np.sqrt((error**2).mean()), rel=0.01)
    assert found["bias", None].value == pytest.approx(error.mean(), abs=0.05)
    assert ("accuracy", None) not in found


def test_nothing_is_said_of_nothing():
    """Nor of an AUC without both classes."""
    assert performance(OutcomeSnapshot(), [True]) == ()
    assert ("auc", None) not in measured("probability", [0.5, 0.7], [True, True])
    assert ("precision", True) not in measured("probability", [0.1], [True], [True])


@given(st.integers(1, 500), st.data())
def test_wilson_interval_equals_scipy(trials, data):
    """The interval of a proportion."""
    successes = data.draw(st.integers(0, trials))
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-5)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "f1", "brier", "auc", "mae", "rmse", "bias"])
def test_intervals_hold_what_they_promise(metric):
    """In 250 repeats 95 % of them hold the true value, give or take; of a model that is known."""
    random = np.random.default_rng(6)
    scores = random.beta(1, 2, 40_000)
    truth = random.random(40_000) < scores
    kind, column = ("quantity", scores * 20 - 4) if metric in {"mae", "rmse", "bias"} else ("probability", scores)
    true = measured(kind, column.tolist(), truth.tolist(), [True])
    expected = next(one.value for one in true.values() if one.metric == metric)
    held = 0
    for _ in range(250):
        rows = random.integers(0, len(scores), 300)
        found = measured(kind, column[rows].tolist(), truth[rows].tolist(), [True])
        one = next(one for one in found.values() if one.metric == metric)
        held += one.lower <= expected <= one.upper
    assert 0.91 <= held / 250 <= 0.99


def test_calibration_intervals_hold_zero_for_a_perfect_model():
    """The error found is the noise of the groups."""
    random = np.random.default_rng(8)
    held = 0
    for _ in range(200):
        scores = random.beta(1, 2, 500)
        truth = random.random(500) < scores
        held += measured("probability", scores.tolist(), truth.tolist())["calibration_error", None].lower == 0.0
    assert held / 200 > 0.95


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
def test_estimated_accuracy(known, correct, current, expected):
    """The reference's accuracy per bin, weighted by the window; bins of unknown accuracy are left out."""
    found = estimated_accuracy(OutcomeCounts(known, correct), np.array(current))
    if expected is None:
        assert found is None
    else:
        assert found.value == pytest.approx(expected)
        assert 0.0 <= found.lower < found.value < found.upper <= 1.0


@given(st.integers(0, 2**16))
def test_of_the_reference_itself_the_estimate_is_its_accuracy(seed):
    """Where every prediction's outcome is known."""
    random = np.random.default_rng(seed)
    known = random.integers(1, 50, 6)
    correct = random.integers(0, known + 1)
    found = estimated_accuracy(OutcomeCounts(tuple(known.tolist()), tuple(correct.tolist())), known)
    assert found.value == pytest.approx(correct.sum() / known.sum())


@pytest.mark.parametrize(("rows", "known"), [(500, 5_000), (5_000, 500), (1_000, 1_000)])
def test_the_interval_of_the_estimate_holds_the_accuracy_that_is_realised(rows, known):
    """Under covariate shift, whichever of the two is small: in 95 % of 400 repeats, give or take."""
    random = np.random.default_rng(9)
    accuracy = np.array([0.97, 0.9, 0.75, 0.6, 0.55])
    before, now = np.array([0.4, 0.3, 0.1, 0.1, 0.1]), np.array([0.1, 0.1, 0.2, 0.3, 0.3])
    held = 0
    for _ in range(400):
        seen = random.multinomial(known, before)
        reference = OutcomeCounts(tuple(seen.tolist()), tuple(random.binomial(seen, accuracy).tolist()))
        current = random.multinomial(rows, now)
        found = estimated_accuracy(reference, current)
        held += found.lower <= random.binomial(current, accuracy).sum() / rows <= found.upper
    assert 0.92 <= held / 400 <= 0.985
