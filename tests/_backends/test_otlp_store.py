"""Counts that arrive as OTLP: any order, twice, cumulative and delta, restarts, silence, limits, a state in a file."""

from __future__ import annotations

import logging
import math
from hashlib import blake2b
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from otlp_requests import EveryPoint, ThroughOtlp, request_of

from driftline import semconv as sc
from driftline._backends import otlp_points
from driftline._backends.counts import Grid
from driftline._backends.otlp_series import Retention
from driftline._backends.otlp_store import DIALECT, Added, OtlpStore, retention_by
from driftline._backends.otlp_table import Limits, SeriesEntry

CALLS, BINS, STARTED = sc.METRIC_CANARY_CALLS, sc.METRIC_FEATURE_OBSERVATIONS, sc.METRIC_CANARY_STARTED
STATUS = sc.METRIC_CANARY_STATUS
NOW = 1_700_000_000.0


class Clock:
    """A clock that a test sets."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return OtlpStore(retention_by(60.0), clock=clock)


def calls(process="p", **more):
    return {"ml.model.name": "m", sc.ML_CANARY_PROCESS: process, sc.ML_CANARY_RESULT: "returned", **more}


def rows(index=0, **more):
    return {"ml.model.name": "m", "ml.feature.name": "x", "ml.feature.bin": index, **more}


def totals(store, metric=CALLS, *, start=NOW, step=4.0, points=5, by=(), within=3_600.0, match=None):
    sums = store.history(
        metric,
        match or {},
        unit=sc.ML_CANARY_PROCESS,
        by=by,
        grid=Grid(start, step, points),
        within=within,
        dialect=DIALECT,
    )
    return {key: [None if math.isnan(value) else value for value in values] for key, values in sums.items()}


def test_values_and_attributes_are_those_of_the_exporter(store, clock):
    clock.now = NOW + 20
    points = [(NOW + 4, calls(), 3), (NOW + 9, calls(), 5), (NOW + 8, calls("q", other="x"), 7.0)]
    assert store.add(request_of(CALLS, points, resource={"service.name": "s"})) == Added(3, 0, 0, "")
    assert totals(store) == {(): [None, 3, 10, 12, 12]}
    assert totals(store, by=[sc.ML_CANARY_PROCESS]) == {("p",): [None, 3, 3, 5, 5], ("q",): [None, None, 7, 7, 7]}
    assert totals(store, match={sc.ML_CANARY_PROCESS: ["q", "r"]}) == {(): [None, None, 7, 7, 7]}
    assert totals(store, match={sc.ML_CANARY_RESULT: "failed"}) == {}
    assert totals(store, match={sc.ML_CANARY_KEY_BUCKET: ""}, points=1, start=NOW + 20) == {(): [12]}
    samples = store.latest(CALLS, {sc.ML_CANARY_PROCESS: "q"}, at=NOW + 20, within=60.0)
    assert [(dict(each.attributes), each.value, each.dialect) for each in samples] == [(calls("q"), 7.0, DIALECT)]
    assert store.latest(CALLS, {}, at=NOW + 4, within=60.0)[0].value == 3
    assert store.latest(CALLS, {}, at=NOW + 4, within=0.1)
    assert store.latest(CALLS, {}, at=NOW + 20, within=11.0) == []  # as Prometheus 3: without the start


def test_copies_of_a_series_count_once(store):
    """Two collectors send it, with resources of their own; one of them is behind."""
    for collector, value in (("a", 8), ("b", 5)):
        store.add(request_of(CALLS, [(NOW, calls(), value)], resource={"collector": collector}))
    assert totals(store, points=1) == {(): [8]}
    assert len(store.latest(CALLS, {}, at=NOW, within=60.0)) == 2


events = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from("pqr"), st.sampled_from(["a", "b"]), st.integers(0, 3)),
    max_size=30,
)


@given(events, st.sampled_from([1, 2, 5]), st.sampled_from([3.0, 16.0, 500.0]))
def test_what_is_read_on_the_grid_is_what_every_point_says(events, every, within):
    """Thinned to the last value of each cell of 4 s, and to runs of equal values."""
    stores = EveryPoint(), ThroughOtlp()
    counts = {}
    for tick, process, result, more in sorted(events):
        counts[process, result] = counts.get((process, result), 0) + more
        point = SimpleNamespace(
            attributes=calls(process, **{sc.ML_CANARY_RESULT: result}), value=counts[process, result]
        )
        for each in stores:
            each.add(NOW + tick, {CALLS: [point]})
    answers = [
        {
            key: values.tolist()
            for key, values in each.history(
                CALLS,
                {},
                unit=sc.ML_CANARY_PROCESS,
                by=[sc.ML_CANARY_RESULT],
                grid=Grid(NOW, 4.0 * every, 40 // (4 * every) + 2),
                within=max(within, 4.0),
                dialect=each.dialect,
            ).items()
        }
        for each in stores
    ]
    np.testing.assert_equal(answers[1], answers[0])


deltas = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5)), min_size=1, max_size=14)


@given(deltas, st.randoms(use_true_random=False), st.booleans())
def test_deltas_count_once_in_any_order(spans, random, knows_start):
    """A collector sends requests at the same time, and sends again what was not confirmed."""
    points, at, cumulative = [], 0, []
    for length, value in spans:
        points.append((NOW + at, NOW + at + length, calls(), value))
        at += length
        cumulative.append((NOW + at, value))
    late = sorted(points + random.choices(points, k=5), key=lambda point: point[1] + random.random() * 20)
    store = OtlpStore(retention_by(60.0), clock=Clock(NOW + 1_000))
    for began, *point in late:
        store.add(request_of(CALLS, [(began if knows_start else 0.0, *point)], delta=True))
    read = totals(store, start=NOW + 4 * math.ceil(at / 4), points=1)
    assert read == {(): [sum(value for _, value in cumulative)]}


def test_late_deltas_count_in_all_later_values(store, clock):
    clock.now = NOW + 100
    spans = [(0, 4, 1), (12, 16, 8), (8, 12, 4), (4, 8, 2), (8, 12, 4), (0, 4, 1), (2, 6, 9)]
    for start, end, value in spans:
        store.add(request_of(CALLS, [(NOW + start, NOW + end, calls(), value)], delta=True))
    assert totals(store) == {(): [None, 1, 3, 7, 15]}
    assert store.counts == {"stored": 4, "duplicate": 3, "refused": 0}


def test_a_delta_within_equal_values(store, clock):
    clock.now = NOW + 100
    for start, end, value in [(0, 4, 1), (4, 8, 0), (10, 12, 0), (12, 16, 0), (8, 10, 5)]:
        store.add(request_of(CALLS, [(NOW + start, NOW + end, calls(), value)], delta=True))
    assert totals(store) == {(): [None, 1, 1, 6, 6]}


def test_gaps_of_deltas_are_bounded(store, clock):
    """Series that export only what is new have a gap between any two."""
    clock.now = NOW + 10_000
    for number in range(200):
        store.add(request_of(CALLS, [(NOW + 10 * number, NOW + 10 * number + 5, calls(), 1)], delta=True))
    (entry,) = store.entries()
    assert len(entry.state.times) < 40
    assert totals(store, start=NOW + 2_000, points=1) == {(): [200]}


@pytest.mark.parametrize("delta", [False, True])
def test_points_may_come_in_any_order_and_twice(store, clock, delta):
    clock.now = NOW + 100
    values = [2, 2, 3, 3] if delta else [2, 4, 7, 10]
    points = [(NOW + 4 * n, NOW + 4 * n + 4, calls(), value) for n, value in enumerate(values)]
    if not delta:
        points = [(NOW, *point[1:]) for point in points]
    for index in (3, 0, 2, 2, 1, 3, 0):
        store.add(request_of(CALLS, [points[index]], delta=delta))
    assert totals(store) == {(): [None, 2, 4, 7, 10]}


def test_a_sum_goes_on_when_its_process_starts_anew(store, clock):
    """By the time of its start, or by its value where that is unknown; what the first process sends late is dropped."""
    clock.now = NOW + 100
    for start, end, value in [(1, 4, 10), (5, 8, 3), (1, 7, 9), (5, 12, 4), (13, 16, 4)]:
        store.add(request_of(CALLS, [(NOW + start, NOW + end, calls(), value)]))
    assert totals(store) == {(): [None, 10, 13, 14, 18]}
    assert store.counts["stale"] == 1
    for end, value in [(4, 10), (8, 3), (12, 4)]:
        store.add(request_of(CALLS, [(NOW + end, calls("q"), value)]))
    assert totals(store, match={sc.ML_CANARY_PROCESS: "q"}) == {(): [None, 10, 13, 14, 14]}


def test_gauges_and_sums_that_fall_are_kept_as_they_are(store, clock):
    clock.now = NOW + 100
    up = {"ml.model.name": "m", "ml.canary.state": "promote"}
    for second, value in ((4, 1), (8, 0), (12, 1)):
        store.add(request_of(STATUS, [(NOW + second, up, value)]))
        store.add(request_of(STARTED, [(NOW + second, up, -float(value))]))
    assert totals(store, STATUS) == {(): [None, 1, 0, 1, 1]}
    assert totals(store, STARTED) == {(): [None, -1, 0, -1, -1]}
    store.add(request_of(STATUS, [(NOW + 12, NOW + 16, up, -1)], delta=True))
    assert totals(store, STATUS)[()][-1] == 0


def test_a_collector_that_changes_the_temporality(store, clock):
    clock.now = NOW + 100
    store.add(request_of(CALLS, [(NOW, NOW + 4, calls(), 10)]))
    store.add(request_of(CALLS, [(NOW + 4, NOW + 8, calls(), 5)], delta=True))
    store.add(request_of(CALLS, [(NOW, NOW + 12, calls(), 17)]))
    store.add(request_of(CALLS, [(NOW, NOW + 16, calls(), 20)]))
    assert totals(store) == {(): [None, 10, 15, 15, 18]}


def test_what_a_process_had_counted_before_the_store_began_is_no_news(store, clock):
    """The times of those counts are unknown. A bin that is filled later, and a later process, count from 0."""
    clock.now = NOW + 10
    store.add(request_of(BINS, [(NOW + 10, rows(0), 1_000)], start=NOW - 500, resource={"pod": "old"}))
    store.add(
        request_of(BINS, [(NOW + 10, rows(1), 7)], start=NOW - 500, resource={"pod": "old"})
    )  # of the same export
    store.add(request_of(BINS, [(NOW + 10, rows(0), 30)], start=NOW + 1, resource={"pod": "new"}))
    clock.now = NOW + 70
    store.add(request_of(BINS, [(NOW + 70, rows(0), 1_040)], start=NOW - 500, resource={"pod": "old"}))
    store.add(request_of(BINS, [(NOW + 70, rows(2), 2)], start=NOW - 500, resource={"pod": "old"}))
    at = NOW - NOW % 60 + 120
    assert totals(store, BINS, start=at, points=1, by=["ml.feature.bin"], match={"ml.model.name": "m"}) == {
        ("0",): [40],  # the other pod is a copy: both have no id of a process
        ("1",): [0],
        ("2",): [2],
    }
    assert totals(store, CALLS) == {}
    store.add(request_of(CALLS, [(NOW + 4, calls(), 9)], start=NOW - 500))
    assert totals(store, points=2) == {(): [None, 9]}


def test_a_series_is_silent_between_exports_that_are_too_far_apart(clock):
    """A query within one step shows in which steps a process has exported."""
    store = OtlpStore({CALLS: Retention(resolution=10.0, fine=600.0, keep=600.0)}, clock=clock)
    start = NOW - NOW % 10
    for second in (5, 14, 22, 30, 75, 80, 81):
        clock.now = start + second
        store.add(request_of(CALLS, [(start + second, calls(), 4)]))
    read = totals(store, start=start, step=10.0, points=11, within=10.0)
    assert read == {(): [None, 4, 4, 4, None, None, None, None, 4, 4, None]}


def test_times_that_are_ahead_are_those_of_the_arrival(store, clock):
    store.add(request_of(CALLS, [(NOW + 500, calls(), 4), (NOW + 560, calls(), 6)]))
    assert totals(store, points=1) == {(): [6]}
    clock.now += 60
    store.add(request_of(CALLS, [(NOW + 620, calls(), 9)]))
    assert totals(store, step=60.0, points=2) == {(): [6, 9]}


def test_points_without_a_value_end_nothing(store):
    request = request_of(CALLS, [(NOW, calls(), 4)])
    store.add(request)
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    point.flags = 1
    assert store.add(request) == Added(0, 1, 0, "")
    point.flags = 0
    point.ClearField("as_int")
    assert store.add(request) == Added(0, 1, 0, "")
    assert totals(store, points=1) == {(): [4]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda point: setattr(point, "as_double", math.nan), "a value that is no count"),
        (lambda point: setattr(point, "as_double", math.inf), "a value that is no count"),
        (lambda point: setattr(point, "as_int", -1), "a value that is no count"),
        (lambda point: setattr(point, "as_int", 2**60), "a value that is no count"),
        (lambda point: setattr(point, "time_unix_nano", 0), "a time that is none"),
        (lambda point: setattr(point, "time_unix_nano", 2**64 - 1), "a time that is none"),
        (lambda point: setattr(point, "start_time_unix_nano", 2**63), "a time that is none"),
        (lambda point: [point.attributes.add(key=str(n)) for n in range(65)], "more than 64 attributes"),
        (lambda point: setattr(point.attributes[0].value, "string_value", "x" * 1_025), "1024 characters"),
        (lambda point: setattr(point.attributes[0], "key", "x" * 1_025), "1024 characters"),
        (lambda point: setattr(point.attributes.add(key="otel.metric.overflow").value, "bool_value", True), "SDK"),
    ],
)
def test_points_that_cannot_be_stored_are_refused_once_each(store, caplog, change, reason):
    """The others of the request count."""
    request = request_of(CALLS, [(NOW, calls(), 4), (NOW, calls("q"), 5)])
    change(request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0])
    with caplog.at_level(logging.WARNING, logger="driftline"):
        added, *_ = [store.add(request) for _ in range(3)]
    assert (added.stored, added.refused) == (1, 1)
    assert reason in added.reason
    assert len(caplog.records) == 1
    assert store.counts["refused"] == 3
    assert totals(store, points=1) == {(): [5]}


def test_other_metrics_are_ignored_and_other_kinds_refused(store):
    assert store.add(request_of(sc.METRIC_PREDICTIONS_SERVED, [(NOW, calls(), 4)])) == Added(0, 0, 0, "")
    request = request_of(CALLS, [(NOW, calls(), 4)])
    metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
    metric.sum.aggregation_temporality = 0
    assert store.add(request).reason == "1 points: a sum without a temporality"
    metric.histogram.data_points.add()
    assert store.add(request).reason == "1 points: a histogram, not a sum or a gauge"
    metric.ClearField("histogram")
    assert store.add(request) == Added(0, 0, 0, "")


def test_limits(clock, caplog):
    """Known series go on."""
    limits = Limits(series=3, models=2, values=10**6, size=10**6)
    store = OtlpStore(retention_by(60.0), limits, clock)
    series = [calls("a"), calls("b"), calls("c", **{"ml.model.name": "n"})]
    with caplog.at_level(logging.WARNING, logger="driftline"):
        store.add(request_of(CALLS, [(NOW, each, 1) for each in series]))
        added = [
            store.add(request_of(CALLS, [(NOW + 1, calls("d"), 1)])),
            store.add(request_of(CALLS, [(NOW + 1, calls("e", **{"ml.model.name": "o"}), 1)])),
            store.add(request_of(CALLS, [(NOW + 1, calls("d"), 1)])),
        ]
    assert [each.reason for each in added] == [
        "1 points: more than 3 series",
        "1 points: more than 2 models",
        "1 points: more than 3 series",
    ]
    assert len(caplog.records) == 2
    assert store.series == 3
    clock.now += 1
    store.add(request_of(CALLS, [(NOW + 1, each, 5) for each in series]))
    assert totals(store, start=NOW + 4, points=1) == {(): [15]}
    small = OtlpStore(retention_by(60.0), Limits(size=1_000), clock)
    for number in range(4):
        added = small.add(request_of(CALLS, [(NOW, calls(str(number)), 1)]))
    assert "MiB" in added.reason
    assert small.size < 2_000


def test_silent_models_make_room(clock):
    """A receiver of many models, whose names may hold a date, takes a new one. Those that export stay."""
    retention = {CALLS: Retention(resolution=4.0, fine=60.0, keep=300.0, from_start=False)}
    store = OtlpStore(retention, Limits(models=4), clock)

    def send(*models):
        return store.add(request_of(CALLS, [(clock.now, calls("a", **{"ml.model.name": name}), 1) for name in models]))

    send("a", "b", "c", "d")
    assert send("e").reason == "1 points: more than 4 models"
    clock.now += 301.0
    send("a", "b")
    clock.now += 1.0
    assert send("e", "f").refused == 1
    assert send("a", "b", "e").refused == 0
    known = {sample.attributes["ml.model.name"] for sample in store.latest(CALLS, {}, at=clock.now, within=10**6)}
    assert known in ({"a", "b", "c", "e"}, {"a", "b", "d", "e"})


def test_the_clock_of_a_process_was_ahead(clock):
    """By years, until it was set right: its later values count, and what is sent twice does not."""
    store = OtlpStore(retention_by(60.0), clock=clock)
    ahead, start = 10 * 365 * 86_400.0, NOW + 10 * 365 * 86_400.0 - 5.0
    for seconds, value in ((0.0, 3), (60.0, 8)):
        clock.now = NOW + seconds
        store.add(request_of(CALLS, [(NOW + ahead + seconds, calls("a"), value)], start=start))
    for seconds, value in ((120.0, 20), (180.0, 31)):
        clock.now = NOW + seconds
        store.add(request_of(CALLS, [(NOW + seconds, calls("a"), value)], start=start))
        store.add(request_of(CALLS, [(NOW + ahead + 60.0, calls("a"), 8)], start=start))
    assert totals(store, start=NOW + 0.5, step=60.0, points=4) == {(): [3, 8, 20, 31]}


def test_attributes_that_are_not_read_need_room_too(clock):
    """They tell series apart, so they are kept. A sender may put 60 kB into those of each series."""
    store = OtlpStore(retention_by(60.0), Limits(size=10**6), clock)
    more = {f"label {number}": "x" * 1_000 for number in range(50)}
    added = store.add(request_of(CALLS, [(NOW, calls(str(number), **more), 1) for number in range(50)]))
    assert added.refused >= 30
    assert 900_000 < store.size < 1_100_000
    entries = store.entries()
    restored = OtlpStore(retention_by(60.0), Limits(), clock)
    restored.restore(NOW, entries)
    assert restored.size == store.size
    clock.now += 40 * 86_400
    store.prune()
    assert store.size == 0


def test_a_resource_is_digested_once(clock, monkeypatch):
    """A request of 16 MiB may have a resource of half of that, and 200,000 scopes."""
    digested = []

    def digest(data=b"", **more):
        digested.append(len(data))
        return blake2b(data, **more)

    monkeypatch.setattr(otlp_points, "blake2b", digest)
    request = request_of(CALLS, [(NOW, calls("a"), 1)], resource={"x": "y" * 1_000})
    resource = request.resource_metrics[0]
    for number in range(20):
        scope = resource.scope_metrics.add()
        scope.CopyFrom(resource.scope_metrics[0])
        scope.scope.name = str(number)
    store = OtlpStore(retention_by(60.0), clock=clock)
    assert store.add(request).stored == 21
    assert sum(digested) < 2_000


def test_silent_series_make_room(clock):
    """Of a full store, and after a month. If the process comes back, its first value is no news."""
    store = OtlpStore(
        {CALLS: Retention(resolution=4.0, fine=60.0, keep=300.0, from_start=False)}, Limits(series=2), clock
    )

    def export(process, value, began):
        points = [(clock.now, calls(process), value)]
        return store.add(request_of(CALLS, points, start=began, resource={"pod": process})).refused

    assert [export(process, 5, NOW) for process in "abc"] == [0, 0, 1]
    clock.now = NOW + 200
    assert (export("b", 6, NOW), export("c", 2, NOW)) == (0, 1)
    clock.now = NOW + 350
    assert (export("c", 3, NOW + 100), store.series) == (0, 2)
    clock.now = NOW + 700
    assert export("a", 9, NOW) == 0  # in the place of the second
    assert totals(store, start=clock.now, points=1, by=[sc.ML_CANARY_PROCESS]) == {("a",): [0], ("c",): [3]}
    clock.now = NOW + 31 * 86_400
    store.prune()
    assert store.series == 0


def test_older_values_are_further_apart_and_the_last_one_is_exact(clock):
    """A canary of weeks has as many values as one of an hour, about."""
    store = OtlpStore({CALLS: Retention(resolution=4.0, fine=64.0, keep=10**7)}, clock=clock)
    sizes = []
    for number in range(1, 6_000):
        clock.now = NOW + 4 * number
        store.add(request_of(CALLS, [(clock.now, calls(), number)]))
        if number in {1_000, 5_999}:
            store.prune()
            sizes.append(len(store.entries()[0].state.values) // 3)
    assert sizes[0] < 90
    assert sizes[1] < sizes[0] + 30
    assert totals(store, start=clock.now, points=1) == {(): [5_999]}
    (early,) = totals(store, start=NOW + 4_096, points=1).values()
    assert 1_024 - 256 < early[0] <= 1_024


def test_too_many_values_make_times_less_exact(clock, caplog):
    store = OtlpStore({CALLS: Retention(resolution=1.0, fine=10**6, keep=10**6)}, Limits(values=50), clock)
    for number in range(1, 200):
        clock.now = NOW + number
        store.add(request_of(CALLS, [(clock.now, calls(), number)]))
    with caplog.at_level(logging.WARNING, logger="driftline"):
        store.prune()
    assert "less exact" in caplog.text
    assert len(store.entries()[0].state.values) // 3 <= 50
    assert totals(store, start=clock.now, points=1) == {(): [199]}


@pytest.mark.parametrize("delta", [False, True])
def test_a_restored_store_goes_on(store, clock, delta):
    """Also with points that come again."""
    clock.now = NOW + 100
    spans = [(0, 4, 2), (4, 8, 3), (8, 12, 1), (12, 16, 4)]
    points = []
    for start, end, value in spans:
        total = sum(each for _, until, each in spans if until <= end)
        points.append((NOW + start * delta, NOW + end, calls(), value if delta else total))
    for point in points[:3]:
        store.add(request_of(CALLS, [point], delta=delta))
    again = OtlpStore(retention_by(60.0), clock=clock)
    again.restore(store.began, store.entries())
    for point in points[1:]:
        again.add(request_of(CALLS, [point], delta=delta))
    assert totals(again) == {(): [None, 2, 5, 6, 10]}
    assert again.series == 1
    with pytest.raises(ValueError, match="1 times"):
        again.restore(NOW, [SeriesEntry(CALLS.name, b"", (), store.entries()[0].state._replace(times=np.array([1])))])
