"""The evidence of a canary as metrics: one side alone, what is exported, the number of series, the end."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import driftline as dl
from driftline import ConfigurationError
from driftline._runtime.call_keys import KEY_BUCKETS, ROW_KEY_BUCKETS
from driftline._windows.blocks import BlockCounts
from driftline._windows.call_tables import CallTables
from driftline._windows.outcome_tables import AGE_EDGES, OutcomeTables
from driftline._windows.recent_blocks import RecentBlocks
from driftline._windows.totals import DURATION_EDGES
from driftline.canary._export import BIN_SERIES, FINE_DURATIONS, MAX_SERIES, CanaryExporter, coarse_bin
from driftline.testing import Probe

BINS = len(DURATION_EDGES) + 1


@pytest.fixture
def alone(make_monitor):
    """A monitor that serves one version, and its canary."""
    monitor = make_monitor("m", version="2", synchronous=True)
    return monitor, dl.Canary(candidate=monitor, id="release-42", export=True)


def of(telemetry, metric):
    """Return (attributes without those of the canary, value) of a metric's points."""
    common = {"ml.model.name", "ml.model.version", "ml.canary.id", "ml.canary.side", "ml.canary.process"}
    return [
        ({key: value for key, value in attributes.items() if key not in common}, value)
        for name, attributes, value in telemetry.points()
        if name == metric
    ]


def test_one_side_alone_exports_its_counts(alone, serve, telemetry):
    monitor, canary = alone
    serve(monitor, 10, failed=3, correct=5)
    calls = {attributes["ml.canary.result"]: value for attributes, value in of(telemetry, "ml.canary.calls")}
    rows = {attributes["ml.canary.result"]: value for attributes, value in of(telemetry, "ml.canary.rows")}
    assert calls == rows == {"returned": 7, "failed": 3}
    durations = of(telemetry, "ml.canary.durations")
    assert sum(value for _, value in durations) == 7
    assert {attributes["ml.canary.phase"] for attributes, _ in durations} <= {"serving", "warm_up"}
    outcomes = {
        attributes["ml.canary.outcome"]: value
        for attributes, value in of(telemetry, "ml.canary.outcomes")
        if len(attributes) == 1
    }
    assert (outcomes["bad"], outcomes["good"]) == (2, 5)
    names = {attributes["ml.feature.name"] for attributes, _ in of(telemetry, "ml.canary.bins")}
    assert names == {"prediction", "age", "amount", "channel", "member"}
    assert telemetry.value("ml.canary.bins", ml__feature__name="prediction") == 7
    # Without the other side there is no verdict to export.
    assert telemetry.value("ml.canary.status") is None
    assert canary.state is None


def test_every_point_names_the_canary_the_side_and_the_process(alone, serve, telemetry):
    monitor, _ = alone
    serve(monitor, 3)
    points = [attributes for name, attributes, _ in telemetry.points() if name.startswith("ml.canary.")]
    assert points
    assert {
        (attributes["ml.canary.id"], attributes["ml.canary.side"], attributes["ml.model.version"])
        for attributes in points
    } == {("release-42", "candidate", "2")}
    (process,) = {attributes["ml.canary.process"] for attributes in points}
    assert re.fullmatch("[0-9a-f]{16}", process)


def test_both_sides_of_one_process(pair, serve, telemetry):
    """Each side has its attributes."""
    dl.Canary(*pair, id="x", export=True)
    serve(pair[0], 5)
    serve(pair[1], 4, failed=1)
    seen = Counter()
    for name, attributes, value in telemetry.points():
        if name == "ml.canary.calls":
            seen[attributes["ml.model.variant"], attributes["ml.canary.side"], attributes["ml.canary.result"]] += value
    assert {key: value for key, value in seen.items() if value} == {
        ("baseline", "baseline", "returned"): 5,
        ("candidate", "candidate", "returned"): 3,
        ("candidate", "candidate", "failed"): 1,
    }


def test_states_end_with_the_canary_and_counts_stay(pair, serve, telemetry, quick):
    canary = dl.Canary(*pair, quick(), id="x", export=True)
    serve(pair[0], 300)
    serve(pair[1], 300, failed=100)
    canary.verdict()
    assert telemetry.value("ml.canary.status", ml__canary__state="rollback", ml__canary__id="x") == 1
    before = telemetry.value("ml.canary.calls")
    canary.close()
    serve(pair[1], 50)
    assert telemetry.value("ml.canary.status") == 0
    assert len([name for name, *_ in telemetry.points() if name == "ml.canary.status"]) == 3
    assert telemetry.value("ml.canary.evidence") is None
    assert telemetry.value("ml.canary.calls") == before == 600
    assert telemetry.value("ml.canary.ended") > 1e9
    canary.end()
    assert len(of(telemetry, "ml.canary.ended")) == 2


def test_the_shutdown_of_the_monitor_ends_the_canary(alone, serve, telemetry):
    """The last counts and the end are exported once more, and then no more."""
    monitor, canary = alone
    serve(monitor, 8)
    monitor.shutdown()
    assert canary.ended
    points = telemetry.points()
    assert sum(value for name, _, value in points if name == "ml.canary.calls") == 8
    assert [name for name, *_ in points if name == "ml.canary.ended"] == ["ml.canary.ended"]
    assert telemetry.value("ml.canary.calls") is None


def test_a_process_ends_its_states_at_exit():
    """After the last flush, before the provider collects for the last time."""
    program = """
import atexit
import driftline as dl
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

reader = InMemoryMetricReader()
provider = MeterProvider([reader], shutdown_on_exit=False)

def show():
    data = reader.get_metrics_data()
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        if metric.name in {"ml.canary.status", "ml.canary.ended", "ml.canary.calls"}:
            print(metric.name, sum(point.value for point in metric.data.data_points) > 0)

atexit.register(show)
reference = dl.Reference.fit({"x": [1.0, 2.0, 3.0]})
sides = [dl.Monitor("m", version=v, reference=reference, meter_provider=provider) for v in "12"]
canary = dl.Canary(*sides, dl.CanaryPolicy(allowed_accuracy_drop=None), export=True)
for monitor in sides:
    monitor.instrument(lambda row: 0.5)({"x": 2.0})
canary.verdict()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == [
        "ml.canary.calls True",
        "ml.canary.ended True",
        "ml.canary.status False",
    ], done.stderr


# --- the number of series --------------------------------------------------------------------------------------------


def full_tables():
    """Return tables in which every cell has a count."""
    keys = np.full((KEY_BUCKETS, 2), [3, 1])
    calls = CallTables(
        BlockCounts(0, 0, np.full((64, 2), [6, 2])),
        BlockCounts(0, 0, np.ones((64, BINS), dtype=np.int64)),
        np.ones(BINS, dtype=np.int64),
        keys,
        row_keys=np.ones(ROW_KEY_BUCKETS, dtype=np.int64),
    )
    none = RecentBlocks.none()
    outcomes = OutcomeTables(
        BlockCounts(0, 0, np.ones((64, 3), dtype=np.int64)),
        np.ones((KEY_BUCKETS, 3), dtype=np.int64),
        BlockCounts(0, 0, np.ones((64, len(AGE_EDGES) + 1), dtype=np.int64)),
        recent=replace(none.at(1.7e9), counts=np.ones_like(none.counts)),
    )
    return calls, outcomes


def full(variant, features=50, bins=22):
    """Return evidence with as many different values as there can be."""
    calls, outcomes = full_tables()
    rows = {f"f{number}": np.ones(bins, dtype=np.int64) for number in range(features)}
    return replace(
        variant(calls=2_000, failed=100, predictions=[1] * bins, features=rows),
        durations=np.ones(BINS, dtype=np.int64),
        batches=1,
        bins={**dict.fromkeys(rows, "a"), "prediction": "b"},
        call_tables=calls,
        outcome_tables=outcomes,
    )


def test_no_evidence_takes_more_series_than_promised(variant, evidence_of, caplog):
    """The bins of the prediction come first, then those of features. A warning names the others once."""
    exporter = CanaryExporter("x", {"candidate": {"ml.model.name": "m"}}, 1.0)
    evidence = evidence_of(variant(), full(variant), at=1.7e9)
    points = exporter.points(evidence)
    assert exporter.points(evidence) == points
    series = {(metric.name, *sorted(p.attributes.items())) for metric, values in points.items() for p in values}
    assert len(series) == sum(map(len, points.values()))
    assert MAX_SERIES - 80 < len(series) <= MAX_SERIES
    names = {
        p.attributes["ml.feature.name"]
        for metric, values in points.items()
        if metric.name == "ml.canary.bins"
        for p in values
    }
    assert "prediction" in names
    assert len(names) == BIN_SERIES // 22 >= 8
    (record,) = [each for each in caplog.records if "not exported" in each.message]
    assert f"the bins of {51 - len(names)} features" in record.message


def test_no_count_is_lost_in_coarse_bins(variant, evidence_of):
    """Counts of a bin without a separate series are in the series of a coarse bin, and never decrease."""
    random = np.random.default_rng(3)
    exporter = CanaryExporter("x", {"candidate": {}}, 1.0)
    counts, before = np.zeros(BINS, dtype=np.int64), {}
    for _ in range(60):
        counts = counts + np.bincount(random.integers(0, BINS, 30), minlength=BINS)
        points = exporter.points(evidence_of(variant(), replace(variant(), durations=counts)))
        present = {
            int(point.attributes["ml.canary.bin"]): point.value
            for metric, values in points.items()
            if metric.name == "ml.canary.durations"
            for point in values
        }
        assert sum(present.values()) == counts.sum()
        assert all(present[index] >= value for index, value in before.items())
        before = present
    assert FINE_DURATIONS < len(present) <= FINE_DURATIONS + 92


def test_a_slot_of_a_ring_is_exported_with_zeros_too(variant, evidence_of):
    """The store keeps the last value of a series, which a later block must replace."""
    exporter = CanaryExporter("x", {"candidate": {}}, 1.7e9)
    recent = RecentBlocks.none().with_counts([1.7e9, 1.7e9], [0, 1], [4, 3])
    counts = replace(variant(), outcome_tables=replace(OutcomeTables.none(), recent=recent))

    def by_slot(at):
        points = exporter.points(evidence_of(variant(), counts, at=at))
        values = next(values for metric, values in points.items() if metric.name == "ml.canary.outcomes")
        assert next(v for m, v in points.items() if m.name == "ml.canary.counted")[0].value == at
        return {
            (point.attributes["ml.canary.block"], point.attributes["ml.canary.outcome"]): point.value
            for point in values
            if "ml.canary.block" in point.attributes
        }

    slots = [f"{level}.{(1_700_000_000 >> level) % 20}" for level in (6, 9, 12, 15, 17)]
    first = by_slot(1.7e9)
    assert first == {
        (slot, outcome): count for slot in slots for outcome, count in (("predicted", 4), ("bad", 3), ("good", 0))
    }
    later = by_slot(1.7e9 + 20 * 64)
    assert later == first | {(slots[0], outcome): 0 for outcome in ("predicted", "bad", "good")}


def test_a_coarse_bin_is_its_middle():
    assert [coarse_bin(index, 10) for index in (0, 1, 6, 10, 11, 900, 901)] == [0, 6, 6, 6, 16, 896, 901]
    assert [coarse_bin(index, 20) for index in (1, 20, 21, 900)] == [11, 11, 31, 891]


def test_keys_have_series_by_bucket(variant, evidence_of):
    """The calls of keys are in the series of their buckets, and calls without a key are in the series without one."""
    tables = CallTables.none()
    tables.keys[5] = 30, 2
    tables.keys[127] = 4, 0
    tables = replace(tables, durations=BlockCounts(0, 9, np.bincount([300] * 52, minlength=BINS)[None]))
    exporter = CanaryExporter("x", {"candidate": {}}, 1.0)
    counts = replace(variant(calls=60, failed=8), call_tables=tables)
    points = exporter.points(evidence_of(variant(), counts))
    calls = {
        (point.attributes["ml.canary.result"], point.attributes.get("ml.canary.key_bucket")): point.value
        for metric, values in points.items()
        if metric.name == "ml.canary.calls"
        for point in values
    }
    assert calls == {
        ("returned", None): 20,
        ("returned", "5"): 28,
        ("returned", "127"): 4,
        ("failed", None): 6,
        ("failed", "5"): 2,
    }


# --- ids and arguments -----------------------------------------------------------------------------------------------


def test_the_id_is_the_argument_or_the_variable_or_the_start(make_monitor, monkeypatch):
    monitor = make_monitor()
    monkeypatch.delenv("DRIFTLINE_CANARY_ID", raising=False)
    started = dl.Canary(candidate=monitor, export=True)
    assert re.fullmatch(r"start-\d{8}T\d{6}Z", started.id)
    assert started.exported_id is None
    monkeypatch.setenv("DRIFTLINE_CANARY_ID", "hash-7")
    assert dl.Canary(candidate=monitor, export=True).id == "hash-7"
    assert dl.Canary(candidate=monitor, export=True, id="mine").id == "mine"
    monkeypatch.setenv("DRIFTLINE_CANARY_ID", "")
    assert dl.Canary(candidate=monitor, export=True).id.startswith("start-")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 256}, "id"),
        ({"id": "\ud800"}, "id"),
        ({"id": "start-1"}, "does not begin"),
        ({"export": 1}, "export"),
    ],
)
def test_arguments_that_are_none(make_monitor, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        dl.Canary(candidate=make_monitor(), **{"export": True, **arguments})


def test_one_side_alone_needs_a_path_or_export(make_monitor):
    with pytest.raises(ConfigurationError, match=r"path= or export=True"):
        dl.Canary(candidate=make_monitor())


def test_a_child_is_another_process(alone, serve, telemetry):
    """Its counts begin at zero, under another id of a process."""
    monitor, _ = alone
    serve(monitor, 5)
    (before,) = {attributes["ml.canary.process"] for attributes in _canary(telemetry)}
    Probe(monitor).become_fork_child()
    serve(monitor, 2)
    assert {attributes["ml.canary.process"] for attributes in _canary(telemetry)} != {before}


def _canary(telemetry):
    return [attributes for name, attributes, _ in telemetry.points() if name == "ml.canary.started"]
