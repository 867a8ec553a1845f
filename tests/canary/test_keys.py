"""Calls are counted by the bucket of their key, wherever the key comes from, and no call gets the key of another."""

from __future__ import annotations

import asyncio
import contextvars

import numpy as np
import pytest

import driftline as dl
from driftline._runtime.call_keys import KEY_BUCKETS, key_bucket, key_digest
from driftline.testing import Probe


@pytest.fixture
def canary(pair):
    """A canary over the pair, which sends every call to the candidate."""
    return dl.Canary(*pair, dl.CanaryPolicy(warm_up=None), share=1.0)


def keys_of(monitor):
    """Return the calls by bucket of their key, as {bucket: [calls, raised]}."""
    keys = monitor.evidence().call_tables.keys
    return {int(bucket): keys[bucket].tolist() for bucket in np.flatnonzero(keys.any(axis=1))}


def bucket(key):
    """Return the bucket of a key, with the salt of canaries and monitors without one."""
    return key_bucket(key_digest(key, ""))


def test_route_gives_the_calls_that_follow_their_key(canary, pair, row):
    _, candidate = pair
    predict = candidate.instrument(lambda features: 0.5)
    assert canary.route("ann") == "candidate"
    predict(row)
    predict(row)
    with candidate.prediction(row) as call:
        call.output = 0.5
    canary.route("bob")
    candidate.observe([row, row], [0.1, 0.2])
    canary.route()
    predict(row)
    assert keys_of(candidate) == {bucket("ann"): [3, 0], bucket("bob"): [1, 0]}


def test_a_key_that_cannot_be_hashed_leaves_none_of_an_earlier_call(make_monitor, row):
    baseline, candidate = (
        make_monitor("m", version=version, synchronous=True, on_error="log") for version in ("1", "2")
    )
    canary = dl.Canary(baseline, candidate, share=0.5)
    canary.route("ann")
    assert canary.route(1.5) == "baseline"
    baseline.instrument(lambda features: 0.5)(row)
    assert keys_of(baseline) == {}
    assert Probe(candidate).errors == {"route": 1}


def test_split_gives_each_call_its_key_and_later_ones_none(canary, pair, row):
    baseline, candidate = pair

    def fail(features):
        if features["age"] > 90.0:
            raise KeyError
        return 0.5

    split = canary.split(baseline.instrument(fail), predict := candidate.instrument(fail), key=lambda features: "ann")
    split(row)
    with pytest.raises(KeyError):
        split({**row, "age": 99.0})
    predict(row)
    assert keys_of(candidate) == {bucket("ann"): [2, 1]}
    assert candidate.evidence().calls == 3


def test_a_split_at_random_has_no_key_of_an_earlier_call(canary, pair, row):
    """The key of `route` is that of the calls that follow, but not of those that a split without a key passes on."""
    baseline, candidate = pair
    predict = candidate.instrument(lambda features: 0.5)
    split = canary.split(baseline.instrument(lambda features: 0.5), predict)
    canary.route("ann")
    split(row)
    predict(row)

    async def answer(features):
        return 0.5

    async def call():
        canary.route("bob")
        await canary.split(baseline.instrument(answer), candidate.instrument(answer))(row)
        predict(row)

    asyncio.run(call())
    assert keys_of(candidate) == {bucket("ann"): [1, 0], bucket("bob"): [1, 0]}
    assert candidate.evidence().calls == 4


def test_split_of_results_that_come_later_keeps_the_key(canary, pair, row):
    baseline, candidate = pair

    async def answer(features):
        await asyncio.sleep(0)
        return 0.5

    def plain(function):
        return lambda features: function(features)  # noqa: PLW0108 - no coroutine function

    def words(features):
        yield 0.1
        yield 0.5

    async def later(features):
        yield 0.1
        await asyncio.sleep(0)
        yield 0.5

    def split(function, wrap=lambda instrumented: instrumented):
        return canary.split(
            wrap(baseline.instrument(function)), wrap(candidate.instrument(function)), key=lambda features: "ann"
        )

    other = candidate.instrument(lambda features: 0.5)

    async def consume():
        assert await split(answer)(row) == 0.5
        assert await split(answer, plain)(row) == 0.5
        assert [each async for each in split(later)(row)] == [0.1, 0.5]
        seen = []
        for value in split(words)(row):
            seen.append(value)
            other(row)  # the consumer's calls are its own
        assert seen == [0.1, 0.5]

    asyncio.run(consume())
    assert keys_of(candidate) == {bucket("ann"): [4, 0]}
    assert candidate.evidence().calls == 6


def test_a_key_is_that_of_the_variants_of_its_canary(canary, pair, make_monitor, row):
    others = [make_monitor("other", version=version, synchronous=True) for version in ("1", "2")]
    dl.Canary(*others)
    canary.route("ann")
    for monitor in (*pair, *others):
        monitor.instrument(lambda features: 0.5)(row)
    assert [keys_of(monitor) for monitor in (*pair, *others)] == [{bucket("ann"): [1, 0]}] * 2 + [{}] * 2


def test_generators_of_a_split_pass_on_what_the_consumer_sends_and_throws(canary, pair, row):
    baseline, candidate = pair

    def echo(features):
        got = []
        try:
            while len(got) < 2:
                got.append((yield len(got)))
        except KeyError:
            got.append("thrown")
        return got

    split = canary.split(baseline.instrument(echo), candidate.instrument(echo), key=lambda features: "ann")
    generator = split(row)
    next(generator)
    generator.send("a")
    with pytest.raises(StopIteration) as stop:
        generator.throw(KeyError())
    assert stop.value.value == ["a", "thrown"]
    abandoned = split(row)
    next(abandoned)
    abandoned.close()
    assert keys_of(candidate) == {bucket("ann"): [2, 0]}


def test_tasks_do_not_share_keys(canary, pair, row):
    _, candidate = pair

    @candidate.instrument
    async def predict(features):
        await asyncio.sleep(0.001)
        return 0.5

    async def request(user):
        canary.route(user)
        await asyncio.sleep(0)
        await predict(row)

    async def serve():
        await asyncio.gather(*(request(f"user {number}") for number in range(50)))

    contextvars.copy_context().run(asyncio.run, serve())
    keys = candidate.evidence().call_tables.keys
    expected = np.bincount([bucket(f"user {number}") for number in range(50)], minlength=KEY_BUCKETS)
    assert keys[:, 0].tolist() == expected.tolist()


def test_instrument_takes_a_key_from_the_call(canary, pair, row):
    _, candidate = pair

    class Model:
        @candidate.instrument(key="user")
        def by_argument(self, features, user="guest"):
            return 0.5

        @candidate.instrument(key=lambda features: features["channel"])
        def by_function(self, features):
            return 0.5

    by_feature = candidate.instrument(key="channel")(lambda features: 0.5)
    model = Model()
    model.by_argument(row, "ann")
    model.by_argument(row, user=7)
    model.by_argument(row)
    model.by_function(row)
    by_feature(row)
    asyncio.run(_await(candidate.instrument(key="channel")(_predict), row))
    canary.route("bob")
    by_feature(row)  # its own key wins
    expected = {bucket("ann"): [1, 0], bucket("7"): [1, 0], bucket("guest"): [1, 0], bucket("web"): [4, 0]}
    assert keys_of(candidate) == expected


async def _predict(features):
    return 0.5


async def _await(function, row):
    await function(row)


def test_prediction_and_observe_take_keys(canary, pair, row):
    _, candidate = pair
    with candidate.prediction(row, key="ann") as call:
        call.output = 0.5
    frame = {name: [value] * 3 for name, value in row.items()}
    candidate.observe(frame, [0.1] * 3, keys=["ann", "bob", None])
    candidate.observe(frame, [0.1] * 3, keys=np.array([7, 7, 8]), seconds=0.1)
    candidate.observe(frame, [0.1] * 3, keys="cat")
    candidate.observe(frame, [0.1] * 3, keys="cat", seconds=0.1)
    candidate.observe(frame, [0.1] * 3, keys=["dan"] * 3)
    candidate.observe(frame, [0.1] * 3, keys=["dan"] * 3, seconds=0.1)
    assert keys_of(candidate) == {bucket("ann"): [1, 0], bucket("cat"): [2, 0], bucket("dan"): [2, 0]}


def test_rows_of_batches_never_have_more_keys_than_there_are_calls(canary, pair, row):
    """The error rate compares calls, and a batch is one. Its outcomes count by the key of their row."""
    _, candidate = pair
    frame = {name: [value] * 50 for name, value in row.items()}
    users = [f"user {number}" for number in range(50)]
    for number in range(20):
        ids = [f"{number} {user}" for user in users]
        candidate.observe(frame, [0.1] * 50, keys=users, prediction_ids=ids)
        candidate.observe(frame, [0.1] * 50, keys=users, seconds=0.1)
        candidate.observe(frame, [0.1] * 50, keys=users[number])
    _, evidence = canary.evidence().pooled()
    assert evidence.calls == evidence.call_tables.calls.total()[0] == 60
    assert evidence.call_tables.keys.sum(axis=0).tolist() == [20, 0]
    assert evidence.outcome_tables.keys.sum(axis=0).tolist() == [1_000, 0, 0]
    assert evidence.call_tables.row_keys.sum() == 3_000


@pytest.mark.parametrize("keyed", [True, False])
def test_rows_of_batches_are_no_independent_predictions_if_they_have_keys(pair, row, quick, keyed):
    """Ten users of each variant, whose 200 predictions each are alike: that they differ between variants is chance."""
    policy = quick(allowed_error_increase=None, allowed_prediction_drift=0.2)
    canary = dl.Canary(*pair, policy)
    frame = {name: [value] * 200 for name, value in row.items()}
    for monitor, levels in zip(pair, (np.linspace(0.1, 0.9, 10), np.linspace(0.4, 0.9, 10)), strict=True):
        users = [f"{monitor.variant_attributes['ml.model.version']} {number % 10}" for number in range(200)]
        for _ in range(10):
            monitor.observe(frame, np.tile(levels, 20), keys=users if keyed else None)
    verdict = canary.verdict()
    assert verdict.criteria[-1].name == "prediction_drift"
    assert verdict.state == ("inconclusive" if keyed else "rollback")


def test_errors_of_the_key_never_reach_the_host(make_monitor, row):
    monitor = make_monitor("m", version="1", synchronous=True, on_error="log")
    other = make_monitor("m", version="2", synchronous=True)
    dl.Canary(monitor, other)
    assert monitor.instrument(key="nothing")(lambda features: 0.5)(row) == 0.5
    assert monitor.instrument(key=lambda features: 1 / 0)(lambda features: 0.5)(row) == 0.5
    assert monitor.instrument(key=lambda features: 1.5)(lambda features: 0.5)(row) == 0.5
    with monitor.prediction(row, key=2.5) as call:
        call.output = 0.5
    monitor.observe([row, row], [0.5, 0.5], keys=[1.5, "ann"])
    assert Probe(monitor).errors == {"key": 5}
    assert keys_of(monitor) == {}
    evidence = monitor.evidence()
    assert (evidence.served, evidence.failed) == (6, 0)
    with pytest.raises(dl.ConfigurationError, match="key"):
        monitor.instrument(key=3)(lambda features: 0.5)


def test_without_a_canary_no_key_is_read(make_monitor, row):
    monitor = make_monitor("m", synchronous=True)
    called = []
    predict = monitor.instrument(key=called.append)(lambda features: 0.5)
    predict(row)
    monitor.observe([row], [0.5], keys=["ann"])
    assert called == []
    assert monitor.evidence().call_tables is None


def test_exemplars_keep_their_context_beside_the_key(canary, pair, telemetry, row):
    _, candidate = pair
    predict = candidate.instrument(lambda features: 0.5)
    tracer = telemetry.tracer_provider.get_tracer("t")
    canary.route("ann")
    predict(row)
    with tracer.start_as_current_span("the recorder's"):
        candidate.flush()
    (point,) = telemetry.metrics()["ml.prediction.duration"].data.data_points
    assert (point.count, list(point.exemplars)) == (1, [])
    with tracer.start_as_current_span("the call's") as span:
        predict(row)
    candidate.flush()
    assert keys_of(candidate) == {bucket("ann"): [2, 0]}
    (point,) = telemetry.metrics()["ml.prediction.duration"].data.data_points
    assert [exemplar.span_id for exemplar in point.exemplars] == [span.get_span_context().span_id]
