"""When each rule rolls back or promotes: the look at which it first does, or -1, shape (runs,)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from traffic import QUANTILE, Counts, Traffic
from ville import AsymptoticABTest

from driftline.canary._evalues.histograms import largest_difference, log_e_two_histograms
from driftline.canary._evalues.quantiles import LOCATION_PART, Latencies, log_e_two_quantiles
from driftline.canary._evalues.rates import log_e_one_rate, log_e_two_rates

Looks = NDArray[np.int64]
CHUNK = 25
"""Runs evaluated at once: what fits into the processor's cache rather than into memory."""


def first(hit: NDArray[np.bool_]) -> Looks:
    """The first look that is true, -1 where none is."""
    return np.where(hit.any(axis=1), hit.argmax(axis=1), -1)


def earliest(*looks: Looks) -> Looks:
    """The first of several."""
    never = np.iinfo(np.int64).max
    found = np.min([np.where(one < 0, never, one) for one in looks], axis=0)
    return np.where(found == never, -1, found)


def rate(
    bad: tuple[Counts, Counts],
    trials: tuple[Counts, Counts],
    level: float,
    *,
    offset: float = 0.0,
    slope: float = 1.0,
    side: int = 1,
) -> Looks:
    """Evidence about a rate. While what is seen lies within the null hypothesis it is at most 1."""
    found = []
    for start in range(0, len(bad[0]), CHUNK):
        part = slice(start, start + CHUNK)
        k, j, n, m = (one[part].astype(np.float64) for one in (*bad, *trials))
        hit = np.zeros(k.shape, dtype=bool)
        seen = side * (j / np.maximum(m, 1) - slope * k / np.maximum(n, 1) - offset)
        beyond = seen > 0
        logs = log_e_two_rates(
            k[beyond][:, None],
            n[beyond][:, None],
            j[beyond][:, None],
            m[beyond][:, None],
            slope=slope,
            offset=offset,
            side=side,
        )
        hit[beyond] = logs >= -math.log(level)
        found.append(first(hit))
    return np.concatenate(found)


def latency(traffic: Traffic, level: float, *, relative: float = 0.0, side: int = 1) -> Looks:
    """
    Driftline's evidence about the 95th percentile.

    It is the smallest over the places where the baseline's quantile may be: cheap at the one where it is, for all
    looks at once, and only where that is enough, or the place is excluded, by driftline's own function.
    """
    ours, theirs = traffic.latency
    calls = ours.sum(axis=2), theirs.sum(axis=2)
    beyond = [
        one_calls[..., None] - np.cumsum(one, axis=2)[..., :-1]
        for one, one_calls in zip((ours, theirs), calls, strict=True)
    ]
    edge, place = traffic.edges, traffic.quantile_bin
    if side > 0:
        mine, here = int(np.searchsorted(edge, (1.0 + relative) * edge[place + 1])), place
    else:
        mine, here = int(np.searchsorted(edge, (1.0 + relative) * edge[place], side="right")) - 1, place + 1
    needed = -math.log(level)
    bound = _in_chunks(beyond[0][..., here], calls[0], beyond[1][..., mine], calls[1], side)
    where = -math.log(LOCATION_PART * level / 2.0)
    too_many = log_e_one_rate(beyond[0][..., place + 1, None], calls[0][..., None], limit=[1 - QUANTILE], side=1)
    too_few = log_e_one_rate(beyond[0][..., place, None], calls[0][..., None], limit=[1 - QUANTILE], side=-1)
    alone = log_e_one_rate(beyond[1][..., mine, None], calls[1][..., None], limit=[1 - QUANTILE], side=side)
    bound = np.logaddexp(bound, alone) + math.log(0.5 * (1.0 - LOCATION_PART))
    possible = (bound >= needed) | (too_many >= where) | (too_few >= where)
    found = np.full(traffic.runs, -1)
    for run in range(traffic.runs):
        for look in np.flatnonzero(possible[run]).tolist():
            seen = Latencies(ours[run, look][None].astype(float), theirs[run, look][None].astype(float), edge)
            if log_e_two_quantiles(seen, QUANTILE, slope=1.0 + relative, side=side, level=level) >= needed:
                found[run] = look
                break
    return found


def _in_chunks(k: Counts, n: Counts, j: Counts, m: Counts, side: int) -> NDArray[np.float64]:
    parts = [
        log_e_two_rates(*(one[start : start + CHUNK, :, None] for one in (k, n, j, m)), side=side)
        for start in range(0, len(k), CHUNK)
    ]
    return np.concatenate(parts)


def predictions(traffic: Traffic, level: float, allowed: float) -> Looks:
    """Evidence about the drift of predictions; at most 1 while what is seen is allowed."""
    ours, theirs = traffic.predictions
    shares = [np.cumsum(one, axis=2) / np.maximum(one.sum(axis=2, keepdims=True), 1) for one in (ours, theirs)]
    beyond = np.abs(shares[0] - shares[1]).max(axis=2) > allowed
    found = np.full(traffic.runs, -1)
    for run, look in np.argwhere(beyond).tolist():
        if found[run] >= 0:
            continue
        # A bin for missing values comes last, and nothing is missing.
        pair = [np.append(one[run, look], 0)[None].astype(float) for one in (ours, theirs)]
        assert largest_difference(*pair, ordered=True) > allowed  # noqa: S101 - both ways of counting agree
        if log_e_two_histograms(*pair, ordered=True, allowed=allowed) >= -math.log(level):
            found[run] = look
    return found


def z_test(bad: tuple[Counts, Counts], trials: tuple[Counts, Counts], level: float) -> Looks:
    """The pooled z-test of two proportions, one-sided, at every look."""
    (k, j), (n, m) = bad, trials
    pooled = (k + j) / np.maximum(n + m, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (j / m - k / n) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return first(np.nan_to_num(z) > _normal_quantile(1.0 - level))


def threshold(bad: tuple[Counts, Counts], trials: tuple[Counts, Counts], ratio: float, least: int = 500) -> Looks:
    """The rule of `ThresholdPolicy`: more than the baseline's rate times a ratio, from 500 rows on."""
    (k, j), (n, m) = bad, trials
    return first((j / np.maximum(m, 1) > ratio * k / np.maximum(n, 1)) & (np.minimum(n, m) >= least))


def ville_asymptotic(traffic: Traffic, share: float, level: float, runs: int, seed: int) -> Looks:
    """
    The asymptotic confidence sequence of the difference by `ville`, row by row, read at every look.

    It has two sides; its lower one is used at half of twice the level.
    """
    random = np.random.default_rng(seed)
    runs = min(runs, traffic.runs)
    found = np.full(runs, -1)
    bad, trials = ([np.diff(one[:runs], axis=1, prepend=0) for one in pair] for pair in (traffic.errors, traffic.rows))
    ends = np.cumsum(trials[0] + trials[1], axis=1)
    for run in range(runs):
        test = AsymptoticABTest(alpha=2.0 * level, propensity=share, t_opt=5_000)
        lower = []
        for look in range(ends.shape[1]):
            # Within a look the order of the rows is drawn anew: the counts do not keep it.
            y = np.concatenate([_events(b[run, look], t[run, look]) for b, t in zip(bad, trials, strict=True)])
            treated = np.repeat([0.0, 1.0], [trials[0][run, look], trials[1][run, look]])
            order = random.permutation(len(y))
            lower.append((y[order], treated[order]))
        test.fit(np.concatenate([one for one, _ in lower]), np.concatenate([one for _, one in lower]))
        hit = np.flatnonzero(np.asarray(test.lower_)[ends[run] - 1] > 0.0)
        found[run] = hit[0] if len(hit) else -1
    return found


def _events(bad: int, trials: int) -> NDArray[np.float64]:
    events = np.zeros(trials)
    events[:bad] = 1.0
    return events


def _normal_quantile(probability: float) -> float:
    from statistics import NormalDist  # noqa: PLC0415 - once

    return NormalDist().inv_cdf(probability)
