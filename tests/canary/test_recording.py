"""A canary's evidence by time and key, as calls are recorded."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline.testing import Probe


@pytest.fixture
def timed_pair(make_monitor, clock):
    """Baseline and candidate whose two clocks a test sets."""
    options = {"synchronous": True, "clock": clock, "wall_clock": clock}
    return (
        make_monitor("m", version="1", variant="baseline", **options),
        make_monitor("m", version="2", variant="candidate", **options),
    )


def tables_of(canary):
    """Return the tables of calls of both variants, summed over all strata."""
    return [side.call_tables for side in canary.evidence().pooled()]


def test_tables_are_counted_once_a_canary_asks(timed_pair, serve):
    baseline, candidate = timed_pair
    serve(baseline, 5)
    assert baseline.evidence().call_tables is None
    canary = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=None))
    serve(baseline, 3)
    serve(candidate, 4, failed=1)
    before, after = tables_of(canary)
    assert before.calls.total().tolist() == [3, 0]
    assert after.calls.total().tolist() == [4, 1]
    assert after.durations.total().sum() == 3
    assert not after.keys.any()


def test_calls_count_at_their_time_without_a_thread(timed_pair, serve, clock):
    """Without a worker thread, the first call of a block drains those of the last block."""
    baseline, candidate = timed_pair
    canary = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=None))
    for _ in range(3):
        serve(baseline, 2)
        serve(candidate, 1)
        clock.now += 10.0
    before, after = tables_of(canary)
    assert before.calls.counts[:30:10, 0].tolist() == [2, 2, 2]
    assert after.calls.counts[:30:10, 0].tolist() == [1, 1, 1]
    assert sum(table.total().sum() for table in before.bins.values()) == 6 * len(before.bins)


def test_first_calls_are_a_warm_up(timed_pair, serve):
    baseline, candidate = timed_pair
    canary = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=10))
    serve(baseline, 4)
    serve(candidate, 25, failed=2)
    before, after = tables_of(canary)
    assert (before.warm_up.sum(), before.durations.total().sum()) == (4, 0)
    assert (after.warm_up.sum(), after.durations.total().sum()) == (10, 13)
    assert after.calls.total().tolist() == [25, 2]


def test_two_canaries_share_the_tables_and_subtract_their_start(timed_pair, make_monitor, serve, clock):
    baseline, candidate = timed_pair
    other = make_monitor("m", version="3", variant="other", synchronous=True, clock=clock, wall_clock=clock)
    first = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=None))
    serve(baseline, 3)
    clock.now += 5.0
    second = dl.Canary(baseline, other, dl.CanaryPolicy(warm_up=7))
    serve(baseline, 2)
    serve(other, 9)
    assert tables_of(first)[0].calls.total().tolist() == [5, 0]
    before, after = tables_of(second)
    assert before.calls.total().tolist() == [2, 0]
    assert before.durations.total().sum() == 2
    assert after.warm_up.sum() == 7


def test_tables_go_on_when_a_reference_is_replaced(timed_pair, serve, clock, row):
    baseline, candidate = timed_pair
    canary = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=5))
    serve(candidate, 3)
    for number in range(12):  # more than are kept
        candidate.replace_reference(candidate.reference)
        clock.now += 1.0
        serve(candidate, 1 + number % 2)
    _, after = tables_of(canary)
    assert after.calls.total().tolist() == [21, 0]
    assert (after.warm_up.sum(), after.durations.total().sum()) == (5, 16)
    assert {name: int(table.total().sum()) for name, table in after.bins.items()} == dict.fromkeys(after.bins, 21)
    changed = dl.Reference.fit({"distance": np.linspace(-9.0, 9.0, 50)})
    candidate.replace_reference(changed)
    candidate.observe({"distance": [1.0, 2.0]})
    evidence = canary.evidence()
    assert evidence.pooled()[1].call_tables.calls.total().tolist() == [22, 0]


def test_a_share_makes_strata_of_the_tables_too(timed_pair, serve, clock):
    baseline, candidate = timed_pair
    canary = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=None), share=0.1)
    canary.route("a")
    serve(candidate, 2)
    canary.share = 0.5
    clock.now += 2.0
    serve(candidate, 3)
    first, second = canary.evidence().strata
    assert (first.share, first.sticky) == (0.1, True)
    assert (second.share, second.sticky) == (0.5, False)
    assert first.candidate.call_tables.calls.total().tolist() == [2, 0]
    assert second.candidate.call_tables.calls.total().tolist() == [3, 0]
    assert second.candidate.call_tables.calls.trimmed().first == int(clock.now)


def test_the_child_of_a_fork_starts_with_empty_tables(timed_pair, serve):
    baseline, candidate = timed_pair
    canary = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=2))
    serve(candidate, 5)
    for monitor in timed_pair:
        Probe(monitor).become_fork_child()
    assert tables_of(canary)[1].calls.total().tolist() == [0, 0]
    serve(candidate, 3)
    _, after = tables_of(canary)
    assert after.calls.total().tolist() == [3, 0]
    assert (after.warm_up.sum(), after.durations.total().sum()) == (2, 1)


def test_batches_are_calls_of_the_tables(timed_pair, row):
    baseline, candidate = timed_pair
    canary = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=None))
    frame = {name: [value] * 40 for name, value in row.items()}
    candidate.observe(frame, [0.5] * 40)
    candidate.observe(frame, [0.5] * 40, seconds=0.2)
    _, after = tables_of(canary)
    assert after.calls.total().tolist() == [2, 0]
    assert after.durations.total().sum() == 1
    assert {int(table.total().sum()) for table in after.bins.values()} == {80}


def test_calls_of_a_monitor_with_a_thread_count_at_the_time_of_their_drain(make_monitor, clock, row):
    """Also with windows of time, and if the first call comes long after the canary."""
    options = {"clock": clock, "wall_clock": clock, "window": dl.Window("1min")}
    baseline, candidate = (make_monitor("m", version=version, **options) for version in ("1", "2"))
    probe = Probe(candidate)
    probe.hold_worker()
    canary = dl.Canary(baseline, candidate, dl.CanaryPolicy(warm_up=None))
    predict = candidate.instrument(lambda features: 0.5)
    clock.now += 1_000.0
    predict(row)
    predict(row)
    probe.drain()
    first = tables_of(canary)[1].calls.trimmed()
    assert (first.first * first.seconds, first.counts.tolist()) == (
        int(clock.now) // first.seconds * first.seconds,
        [[2, 0]],
    )
    clock.now += 2.0 * first.seconds
    predict(row)
    assert candidate.evidence(settle=False).calls == 2  # no caller drains a block
    probe.drain()
    assert tables_of(canary)[1].calls.trimmed().counts[[0, -1]].tolist() == [[2, 0], [1, 0]]
