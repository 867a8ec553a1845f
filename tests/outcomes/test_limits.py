"""States of limits: bounded false alarms, detected drops, and reasons with their figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from driftline._binning.bins import OutcomeCounts
from driftline.outcomes._exact_sums import count_errors
from driftline.outcomes._limits import Limit, evaluate_limit, limits_for, log_evidence, outcomes_needed
from driftline.outcomes._metrics import wilson_interval
from driftline.outcomes._snapshot import ClassCounts, OutcomeSnapshot

ACCURACY = Limit("prediction.accuracy", "accuracy", 0.85, 0.9)


def pane(correct, known=500):
    return OutcomeSnapshot(known=known, correct=correct)


def evaluate(panes, previous=None, *, limit=ACCURACY, threshold=2_000.0, expected=None):
    return evaluate_limit(limit, panes, previous, threshold, lambda whole: expected)


@pytest.mark.parametrize(("total", "rows", "least"), [(70, 100, 0.8), (5, 20, 0.5), (99, 100, 0.9), (12.5, 40, 0.3)])
def test_log_evidence_equals_the_integral_of_its_definition(total, rows, least):
    """The integral is computed by quadrature."""
    prior = beta(0.5, 0.5)

    def integrand(q):
        against = total * math.log(q / least) + (rows - total) * math.log((1 - q) / (1 - least))
        return math.exp(against) * prior.pdf(q) / prior.cdf(least)

    expected, _ = quad(integrand, 0.0, least, limit=200)
    evidence = log_evidence(np.array([total], dtype=float), np.array([rows], dtype=float), least)
    assert evidence[0] == pytest.approx(math.log(expected), abs=1e-3)


def test_the_expected_evidence_of_one_value_is_one_at_the_limit():
    """At a mean above the limit it is less."""
    right, wrong = np.exp(log_evidence(np.array([1.0, 0.0]), np.array([1.0, 1.0]), 0.7))
    assert 0.7 * right + 0.3 * wrong == pytest.approx(1.0)
    assert 0.8 * right + 0.2 * wrong < 1.0


@pytest.mark.slow
def test_false_alarms_stay_within_the_budget_at_every_look():
    """Accuracy is at the limit, with a look at every 50 of 5,000 outcomes, in 2,000 runs."""
    random = np.random.default_rng(11)
    alarms, runs, threshold = 0, 2_000, 200.0
    for _ in range(runs):
        looks = np.cumsum(random.binomial(50, 0.85, 100))
        rows = np.arange(1, 101) * 50.0
        starts = [0, *range(500, 5_000, 500)]
        before = np.array([0 if start == 0 else looks[start // 50 - 1] for start in starts])
        for end, total in zip(rows, looks, strict=True):
            started = np.array([start for start in starts if start < end])
            evidence = log_evidence(total - before[: len(started)].astype(float), end - started, 0.85)
            if np.logaddexp.reduce(evidence) >= math.log(threshold):
                alarms += 1
                break
    # Ten panes at one false alarm per 200 panes are 5 %. The bound is not tight.
    assert alarms / runs <= 10 / threshold


@pytest.mark.parametrize(("known", "correct", "state"), [(1, 0, "insufficient_data"), (1, 1, "insufficient_data"),
    (195, 190, "insufficient_data"), (196, 190, "stable"), (60, 0, "drifting")])  # fmt: skip
def test_few_outcomes_are_no_reason_to_call_a_metric_within_its_limit(known, correct, state):
    """The reason has the number needed. Clear evidence of a drop needs fewer."""
    needed = outcomes_needed(ACCURACY, 5_000)
    status = evaluate_limit(ACCURACY, [pane(correct, known)], None, 2_000.0, lambda whole: None, needed)
    assert (status.state, status.rows) == (state, known)
    if state == "insufficient_data":
        assert status.reason == f"{known} outcomes, needs 196"


def test_the_number_of_outcomes_needed_makes_the_interval_narrow_or_fills_the_window():
    for bound in (0.2, 0.5, 0.85, 0.9):
        limit = Limit("prediction.recall", "recall", bound)
        needed = outcomes_needed(limit, 5_000)
        low, high = wilson_interval(round(bound * needed), needed)
        assert high - low < 0.11
        assert outcomes_needed(limit, 10) == 10


def test_a_drop_starts_and_ends():
    """A drop below the limit is drifting within one window. It ends when the window is within the limit again."""
    good, bad = pane(450), pane(390)
    status = evaluate([good] * 10)
    assert (status.state, status.reason, status.rows) == ("stable", "within its limit", 5_000)
    for bad_panes in range(1, 11):
        status = evaluate([good] * (10 - bad_panes) + [bad] * bad_panes, status)
    assert status.state == "drifting"
    assert status.p_value < 1e-4
    assert status.effect == pytest.approx(0.12)
    assert status.reason == "accuracy 78.0% on 5000 outcomes, at least 85.0% allowed, the reference had 90.0%"
    # Hysteresis: the latest panes hold no evidence, but the mean of the window is still below the limit.
    status = evaluate([bad] * 6 + [good] * 4, status)
    assert status.state == "drifting"
    assert evaluate([bad] * 4 + [good] * 6, status).state == "stable"


def test_a_few_wrong_predictions_are_no_drop():
    """The mean is below the limit, but the evidence is too small."""
    assert evaluate([pane(410)]).state == "stable"
    assert evaluate([pane(4, 10)]).state == "stable"
    assert evaluate([pane(0, 10)]).state == "drifting"
    assert evaluate([pane(0, 0)]).state == "insufficient_data"


@pytest.mark.parametrize(
    ("expected", "ending"),
    [
        (0.9, "90.0% was expected for these predictions, so their relation to outcomes has changed"),
        (0.6, "only 60.0% was expected for these predictions"),
        (0.79, "78.0% agrees with what was expected for these predictions, so the inputs have changed"),
    ],
)
def test_the_reason_separates_changed_inputs_from_a_changed_relation(expected, ending):
    """The estimate for the same predictions decides."""
    assert evaluate([pane(390)] * 10, expected=expected).reason.endswith(ending)


@pytest.mark.parametrize(
    ("limit", "counts", "value"),
    [
        (Limit("x", "error_rate", 0.1), pane(390), 0.22),
        (Limit("x", "precision", 0.8, None, "a"), OutcomeSnapshot(classes={"a": ClassCounts(60, 40, 1)}), 0.6),
        (Limit("x", "recall", 0.8, None, "a"), OutcomeSnapshot(classes={"a": ClassCounts(60, 1, 40)}), 0.6),
        (Limit("x", "f1", 0.8, None, "a"), OutcomeSnapshot(classes={"a": ClassCounts(60, 40, 40)}), 0.6),
    ],
)
def test_each_limitable_metric_becomes_drifting(limit, counts, value):
    """The evidence is about the mean of that metric."""
    status = evaluate([counts], limit=limit, threshold=100.0)
    assert status.state == "drifting"
    assert f"{value:.1%}" in status.reason
    assert ("at most" in status.reason) == (limit.metric == "error_rate")
    assert status.effect == pytest.approx(abs(limit.bound - value))


def test_the_brier_score_becomes_drifting():
    """It is the mean of squared errors between 0 and 1."""
    errors = count_errors(np.full(1_000, 0.9), np.repeat([0.0, 1.0], [400, 600]))
    status = evaluate([OutcomeSnapshot(score_errors=errors)], limit=Limit("x", "brier", 0.2))
    assert status.state == "drifting"
    assert status.reason.startswith("brier 0.330 on 1000 outcomes, at most 0.200 allowed")


def test_limits_come_from_the_policy_and_the_reference():
    """Without a bound on accuracy, the limit is the lower end of the reference's interval, less max_drop."""
    reference = OutcomeCounts((50, 50), (45, 45))
    (default,) = limits_for({}, 0.05, reference, ())
    assert (default.name, default.metric, default.reference_value) == ("prediction.accuracy", "accuracy", 0.9)
    assert default.bound == pytest.approx(wilson_interval(90, 100)[0] - 0.05)
    assert limits_for({}, None, reference, ()) == ()
    assert limits_for({}, 0.05, None, ()) == ()
    assert limits_for({}, 0.05, OutcomeCounts((0,), (0,)), ()) == ()
    assert limits_for({}, 0.99, reference, ()) == ()
    limits = limits_for({"accuracy": 0.7, "recall": 0.5}, 0.05, reference, ("a", "b"))
    assert [limit.name for limit in limits] == ["prediction.accuracy", "prediction.recall:a", "prediction.recall:b"]
    assert limits_for({"recall": 0.5}, None, None, (True,))[0].name == "prediction.recall"
