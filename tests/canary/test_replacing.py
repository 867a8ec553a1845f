"""Variants whose references are replaced: what is over other bins is not compared, everything else adds up."""

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
    """A reference of other bins for the prediction and the ages, and the same for the rest."""
    changed = {**training.features, "age": training.features["age"] * 2}
    return dl.Reference.fit(changed, predictions=training.predictions / 3)


def observe(monitor, training, rows=400, shift=0.0):
    batch = {name: column[:rows] for name, column in training.features.items()}
    monitor.observe(batch, training.predictions[:rows] + shift)


def drift(verdict):
    """The criterion on the predictions."""
    (found,) = [one for one in verdict.criteria if one.name == "prediction_drift"]
    return found


@pytest.mark.parametrize("path", [None, "canary.sqlite"], ids=["memory", "file"])
def test_over_two_kinds_of_bins_predictions_are_not_compared(pair, training, other, tmp_path, path):
    """Until both have the same again; calls, outcomes and the features of unchanged bins go on meanwhile."""
    canary = dl.Canary(*pair, POLICY, path=None if path is None else tmp_path / path)
    for monitor in pair:
        observe(monitor, training)
    assert drift(canary.verdict()).rows == 400
    pair[0].replace_reference(other)
    for monitor in pair:
        observe(monitor, training)
    found = drift(canary.verdict())
    assert (found.state, found.rows) == ("inconclusive", 0)
    assert "predictions over different bins, the reference of one variant was replaced" in found.reason
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


def test_what_was_counted_under_another_share_goes_on(pair, training, other):
    """The strata before the replacement keep their calls, and lose what is over other bins."""
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


def test_a_file_with_evidence_of_the_reference_before(pair, training, other, tmp_path, make_monitor):
    """A restart with another reference: what ended adds up, without its predictions."""
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


def test_evidence_over_named_bins(made, evidence_of):
    """As many bins are not the same bins: they are told apart by their fingerprints, in JSON too."""
    ours = made(10, predictions=[4, 6], bins={"prediction": "a"})
    theirs = made(10, predictions=[6, 4], bins={"prediction": "b"})
    with pytest.raises(dl.ConfigurationError, match="over different bins of 'prediction' does not add up: a and b"):
        ours + theirs
    assert (ours.over(theirs) + theirs).predictions.tolist() == [6, 4]
    assert (ours.over(theirs) + theirs).served == 20
    assert ours.over(made(3)) is ours
    assert ours.over(made(3, predictions=[1, 2], bins={"prediction": "a"})).predictions.tolist() == [4, 6]
    both = evidence_of(ours, theirs)
    again = CanaryEvidence.from_json(both.to_json())
    assert again.strata[0].candidate.bins == {"prediction": "b"}
    assert "different bins" in judge_canary(again, POLICY).reason
    verdict = judge_thresholds(ours, theirs, dl.ThresholdPolicy(max_prediction_drift=0.1, min_rows=5))
    assert "different bins" in drift(verdict).reason
    with pytest.raises(dl.ConfigurationError, match=r"bins\.prediction is 3, expected a string"):
        CanaryEvidence.from_json(both.to_json().replace('{"prediction":"a"}', '{"prediction":3}'))
    assert np.array_equal((ours - ours).predictions, [0, 0])
