"""Pairs to counts: what each kind counts, that counts add up, and what cannot be read is joined and not judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline._binning.fitting import fit_feature
from driftline._binning.prediction_kind import kind_of
from driftline.outcomes._grading import Grader
from driftline.outcomes._snapshot import ERROR_VALUES, MAX_CLASSES, SCORE_MIDDLES, ClassCounts, OutcomeSnapshot


def snapshot(grader, pairs):
    graded = grader.grade(pairs)
    return grader.snapshot(graded.counts, graded.results)


def same(one, other):
    return (
        {result: count for result, count in one.results.items() if count}
        == {result: count for result, count in other.results.items() if count}
        and (one.known, one.correct) == (other.known, other.correct)
        and {label: counts for label, counts in one.classes.items() if counts != ClassCounts()}
        == {label: counts for label, counts in other.classes.items() if counts != ClassCounts()}
        and all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("scores", "errors", "bins"))
    )


def test_probabilities():
    """At 0.5 and above it is said to be true; the class is True."""
    pairs = [(0.9, True), (0.5, 1), (0.7, False), (0.2, True), (np.float64(0.1), np.bool_(False)), (0.0, 0.0)]
    found = snapshot(Grader("probability", None, None), pairs)
    assert (found.known, found.correct) == (6, 4)
    assert found.results == {"correct": 4, "incorrect": 2}
    assert found.classes == {True: ClassCounts(2, 1, 1)}
    assert found.scores.sum(axis=0).tolist() == [3, 3]
    for score, actual in pairs:
        near = np.abs(SCORE_MIDDLES - score).argmin()
        assert found.scores[max(0, near - 1) : near + 2, int(actual)].sum() >= 1
    assert not found.errors.any()


def test_labels():
    """Each class has its right ones, its false ones and its missed ones."""
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("c", "a"), ("c", "d")]
    found = snapshot(Grader("label", None, None), pairs)
    assert (found.known, found.correct) == (5, 2)
    assert found.classes == {
        "a": ClassCounts(1, 1, 1),
        "b": ClassCounts(1, 0, 1),
        "c": ClassCounts(0, 2, 0),
        "d": ClassCounts(0, 0, 1),
    }


def test_labels_with_their_probabilities():
    """The most probable one is the prediction, and how sure it was is counted."""
    found = snapshot(Grader("label", None, None), [({"a": 0.7, "b": 0.3}, "a"), ({"a": 0.2, "b": 0.8}, "a")])
    assert (found.known, found.correct) == (2, 1)
    assert found.scores.sum(axis=0).tolist() == [1, 1]
    assert found.scores[np.abs(SCORE_MIDDLES - 0.8).argmin()].tolist() == [1, 0]


def test_quantities():
    """Errors lie within 4.5 % of what their bin stands for, with their sign; without correct= none is right."""
    errors = np.array([0.0, 1.0, -1.0, 123.4, -0.003, 1e-12, 5e12])
    found = snapshot(Grader("quantity", None, None), [(10.0 + error, 10.0) for error in errors[:5]])
    assert (found.known, found.results) == (0, {"matched": 5})
    stood_for = np.sort(np.repeat(ERROR_VALUES, found.errors))
    assert stood_for == pytest.approx(np.sort(errors[:5]), rel=0.045)
    extremes = snapshot(Grader("quantity", None, None), [(error, 0.0) for error in errors[5:]])
    assert np.repeat(ERROR_VALUES, extremes.errors).tolist() == [0.0, pytest.approx(2.0**32, rel=0.05)]


def test_quantities_may_be_near_enough():
    """The user says what is right; errors are counted all the same."""
    found = snapshot(Grader("quantity", lambda said, was: abs(said - was) < 2, None), [(5.0, 6.0), (5.0, 9.0)])
    assert (found.known, found.correct, found.errors.sum()) == (2, 1, 2)


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
def test_the_first_pair_tells_the_kind(pairs, kind):
    """Where no reference does."""
    grader = Grader(None, None, None)
    grader.grade([])
    assert grader.kind is None
    found = snapshot(grader, pairs)
    assert grader.kind == kind
    assert sum(found.results.values()) == 1


@pytest.mark.parametrize(
    ("column", "kind"), [(["a", "b"], "label"), ([0.1, 0.9], "probability"), ([5.5, 7.5], "quantity")]
)
def test_the_reference_tells_the_kind(column, kind):
    """By its predictions."""
    assert kind_of(fit_feature("prediction", column, None, 50)) == kind
    assert kind_of(None) is None


@pytest.mark.parametrize(
    ("kind", "pairs", "errors"),
    [
        ("probability", [(0.5, None), (None, True), (float("nan"), True)], 0),
        ("probability", [(0.5, "no"), (0.5, 2), ("x", True)], 3),
        ("quantity", [(5.0, "x"), (5.0, None)], 1),
        ("label", [("a", None), ([1, 2], "a")], 1),
    ],
)
def test_what_cannot_be_read_is_matched_and_not_judged(kind, pairs, errors):
    """Missing values silently, others with their error; a text is not taken for true."""
    grader = Grader(kind, None, None)
    graded = grader.grade(pairs)
    assert graded.results == {"matched": len(pairs)}
    assert len(graded.errors) == errors
    assert grader.snapshot(graded.counts).known == 0


def test_a_judge_that_raises_leaves_the_outcome_matched():
    """The error is handed on."""

    def judge(said, was):
        raise ZeroDivisionError

    graded = Grader("label", judge, None).grade([("a", "a")])
    assert graded.results == {"matched": 1}
    assert isinstance(graded.errors[0], ZeroDivisionError)


def test_outputs_that_only_the_judge_understands():
    """Lists of recommendations, say."""
    grader = Grader("label", lambda said, was: was in said, None)
    found = snapshot(grader, [(["a", "b"], "b"), (["a", "d"], "c")])
    assert (found.known, found.correct, found.classes) == (2, 1, {})


def test_there_is_room_for_so_many_classes():
    """The rest are counted together; the named ones have their place first."""
    grader = Grader("label", None, None, ["last"])
    found = snapshot(grader, [*((str(one), str(one)) for one in range(MAX_CLASSES + 30)), ("last", "last")])
    assert len(found.classes) == MAX_CLASSES + 1
    assert found.classes["other"].true_positives == 31
    assert found.classes["last"] == ClassCounts(1, 0, 0)


def test_bins_of_the_reference_are_counted():
    """What is expected of the very predictions whose outcome has come."""
    prediction = fit_feature("prediction", np.linspace(0, 1, 500), None, 50)
    found = snapshot(Grader("probability", None, prediction), [(0.001, False), (0.999, False)])
    assert found.bins.shape == (prediction.bins.size, 2)
    assert found.bins.sum(axis=0).tolist() == [2, 1]


KINDS = {
    "probability": st.tuples(st.floats(0, 1), st.booleans()),
    "label": st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")),
    "quantity": st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_counts_add_up(kind, data):
    """Those of two processes are those of one; taking away what came later gives what was before."""
    one, other = (data.draw(st.lists(KINDS[kind], max_size=20)) for _ in range(2))
    apart = [snapshot(Grader(kind, None, None), pairs) for pairs in (one, other)]
    together = snapshot(Grader(kind, None, None), one + other)
    assert same(apart[0] + apart[1], together)
    assert same(together - apart[1], apart[0])
    assert same(sum([apart[1]], apart[0]), together)


def test_snapshots_over_other_bins_add_up_all_but_those():
    """Of two references."""
    one = OutcomeSnapshot(known=3, correct=2, bins=np.array([[3, 2]]))
    found = one + OutcomeSnapshot(known=1, correct=1, bins=np.array([[1, 1], [0, 0]]))
    assert (found.known, found.correct, found.bins.shape) == (4, 3, (0, 2))
    with pytest.raises(TypeError):
        one + 1
    with pytest.raises(TypeError):
        one - 1
