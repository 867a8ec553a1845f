"""Grading of pairs: the counts of each kind, their sums, and pairs that stay ungraded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline._binning.fitting import fit_feature
from driftline._binning.prediction_kind import kind_of
from driftline.outcomes._exact_sums import error_moments
from driftline.outcomes._grading import Grader
from driftline.outcomes._score_bins import SCORE_EDGES
from driftline.outcomes._snapshot import MAX_CLASSES, ClassCounts, OutcomeSnapshot

PARTS = ("scores", "errors", "bins", "score_errors")


def bin_of(score):
    return np.searchsorted(SCORE_EDGES, score, side="right")


def snapshot(grader, pairs):
    graded = grader.grade(pairs)
    return grader.snapshot(graded.counts, graded.results)


def same(left, right):
    return (
        {result: count for result, count in left.results.items() if count}
        == {result: count for result, count in right.results.items() if count}
        and (left.known, left.correct) == (right.known, right.correct)
        and {label: counts for label, counts in left.classes.items() if counts != ClassCounts()}
        == {label: counts for label, counts in right.classes.items() if counts != ClassCounts()}
        and left.unreadable == right.unreadable
        and all(np.array_equal(getattr(left, part), getattr(right, part)) for part in PARTS)
    )


def test_a_probability_of_at_least_half_predicts_true():
    """The only class is True."""
    pairs = [(0.9, True), (0.5, 1), (0.7, False), (0.2, True), (np.float64(0.1), np.bool_(False)), (0.0, 0.0)]
    counts = snapshot(Grader("probability", None, None), pairs)
    assert (counts.known, counts.correct) == (6, 4)
    assert counts.results == {"correct": 4, "incorrect": 2}
    assert counts.classes == {True: ClassCounts(2, 1, 1)}
    assert counts.scores[:, :, 0].sum(axis=0).tolist() == [3, 3]
    for score, actual in pairs:
        assert counts.scores[bin_of(score), int(actual), 0] == 1
    assert not counts.errors.any()


def test_labels_are_counted_by_class():
    """Each class has true positives, false positives and false negatives."""
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("c", "a"), ("c", "d")]
    counts = snapshot(Grader("label", None, None), pairs)
    assert (counts.known, counts.correct) == (5, 2)
    assert counts.classes == {
        "a": ClassCounts(1, 1, 1),
        "b": ClassCounts(1, 0, 1),
        "c": ClassCounts(0, 2, 0),
        "d": ClassCounts(0, 0, 1),
    }


def test_the_most_probable_label_is_the_prediction():
    """Its probability is counted too."""
    counts = snapshot(Grader("label", None, None), [({"a": 0.7, "b": 0.3}, "a"), ({"a": 0.2, "b": 0.8}, "a")])
    assert (counts.known, counts.correct) == (2, 1)
    assert counts.scores[:, :, 0].sum(axis=0).tolist() == [1, 1]
    assert counts.scores[bin_of(0.8), :, 0].tolist() == [1, 0]


def test_errors_of_quantities_are_summed_exactly():
    """Without correct= no quantity is graded."""
    errors = np.array([0.0, 1.0, -1.0, 123.4, -0.003, 1e-12, 5e12])
    counts = snapshot(Grader("quantity", None, None), [(error, 0.0) for error in errors])
    assert (counts.known, counts.results) == (0, {"matched": 7})
    moments = error_moments(counts.errors)
    assert moments.scaled(moments.absolute) == math.fsum(np.abs(errors)) / 7


def test_a_user_function_grades_quantities():
    """Errors are counted too."""
    counts = snapshot(
        Grader("quantity", lambda output, actual: abs(output - actual) < 2, None), [(5.0, 6.0), (5.0, 9.0)]
    )
    assert (counts.known, counts.correct, error_moments(counts.errors).rows) == (2, 1, 2)


@pytest.mark.parametrize(
    ("pairs", "kind"),
    [
        ([("a", "b")], "label"),
        ([(True, False)], "label"),
        ([({"a": 1.0}, "a")], "label"),
        ([(1, 0)], "label"),
        ([(1, True)], "label"),
        ([(0.7, True)], "probability"),
        ([(0.7, 1)], "probability"),
        ([(0.7, 0.9)], "quantity"),
        ([(17.5, 1)], "quantity"),
    ],
)
def test_the_first_pair_decides_the_kind_without_a_reference(pairs, kind):
    grader = Grader(None, None, None)
    grader.grade([])
    assert grader.kind is None
    counts = snapshot(grader, pairs)
    assert grader.kind == kind
    assert sum(counts.results.values()) == 1


@pytest.mark.parametrize(
    ("column", "kind"), [(["a", "b"], "label"), ([0.1, 0.9], "probability"), ([5.5, 7.5], "quantity")]
)
def test_the_predictions_of_the_reference_decide_the_kind(column, kind):
    assert kind_of(fit_feature("prediction", column, None, 50)) == kind
    assert kind_of(None) is None


@pytest.mark.parametrize(
    ("kind", "pairs", "errors"),
    [
        ("probability", [(0.5, None), (None, True), (float("nan"), True)], 0),
        ("probability", [(0.5, "bad"), (0.5, 2), ("x", True)], 3),
        ("quantity", [(5.0, "x"), (5.0, None)], 1),
        ("label", [("a", None), ([1, 2], "a")], 1),
    ],
)
def test_unreadable_values_are_matched_without_a_grade(kind, pairs, errors):
    """Missing values raise nothing, others report an error. A string is never converted to true."""
    grader = Grader(kind, None, None)
    graded = grader.grade(pairs)
    assert graded.results == {"matched": len(pairs)}
    assert len(graded.errors) == errors
    assert grader.snapshot(graded.counts).known == 0


def test_an_exception_of_the_user_function_leaves_the_pair_matched():
    """The grading result holds the exception."""

    def correct(output, actual):
        raise ZeroDivisionError

    graded = Grader("label", correct, None).grade([("a", "a")])
    assert graded.results == {"matched": 1}
    assert isinstance(graded.errors[0], ZeroDivisionError)


def test_a_user_function_grades_outputs_of_any_type():
    """A list of recommendations, for example."""
    grader = Grader("label", lambda output, actual: actual in output, None)
    counts = snapshot(grader, [(["a", "b"], "b"), (["a", "d"], "c")])
    assert (counts.known, counts.correct, counts.classes) == (2, 1, {})


def test_classes_beyond_the_maximum_share_one_count():
    """Classes of the policy get their own count first."""
    grader = Grader("label", None, None, ["last"])
    counts = snapshot(grader, [*((str(label), str(label)) for label in range(MAX_CLASSES + 30)), ("last", "last")])
    assert len(counts.classes) == MAX_CLASSES + 1
    assert counts.classes["other"].true_positives == 31
    assert counts.classes["last"] == ClassCounts(1, 0, 0)


def test_graded_pairs_are_counted_in_the_bins_of_the_reference():
    prediction = fit_feature("prediction", np.linspace(0, 1, 500), None, 50)
    counts = snapshot(Grader("probability", None, prediction), [(0.001, False), (0.999, False)])
    assert counts.bins.shape == (prediction.bins.size, 2)
    assert counts.bins.sum(axis=0).tolist() == [2, 1]


KINDS = {
    "probability": st.tuples(st.floats(0, 1), st.booleans()),
    "label": st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")),
    "quantity": st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@pytest.mark.slow
def test_snapshots_add_and_subtract(kind, data):
    """The sum of two processes equals one process with all pairs. A difference undoes a sum."""
    left, right = (data.draw(st.lists(KINDS[kind], max_size=20)) for _ in range(2))
    parts = [snapshot(Grader(kind, None, None), pairs) for pairs in (left, right)]
    total = snapshot(Grader(kind, None, None), left + right)
    assert same(parts[0] + parts[1], total)
    assert same(total - parts[1], parts[0])
    assert same(sum([parts[1]], parts[0]), total)


def test_snapshots_over_different_bins_add_everything_else():
    """The bins belong to two references."""
    snapshot = OutcomeSnapshot(known=3, correct=2, bins=np.array([[3, 2]]))
    counts = snapshot + OutcomeSnapshot(known=1, correct=1, bins=np.array([[1, 1], [0, 0]]))
    assert (counts.known, counts.correct, counts.bins.shape) == (4, 3, (0, 2))
    with pytest.raises(TypeError):
        snapshot + 1
    with pytest.raises(TypeError):
        snapshot - 1
