"""Limits: no more false alarms than agreed on, drops that are found, and reasons that say what happened."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from driftline._binning.bins import OutcomeCounts
from driftline.outcomes._limits import Limit, evaluate_limit, limits_for, log_evidence
from driftline.outcomes._metrics import wilson_interval
from driftline.outcomes._snapshot import SCORE_MIDDLES, ClassCounts, OutcomeSnapshot

ACCURACY = Limit("prediction.accuracy", "accuracy", 0.85, 0.9)


def pane(correct, known=500):
    return OutcomeSnapshot(known=known, correct=correct)


def verdict(panes, before=None, *, limit=ACCURACY, threshold=2_000.0, expected=None):
    return evaluate_limit(limit, panes, before, threshold, lambda whole: expected)


@pytest.mark.parametrize(("total", "rows", "least"), [(70, 100, 0.8), (5, 20, 0.5), (99, 100, 0.9), (12.5, 40, 0.3)])
def test_the_evidence_is_the_integral_of_its_definition(total, rows, least):
    """Computed by quadrature."""
    prior = beta(0.5, 0.5)

    def ratio(q):
        against = total * math.log(q / least) + (rows - total) * math.log((1 - q) / (1 - least))
        return math.exp(against) * prior.pdf(q) / prior.cdf(least)

    expected, _ = quad(ratio, 0.0, least, limit=200)
    found = log_evidence(np.array([total], dtype=float), np.array([rows], dtype=float), least)
    assert found[0] == pytest.approx(math.log(expected), abs=1e-3)


def test_evidence_of_one_value_is_one_on_average():
    """At the limit itself; at a mean above it less."""
    right, wrong = np.exp(log_evidence(np.array([1.0, 0.0]), np.array([1.0, 1.0]), 0.7))
    assert 0.7 * right + 0.3 * wrong == pytest.approx(1.0)
    assert 0.8 * right + 0.2 * wrong < 1.0


def test_looking_all_the_time_seldom_alarms_falsely():
    """At the limit exactly, a look every 50 of 5,000 outcomes: at most one run in 1 / threshold · panes, 2,000 runs."""
    random = np.random.default_rng(11)
    alarms, runs, threshold = 0, 2_000, 200.0
    for _ in range(runs):
        looks = np.cumsum(random.binomial(50, 0.85, 100))
        rows = np.arange(1, 101) * 50.0
        starts = [0, *range(500, 5_000, 500)]
        before = np.array([0 if start == 0 else looks[start // 50 - 1] for start in starts])
        for end, total in zip(rows, looks, strict=True):
            begun = np.array([start for start in starts if start < end])
            evidence = log_evidence(total - before[: len(begun)].astype(float), end - begun, 0.85)
            if np.logaddexp.reduce(evidence) >= math.log(threshold):
                alarms += 1
                break
    # Ten panes at one false alarm per 200 panes: 5 %, and the bound is not tight.
    assert alarms / runs <= 10 / threshold


def test_a_drop_is_found_and_ends():
    """Three points below the limit is drifting within the window, and over when the window is back."""
    good, bad = pane(450), pane(390)
    status = verdict([good] * 10)
    assert (status.state, status.reason, status.rows) == ("stable", "within its limit", 5_000)
    for bad_panes in range(1, 11):
        status = verdict([good] * (10 - bad_panes) + [bad] * bad_panes, status)
    assert status.state == "drifting"
    assert status.p_value < 1e-4
    assert status.effect == pytest.approx(0.12)
    assert status.reason == "accuracy 78.0% on 5000 outcomes, at least 85.0% allowed, the reference had 90.0%"
    # The evidence of the last panes is no more, and still the window is below: hysteresis.
    status = verdict([bad] * 6 + [good] * 4, status)
    assert status.state == "drifting"
    assert verdict([bad] * 4 + [good] * 6, status).state == "stable"


def test_a_few_bad_outcomes_are_no_drop():
    """Below the limit, and not certainly."""
    assert verdict([pane(410)]).state == "stable"
    assert verdict([pane(4, 10)]).state == "stable"
    assert verdict([pane(0, 10)]).state == "drifting"
    assert verdict([pane(0, 0)]).state == "insufficient_data"


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (0.9, "90.0% was expected for these predictions, so their relation to outcomes has changed"),
        (0.6, "only 60.0% was expected for these predictions"),
        (0.79, "78.0% agrees with what was expected for these predictions, so the inputs have changed"),
    ],
)
def test_the_reason_says_whether_the_inputs_or_their_meaning_moved(expected, words):
    """By what the reference expects of the very predictions whose outcomes came."""
    assert verdict([pane(390)] * 10, expected=expected).reason.endswith(words)


@pytest.mark.parametrize(
    ("limit", "counts", "value"),
    [
        (Limit("x", "error_rate", 0.1), pane(390), 0.22),
        (Limit("x", "precision", 0.8, None, "a"), OutcomeSnapshot(classes={"a": ClassCounts(60, 40, 1)}), 0.6),
        (Limit("x", "recall", 0.8, None, "a"), OutcomeSnapshot(classes={"a": ClassCounts(60, 1, 40)}), 0.6),
        (Limit("x", "f1", 0.8, None, "a"), OutcomeSnapshot(classes={"a": ClassCounts(60, 40, 40)}), 0.6),
    ],
)
def test_every_metric_that_may_have_a_limit(limit, counts, value):
    """Its evidence is about its own mean."""
    status = verdict([counts], limit=limit, threshold=100.0)
    assert status.state == "drifting"
    assert f"{value:.1%}" in status.reason
    assert ("at most" in status.reason) == (limit.metric == "error_rate")
    assert status.effect == pytest.approx(abs(limit.bound - value))


def test_a_limit_of_the_brier_score():
    """The mean of the squared errors, values between 0 and 1."""
    scores = np.zeros((len(SCORE_MIDDLES), 2), dtype=np.int64)
    scores[np.abs(SCORE_MIDDLES - 0.9).argmin()] = [400, 600]
    status = verdict([OutcomeSnapshot(scores=scores)], limit=Limit("x", "brier", 0.2))
    assert status.state == "drifting"
    assert status.reason.startswith("brier 0.327 on 1000 outcomes, at most 0.200 allowed")


def test_limits_of_a_monitor():
    """Those given; for accuracy else the reference's, at the lower end of its interval, less the drop allowed."""
    reference = OutcomeCounts((50, 50), (45, 45))
    (found,) = limits_for({}, 0.05, reference, ())
    assert (found.name, found.metric, found.reference_value) == ("prediction.accuracy", "accuracy", 0.9)
    assert found.bound == pytest.approx(wilson_interval(90, 100)[0] - 0.05)
    assert limits_for({}, None, reference, ()) == ()
    assert limits_for({}, 0.05, None, ()) == ()
    assert limits_for({}, 0.05, OutcomeCounts((0,), (0,)), ()) == ()
    assert limits_for({}, 0.99, reference, ()) == ()
    given = limits_for({"accuracy": 0.7, "recall": 0.5}, 0.05, reference, ("a", "b"))
    assert [one.name for one in given] == ["prediction.accuracy", "prediction.recall:a", "prediction.recall:b"]
    assert limits_for({"recall": 0.5}, None, None, (True,))[0].name == "prediction.recall"
