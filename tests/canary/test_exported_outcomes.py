"""Outcomes by the time of the prediction, as pods export them and a store keeps them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from otlp_requests import EveryPoint

from driftline._windows.outcome_tables import AGE_EDGES, GOOD, PREDICTED
from driftline._windows.recent_blocks import RING_LEVELS
from driftline.canary._export import CanaryExporter
from driftline.canary._exported import Selection, read_exported
from driftline.canary._exported_outcomes import OutcomeSpan
from driftline.outcomes._cohorts import CohortChanges, OutcomeCohorts

START = 1_700_000_000.0

every_point = pytest.mark.parametrize("store", [EveryPoint], indirect=True)
"""For tests that change the points of a store."""


class Pod:
    """One process of a canary that counts predictions and outcomes."""

    def __init__(self, store, evidence_of, variant, version, side="candidate", canary_id="x", began=START):
        self.store, self.evidence_of, self.variant, self.side = store, evidence_of, variant, side
        self.exporter = CanaryExporter(canary_id, {side: {"ml.model.name": "m", "ml.model.version": version}}, began)
        self.cohorts, self.calls = OutcomeCohorts(began), 0

    def serve(self, now, predictions, bad=0, good=0, *, delay=1.0):
        """Count predictions of keys by turns, of which the first ones have an outcome."""
        changes = CohortChanges()
        for number in range(predictions):
            changes.add_prediction(now, number % 100)
        self.cohorts.add(changes)
        self.calls += predictions
        self.tell(now, bad, good, delay=delay)

    def tell(self, time, bad=0, good=0, *, delay=1.0):
        """Count outcomes of predictions that were made at a time."""
        changes = CohortChanges()
        for number in range(bad + good):
            changes.add_outcome(time, number % 100, delay, right=number >= bad, classes=None, sign=1)
        self.cohorts.add(changes)

    def export(self, now, **labels):
        counts = replace(self.variant(calls=self.calls), outcome_tables=self.cohorts.read())
        sides = [counts if self.side == side else self.variant() for side in ("baseline", "candidate")]
        self.store.add(now, self.exporter.points(self.evidence_of(*sides, at=now)), **labels)

    def end(self, now):
        self.exporter.end(None, now)
        self.store.add(now, self.exporter.points(None))


@pytest.fixture
def pod(store, evidence_of, variant):
    return lambda *arguments, **more: Pod(store, evidence_of, variant, *arguments, **more)


def read(store, now, **more):
    return read_exported(store, Selection(model="m", version="2", interval=15.0, **more), now)


def tables(exported):
    return [side.outcome_tables for side in exported.evidence.pooled()]


def test_outcomes_of_all_pods_add_up_by_the_time_of_the_prediction(store, pod):
    pods = [pod(version, side) for version, side in (("1", "baseline"), ("2", "candidate")) for _ in range(2)]
    for minute in range(10):
        for number, each in enumerate(pods):
            each.serve(START + 64.0 * minute, 20 + number)
            if minute:
                each.tell(START + 64.0 * (minute - 1), bad=number + 1, good=5, delay=64.0)
            each.export(START + 64.0 * minute + 10.0)
    exported = read(store, START + 590.0)
    assert exported.notes == ()
    assert exported.evidence.at == START + 590.0
    baseline, candidate = tables(exported)
    for side, (predicted, bad) in ((baseline, (41, 3)), (candidate, (45, 7))):
        assert (side.predictions.level, side.predictions.first) == (6, int(START) >> 6)
        np.testing.assert_array_equal(side.predictions.counts, [[predicted, bad, 10]] * 9 + [[predicted, 0, 0]])
        # Right outcomes are not exported by key.
        np.testing.assert_array_equal(side.keys.sum(axis=0)[:GOOD], side.predictions.total()[:GOOD])
        assert side.delays.total()[np.searchsorted(AGE_EDGES, 64.0)] == 9 * (bad + 10)
    assert candidate.keys[:, PREDICTED].max() < candidate.keys[:, PREDICTED].sum()
    assert [side.known for side in exported.evidence.pooled()] == [117, 153]


@pytest.mark.parametrize("seconds", [600.0, 6_000.0, 50_000.0, 400_000.0, 2_000_000.0])
def test_no_prediction_since_the_start_is_lost_however_long_a_canary_takes(store, pod, seconds):
    """The blocks become longer, as in one process."""
    pods = pod("1", "baseline"), pod("2")
    for now in np.linspace(START, START + seconds, 40):
        for each in pods:
            each.serve(now, 5, bad=1, good=2)
    for each in pods:
        each.export(START + seconds)
    for side in tables(read(store, START + seconds)):
        assert side.predictions.total().tolist() == [200, 40, 80]
        assert 2 <= len(side.predictions) <= 20


def test_a_promoted_baseline_is_compared_from_the_block_after_the_start(store, pod):
    """What it predicted before is older, and its late outcomes are not the candidate's equals."""
    old = pod("1", canary_id="first", began=START - 86_400.0)
    old.serve(START - 80_000.0, 500, bad=300)
    old.serve(START - 1.0, 70)
    old.export(START - 1.0)
    new = pod("2", canary_id="second")
    for each in (old, new):
        each.serve(START + 30.0, 40)
        each.serve(START + 300.0, 20, bad=4)
    old.tell(START - 1.0, bad=60)
    for each in (old, new):
        each.export(START + 310.0)
    exported = read(store, START + 310.0, baseline_version="1")
    assert exported.notes == ()
    baseline, candidate = tables(exported)
    assert baseline.predictions.total().tolist() == candidate.predictions.total().tolist() == [20, 4, 0]
    # The delays are those of all outcomes, from which is learned how late they come.
    assert baseline.delays.total().sum() == 364


def test_an_ended_process_counts_if_nearly_all_its_outcomes_had_come(store, pod):
    """Those that come later are lost, and their predictions would look right for ever."""
    pod("1", "baseline").export(START + 15.0)
    complete, early, alive = (pod("2") for _ in range(3))
    complete.serve(START + 5.0, 200, bad=20, good=178)
    early.serve(START + 5.0, 200, bad=0, good=20)
    alive.serve(START + 5.0, 50, bad=5)
    for each in (complete, early, alive):
        each.export(START + 15.0)
    assert tables(read(store, START + 20.0))[1].predictions.total()[PREDICTED] == 450
    complete.end(START + 20.0)
    early.end(START + 20.0)
    exported = read(store, START + 25.0)
    assert any("outcomes of 1 processes that have ended do not count" in note for note in exported.notes)
    candidate = tables(exported)[1]
    assert candidate.predictions.total().tolist() == [250, 25, 178]
    assert candidate.keys.sum(axis=0).tolist() == [250, 25, 0]


def test_the_newest_of_several_copies_counts(store, pod):
    each = pod("2")
    each.serve(START + 5.0, 50, bad=5)
    each.export(START + 15.0, replica="a")
    each.serve(START + 20.0, 10, bad=5)
    each.export(START + 30.0, replica="b")
    assert tables(read(store, START + 31.0))[1].predictions.total().tolist() == [60, 10, 0]


@every_point
def test_a_damaged_count_is_refused(store, pod):
    pod("2").export(START)
    each = pod("2")
    each.serve(START + 5.0, 50, bad=5)
    each.export(START + 15.0)
    store.samples = [
        (at, name, attributes, float("nan") if "ml.canary.block" in attributes else value)
        for at, name, attributes, value in store.samples
    ]
    with pytest.raises(ValueError, match="expected a count of a canary"):
        read(store, START + 16.0)


def test_a_span_has_the_shortest_blocks_that_are_still_exported():
    assert OutcomeSpan.of(START, START + 1.0, older=False).level == 6
    assert OutcomeSpan.of(START, START + 18 * 64.0, older=False).level == 6
    assert OutcomeSpan.of(START, START + 20 * 64.0, older=False).level == 9
    span = OutcomeSpan.of(START, START + 1e7, older=True)
    assert (span.level, span.last - span.first) == (RING_LEVELS[-1], 18)
    assert len(OutcomeSpan.of(START, START + 1.0, older=True).blocks({})) == 0
