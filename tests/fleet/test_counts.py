"""What a fleet has counted, read from a store: exact sums, through whatever happens to processes, clocks and stores."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline import semconv as sc
from driftline._backends.counts import Grid
from driftline.fleet import FleetModel, FleetReader, _counts, find_processes
from driftline.fleet._processes import choose_model

STEP = 450.0


@pytest.fixture
def other_reference():
    random = np.random.default_rng(5)
    return dl.Reference.fit({"amount": random.normal(0.0, 1.0, 2_000), "kind": random.choice(["a", "b"], 2_000)})


def read_rows(fleet, **options):
    blocks = fleet.read(**options).blocks
    return blocks.counts[:, : fleet.layout.sizes[0]].sum(axis=1).tolist()


def test_counts_of_all_processes_add_up_exactly(fleet):
    """Through a process that is restarted, one that is killed, one that ends, and one that is added late."""
    for name in "abcd":
        fleet.pod(name)
    fleet.run(10)
    gone = [fleet.pods.pop("a"), fleet.pods.pop("b")]
    fleet.pod("a-again")
    fleet.run(10)
    gone.append(fleet.pods.pop("c"))
    fleet.run(4)
    fleet.pod("late")
    fleet.run(8)
    reading = fleet.read()
    assert read_rows(fleet) == [400] * 32
    np.testing.assert_array_equal(reading.blocks.counts.sum(axis=0), fleet.served + sum(pod.counts for pod in gone))
    assert reading.processes == 6
    assert reading.notes == ()
    assert reading.blocks.exporting.tolist() == [4] * 10 + [3] * 10 + [2] * 4 + [3] * 8
    assert reading.blocks.whole.all()


def test_what_processes_had_counted_before_is_subtracted(fleet):
    fleet.pod("a")
    fleet.pod("b")
    fleet.run(20)
    fleet.pods.pop("b")
    fleet.run(4)
    assert read_rows(fleet, grid=Grid(fleet.now - 10 * STEP, STEP, 11)) == [400] * 10
    assert read_rows(fleet, grid=Grid(fleet.now - 3 * STEP, STEP, 4)) == [400] * 3


def test_a_process_that_was_silent_at_first_counts_what_is_new(fleet):
    """It exported hours before the first block, and again in the last one."""
    fleet.pod("a")
    fleet.pod("b")
    fleet.run(10)
    fleet.run(20, silent=["b"])
    fleet.run(1)
    blocks = fleet.read(grid=Grid(fleet.now - 5 * STEP, STEP, 6)).blocks
    rows = blocks.counts[:, : fleet.layout.sizes[0]].sum(axis=1).tolist()
    assert rows == [200, 200, 200, 200, 200 + 200 * 21]
    assert blocks.whole.tolist() == [False] * 5


def test_copies_of_a_series_count_once(fleet):
    """Two replicas of the store, or two collectors, have the same counts with other labels."""
    fleet.pod("a")
    fleet.run(3)
    copy = fleet.pod("copy", labels={"replica": "b"})
    copy.attributes = fleet.pods["a"].attributes
    copy.counts = fleet.pods["a"].counts
    copy.export(fleet.now)
    assert read_rows(fleet) == [400] * 3
    assert fleet.read().processes == 1


def test_a_gap_of_one_process_makes_blocks_that_are_not_whole(fleet):
    """Its rows count when it exports again."""
    fleet.pod("a")
    fleet.pod("b")
    fleet.run(4)
    fleet.run(2, silent=["b"])
    fleet.run(4)
    blocks = fleet.read().blocks
    assert blocks.whole.tolist() == [True] * 4 + [False] * 3 + [True] * 3
    assert read_rows(fleet) == [400] * 4 + [200] * 2 + [800] + [400] * 3


def test_clocks_that_differ_by_seconds_move_rows_to_the_next_block(fleet):
    """No row is lost or counted twice."""
    fleet.pod("early", skew=-4.0)
    fleet.pod("late", skew=+7.0)
    fleet.run(12)
    rows = read_rows(fleet)
    assert sum(rows) == 12 * 400 - 50  # the last export of the late one has a time in the future
    assert rows[1:] == [400] * 11
    assert fleet.read().blocks.whole.all()


def test_a_clock_that_is_set_back_loses_no_rows(fleet):
    """For half a minute, samples of both times are mixed, so that a count may decrease."""
    fleet.pod("a")
    fleet.run(4, exports=30)
    fleet.pods["a"].skew = -40.0
    fleet.run(4, exports=30)
    fleet.pods["a"].skew = 0.0
    fleet.run(1, exports=30)
    rows = read_rows(fleet)
    assert sum(rows) == 9 * 400
    assert min(rows) >= 0


def test_a_count_that_decreases_for_long_is_an_error(fleet):
    """The store has lost values, or two processes have one id."""
    fleet.pod("a")
    fleet.run(4)
    fleet.pods["a"].counts[:] = 0
    fleet.run(2, rows=100)
    with pytest.raises(OSError, match=r"the store has lost values of ml\.feature\.observations: process a"):
        fleet.read()


def test_processes_with_another_reference_are_said_and_not_counted(fleet, other_reference):
    """During a rollout, and while one learns its reference."""
    fleet.pod("a")
    for name, fingerprint in (("b", other_reference.fingerprint), ("c", other_reference.fingerprint), ("d", "")):
        fleet.pod(name, fingerprint=fingerprint or "x")
        if not fingerprint:
            del fleet.pods[name].attributes[sc.ML_REFERENCE_FINGERPRINT]
    fleet.run(4)
    reading = fleet.read()
    assert read_rows(fleet) == [100] * 4
    assert reading.processes == 1
    assert reading.notes == (
        "1 processes of m, version 1 are not counted: they are learning their reference",
        "2 processes of m, version 1 are not counted: they have another reference, of fingerprint "
        + other_reference.fingerprint,
    )


def test_a_reference_that_no_process_has_is_refused(fleet, store, other_reference):
    fleet.pod("a")
    fleet.run(2)
    reader = FleetReader(store, other_reference, FleetModel("m", "1"))
    with pytest.raises(dl.ConfigurationError, match=f"expected one of {fleet.reference.fingerprint}"):
        reader.read(fleet.grid)


def test_a_version_is_not_mixed_with_another(fleet):
    fleet.pod("a")
    fleet.pod("b", version="2")
    fleet.run(4)
    reading = fleet.read()
    assert read_rows(fleet) == [200] * 4
    assert reading.notes == ()


def test_without_processes_all_blocks_are_unknown(fleet):
    fleet.block = 3
    reading = fleet.read()
    assert reading.blocks.exporting.tolist() == [0, 0, 0]
    assert not reading.blocks.whole.any()
    assert reading.notes == ("no process of m, version 1 has exported",)


def test_processes_that_export_no_counts_are_said(fleet):
    """They have the default export_bins=False."""
    fleet.pod("a")
    fleet.run(2, rows=0)
    assert fleet.read().notes == ("no process of m, version 1 has exported a row: expected Monitor(export_bins=True)",)


def test_large_readings_are_divided(fleet, monkeypatch):
    """By time and by feature, with the same result."""
    for name in "abc":
        fleet.pod(name)
    fleet.run(6)
    fleet.pods.pop("b")
    fleet.run(6)
    whole = fleet.read().blocks
    queries = len(fleet.store.queries)
    fleet.store.queries.clear()
    monkeypatch.setattr(_counts, "QUERY_VALUES", 3 * 2 * fleet.layout.sizes[0])
    divided = fleet.read().blocks
    np.testing.assert_array_equal(divided.counts, whole.counts)
    np.testing.assert_array_equal(divided.exporting, whole.exporting)
    np.testing.assert_array_equal(divided.whole, whole.whole)
    assert len(fleet.store.queries) > 12 + queries
    monkeypatch.setattr(_counts, "QUERY_VALUES", 1)
    np.testing.assert_array_equal(fleet.read().blocks.counts, whole.counts)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [(sc.ML_FEATURE_NAME, "unknown", "features of the reference"), (sc.ML_FEATURE_BIN, "99", "number of a bin")],
)
def test_series_that_do_not_fit_are_refused(fleet, key, value, expected):
    pod = fleet.pod("a")
    fleet.run(2)
    attributes = {**pod.attributes, sc.ML_FEATURE_NAME: "amount", sc.ML_FEATURE_BIN: "1", key: value}
    fleet.store.add(fleet.now, sc.METRIC_FEATURE_OBSERVATIONS, attributes, 3)
    with pytest.raises(ValueError, match=expected):
        fleet.read()


def test_the_only_model_is_chosen(fleet, other_reference):
    fleet.pod("a", version="1")
    fleet.pod("b", version="2", fingerprint=other_reference.fingerprint)
    fleet.pod("c", model="n", version="2")
    fleet.run(1)
    processes = find_processes(fleet.store, {}, at=fleet.now, within=STEP)
    own, other = fleet.reference.fingerprint, other_reference.fingerprint
    assert choose_model(processes, own, "m", None, None) == FleetModel("m", "1")
    assert choose_model(processes, other, None, None, None) == FleetModel("m", "2")
    assert choose_model(processes, "none", "n", None, None) == FleetModel("n", "2")
    with pytest.raises(dl.ConfigurationError, match="--model: expected one of m, n, which"):
        choose_model(processes, own, None, None, None)
    with pytest.raises(dl.ConfigurationError, match="--version: expected one of 1, 2, which"):
        choose_model(processes, "none", "m", None, None)
    with pytest.raises(dl.ConfigurationError, match="no process of --model m of --version 3 exports"):
        choose_model(processes, own, "m", "3", None)
