"""Splitting traffic: shares, keys, functions."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import uuid

import pytest

import driftline as dl
from driftline import ConfigurationError
from driftline.canary._routing import hash_key


def test_keys_fall_where_they_fell_before():
    """In this and in every other version: customers must not change sides with an update."""
    assert [round(hash_key(key, "s"), 6) for key in ("a", b"a", 7, "7")] == [0.433171, 0.913523, 0.932866, 0.932866]


def test_keys_fall_alike_in_another_process():
    """Whatever the seed of Python's own hash."""
    code = "from driftline.canary._routing import hash_key; print(hash_key('customer 7', 'x'))"
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
    )
    assert float(other.stdout) == hash_key("customer 7", "x")


def test_keys_are_spread_evenly_and_anew_with_another_salt():
    """A tenth of them for a share of a tenth; of those a tenth again with another salt."""
    chosen = [key for key in range(20_000) if hash_key(key, "a") < 0.1]
    assert len(chosen) == pytest.approx(2_000, abs=150)
    assert sum(hash_key(key, "b") < 0.1 for key in chosen) == pytest.approx(200, abs=50)


def test_a_key_stays_while_the_share_grows(pair):
    """Nobody goes back from the candidate."""
    canary = dl.Canary(*pair, share=0.1)
    before = {key for key in range(2_000) if canary.route(key) == "candidate"}
    canary.share = 0.3
    after = {key for key in range(2_000) if canary.route(key) == "candidate"}
    assert before < after
    assert canary.share == 0.3


def test_chance_decides_without_a_key(pair):
    """A share of 0 and 1 are never and always."""
    canary = dl.Canary(*pair, share=0.25)
    assert sum(canary.route() == "candidate" for _ in range(4_000)) == pytest.approx(1_000, abs=150)
    for share, side in ((0.0, "baseline"), (1.0, "candidate")):
        canary.share = share
        assert {canary.route() for _ in range(100)} == {side}


def test_without_a_share_the_baseline_serves(pair):
    """Routing asks for no configuration while serving."""
    assert dl.Canary(*pair).route("x") == "baseline"


@pytest.mark.parametrize("key", [1.5, ("a", 1), object(), True])
def test_keys_without_a_lasting_text_go_to_the_baseline(make_monitor, key, telemetry):
    """And are counted as errors of ours."""
    monitors = [make_monitor("m", version=str(one), on_error="log", synchronous=True) for one in (1, 2)]
    canary = dl.Canary(*monitors, share=1.0)
    assert canary.route(key) == "baseline"
    assert canary.route(uuid.UUID(int=7)) == "candidate"
    monitors[1].observe({"age": [1.0]}, [0.5])
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="route") == 1


def test_split_functions(pair):
    """Each call goes to one of the two, as it is; its name is the baseline's."""
    canary = dl.Canary(*pair, share=0.5)

    def old(x, *, scale=1):
        return "old", x * scale

    predict = canary.split(old, lambda x, *, scale=1: ("new", x * scale), key=lambda x, **_: x)
    assert predict.__name__ == "old"
    for x in range(50):
        side = "new" if canary.route(x) == "candidate" else "old"
        assert predict(x, scale=2) == (side, 2 * x)


def test_split_async_functions(pair):
    """Awaited like the two."""
    canary = dl.Canary(*pair, share=1.0)

    async def old(x):
        return "old", x

    async def new(x):
        return "new", x

    assert asyncio.run(canary.split(old, new)(3)) == ("new", 3)


def test_a_key_function_that_fails_leaves_the_call_with_the_baseline(make_monitor):
    """Nothing of it reaches the caller; what the model raises does."""
    monitors = [make_monitor("m", version=str(one), on_error="log", synchronous=True) for one in (1, 2)]
    canary = dl.Canary(*monitors, share=1.0)
    predict = canary.split(lambda x: 1 / x, lambda x: "new", key=lambda x: x["no"])
    assert predict(2) == 0.5
    with pytest.raises(ZeroDivisionError):
        predict(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, abs), "baseline=None: expected a function"),
        ((abs, int), "candidate=<class 'int'>: expected a function"),
        ((abs, asyncio.sleep), "expected two plain functions or two async ones"),
    ],
)
@pytest.mark.parametrize("method", ["split", "shadow"])
def test_what_are_no_functions_is_refused(pair, method, arguments, message):
    """For splits and for shadows."""
    with pytest.raises(ConfigurationError, match=message):
        getattr(dl.Canary(*pair, share=0.5), method)(*arguments)


def test_bad_shares_and_keys_are_refused(pair):
    """When they are given, and when they are set."""
    for share in (-0.1, 1.1, "half", True, float("nan")):
        with pytest.raises(ConfigurationError, match=r"share=.*: expected a number from 0 to 1"):
            dl.Canary(*pair, share=share)
    canary = dl.Canary(*pair)
    with pytest.raises(ConfigurationError, match="share=2: expected a number from 0 to 1"):
        canary.share = 2
    with pytest.raises(ConfigurationError, match="share=None: expected the candidate's share"):
        canary.split(abs, abs)
    with pytest.raises(ConfigurationError, match="key='x': expected a function"):
        dl.Canary(*pair, share=0.5).split(abs, abs, key="x")


def test_a_share_that_changes_begins_a_stratum(pair, serve):
    """What was counted before stays with the share of then; nothing is lost or counted twice."""
    baseline, candidate = pair
    canary = dl.Canary(baseline, candidate, share=0.1)
    serve(baseline, 30)
    serve(candidate, 3)
    canary.share = 0.5
    serve(baseline, 20, failed=5)
    serve(candidate, 20)
    strata = canary.evidence().strata
    assert [(one.share, one.baseline.calls, one.candidate.calls) for one in strata] == [(0.1, 30, 3), (0.5, 20, 20)]
    assert strata[1].baseline.failed_calls == 5
    canary.share = 0.1
    serve(candidate, 7)
    assert [(one.share, one.candidate.calls) for one in canary.evidence().strata] == [(0.1, 10), (0.5, 20)]


def test_calls_that_come_while_a_share_changes_are_in_a_stratum(pair, serve, monkeypatch):
    """Whenever a variant is read, calls come right after it: none falls between two strata."""
    baseline, candidate = pair
    canary = dl.Canary(baseline, candidate, share=0.5)
    evidence, busy = type(candidate).evidence, True

    def read(monitor):
        counted = evidence(monitor)
        if busy and monitor is candidate:
            serve(candidate, 7)
        return counted

    monkeypatch.setattr(type(candidate), "evidence", read)
    for share in (0.1, 0.2, 0.3):
        canary.share = share
    busy = False
    assert [one.calls for one in canary.evidence().pooled()] == [0, candidate.evidence().served]


def test_a_share_may_change_while_threads_serve(pair, serve):
    """Every call is in exactly one stratum."""
    baseline, candidate = pair
    canary = dl.Canary(baseline, candidate, share=0.5)
    threads = [threading.Thread(target=serve, args=(one, 500)) for one in (baseline, candidate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for share in (0.1, 0.2, 0.5, 0.1, 0.3):
        canary.share = share
    for thread in threads:
        thread.join()
    total = canary.evidence().pooled()
    assert [one.calls for one in total] == [1_000, 1_000]
