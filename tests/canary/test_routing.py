"""Routing and splitting: shares, keys, functions."""

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


def test_hashes_of_keys_are_the_same_in_every_version():
    """Customers must not change sides with an update."""
    assert [round(hash_key(key, "s"), 6) for key in ("a", b"a", 7, "7")] == [0.433171, 0.913523, 0.932866, 0.932866]


def test_hashes_of_keys_are_the_same_in_another_process():
    """They do not depend on the seed of Python's own hash."""
    code = "from driftline.canary._routing import hash_key; print(hash_key('customer 7', 'x'))"
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
    )
    assert float(other.stdout) == hash_key("customer 7", "x")


def test_hashes_are_uniform_and_independent_of_another_salt():
    """A share of a tenth gets a tenth of the keys, and with another salt a tenth of those."""
    keys = [key for key in range(20_000) if hash_key(key, "a") < 0.1]
    assert len(keys) == pytest.approx(2_000, abs=150)
    assert sum(hash_key(key, "b") < 0.1 for key in keys) == pytest.approx(200, abs=50)


def test_a_key_stays_while_the_share_grows(pair):
    """No key returns to the baseline."""
    canary = dl.Canary(*pair, share=0.1)
    before = {key for key in range(2_000) if canary.route(key) == "candidate"}
    canary.share = 0.3
    after = {key for key in range(2_000) if canary.route(key) == "candidate"}
    assert before < after
    assert canary.share == 0.3


def test_calls_without_a_key_are_routed_at_random(pair):
    """A share of 0 never chooses the candidate, a share of 1 always."""
    canary = dl.Canary(*pair, share=0.25)
    assert sum(canary.route() == "candidate" for _ in range(4_000)) == pytest.approx(1_000, abs=150)
    for share, side in ((0.0, "baseline"), (1.0, "candidate")):
        canary.share = share
        assert {canary.route() for _ in range(100)} == {side}


def test_without_a_share_the_baseline_serves(pair):
    """A missing share is no error while serving."""
    assert dl.Canary(*pair).route("x") == "baseline"


@pytest.mark.parametrize("key", [1.5, ("a", 1), object(), True])
def test_keys_of_other_types_go_to_the_baseline(make_monitor, key, telemetry):
    """They are counted as errors."""
    monitors = [make_monitor("m", version=str(number), on_error="log", synchronous=True) for number in (1, 2)]
    canary = dl.Canary(*monitors, share=1.0)
    assert canary.route(key) == "baseline"
    assert canary.route(uuid.UUID(int=7)) == "candidate"
    monitors[1].observe({"age": [1.0]}, [0.5])
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="route") == 1


def test_split_passes_each_call_to_either_function(pair):
    """Arguments pass unchanged, and the name is the baseline's."""
    canary = dl.Canary(*pair, share=0.5)

    def old(x, *, scale=1):
        return "old", x * scale

    predict = canary.split(old, lambda x, *, scale=1: ("new", x * scale), key=lambda x, **_: x)
    assert predict.__name__ == "old"
    for x in range(50):
        side = "new" if canary.route(x) == "candidate" else "old"
        assert predict(x, scale=2) == (side, 2 * x)


def test_split_of_async_functions_is_async(pair):
    canary = dl.Canary(*pair, share=1.0)

    async def old(x):
        return "old", x

    async def new(x):
        return "new", x

    assert asyncio.run(canary.split(old, new)(3)) == ("new", 3)


def test_the_baseline_serves_calls_whose_key_raises(make_monitor):
    """The caller does not get the error of the key, but gets that of the model."""
    monitors = [make_monitor("m", version=str(number), on_error="log", synchronous=True) for number in (1, 2)]
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
def test_invalid_functions_are_rejected(pair, method, arguments, message):
    """By `split` and by `shadow`."""
    with pytest.raises(ConfigurationError, match=message):
        getattr(dl.Canary(*pair, share=0.5), method)(*arguments)


def test_invalid_shares_and_keys_are_rejected(pair):
    """In the constructor, in the setter and in `split`."""
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


def test_a_changed_share_begins_a_stratum(pair, serve):
    """Earlier counts keep their share; no call is lost or counted twice."""
    baseline, candidate = pair
    canary = dl.Canary(baseline, candidate, share=0.1)
    serve(baseline, 30)
    serve(candidate, 3)
    canary.share = 0.5
    serve(baseline, 20, failed=5)
    serve(candidate, 20)
    strata = canary.evidence().strata
    assert [(stratum.share, stratum.baseline.calls, stratum.candidate.calls) for stratum in strata] == [
        (0.1, 30, 3),
        (0.5, 20, 20),
    ]
    assert strata[1].baseline.failed_calls == 5
    canary.share = 0.1
    serve(candidate, 7)
    assert [(stratum.share, stratum.candidate.calls) for stratum in canary.evidence().strata] == [(0.1, 10), (0.5, 20)]


def test_calls_during_a_change_of_the_share_are_in_a_stratum(pair, serve, monkeypatch):
    """Calls that arrive right after each reading do not fall between two strata."""
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
    assert [side.calls for side in canary.evidence().pooled()] == [0, candidate.evidence().served]


def test_the_share_may_change_while_threads_serve(pair, serve):
    """Each call is in exactly one stratum."""
    baseline, candidate = pair
    canary = dl.Canary(baseline, candidate, share=0.5)
    threads = [
        threading.Thread(target=serve, args=(monitor, 500)) for monitor in (baseline, candidate) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for share in (0.1, 0.2, 0.5, 0.1, 0.3):
        canary.share = share
    for thread in threads:
        thread.join()
    total = canary.evidence().pooled()
    assert [side.calls for side in total] == [1_000, 1_000]
