"""The look at which each rule first rolls back or promotes, or -1, shape (runs,)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from traffic import QUANTILE, Counts, Traffic
from ville import AsymptoticABTest

from driftline.canary._evalues.histograms import Histograms
from driftline.canary._evalues.latencies import Latencies
from driftline.canary._evalues.quantile_limit import Limit
from driftline.canary._evalues.quantile_location import LOCATION_PART, SHARE_PART_OF_BINS
from driftline.canary._evalues.quantiles import QuantileComparison
from driftline.canary._evalues.rates import log_e_one_rate, log_e_two_rates

Looks = NDArray[np.int64]
CHUNK = 25
"""Runs evaluated in one step, so that they fit into the processor's cache."""


def first(hit: NDArray[np.bool_]) -> Looks:
    """Return the first look that is true, -1 where none is."""
    return np.where(hit.any(axis=1), hit.argmax(axis=1), -1)


def earliest(*looks: Looks) -> Looks:
    """Return the first look of several rules."""
    never = np.iinfo(np.int64).max
    first_look = np.min([np.where(look < 0, never, look) for look in looks], axis=0)
    return np.where(first_look == never, -1, first_look)


def rate(
    bad: tuple[Counts, Counts],
    trials: tuple[Counts, Counts],
    level: float,
    *,
    offset: float = 0.0,
    slope: float = 1.0,
    side: int = 1,
) -> Looks:
    """Decide by the evidence about a rate, which is at most 1 while the observed rates lie in the null hypothesis."""
    looks = []
    for start in range(0, len(bad[0]), CHUNK):
        part = slice(start, start + CHUNK)
        k, j, n, m = (counts[part].astype(np.float64) for counts in (*bad, *trials))
        hit = np.zeros(k.shape, dtype=bool)
        observed = side * (j / np.maximum(m, 1) - slope * k / np.maximum(n, 1) - offset)
        beyond = observed > 0
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
        looks.append(first(hit))
    return np.concatenate(looks)


def latency(traffic: Traffic, level: float, *, relative: float = 0.0, side: int = 1) -> Looks:
    """
    Decide by driftline's evidence about the 95th percentile.

    The evidence is the smallest over the bins that may hold the baseline's quantile. Here it is first computed for the
    true bin, for all looks together, which is cheap. Driftline's own function follows only where this evidence is
    enough, or the true bin is excluded.
    """
    baseline, candidate = traffic.latency
    calls = baseline.sum(axis=2), candidate.sum(axis=2)
    beyond = [
        total[..., None] - np.cumsum(counts, axis=2)[..., :-1]
        for counts, total in zip((baseline, candidate), calls, strict=True)
    ]
    edges, index = traffic.edges, traffic.quantile_bin
    if side > 0:
        shifted, here = int(np.searchsorted(edges, (1.0 + relative) * edges[index + 1])), index
    else:
        shifted, here = int(np.searchsorted(edges, (1.0 + relative) * edges[index], side="right")) - 1, index + 1
    needed = -math.log(level)
    bound = _in_chunks(beyond[0][..., here], calls[0], beyond[1][..., shifted], calls[1], side)
    excluded = -math.log(LOCATION_PART * level / 2.0)
    too_many = log_e_one_rate(beyond[0][..., index + 1, None], calls[0][..., None], limit=[1 - QUANTILE], side=1)
    too_few = log_e_one_rate(beyond[0][..., index, None], calls[0][..., None], limit=[1 - QUANTILE], side=-1)
    alone = log_e_one_rate(beyond[1][..., shifted, None], calls[1][..., None], limit=[1 - QUANTILE], side=side)
    bound = np.maximum(bound + math.log(1.0 - SHARE_PART_OF_BINS), alone + math.log(SHARE_PART_OF_BINS)) + math.log(
        1.0 - LOCATION_PART
    )
    possible = (bound >= needed) | (too_many >= excluded) | (too_few >= excluded)
    looks = np.full(traffic.runs, -1)
    for run in range(traffic.runs):
        for look in np.flatnonzero(possible[run]).tolist():
            latencies = Latencies(
                baseline[run, look][None].astype(float), candidate[run, look][None].astype(float), edges
            )
            comparison = QuantileComparison(latencies, QUANTILE)
            if comparison.log_e(Limit(1.0 + relative), side=side, level=level) >= needed:
                looks[run] = look
                break
    return looks


def _in_chunks(k: Counts, n: Counts, j: Counts, m: Counts, side: int) -> NDArray[np.float64]:
    parts = [
        log_e_two_rates(*(counts[start : start + CHUNK, :, None] for counts in (k, n, j, m)), side=side)
        for start in range(0, len(k), CHUNK)
    ]
    return np.concatenate(parts)


def predictions(traffic: Traffic, level: float, allowed: float) -> Looks:
    """Decide by the evidence about drift of the predictions, which is at most 1 while the observed drift is allowed."""
    shares = [
        np.cumsum(counts, axis=2) / np.maximum(counts.sum(axis=2, keepdims=True), 1) for counts in traffic.predictions
    ]
    beyond = np.abs(shares[0] - shares[1]).max(axis=2) > allowed
    looks = np.full(traffic.runs, -1)
    for run, look in np.argwhere(beyond).tolist():
        if looks[run] >= 0:
            continue
        # The last bin is for missing values, and no value is missing.
        pair = [np.append(counts[run, look], 0)[None].astype(float) for counts in traffic.predictions]
        histograms = Histograms(*pair, ordered=True)
        assert histograms.largest_difference > allowed  # noqa: S101 - both computations agree
        if histograms.log_e(allowed) >= -math.log(level):
            looks[run] = look
    return looks


def z_test(bad: tuple[Counts, Counts], trials: tuple[Counts, Counts], level: float) -> Looks:
    """Decide by the pooled z-test of two proportions, one-sided, at every look."""
    (k, j), (n, m) = bad, trials
    pooled = (k + j) / np.maximum(n + m, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (j / m - k / n) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return first(np.nan_to_num(z) > _normal_quantile(1.0 - level))


def threshold(bad: tuple[Counts, Counts], trials: tuple[Counts, Counts], ratio: float, least: int = 500) -> Looks:
    """Decide by the rule of `ThresholdPolicy`: more than the baseline's rate times a ratio, from 500 rows on."""
    (k, j), (n, m) = bad, trials
    return first((j / np.maximum(m, 1) > ratio * k / np.maximum(n, 1)) & (np.minimum(n, m) >= least))


def ville_asymptotic(traffic: Traffic, share: float, level: float, runs: int, seed: int) -> Looks:
    """
    Decide by `ville`'s asymptotic confidence sequence of the difference, row by row, read at every look.

    The sequence has two sides at twice the level. Its lower side is used.
    """
    random = np.random.default_rng(seed)
    runs = min(runs, traffic.runs)
    looks = np.full(runs, -1)
    bad, trials = (
        [np.diff(counts[:runs], axis=1, prepend=0) for counts in pair] for pair in (traffic.errors, traffic.rows)
    )
    ends = np.cumsum(trials[0] + trials[1], axis=1)
    for run in range(runs):
        test = AsymptoticABTest(alpha=2.0 * level, propensity=share, t_opt=5_000)
        rows = []
        for look in range(ends.shape[1]):
            # The counts do not keep the order of the rows within a look, so it is drawn at random.
            y = np.concatenate([_events(b[run, look], t[run, look]) for b, t in zip(bad, trials, strict=True)])
            treated = np.repeat([0.0, 1.0], [trials[0][run, look], trials[1][run, look]])
            order = random.permutation(len(y))
            rows.append((y[order], treated[order]))
        test.fit(np.concatenate([y for y, _ in rows]), np.concatenate([treated for _, treated in rows]))
        hit = np.flatnonzero(np.asarray(test.lower_)[ends[run] - 1] > 0.0)
        looks[run] = hit[0] if len(hit) else -1
    return looks


def _events(bad: int, trials: int) -> NDArray[np.float64]:
    events = np.zeros(trials)
    events[:bad] = 1.0
    return events


def _normal_quantile(probability: float) -> float:
    from statistics import NormalDist  # noqa: PLC0415 - needed here only

    return NormalDist().inv_cdf(probability)
