"""The evidence of many processes, read from a store: exact sums, older baselines, ids, lost values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from otlp_requests import EveryPoint

from driftline import semconv as sc
from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._windows.blocks import BlockCounts
from driftline._windows.call_tables import CallTables
from driftline._windows.totals import DURATION_EDGES
from driftline.canary import judge_canary
from driftline.canary._export import CanaryExporter
from driftline.canary._exported import Selection, read_exported

BINS = len(DURATION_EDGES) + 1
START = 1_700_000_000.0

every_point = pytest.mark.parametrize("store", [EveryPoint], indirect=True)
"""For tests that change the points of a store."""


class Pod:
    """One process of a canary: its counts so far, and its exporter."""

    def __init__(self, store, evidence_of, variant, version, side="candidate", canary_id="x", began=START):
        self.store, self.evidence_of, self.side = store, evidence_of, side
        attributes = {"ml.model.name": "m", "ml.model.version": version}
        self.exporter = CanaryExporter(canary_id, {side: attributes}, began)
        self.counts = variant(predictions=[0, 0])
        self.variant = variant

    def serve(self, now, calls, failed=0, *, keys=None, second=0.02, batches=0, **labels):
        """Count calls, and export at *now*."""
        more = self.variant(
            calls=calls, failed=failed, seconds=[second] * (calls - failed), predictions=[calls - failed, 0]
        )
        table = CallTables.none()
        if keys is not None:
            np.add.at(table.keys, np.arange(calls) % keys, [1, 0])
            np.add.at(table.keys, np.arange(failed) % keys, [0, 1])
        if batches:
            more = replace(more, batches=batches, served=more.served + 10 * batches)
            table.row_keys[:10] += batches
        table = replace(
            table,
            durations=BlockCounts(0, int(now), more.durations[None]),
            calls=BlockCounts(0, int(now), np.array([[calls, failed]])),
        )
        self.counts = self.counts + replace(more, call_tables=table, bins={"prediction": "b"})
        self.export(now, **labels)

    def export(self, now, **labels):
        sides = [self.counts if self.side == side else self.variant() for side in ("baseline", "candidate")]
        self.store.add(now, self.exporter.points(self.evidence_of(*sides)), **labels)


@pytest.fixture
def pod(store, evidence_of, variant):
    return lambda *arguments, **more: Pod(store, evidence_of, variant, *arguments, **more)


def read(store, now, **more):
    return read_exported(store, Selection(model="m", version="2", interval=15.0, **more), now)


def sides(exported):
    return exported.evidence.pooled()


def test_counts_of_all_processes_add_up_exactly(store, pod):
    """Through a restart, a scale-up and a killed pod, in blocks of the samples' times."""
    old = [pod("1", "baseline") for _ in range(3)]
    new = [pod("2") for _ in range(3)]
    for step in range(1, 41):
        now = START + 15.0 * step
        if step == 10:
            new[0] = pod("2", began=now - 5)  # restarted
        if step == 20:
            new.append(pod("2", began=now - 5))
        for number, each in enumerate((*old, *new)):
            if each is new[1] and step > 15:
                continue  # killed
            each.serve(now, 10 + number, failed=step % 3, keys=40)
    exported = read(store, now)
    assert exported.canary_id == "x"
    assert exported.processes == (3, 5)
    assert exported.notes == ()
    baseline, candidate = sides(exported)
    assert baseline.calls == sum(each.counts.calls for each in old)
    assert candidate.failed_calls == sum(step % 3 for step in range(1, 41)) * 2 + sum(
        step % 3 for step in range(1, 16)
    ) + sum(step % 3 for step in range(20, 41))
    tables = candidate.call_tables
    assert tables.calls.level == 4  # 600 s in at most 63 blocks
    assert len(tables.calls) == 38
    np.testing.assert_array_equal(tables.calls.total(), [candidate.calls, candidate.failed_calls])
    assert tables.durations.total().sum() == candidate.durations.sum()
    np.testing.assert_array_equal(tables.keys.sum(axis=0), [candidate.calls, candidate.failed_calls])
    assert tables.keys.shape == (KEY_BUCKETS, 2)
    assert candidate.predictions.sum() == candidate.served
    assert candidate.bins == {"prediction": "b"}
    assert exported.evidence.strata[0].sticky


def test_rows_of_batches_are_counted_by_their_keys(store, pod):
    """They are among the rows that returned."""
    pods = pod("1", "baseline"), pod("2"), pod("2")
    for now in (START + 15, START + 30):
        for each in pods:
            each.serve(now, 20, batches=3)
    _, candidate = sides(read(store, START + 30))
    assert (candidate.calls, candidate.batches, candidate.served) == (92, 12, 200)
    assert candidate.call_tables.row_keys.tolist() == [12] * 10 + [0] * 22


def test_a_baseline_that_has_served_for_long_counts_from_the_start_of_the_canary(store, pod):
    """What it had counted by then is subtracted, whatever its id."""
    old = pod("1", "baseline", canary_id="earlier", began=START - 86_400)
    old.serve(START - 10, 5_000, failed=900)
    new = pod("2")
    for now in (START + 15, START + 30):
        old.serve(now, 100, failed=1)
        new.serve(now, 50)
    baseline, candidate = sides(read(store, START + 30))
    assert (baseline.calls, baseline.failed_calls) == (200, 2)
    assert baseline.durations.sum() == 198
    assert candidate.calls == 100


def test_a_baseline_that_was_silent_at_the_start_does_not_count(store, pod):
    """Its counts since then are unknown. A pod that has ended before the canary is none of it."""
    pod("1", "baseline", began=START - 9_000).serve(START - 8_000, 70)
    silent = pod("1", "baseline", began=START - 86_400)
    silent.serve(START - 7_200, 5_000, failed=900)
    pod("2").serve(START + 15, 50)
    silent.serve(START + 15, 100)
    exported = read(store, START + 15)
    assert sides(exported)[0].calls == 0
    assert exported.processes == (0, 1)
    assert any("1 processes of the baseline do not count" in note for note in exported.notes)


@pytest.mark.parametrize("began", [START, START - 86_400])
def test_outcomes_count_if_all_processes_began_with_the_canary(store, pod, began):
    """Those of an older baseline have had more time to come."""
    old, new = pod("1", "baseline", began=began), pod("2")
    old.serve(START - 10, 10) if began < START else None
    for each in (old, new):
        each.counts = replace(each.counts, known=20, correct=15, unreadable=3)
        each.serve(START + 15, 50)
    exported = read(store, START + 20)
    assert [side.known for side in sides(exported)] == ([20, 20] if began == START else [0, 0])
    assert [side.unreadable for side in sides(exported)] == ([3, 3] if began == START else [0, 0])
    assert any("outcomes do not count" in note for note in exported.notes) == (began < START)


def test_copies_of_a_series_count_once(store, pod):
    """Two replicas of the store, or two collectors, have the same counts with other labels."""
    each = pod("2")
    each.serve(START + 15, 40, failed=4, replica="a")
    each.export(START + 15, replica="b")
    each.export(START + 16, replica="b")
    assert sides(read(store, START + 20))[1].calls == 40


def test_the_newest_id_is_that_of_the_latest_process_that_still_exports(store, pod):
    failed = pod("2", canary_id="first")
    failed.serve(START + 15, 100, failed=60)
    fixed = pod("2", canary_id="second", began=START + 60)
    fixed.serve(START + 75, 80)
    assert read(store, START + 80).canary_id == "second"
    assert sides(read(store, START + 80))[1].failed_calls == 0
    assert sides(read(store, START + 80, canary_id="first"))[1].failed_calls == 60
    assert read(store, START + 80, canary_id="third").canary_id is None
    # When no process exports any more, it is the latest.
    exported = read(store, START + 10_000)
    assert exported.canary_id == "second"
    assert "no process of the candidate exports any more" in exported.notes


def test_ids_that_are_the_start_of_a_process_are_one_canary(store, pod):
    """Of the processes that still export, and of those that began after the oldest of them."""
    before = pod("2", canary_id="start-1", began=START)
    before.serve(START + 15, 100, failed=60)
    pods = [pod("2", canary_id=f"start-{number}", began=START + 100 + number) for number in range(3)]
    for each in pods:
        each.serve(START + 130, 10)
    for each in pods[:2]:
        each.serve(START + 200, 10)  # the third one was killed
    exported = read(store, START + 200)
    assert exported.processes[1] == 3
    assert (sides(exported)[1].calls, sides(exported)[1].failed_calls) == (50, 0)


def test_what_was_promoted_is_the_baseline_of_the_next_release(store, pod):
    """It goes on to export as a candidate."""
    promoted = pod("1", canary_id="first", began=START - 1_000)
    promoted.serve(START - 5, 300)
    pod("1", "baseline", canary_id="zero", began=START - 1_000).serve(START + 15, 7)
    new = pod("2", canary_id="second")
    promoted.serve(START + 15, 100)
    new.serve(START + 15, 10)
    for selected in ({"baseline_id": "first"}, {"baseline_version": "1", "baseline_id": "first"}):
        exported = read(store, START + 20, **selected)
        assert (sides(exported)[0].calls, exported.processes) == (100, (1, 1))
    assert read(store, START + 20, baseline_version="1").processes == (1, 1)


def test_an_ended_process_counts_and_exports_no_more(store, pod):
    each = pod("2")
    each.serve(START + 15, 40)
    each.exporter.end(None, START + 20)
    store.add(START + 20, each.exporter.points(None))
    exported = read(store, START + 25)
    assert sides(exported)[1].calls == 40
    assert "no process of the candidate exports any more" in exported.notes


@every_point
def test_values_that_a_store_has_lost_are_an_error(store, pod):
    """As after its retention: there is no verdict on a part of the evidence."""
    each = pod("2")
    for step in range(1, 10):
        each.serve(START + 15 * step, 40)
    store.samples = [
        (at, name, attributes, value / 4 if at > START + 100 and name == "ml.canary.calls" else value)
        for at, name, attributes, value in store.samples
    ]
    with pytest.raises(OSError, match=r"lost values of ml\.canary\.calls"):
        read(store, START + 140)


@pytest.mark.parametrize(
    "attributes", [{"ml.canary.key_bucket": "500"}, {"ml.canary.key_bucket": "-1"}, {"ml.canary.bin": "x"}]
)
@every_point
def test_numbers_of_bins_that_are_none_are_refused(store, pod, attributes):
    pod("2").serve(START + 15, 40, keys=3)
    (name,) = attributes
    store.samples = [
        (at, metric, {**present, **attributes} if name in present else present, value)
        for at, metric, present, value in store.samples
    ]
    with pytest.raises(ValueError, match="expected the number of a bin below"):
        read(store, START + 20)


def test_replaced_references_are_compared_over_common_bins(store, pod):
    """Each side has rows over the old bins. Only one has rows over the new ones yet."""
    old, new = pod("1", "baseline"), pod("2")
    for each in (old, new):
        each.serve(START + 15, 30)
    new.counts = replace(new.counts, predictions=np.array([0, 0, 90]), bins={"prediction": "c"})
    new.export(START + 30)
    baseline, candidate = sides(read(store, START + 30))
    assert baseline.bins == candidate.bins == {"prediction": "b"}
    assert baseline.predictions.tolist() == candidate.predictions.tolist() == [30]


@every_point
def test_one_verdict_of_ten_pods(store, pod, quick):
    """One pod of each side alone has too little for a verdict."""
    pods = [pod(version, side) for _ in range(5) for version, side in (("1", "baseline"), ("2", "candidate"))]
    for step in range(1, 5):
        for each in pods:
            each.serve(START + 15 * step, 20, failed=2 * (each.side == "candidate"))
    assert judge_canary(read(store, START + 60).evidence, quick()).state == "rollback"
    alone = {
        point.attributes["ml.canary.process"]
        for each in pods[:2]
        for point in each.exporter.points(None)[sc.METRIC_CANARY_STARTED]
    }
    store.samples = [sample for sample in store.samples if sample[2]["ml.canary.process"] in alone]
    exported = read(store, START + 60)
    assert exported.processes == (1, 1)
    assert judge_canary(exported.evidence, quick()).state == "inconclusive"


def test_nothing_is_exported(store):
    exported = read(store, START)
    assert (exported.canary_id, exported.evidence.strata) == (None, ())


@every_point
def test_the_metrics_are_in_the_registry(store, pod):
    pod("2").serve(START + 15, 40, keys=3)
    for _, name, attributes, _ in store.samples:
        assert set(attributes) <= sc.METRICS[name].attributes
