"""Replaced references: counts over different bins are not compared, all other counts add up."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline.canary import CanaryEvidence, judge_canary, judge_thresholds

POLICY = dl.CanaryPolicy(
    allowed_error_increase=None,
    allowed_accuracy_drop=None,
    allowed_latency_delta=None,
    allowed_prediction_drift=0.3,
    allowed_feature_drift=0.3,
)


@pytest.fixture
def other(training):
    """A reference with other bins for the prediction and the ages, and the same bins for all other features."""
    changed = {**training.features, "age": training.features["age"] * 2}
    return dl.Reference.fit(changed, predictions=training.predictions / 3)


def observe(monitor, training, rows=400, shift=0.0):
    batch = {name: column[:rows] for name, column in training.features.items()}
    monitor.observe(batch, training.predictions[:rows] + shift)


def drift(verdict):
    """Return the criterion on the predictions."""
    (criterion,) = [criterion for criterion in verdict.criteria if criterion.name == "prediction_drift"]
    return criterion


@pytest.mark.parametrize("path", [None, "canary.sqlite"], ids=["memory", "file"])
def test_predictions_over_different_bins_are_not_compared(pair, training, other, tmp_path, path):
    """They are compared again over the same bins; calls and features with unchanged bins continue meanwhile."""
    canary = dl.Canary(*pair, POLICY, path=None if path is None else tmp_path / path)
    for monitor in pair:
        observe(monitor, training)
    assert drift(canary.verdict()).rows == 400
    pair[0].replace_reference(other)
    for monitor in pair:
        observe(monitor, training)
    criterion = drift(canary.verdict())
    assert (criterion.state, criterion.rows) == ("inconclusive", 0)
    assert "predictions over different bins, the reference of one variant was replaced" in criterion.reason
    baseline, candidate = canary.evidence().pooled()
    assert (baseline.served, candidate.served) == (800, 800)
    assert (int(baseline.features["age"].sum()), int(baseline.features["amount"].sum())) == (400, 800)
    assert int(candidate.features["age"].sum()) == 800
    pair[1].replace_reference(other)
    for monitor in pair:
        observe(monitor, training, 100)
    assert drift(canary.verdict()).rows == 100
    pair[0].replace_reference(dl.Reference.from_json(other.to_json()))
    observe(pair[0], training, 50)
    observe(pair[1], training, 50)
    assert drift(canary.verdict()).rows == 150


def test_earlier_strata_keep_their_calls(pair, training, other):
    """Strata before the replacement lose only the counts over the previous bins."""
    canary = dl.Canary(*pair, POLICY, share=0.5)
    for monitor in pair:
        observe(monitor, training)
    canary.share = 0.2
    for monitor in pair:
        monitor.replace_reference(other)
        observe(monitor, training, 100)
    first, second = canary.evidence().strata
    assert (first.share, first.candidate.served, int(first.candidate.predictions.sum())) == (0.5, 400, 0)
    assert (second.share, second.candidate.served, int(second.candidate.predictions.sum())) == (0.2, 100, 100)
    assert "age" not in first.candidate.features
    assert int(first.candidate.features["amount"].sum()) == 400
    assert drift(canary.verdict()).rows == 100


def test_a_restart_with_another_reference_keeps_the_calls(pair, training, other, tmp_path, make_monitor):
    """Evidence of ended processes adds up without the predictions over the previous bins."""
    path = tmp_path / "canary.sqlite"
    canary = dl.Canary(*pair, POLICY, path=path)
    for monitor in pair:
        observe(monitor, training)
    canary.close()
    variants = [
        make_monitor("m", version=version, variant=variant, reference=other, synchronous=True)
        for version, variant in (("1", "baseline"), ("2", "candidate"))
    ]
    again = dl.Canary(*variants, POLICY, path=path)
    for monitor in variants:
        observe(monitor, training, 100)
    baseline, candidate = again.evidence().pooled()
    assert (baseline.served, candidate.served) == (500, 500)
    assert int(baseline.predictions.sum()) == int(candidate.predictions.sum()) == 100
    assert drift(again.verdict()).rows == 100


def test_fingerprints_distinguish_bins_of_equal_number(variant, evidence_of):
    """In memory and in JSON."""
    first = variant(10, predictions=[4, 6], bins={"prediction": "a"})
    second = variant(10, predictions=[6, 4], bins={"prediction": "b"})
    with pytest.raises(dl.ConfigurationError, match="over different bins of 'prediction' does not add up: a and b"):
        first + second
    assert (first.over(second) + second).predictions.tolist() == [6, 4]
    assert (first.over(second) + second).served == 20
    assert first.over(variant(3)) is first
    assert first.over(variant(3, predictions=[1, 2], bins={"prediction": "a"})).predictions.tolist() == [4, 6]
    both = evidence_of(first, second)
    again = CanaryEvidence.from_json(both.to_json())
    assert again.strata[0].candidate.bins == {"prediction": "b"}
    assert "different bins" in judge_canary(again, POLICY).reason
    verdict = judge_thresholds(first, second, dl.ThresholdPolicy(max_prediction_drift=0.1, min_rows=5))
    assert "different bins" in drift(verdict).reason
    with pytest.raises(dl.ConfigurationError, match=r"bins\.prediction is 3, expected a string"):
        CanaryEvidence.from_json(both.to_json().replace('{"prediction":"a"}', '{"prediction":3}'))
    assert np.array_equal((first - first).predictions, [0, 0])
