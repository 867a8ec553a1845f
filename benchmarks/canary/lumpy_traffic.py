"""
Simulated calls that come as services have them: sticky users, seasons, ramps, outages, late labels, many pods.

One run is one array per property of its calls, in the order of time. `tables` turns it into the counts that a canary
keeps: by block of time and by bucket of keys, at every look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._windows.blocks import MAX_BLOCKS

SECONDS = 4_096
"""Length of a run. It is a power of two, so that blocks of a run fold as those of Unix time do."""

LOOKS = 20
"""Looks of a run, geometrically from 1 % of its time on: a canary is looked at most while it is young."""

MAX_CALLS_PER_USER = 200
USER_EXPONENT = -1.5
"""Users make 1 to 200 calls, with probabilities that fall as calls^-1.5: a few users make most calls."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]
Table = NDArray[np.int32]


@dataclass(frozen=True)
class Calls:
    """
    The calls of one run.

    Attributes:
        seconds: time of each call since the start, ascending, shape (calls,).
        candidate: whether the candidate served the call.
        bad: whether the call failed.
        bucket: bucket of the call's key; None if calls have no keys.
    """

    seconds: Floats
    candidate: Flags
    bad: Flags
    bucket: Counts | None = None


Simulator = Callable[[np.random.Generator], Calls]


def _times(random: np.random.Generator, calls: int) -> Floats:
    return np.sort(random.uniform(0.0, SECONDS, calls))


def independent(calls: int, share: float, base: float, candidate: float | None = None) -> Simulator:
    """Return a simulator of calls that are independent, each routed at random."""
    rates = np.array([base, base if candidate is None else candidate])

    def simulate(random: np.random.Generator) -> Calls:
        arm = random.random(calls) < share
        return Calls(_times(random, calls), arm, random.random(calls) < rates[arm.astype(int)])

    return simulate


@dataclass(frozen=True)
class Users:
    """
    The calls of users, in the order of time.

    Attributes:
        seconds: time of each call, shape (calls,).
        user: number of the user of each call.
        effect: deviation of each user's log odds, shape (users,).
        position: position of each user in the split, uniform in [0, 1), shape (users,).
        bucket: bucket of each user's key, shape (users,).
    """

    seconds: Floats
    user: Counts
    effect: Floats
    position: Floats
    bucket: Counts


def users_of(random: np.random.Generator, calls: int, sigma: float, window: float) -> Users:
    """Draw users who make about *calls* calls, each within a part *window* of the run."""
    sizes = np.arange(1, MAX_CALLS_PER_USER + 1)
    weights = sizes**USER_EXPONENT / (sizes**USER_EXPONENT).sum()
    users = round(calls / float(sizes @ weights))
    start = random.uniform(0.0, SECONDS * (1.0 - window), users)
    user = np.repeat(np.arange(users), random.choice(sizes, users, p=weights))
    seconds = start[user] + random.uniform(0.0, SECONDS * window, len(user))
    order = np.argsort(seconds, kind="stable")
    effect, position = sigma * random.standard_normal(users), random.random(users)
    return Users(seconds[order], user[order], effect, position, random.integers(0, KEY_BUCKETS, users))


def sticky(
    calls: int,
    share: float,
    base: float,
    sigma: float,
    *,
    window: float = 0.05,
    candidate: float | None = None,
    candidate_sigma: float | None = None,
) -> Simulator:
    """
    Return a simulator of users whose key decides the variant.

    Args:
        calls: expected calls of a run.
        share: the candidate's share of the users.
        base: the mean rate of the baseline.
        sigma: standard deviation of a user's log odds.
        window: part of the run within which a user's calls come; 1 for the whole run.
        candidate: the mean rate of the candidate; the baseline's if None.
        candidate_sigma: *sigma* of the candidate's users; the baseline's if None.
    """
    sigmas = np.array([sigma, sigma if candidate_sigma is None else candidate_sigma])
    rates = base, base if candidate is None else candidate
    middles = np.array([logit_of_mean(rate, spread) for rate, spread in zip(rates, sigmas.tolist(), strict=True)])

    def simulate(random: np.random.Generator) -> Calls:
        drawn = users_of(random, calls, 1.0, window)
        arm = drawn.position < share
        variant = arm.astype(int)
        rate = 1.0 / (1.0 + np.exp(-(middles[variant] + sigmas[variant] * drawn.effect)))
        user = drawn.user
        return Calls(drawn.seconds, arm[user], random.random(len(user)) < rate[user], drawn.bucket[user])

    return simulate


def logit_of_mean(rate: float, sigma: float) -> float:
    """Return the middle of normal log odds whose mean rate is *rate*, by bisection over a Gauss-Hermite rule."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        mean = float(weights @ (1.0 / (1.0 + np.exp(-(middle + sigma * nodes)))) / weights.sum())
        low, high = (middle, high) if mean < rate else (low, middle)
    return 0.5 * (low + high)


def season(calls: int, share: float, base: float, *, cycles: float = 3.0) -> Simulator:
    """Return a simulator of a base rate and a traffic that rise and fall by 90 % of their means, some cycles a run."""

    def simulate(random: np.random.Generator) -> Calls:
        seconds = _times(random, 2 * calls)
        wave = 0.9 * np.sin(2.0 * np.pi * cycles * seconds / SECONDS)
        kept = random.random(2 * calls) < 0.5 * (1.0 + wave)
        seconds, wave = seconds[kept], wave[kept]
        arm = random.random(len(seconds)) < share
        return Calls(seconds, arm, random.random(len(seconds)) < base * (1.0 + wave))

    return simulate


def ramp(calls: int, shares: tuple[float, ...], base: tuple[float, float], sigma: float | None = None) -> Simulator:
    """
    Return a simulator of an outside splitter that raises the share in equal steps while the base rate rises.

    Args:
        calls: expected calls of a run.
        shares: the candidate's share in each step. With users, users above the share stay with the baseline.
        base: base rate at the start and at the end; it rises evenly.
        sigma: standard deviation of a user's log odds; independent calls without keys if None.
    """
    steps = np.array(shares)

    def simulate(random: np.random.Generator) -> Calls:
        if sigma is None:
            seconds, bucket, lift, position = _times(random, calls), None, np.zeros(calls), random.random(calls)
        else:
            drawn = users_of(random, calls, sigma, 0.05)
            seconds, user = drawn.seconds, drawn.user
            bucket, lift, position = drawn.bucket[user], drawn.effect[user] - 0.5 * sigma**2, drawn.position[user]
        step = np.minimum((seconds / SECONDS * len(steps)).astype(int), len(steps) - 1)
        rate = base[0] + (base[1] - base[0]) * seconds / SECONDS
        odds = rate / (1.0 - rate) * np.exp(lift)
        return Calls(seconds, position < steps[step], random.random(len(seconds)) < odds / (1.0 + odds), bucket)

    return simulate


def outages(
    calls: int,
    share: float,
    base: float,
    *,
    number: int = 6,
    sigma: float | None = None,
    pods: int = 1,
    length: float = 0.002,
    window: float = 0.05,
) -> Simulator:
    """
    Return a simulator of outages of single pods, in which 80 % of their calls fail.

    Args:
        calls: expected calls of a run.
        share: the candidate's share of the calls.
        base: the rate outside of outages.
        number: outages of each pod and variant.
        sigma: standard deviation of a user's log odds; independent calls without keys if None.
        pods: pods of each variant, each with its own outages.
        length: part of the run that an outage lasts.
        window: part of the run within which a user's calls come.
    """
    inner = independent(calls, share, base) if sigma is None else sticky(calls, share, base, sigma, window=window)

    def simulate(random: np.random.Generator) -> Calls:
        drawn = inner(random)
        pod = random.integers(0, pods, len(drawn.seconds))
        starts = random.uniform(0.0, SECONDS, (2, pods, number))
        own = starts[drawn.candidate.astype(int), pod]
        hit = ((drawn.seconds[:, None] >= own) & (drawn.seconds[:, None] < own + length * SECONDS)).any(axis=1)
        bad = np.where(hit, random.random(len(hit)) < 0.8, drawn.bad)
        return Calls(drawn.seconds, drawn.candidate, bad, drawn.bucket)

    return simulate


@dataclass(frozen=True)
class Tables:
    """
    The counts of many runs at every look.

    Attributes:
        blocks: shape (runs, looks, variants, `MAX_BLOCKS`, 2): calls, bad calls, by block of time.
        keys: shape (runs, looks, variants, `KEY_BUCKETS`, 2), by bucket of keys; None without keys.
    """

    blocks: Table
    keys: Table | None

    @property
    def candidate_calls(self) -> Counts:
        """Calls of the candidate, shape (runs, looks)."""
        calls: Counts = self.blocks[:, :, 1, :, 0].sum(axis=-1, dtype=np.int64)
        return calls


def look_times(looks: int) -> Counts:
    """Return the seconds of each look, ascending, whole numbers."""
    return np.unique(np.round(np.geomspace(0.01 * SECONDS, SECONDS, looks)).astype(np.int64))


def tables(simulate: Simulator, runs: range, seed: int, number: int = LOOKS) -> Tables:
    """
    Simulate runs, and return their counts at every look.

    Args:
        simulate: draws the calls of one run.
        runs: numbers of the runs; each run draws its own random numbers.
        seed: seed of all runs.
        number: number of looks.
    """
    looks = look_times(number)
    blocks = np.zeros((len(runs), len(looks), 2, MAX_BLOCKS, 2), dtype=np.int32)
    keys: Table | None = None
    for run, number_of_run in enumerate(runs):
        drawn = simulate(np.random.default_rng([seed, number_of_run]))
        arm, bad = drawn.candidate.astype(np.int64), drawn.bad
        second = np.minimum(drawn.seconds.astype(np.int64), SECONDS - 1)
        by_second = _cells(second * 2 + arm, bad, 2 * SECONDS).reshape(SECONDS, 2, 2)
        for index, look in enumerate(looks.tolist()):
            level = max(0, (look - 1).bit_length() - (MAX_BLOCKS - 1).bit_length())
            length = 2**level
            used = -(-look // length)
            part = by_second[: used * length] if look == SECONDS else by_second[:look]
            padded = np.zeros((used * length, 2, 2), dtype=np.int32)
            padded[: len(part)] = part
            blocks[run, index, :, :used] = padded.reshape(used, length, 2, 2).sum(axis=1).swapaxes(0, 1)
        if drawn.bucket is not None:
            if keys is None:
                keys = np.zeros((len(runs), len(looks), 2, KEY_BUCKETS, 2), dtype=np.int32)
            look_of = np.searchsorted(looks, second, side="right")
            cell = (np.minimum(look_of, len(looks) - 1) * 2 + arm) * KEY_BUCKETS + drawn.bucket
            new = _cells(cell, bad, len(looks) * 2 * KEY_BUCKETS).reshape(len(looks), 2, KEY_BUCKETS, 2)
            keys[run] = np.cumsum(new, axis=0)
    return Tables(blocks, keys)


def _cells(cell: Counts, bad: Flags, size: int) -> Table:
    """Return calls and bad calls by cell, shape (size, 2)."""
    counts = np.bincount(cell, minlength=size), np.bincount(cell[bad], minlength=size)
    return np.stack(counts, axis=1).astype(np.int32)
