"""Decisions by fixed thresholds: every criterion at and around its limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import ConfigurationError, ThresholdPolicy
from driftline._windows.totals import DURATION_EDGES
from driftline.canary import VariantEvidence, judge_thresholds
from driftline.distances import corrected_psi

EDGES = tuple(DURATION_EDGES.tolist())
ONLY = {"min_accuracy": None, "allowed_latency_delta": None, "max_error_ratio": None, "max_prediction_drift": None}


def durations(*seconds):
    """Return counts of durations in the recorder's bins."""
    return np.bincount(np.searchsorted(DURATION_EDGES, seconds, side="right"), minlength=len(EDGES) + 1)


def evidence(served=1_000, failed=0, seconds=0.01, known=1_000, correct=900, predictions=(500, 500)):
    """Return the counts of a variant, healthy by default."""
    counts = None if predictions is None else np.array(predictions, dtype=np.int64)
    return VariantEvidence(served, failed, durations(*[seconds] * served), EDGES, known, correct, counts)


def criterion(verdict, name):
    """Return a criterion by name."""
    return next(criterion for criterion in verdict.criteria if criterion.name == name)


def test_a_healthy_candidate_is_promoted():
    """All four criteria are met, in the order of the one-shot function, and the reason has their values."""
    verdict = judge_thresholds(evidence(), evidence(), ThresholdPolicy())
    assert verdict.state == "promote"
    assert [criterion.name for criterion in verdict.criteria] == [
        "accuracy",
        "latency",
        "error_rate",
        "prediction_drift",
    ]
    assert {criterion.state for criterion in verdict.criteria} == {"promote"}
    assert verdict.reason.startswith("canary healthy on 1,000 predictions: accuracy 90.00%")


@pytest.mark.parametrize(("correct", "state"), [(799, "rollback"), (800, "promote"), (801, "promote")])
def test_accuracy_at_and_around_its_limit(correct, state):
    """Only a smaller accuracy rolls back."""
    verdict = judge_thresholds(evidence(), evidence(correct=correct), ThresholdPolicy(min_accuracy=0.8))
    assert verdict.state == criterion(verdict, "accuracy").state == state
    assert criterion(verdict, "accuracy").value == correct / 1_000


@pytest.mark.parametrize(("failed", "state"), [(11, "promote"), (12, "promote"), (13, "rollback")])
def test_the_error_rate_at_and_around_its_limit(failed, state):
    """Ten errors of the baseline in a thousand rows allow twelve."""
    policy = ThresholdPolicy(**ONLY | {"max_error_ratio": 1.2})
    verdict = judge_thresholds(evidence(990, 10), evidence(1_000 - failed, failed), policy)
    assert verdict.state == state


def test_a_single_error_against_none_rolls_back():
    """Zero times 1.2 is zero, as in the one-shot function."""
    policy = ThresholdPolicy(**ONLY | {"max_error_ratio": 1.2})
    assert judge_thresholds(evidence(), evidence(), policy).state == "promote"
    assert judge_thresholds(evidence(), evidence(999, 1), policy).state == "rollback"


@pytest.mark.parametrize(("factor", "state"), [(0.99, "rollback"), (1.0, "promote"), (1.01, "promote")])
def test_latency_at_and_around_its_limit(factor, state):
    """Only a larger difference of the quantiles rolls back."""
    baseline, candidate = evidence(seconds=0.01), evidence(seconds=0.1)
    delta = candidate.latency(0.95) - baseline.latency(0.95)
    policy = ThresholdPolicy(**ONLY | {"allowed_latency_delta": delta * factor})
    verdict = judge_thresholds(baseline, candidate, policy)
    assert verdict.state == state
    assert criterion(verdict, "latency").value == pytest.approx(delta)


def test_the_policy_chooses_the_quantile():
    """A tail of a tenth changes the 95th percentile and not the median."""
    tail = replace(evidence(), durations=durations(*[0.01] * 900, *[1.0] * 100))
    for quantile, state in ((0.5, "promote"), (0.95, "rollback")):
        policy = ThresholdPolicy(**ONLY | {"allowed_latency_delta": 0.05, "latency_quantile": quantile})
        assert judge_thresholds(evidence(), tail, policy).state == state


@given(st.lists(st.floats(1e-5, 900.0), min_size=1, max_size=60), st.floats(0.0, 1.0))
def test_a_binned_quantile_is_within_a_bin_of_the_exact_quantile(seconds, quantile):
    counted = replace(evidence(), durations=durations(*seconds))
    exact = np.quantile(seconds, quantile, method="inverted_cdf")
    assert counted.latency(quantile) == pytest.approx(exact, rel=0.16)


def test_without_calls_latency_is_inconclusive():
    nothing = replace(evidence(), durations=durations())
    assert nothing.latency(0.5) is None
    policy = ThresholdPolicy(**ONLY | {"allowed_latency_delta": 0.05})
    assert judge_thresholds(evidence(), nothing, policy).state == "inconclusive"
    assert judge_thresholds(nothing, evidence(), policy).state == "inconclusive"


def test_the_95th_percentile_needs_twenty_calls():
    """The number of rows per call does not matter."""
    policy = ThresholdPolicy(**ONLY | {"allowed_latency_delta": 0.05})
    for calls, state in ((19, "inconclusive"), (20, "promote")):
        batches = replace(evidence(), durations=durations(*[0.01] * calls))
        assert judge_thresholds(batches, batches, policy).state == state


def test_prediction_drift_at_and_around_its_limit():
    """A corrected PSI at the limit rolls back."""
    baseline, candidate = evidence(), evidence(predictions=(650, 350))
    psi = corrected_psi([500, 500], [650, 350])
    for limit, state in ((psi, "rollback"), (np.nextafter(psi, 0), "rollback"), (np.nextafter(psi, 1), "promote")):
        policy = ThresholdPolicy(**ONLY | {"max_prediction_drift": float(limit)})
        assert judge_thresholds(baseline, candidate, policy).state == state


@pytest.mark.parametrize(
    ("baseline", "candidate", "name"),
    [
        (evidence(), evidence(known=99, correct=10), "accuracy"),
        (evidence(), evidence(known=0, correct=0), "accuracy"),
        (evidence(served=499), evidence(), "latency"),
        (evidence(), evidence(served=499), "error_rate"),
        (evidence(), evidence(predictions=(200, 299)), "prediction_drift"),
        (evidence(predictions=(0, 0)), evidence(), "prediction_drift"),
    ],
)
def test_too_few_rows_are_inconclusive(baseline, candidate, name):
    """Even if they look bad; the reason has the number that is needed."""
    verdict = judge_thresholds(baseline, candidate, ThresholdPolicy())
    few = criterion(verdict, name)
    assert verdict.state == few.state == "inconclusive"
    assert few.value is None
    assert verdict.reason.startswith("too early to say: ")
    assert few.reason.endswith("needed")
    assert few.reason in verdict.reason


def test_exactly_the_needed_numbers_are_enough():
    least = evidence(served=500, known=100, correct=80, predictions=(250, 250))
    assert judge_thresholds(least, least, ThresholdPolicy()).state == "promote"


def test_a_violated_criterion_decides_alone():
    """Inconclusive criteria do not matter, and are not in the reason."""
    verdict = judge_thresholds(evidence(), evidence(600, 400, known=0, correct=0), ThresholdPolicy())
    assert verdict.state == "rollback"
    assert verdict.reason.startswith("error rate 40.00% against 0.00%")
    assert "accuracy" not in verdict.reason


def test_a_limit_of_none_switches_a_criterion_off():
    policy = ThresholdPolicy(min_accuracy=None)
    verdict = judge_thresholds(evidence(), evidence(correct=0), policy)
    assert verdict.state == "promote"
    assert "accuracy" not in {criterion.name for criterion in verdict.criteria}


def test_drift_of_unwatched_predictions_is_skipped():
    """If it is the only criterion, the verdict is inconclusive."""
    blind = evidence(predictions=None)
    assert judge_thresholds(blind, blind, ThresholdPolicy()).state == "promote"
    verdict = judge_thresholds(blind, blind, ThresholdPolicy(**ONLY | {"max_prediction_drift": 0.2}))
    assert (verdict.state, verdict.criteria) == ("inconclusive", ())
    assert verdict.reason == "nothing to decide: the predictions are not watched"


@given(*[st.integers(0, 50)] * 4)
def test_a_difference_has_the_counts_since_then(served, failed, known, extra):
    before = evidence(served, failed, known=known, correct=known, predictions=(served, failed))
    after = evidence(served + extra, failed + 1, known=known + 2, correct=known + 1, predictions=(served + 3, failed))
    since = after - before
    assert (since.served, since.failed, since.known, since.correct) == (extra, 1, 2, 1)
    assert since.rows == extra + 1
    assert since.error_rate == 1 / (extra + 1)
    assert int(since.durations.sum()) == extra
    assert since.predictions.tolist() == [3, 0]


def test_the_error_rate_of_no_rows_is_zero():
    assert evidence(0, 0).error_rate == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_accuracy": 1.1}, "min_accuracy=1.1: expected a number from 0 to 1, or None"),
        ({"min_accuracy": -0.1}, "min_accuracy=-0.1: expected a number from 0 to 1"),
        ({"min_accuracy": True}, "min_accuracy=True: expected a number from 0 to 1"),
        ({"min_accuracy": "0.8"}, "min_accuracy='0.8': expected a number from 0 to 1"),
        ({"min_accuracy": float("nan")}, "min_accuracy=nan: expected a number from 0 to 1"),
        ({"allowed_latency_delta": -0.01}, "allowed_latency_delta=-0.01: expected a number from 0"),
        ({"allowed_latency_delta": float("inf")}, "allowed_latency_delta=inf: expected a number from 0"),
        ({"latency_quantile": 1.5}, "latency_quantile=1.5: expected a number from 0 to 1$"),
        ({"latency_quantile": None}, "latency_quantile=None: expected a number from 0 to 1$"),
        ({"max_error_ratio": -1}, "max_error_ratio=-1: expected a number from 0"),
        ({"max_error_ratio": float("inf")}, "max_error_ratio=inf: expected a number from 0 to .*, or None"),
        ({"max_prediction_drift": "much"}, "max_prediction_drift='much': expected a number from 0"),
        ({"min_rows": 0}, "min_rows=0: expected an integer of at least 1"),
        ({"min_rows": 2.5}, "min_rows=2.5: expected an integer of at least 1"),
        ({"min_outcomes": True}, "min_outcomes=True: expected an integer of at least 1"),
        ({"min_outcomes": None}, "min_outcomes=None: expected an integer of at least 1"),
        (ONLY, "every limit is None, expected at least one criterion"),
    ],
)
def test_invalid_policies_are_rejected(arguments, message):
    """The message names the limit, the value and the expected range."""
    with pytest.raises(ConfigurationError, match=message):
        ThresholdPolicy(**arguments)
