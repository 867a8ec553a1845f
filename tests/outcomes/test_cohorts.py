"""Counts of outcomes by the time of their prediction: exact in any order of time, for each source, in little memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import driftline as dl
from driftline._windows.blocks import MAX_BLOCKS
from driftline._windows.outcome_tables import AGE_EDGES, PREDICTED
from driftline.canary import CanaryEvidence
from driftline.outcomes._cohorts import MAX_RATES, CohortChanges, OutcomeCohorts
from driftline.testing import ManualClock

DAY = 86_400.0
START = 1.7e9


def changes(predictions=(), outcomes=()):
    """Return changes from (time, bucket), and from (time, bucket, delay, right, classes, sign)."""
    counted = CohortChanges()
    for prediction in predictions:
        counted.add_prediction(*prediction)
    for time, bucket, delay, right, classes, sign in outcomes:
        counted.add_outcome(time, bucket, delay, right=right, classes=classes, sign=sign)
    return counted


TIMES = st.floats(0.0, 4e9)
PREDICTIONS = st.lists(st.tuples(TIMES, st.none() | st.integers(0, 127)), max_size=30)


@settings(deadline=None)
@given(st.lists(PREDICTIONS, max_size=5), TIMES)
def test_counts_are_exact_in_any_order_of_time(parts, since):
    """Each prediction from the start on is in the block of its time, and in at most 64 blocks."""
    cohorts = OutcomeCohorts(since)
    for part in parts:
        cohorts.add(changes(part))
    tables = cohorts.read()
    kept = [(time, bucket) for part in parts for time, bucket in part if time >= since]
    assert tables.predictions.total().tolist() == [len(kept), 0, 0]
    assert len(tables.predictions) <= MAX_BLOCKS
    expected = np.zeros(len(tables.predictions), dtype=int)
    np.add.at(expected, [(int(time) >> tables.predictions.level) - tables.predictions.first for time, _ in kept], 1)
    assert tables.predictions.counts[:, PREDICTED].tolist() == expected.tolist()
    assert tables.keys[:, PREDICTED].sum() == sum(bucket is not None for _, bucket in kept)


def test_an_outcome_counts_at_the_time_of_its_prediction():
    """With its delay, its key and its classes. A correction moves it."""
    cohorts = OutcomeCohorts(START)
    cohorts.add(changes([(START + 5, 3), (START + 6, None)]))
    cohorts.add(changes((), [(START + 5, 3, 2 * DAY, True, ("a", "a"), 1), (START + 6, None, 30.0, None, None, 1)]))
    tables = cohorts.read()
    assert tables.predictions.total().tolist() == [2, 0, 1]
    assert tables.keys[3].tolist() == [1, 0, 1]
    assert np.flatnonzero(tables.delays.total()).tolist() == [AGE_EDGES.index(2 * DAY)]
    assert {name: counts.total().tolist() for name, counts in tables.rates.items()} == {
        "recall a": [1, 1],
        "precision a": [1, 1],
    }
    again = [(START + 5, 3, 2 * DAY, True, ("a", "a"), -1), (START + 5, 3, 2 * DAY, False, ("a", "b"), 1)]
    cohorts.add(changes((), again))
    tables = cohorts.read()
    assert tables.predictions.total().tolist() == [2, 1, 0]
    assert tables.keys[3].tolist() == [1, 1, 0]
    assert tables.delays.total().sum() == 1
    assert {name: counts.total().tolist() for name, counts in tables.rates.items()} == {
        "recall a": [0, 0],
        "precision a": [0, 1],
        "recall b": [0, 1],
    }


def test_the_same_changes_count_once():
    """As after an interrupt between the count and its confirmation."""
    cohorts, counted = OutcomeCohorts(0.0), changes([(START, 1)])
    for _ in range(2):
        cohorts.add(counted)
    assert cohorts.read().predictions.total().tolist() == [1, 0, 0]


def test_predictions_before_the_start_count_for_delays_only():
    """So no block or key mixes them with those of a canary, and another canary changes nothing of it."""
    cohorts = OutcomeCohorts(START)
    cohorts.add(changes([(START + 1, 3)], [(START + 1, 3, 60.0, True, ("a", "a"), 1)]))
    cohorts.start(START + 10)
    outcomes = [(START + 1, 3, 60.0, True, ("a", "a"), 1), (START + 11, 4, 60.0, True, ("a", "a"), 1)]
    cohorts.add(changes([(START + 11, 4)], outcomes))
    tables = cohorts.read()
    assert tables.predictions.total().tolist() == [1, 0, 1]
    assert np.flatnonzero(tables.keys.any(axis=1)).tolist() == [4]
    assert tables.rates["recall a"].total().tolist() == [1, 1]
    assert tables.delays.total().sum() == 3
    cohorts.start(START + 20)
    later = [(START + 11, 4, 90.0, True, None, -1), (START + 11, 4, 90.0, False, None, 1)]
    cohorts.add(changes([(START + 15, 5), (START + 20, 6)], later))
    assert cohorts.read(START + 10).predictions.total().tolist() == [3, 1, 0]
    assert np.flatnonzero(cohorts.read(START + 10).keys.any(axis=1)).tolist() == [4, 5, 6]
    assert cohorts.read().predictions.total().tolist() == [1, 0, 0]
    assert np.flatnonzero(cohorts.read().keys.any(axis=1)).tolist() == [6]
    # A reading does not change afterwards, and the same start again changes nothing.
    cohorts.start(START + 10)
    assert tables.predictions.total().tolist() == [1, 0, 1]
    assert cohorts.read().predictions.total().tolist() == [3, 1, 0]
    cohorts.reset()
    assert not any(cohorts.read(START + at).predictions.counts.any() for at in (10, 20))


def test_memory_is_bounded():
    """However many classes and days there are."""
    cohorts = OutcomeCohorts(0.0)
    for number in range(300):
        outcome = (START + number * DAY, number % 128, number * DAY, number % 2 == 0, (number, number), 1)
        cohorts.add(changes([(START + number * DAY, None)], [outcome]))
    tables = cohorts.read()
    assert len(tables.rates) == MAX_RATES
    assert max(len(tables.predictions), len(tables.delays)) <= MAX_BLOCKS
    assert tables.predictions.total().tolist() == [300, 150, 150]


@pytest.fixture
def serve(row):
    """Return a function that predicts 0.9 for ids."""

    def call(monitor, ids):
        features = {name: [value] * len(ids) for name, value in row.items()}
        monitor.observe(features, [0.9] * len(ids), prediction_ids=ids)
        monitor.flush()

    return call


@pytest.fixture(params=["memory", "file"])
def timed_pair(request, make_monitor, tmp_path):
    """Return a clock, a baseline and a candidate, with outcomes in memory or in one file."""
    path = None if request.param == "memory" else tmp_path / "outcomes.sqlite"
    clock = ManualClock(START)
    options = {"clock": clock, "wall_clock": clock, "synchronous": True}
    policy = dl.OutcomePolicy(path=path, expire="20d")
    return clock, *(make_monitor("pair", version=version, outcomes=policy, **options) for version in "12")


def test_a_canary_has_the_outcomes_of_both_variants_since_it_began(timed_pair, serve):
    """Those of earlier predictions are not compared, but their delays are known."""
    clock, baseline, candidate = timed_pair
    serve(baseline, ["old", "older"])
    clock.advance(2 * DAY)
    canary = dl.Canary(baseline, candidate)
    serve(baseline, ["a", "b"])
    serve(candidate, ["c", "d", "e"])
    clock.advance(DAY)
    baseline.outcomes(["old", "older", "a"], [True, False, False])
    candidate.outcomes(["c", "d"], [True, None])
    tables = [side.outcome_tables for side in canary.evidence().pooled()]
    assert [side.predictions.total().tolist() for side in tables] == [[2, 1, 0], [3, 0, 1]]
    assert [side.predictions.trimmed().first << side.predictions.level for side in tables] == [START + 2 * DAY] * 2
    assert [side.delays.total().sum() for side in tables] == [3, 1]
    assert tables[0].rates["precision True"].total().tolist() == [0, 1]
    candidate.outcome("c", False)
    evidence = canary.evidence()
    assert evidence.pooled()[1].outcome_tables.predictions.total().tolist() == [3, 1, 0]
    assert CanaryEvidence.from_json(evidence.to_json()).to_json() == evidence.to_json()


def test_a_later_canary_takes_nothing_from_an_earlier_one(timed_pair, serve):
    """Each has the calls and outcomes since its own start, whichever began first, with the same delays."""
    clock, baseline, candidate = timed_pair
    serve(baseline, ["history"])
    clock.advance(DAY)
    first = dl.Canary(baseline, candidate)
    for monitor in (baseline, candidate):
        serve(monitor, [f"{monitor.variant_attributes['ml.model.version']} {number}" for number in range(100)])
    clock.advance(600.0)
    baseline.outcomes(["history", *(f"1 {number}" for number in range(40))], [True] * 41)
    candidate.outcomes([f"2 {number}" for number in range(40)], [number < 10 for number in range(40)])
    before, verdict = first.evidence(), first.verdict()
    assert verdict.state == "rollback", verdict.reason
    second = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=None))
    present, none = first.evidence(), second.evidence()
    assert present.to_json() == before.to_json()
    assert first.verdict().criteria == verdict.criteria
    for side in none.pooled():
        assert (side.calls, side.call_tables.calls.total().tolist()) == (0, [0, 0])
        assert side.outcome_tables.predictions.total().tolist() == [0, 0, 0]
    # Outcomes of predictions that only the first canary compares, in the block in which the second one began.
    candidate.outcomes([f"2 {number}" for number in range(40, 60)], [False] * 20)
    serve(candidate, ["new"])
    candidate.outcome("new", True)
    tables = [canary.evidence().pooled()[1].outcome_tables for canary in (first, second)]
    assert [table.predictions.total().tolist() for table in tables] == [[101, 50, 11], [1, 0, 1]]
    assert tables[0].delays.total().tolist() == tables[1].delays.total().tolist()
    assert second.evidence().pooled()[1].call_tables.calls.total().tolist() == [1, 0]


def test_expired_and_replaced_predictions_stay_predicted(timed_pair, serve):
    """Their outcome may have been bad. An outcome that is too late counts nowhere."""
    clock, baseline, candidate = timed_pair
    canary = dl.Canary(baseline, candidate)
    serve(candidate, ["a", "b"])
    serve(candidate, ["b"])
    clock.advance(30 * DAY)
    candidate.outcome("a", False)
    (_, tables) = (side.outcome_tables for side in canary.evidence().pooled())
    assert tables.predictions.total().tolist() == [3, 0, 0]
    assert tables.delays.total().sum() == 0


def test_shares_have_the_outcomes_of_their_predictions(timed_pair, serve):
    """An outcome counts when it comes, at the time of its prediction. Delays count once over all shares."""
    clock, baseline, candidate = timed_pair
    canary = dl.Canary(baseline, candidate, share=0.1)
    serve(candidate, ["a", "b"])
    clock.advance(60.0)
    candidate.outcome("a", False)
    canary.share = 0.5
    candidate.outcome("b", True)
    serve(candidate, ["c"])
    (_, tables) = (side.outcome_tables for side in canary.evidence().pooled())
    assert tables.predictions.total().tolist() == [3, 1, 1]
    assert tables.predictions.trimmed().counts[0].tolist() == [2, 1, 1]
    assert tables.delays.total().sum() == 2


def test_the_key_of_a_call_is_kept_with_its_prediction(timed_pair, row):
    """In the file too: the outcome counts in the bucket of the key, whichever monitor gets it."""
    clock, baseline, candidate = timed_pair
    canary = dl.Canary(baseline, candidate, share=1.0)
    with candidate.prediction(row) as call:
        call.output = 0.9
        call.id  # noqa: B018 - reading it keeps the output for an outcome
    assert canary.route("Ada") == "candidate"
    with candidate.prediction(row) as call:
        call.output = 0.9
        keyed = call.id
    candidate.flush()
    clock.advance(1.0)
    candidate.outcome(keyed, False)
    (_, tables) = (side.outcome_tables for side in canary.evidence().pooled())
    assert tables.keys.sum(axis=0).tolist() == [1, 1, 0]
    assert tables.predictions.total().tolist() == [2, 1, 0]


def test_outcomes_of_a_shared_file_count_once_for_the_right_version(make_monitor, tmp_path, serve):
    """The monitor that joins counts; the version that predicted gets the count."""
    options = {"outcomes": tmp_path / "outcomes.sqlite", "synchronous": True}
    baseline, candidate = (make_monitor("shared", version=version, **options) for version in "12")
    canary = dl.Canary(baseline, candidate)
    serve(baseline, ["a", "shadowed"])
    serve(candidate, ["b", "shadowed"])
    candidate.outcomes(["a", "b", "shadowed"], [True, False, False])
    baseline.outcomes(["a", "shadowed"], [True, False])
    tables = [side.outcome_tables for side in canary.evidence().pooled()]
    assert [side.predictions.total().tolist() for side in tables] == [[2, 1, 1], [2, 2, 0]]


def test_a_later_process_counts_outcomes_of_predictions_of_an_earlier_one(make_monitor, tmp_path, serve):
    """With a canary that outlives both. Together they have each prediction and outcome once."""
    clock = ManualClock(START)
    options = {"outcomes": tmp_path / "o.sqlite", "synchronous": True, "clock": clock, "wall_clock": clock}
    earlier = [make_monitor("restarted", version=version, **options) for version in "12"]
    first = dl.Canary(*earlier, path=tmp_path / "canary.sqlite")
    for monitor in earlier:
        serve(monitor, [f"{monitor.variant_attributes['ml.model.version']} {number}" for number in range(5)])
    first.close()
    for monitor in earlier:
        monitor.shutdown()
    clock.advance(3 * DAY)
    later = [make_monitor("restarted", version=version, **options) for version in "12"]
    second = dl.Canary(*later, path=tmp_path / "canary.sqlite")
    later[0].outcomes(["1 0", "1 1", "2 0"], [True, False, False])
    tables = [side.outcome_tables for side in second.evidence().pooled()]
    assert [side.predictions.total().tolist() for side in tables] == [[5, 1, 1], [5, 1, 0]]
    assert [side.predictions.trimmed().first << side.predictions.level for side in tables] == [START] * 2
