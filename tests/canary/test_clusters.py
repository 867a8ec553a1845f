"""Verdicts on calls that depend on each other: sticky keys, outages, ramps of the share."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import driftline as dl
from driftline._binning.bins import PREDICTION
from driftline._windows.blocks import BlockCounts
from driftline.canary import CanaryEvidence, judge_canary


def criterion(verdict, name="error_rate"):
    (result,) = [part for part in verdict.criteria if part.name == name]
    return result


def served_keys(random, keys, rates, calls=30, buckets=128):
    """Return (calls, raised) by bucket: each key calls *calls* times and fails with its own rate."""
    counts = np.zeros((buckets, 2), dtype=np.int64)
    np.add.at(
        counts, random.integers(0, buckets, keys), np.stack([np.full(keys, calls), random.binomial(calls, rates)], 1)
    )
    return counts


def over_time(random, total, blocks=64):
    return random.multinomial(total, np.full(blocks, 1 / blocks))


def sticky(random, timed_variant, rates, calls=30):
    """Return a variant that served keys with these rates, evenly over time."""
    keys = served_keys(random, len(rates), rates, calls)
    return timed_variant(over_time(random, keys[:, 0].sum()), over_time(random, keys[:, 1].sum()), keys)


def test_keys_that_differ_are_no_harm_and_independent_calls_are(timed_variant, evidence_of, quick):
    """The same counts: 2 % and 3 % of 30,000 calls, once by a few bad keys and once by chance in all of them."""
    random = np.random.default_rng(2)
    even = [sticky(random, timed_variant, np.full(1_000, rate)) for rate in (0.02, 0.03)]
    assert judge_canary(evidence_of(*even, sticky=True), quick()).state == "rollback"
    few = [sticky(random, timed_variant, np.arange(1_000) < bad) for bad in (20, 30)]
    verdict = judge_canary(evidence_of(*few, sticky=True), quick())
    assert criterion(verdict).state != "rollback"
    assert criterion(verdict).rows == 30_000


def test_a_few_keys_are_named_as_the_obstacle(timed_variant, evidence_of, quick):
    keys = np.zeros((128, 2), dtype=np.int64)
    keys[:15] = 1_000, 20
    worse = keys * [1, 30]
    time = np.full(60, 250)
    pair = timed_variant(time, np.full(60, 5), keys), timed_variant(time, np.full(60, 150), worse)
    result = criterion(judge_canary(evidence_of(*pair, sticky=True), quick()))
    assert result.state == "inconclusive"
    assert result.reason.endswith("15 keys in effect, a variant needs 20")
    assert "unknown amount" not in result.reason
    assert (result.lower, result.upper, result.e_harm, result.more_rows) == (None, None, 0.0, None)


def test_without_calls_of_both_variants_the_keys_are_no_obstacle(timed_variant, evidence_of, quick):
    keys = np.zeros((128, 2), dtype=np.int64)
    keys[3] = 1, 0
    pair = timed_variant([1], [0], keys), timed_variant([0], [0])
    assert criterion(judge_canary(evidence_of(*pair, sticky=True), quick())).reason == (
        "error_rate: no calls of both variants yet"
    )


def test_a_few_keys_among_many_calls_without_one_are_no_obstacle(timed_variant, evidence_of, quick):
    keys = np.zeros((128, 2), dtype=np.int64)
    keys[:3] = 10, 1
    time = np.full(60, 250)
    pair = timed_variant(time, np.full(60, 5), keys), timed_variant(time, np.full(60, 100), keys)
    assert judge_canary(evidence_of(*pair, sticky=True), quick()).state == "rollback"


def test_an_outage_of_one_process_is_no_harm(timed_variant, evidence_of, quick):
    """80 % of the calls of one block in 64 fail; without blocks of time this is a rollback."""
    calls, raised = np.full(64, 200), np.full(64, 4)
    outage = raised.copy()
    outage[20] = 160
    result = judge_canary(evidence_of(timed_variant(calls, raised), timed_variant(calls, outage)), quick())
    assert criterion(result).state != "rollback"
    pooled = [timed_variant([12_800], [bad]) for bad in (raised.sum(), outage.sum())]
    assert judge_canary(evidence_of(*pooled), quick()).state == "rollback"


def test_a_base_rate_that_rises_while_an_outside_splitter_ramps_is_no_harm(timed_variant, evidence_of, quick):
    """1 % and 5 % of the calls, then 3 % and 50 %: together the candidate has 2.8 % against 1.7 %."""
    share, rate = np.repeat([0.05, 0.5], 30), np.repeat([0.01, 0.03], 30)
    total = np.full(60, 2_000)
    new = (share * total).astype(int)
    pair = [timed_variant(calls, np.rint(rate * calls).astype(int)) for calls in (total - new, new)]
    result = criterion(judge_canary(evidence_of(*pair), quick(allowed_error_increase=0.005)))
    assert result.state == "promote"
    assert abs(result.value) < 1e-3
    assert result.upper <= result.limit
    # Overall rates alone would contradict the verdict.
    assert result.reason.startswith("error rate 2.82% against 1.69% (2.68% against 2.68% at equal times): worse by")
    worse = timed_variant(new, np.rint(2 * rate * new).astype(int))
    assert judge_canary(evidence_of(pair[0], worse), quick(allowed_error_increase=0.005)).state == "rollback"


def test_evidence_of_four_processes_is_that_of_one(timed_variant, evidence_of, quick):
    """To the last digit, at whatever level each process counts."""
    random = np.random.default_rng(4)
    calls, raised = random.integers(20, 90, (4, 2, 32)), random.integers(0, 6, (4, 2, 32))
    keys = np.stack([[served_keys(random, 60, np.full(60, 0.05)) for _ in range(2)] for _ in range(4)])
    parts = [
        evidence_of(*(timed_variant(calls[i, side], raised[i, side], keys[i, side]) for side in (0, 1)), sticky=True)
        for i in range(4)
    ]
    single = evidence_of(
        *(timed_variant(calls[:, side].sum(0), raised[:, side].sum(0), keys[:, side].sum(0)) for side in (0, 1)),
        sticky=True,
    )
    merged = sum(parts[1:], start=parts[0])
    assert judge_canary(merged, quick()) == judge_canary(single, quick())
    assert judge_canary(CanaryEvidence.from_json(merged.to_json()), quick()) == judge_canary(single, quick())


def test_the_design_effect_of_the_policy_is_the_least(timed_variant, evidence_of, quick):
    """A policy may know more than the tables, never less."""
    pair = timed_variant(np.full(64, 60), np.full(64, 1)), timed_variant(np.full(64, 60), np.full(64, 2))
    evidence = evidence_of(*pair)
    estimated, larger = (criterion(judge_canary(evidence, quick(design_effect=factor))) for factor in (1.0, 9.0))
    assert larger.e_harm < estimated.e_harm
    noisy = timed_variant(np.full(64, 60), np.tile([0, 4], 32)), timed_variant(np.full(64, 60), np.tile([6, 0], 32))
    alone, more = (criterion(judge_canary(evidence_of(*noisy), quick(design_effect=d))) for d in (1.0, 1.5))
    assert alone == more


def test_shares_without_tables_are_strata_beside_those_with(variant, timed_variant, evidence_of, quick):
    """Such as those of a file that an older version wrote."""
    old = evidence_of(variant(1_000, 20), variant(1_000, 20), share=0.1)
    new = evidence_of(timed_variant([500] * 8, [10] * 8), timed_variant([500] * 8, [10] * 8), share=0.5)
    result = criterion(judge_canary(old + new, quick()))
    assert result.rows == 5_000
    assert result.state == "promote"


def test_a_share_that_keys_get_is_checked_by_the_number_of_keys(timed_variant, evidence_of):
    """1,000 keys of 30 calls: 5 points too many are chance for 30 keys' worth of calls, 15 points are not."""
    random = np.random.default_rng(5)
    policy = dl.CanaryPolicy(share=0.5)

    def split(old, new, calls=30):
        pair = [sticky(random, timed_variant, np.full(keys, 0.02), calls) for keys in (old, new)]
        return criterion(judge_canary(evidence_of(*pair, sticky=True), policy), "split")

    assert split(475, 525).state == "promote"
    broken = split(300, 700)
    assert broken.state == "inconclusive"
    assert (
        "the split is broken: 70.00% of 30,000 calls went to the candidate, 50.00% expected, with about "
        in broken.reason
    )
    calls_of_a_key = float(re.search(r"about ([0-9.]+) calls of a key", broken.reason)[1])
    assert calls_of_a_key == pytest.approx(30, rel=0.4)
    assert split(475, 525, calls=1).state == "promote"


def test_rows_of_a_call_are_no_independent_predictions(variant, evidence_of):
    """Twenty calls of 100 rows: predictions that differ by 50 points are chance, and those of as many calls are not."""

    def drift(calls):
        pair = [replace(variant(calls=calls, predictions=bins), served=2_000) for bins in ([1_500, 500], [500, 1_500])]
        return criterion(judge_canary(evidence_of(*pair), dl.CanaryPolicy()), "prediction_drift").state

    assert drift(calls=2_000) == "rollback"
    assert drift(calls=20) == "inconclusive"


def test_the_rows_of_batches_have_the_share(variant, evidence_of):
    """A splitter sends rows one by one. Both variants collect them into as many batches, which may be routed as one."""

    def split(*rows, batches=400):
        pair = [replace(variant(), served=served, batches=batches) for served in rows]
        return criterion(judge_canary(evidence_of(*pair), dl.CanaryPolicy(share=0.05)), "split")

    assert split(19_000, 1_000).state == "promote"
    broken = split(14_000, 6_000)
    assert broken.state == "inconclusive"
    assert broken.reason == (
        "the split is broken: 30.00% of 20,000 rows went to the candidate, 5.00% expected, with about 35 rows of a key "
        "or batch"
    )


@pytest.mark.parametrize("name", ["predictions", "feature"])
def test_inputs_that_move_during_a_ramp_are_no_drift(timed_variant, evidence_of, name):
    """Both variants get the same inputs at each time. Without blocks of time they differ by 30 points."""
    share, low = np.repeat([0.05, 0.5], 30), np.repeat([0.9, 0.1], 30)
    calls = np.stack([1_000 * (1 - share), 1_000 * share]).astype(int)
    bins = [np.stack([side * low, side * (1 - low), 0 * side], axis=1).round().astype(int) for side in calls]
    key = PREDICTION if name == "predictions" else "x"
    raised = np.zeros(60, dtype=int)

    def pair(**tables):
        for side, counts in zip(calls, bins, strict=True):
            total = counts.sum(axis=0)
            table = {key: BlockCounts(0, 1_700_000_000, counts)} if tables else {}
            more = {"predictions": total} if name == "predictions" else {"features": {"x": total}}
            yield timed_variant(side, raised, bins=table, **more)

    criteria = {
        timed: judge_canary(evidence_of(*(pair(bins=True) if timed else pair())), dl.CanaryPolicy()).criteria
        for timed in (True, False)
    }
    checked = "prediction_drift" if name == "predictions" else "feature_drift"
    values = {timed: next(part for part in parts if part.name == checked) for timed, parts in criteria.items()}
    assert values[True].state == "promote"
    assert values[True].value < 0.02
    assert values[False].value > 0.25
    assert values[False].state in {"rollback", "inconclusive"}


def test_drift_of_few_heavy_keys_is_no_drift(timed_variant, evidence_of):
    """Fifty keys with 600 calls each, whose features differ between keys: 12 points of difference are chance."""
    random = np.random.default_rng(8)
    keys = np.zeros((2, 128, 2), dtype=np.int64)
    for side in (0, 1):
        np.add.at(keys[side], random.integers(0, 128, 25), [600, 0])
    calls, none = np.full(60, 250), np.zeros(60, dtype=int)
    bins = [np.array([6_000, 9_000, 0]), np.array([9_000, 6_000, 0])]
    pairs = {
        keyed: [
            timed_variant(calls, none, keys[side] if keyed else None, features={"x": bins[side]}) for side in (0, 1)
        ]
        for keyed in (True, False)
    }
    states = {
        keyed: next(
            part.state
            for part in judge_canary(evidence_of(*pair, sticky=keyed), dl.CanaryPolicy()).criteria
            if part.name == "feature_drift"
        )
        for keyed, pair in pairs.items()
    }
    assert states == {True: "promote", False: "inconclusive"}
