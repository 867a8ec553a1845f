"""Outcomes by confidence in a reference: counted, merged, written to files and read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from driftline import Reference, ReferenceError

ROWS = 2_000
RANDOM = np.random.default_rng(0)
SCORES = RANDOM.random(ROWS)
TRUTH = RANDOM.random(ROWS) < SCORES
FEATURES = {"x": RANDOM.normal(size=ROWS)}
LABELS = [{"a": score, "b": 1 - score} for score in SCORES.tolist()]
NAMES = np.where(TRUTH, "a", "b")


def test_counts_by_confidence_are_those_of_the_outcomes():
    confidence = Reference.fit(FEATURES, predictions=SCORES, outcomes=TRUTH).outcomes.confidence
    assert sum(confidence.known) == ROWS
    assert sum(confidence.correct) == ((SCORES >= 0.5) == TRUTH).sum()
    labels = Reference.fit(FEATURES, predictions=LABELS, outcomes=NAMES).outcomes.confidence
    assert (sum(labels.known), sum(labels.correct)) == (sum(confidence.known), sum(confidence.correct))
    assert labels.bins.rows == 4


@pytest.mark.parametrize(
    ("predictions", "options"),
    [
        (NAMES, {"outcomes": NAMES}),
        (SCORES, {}),
        (10 * SCORES, {"outcomes": 10 * SCORES, "correct": lambda predicted, actual: abs(predicted - actual) < 1}),
        (SCORES, {"outcomes": SCORES, "correct": lambda predicted, actual: abs(predicted - actual) < 1}),
    ],
    ids=["labels", "without outcomes", "quantities", "quantities from 0 to 1"],
)
def test_other_predictions_have_none(predictions, options):
    reference = Reference.fit(FEATURES, predictions=predictions, **options)
    assert reference.outcomes is None or reference.outcomes.confidence is None
    assert '"confidence"' not in reference.to_json()


@pytest.mark.parametrize(("predictions", "outcomes"), [(SCORES, TRUTH), (LABELS, NAMES)], ids=["numbers", "labels"])
def test_parts_add_up(predictions, outcomes):
    first = Reference.fit({"x": FEATURES["x"][:1_000]}, predictions=predictions[:1_000], outcomes=outcomes[:1_000])
    second, both = (
        Reference.fit({"x": FEATURES["x"][rows]}, predictions=predictions[rows], outcomes=outcomes[rows], like=first)
        for rows in (slice(1_000, None), slice(None))
    )
    merged, together = first.merge(second).outcomes.confidence, both.outcomes.confidence
    assert (merged.bins, merged.known, merged.correct) == (together.bins, together.known, together.correct)
    assert np.shape(merged.excess) == np.shape(together.excess)


@pytest.mark.parametrize(("predictions", "outcomes"), [(SCORES, TRUTH), (LABELS, NAMES)], ids=["numbers", "labels"])
def test_a_file_keeps_them(predictions, outcomes):
    reference = Reference.fit(FEATURES, predictions=predictions, outcomes=outcomes)
    again = Reference.from_json(reference.to_json())
    assert again == reference
    assert again.to_json() == reference.to_json()


def test_dependence_within_blocks_shows():
    """On every day the model is better or worse than on others."""
    random = np.random.default_rng(1)
    better = random.normal(size=40).repeat(50)
    truth = random.random(ROWS) < 1 / (1 + np.exp(-4 * (SCORES - 0.5) - 1.5 * better))
    order = random.permutation(ROWS)
    excess = [
        Reference.fit(FEATURES, predictions=SCORES[rows], outcomes=truth[rows]).outcomes.confidence.excess
        for rows in (np.arange(ROWS), order)
    ]
    assert excess[0][1][1] > 0.5
    assert excess[0][0][1] < -0.5, "on such a day more positive labels are right, and fewer negative ones"
    assert abs(excess[1][1][1]) < 0.2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found["known"].pop(), "counts, one for each cell"),
        (lambda found: found["correct"].__setitem__(slice(None), [10**6] * len(found["correct"])), "at most known"),
        (lambda found: found["known"].__setitem__(0, -1), "known[0]"),
        (lambda found: found["bins"].update(threshold=None), "one of the cuts"),
        (lambda found: found["bins"].update(threshold=0.123), "one of the cuts"),
        (lambda found: found["bins"].update(labels=99), "0 to 8"),
        (lambda found: found["bins"].update(labels=2, threshold=None), "one for each cell"),
        (lambda found: found["bins"].update(cuts=[0.5, 0.4]), "increasing"),
        (lambda found: found["bins"].update(cuts=[0.5, 1.5]), "from 0 to 1"),
        (lambda found: found["bins"].update(cuts=[0.5] * 10_000), "256"),
        (lambda found: found.update(excess=[[1.0]]), "one for each group"),
        (lambda found: found.update(excess=[[1.0], [2.0]]), "one for each group"),
        (lambda found: found.update(excess=[["a", 1.0], [1.0, 1.0]]), "excess"),
        (lambda found: found.pop("bins"), "bins"),
    ],
)
def test_a_damaged_file_is_refused(change, words):
    document = json.loads(Reference.fit(FEATURES, predictions=SCORES, outcomes=TRUTH).to_json())
    change(document["outcomes"]["confidence"])
    with pytest.raises(ReferenceError, match=r"outcomes\.confidence") as error:
        Reference.from_json(json.dumps(document))
    assert words in str(error.value)
