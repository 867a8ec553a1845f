"""
Design effects of rates, estimated from counts per bucket of keys and per block of time.

Calls of one key, or of one moment, depend on each other. The *design effect* is the factor by which this inflates the
variance of a difference of rates (Kish 1965). The tests of rates divide all counts by it.

In all functions the last axis of an array has the *clusters*: buckets of keys, or blocks of time. The axis before it
has the two variants, baseline and candidate. Further axes in front, such as runs of a simulation, broadcast. All
counts are sums, so counts of several processes are added up first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftline.typing import Floats

__all__ = [
    "FOLDS",
    "MIN_KEYS",
    "KeyedCounts",
    "TimeVariance",
    "calls_per_key",
    "combine_design_effects",
    "effective_clusters",
    "fold_blocks",
    "key_design_effect",
    "keys_in_effect",
    "lasting_design_effect",
    "time_design_effect",
    "with_prior",
]

MIN_KEYS = 20.0
"""
Keys in effect (`keys_in_effect`) that each variant needs before its rate is tested. With fewer, the estimated variance
between keys is too uncertain. In simulations of users that differ in one variant only, 20 keep wrong verdicts below 5 %
together with the prior.
"""

PRIOR_CORRELATION = 0.1
"""Correlation between calls of one key that is assumed as long as few keys have called. Measured in simulations."""

PRIOR_KEYS = 50.0
"""Weight of the assumed correlation, in keys: with this many keys it counts as much as the estimate."""

FOLDS = 2
"""Times that 64 blocks are folded, to 32 and 16. With fewer blocks, the estimated variance is too uncertain."""

CHANCE = 0.5
"""
Standard errors by which the design effect of time is lowered: 9 % with 64 blocks. 500 simulated canaries of 2 % against
3 % then needed 3,246 calls of the candidate instead of 3,483, and 2.0 % of equal ones were rolled back either way.
"""

CERTAIN = 2.0
"""Standard errors from which a correlation of neighbouring blocks counts in full; below, it counts in proportion."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyedCounts:
    """
    Trials and bad events by bucket of their key, and those without a key, which count as clusters of their own.

    Attributes:
        bad: bad events of trials with a key, shape (..., 2, buckets).
        trials: trials with a key, same shape.
        bad_single: bad events of trials without a key, shape (..., 2).
        single: trials without a key, same shape.
    """

    bad: Floats
    trials: Floats
    bad_single: Floats
    single: Floats

    @classmethod
    def of(
        cls, bad: Floats, trials: Floats, all_bad: Floats | None = None, all_trials: Floats | None = None
    ) -> KeyedCounts:
        """
        Return the counts of trials of which some may have no key.

        Args:
            bad: see `KeyedCounts`.
            trials: see `KeyedCounts`.
            all_bad: bad events of all trials, shape (..., 2); None if all trials have a key.
            all_trials: all trials, same shape; None as above.
        """
        bad, trials = np.asarray(bad, dtype=np.float64), np.asarray(trials, dtype=np.float64)
        keyed_bad, keyed = bad.sum(axis=-1), trials.sum(axis=-1)
        single = np.zeros_like(keyed) if all_trials is None else np.maximum(all_trials - keyed, 0.0)
        bad_single = np.zeros_like(keyed) if all_bad is None else np.clip(all_bad - keyed_bad, 0.0, single)
        return cls(bad, trials, bad_single, single)


def effective_clusters(trials: Floats) -> Floats:
    """
    Return the number of clusters of equal size that would be as uneven as these: (Σ n)² / Σ n²; 0 without trials.

    Args:
        trials: trials, shape (..., clusters).

    Returns:
        Shape (...).

    >>> float(effective_clusters(np.array([50.0, 50.0, 0.0])))
    2.0
    """
    return _ratio(trials.sum(axis=-1) ** 2, (trials**2).sum(axis=-1))


def calls_per_key(counts: KeyedCounts) -> Floats:
    """
    Return the mean number of calls of the key of a call, from the variance between buckets; at least 1, shape (..., 2).

    A key with 100 calls counts a hundred times in this mean, because a hundred calls have it. It needs no number of
    keys: if keys fall into buckets at random, the variance of a bucket's calls is the sum of their squares.
    """
    buckets = counts.trials.shape[-1]
    keyed = counts.trials.sum(axis=-1)
    deviations = ((counts.trials - keyed[..., None] / buckets) ** 2).sum(axis=-1)
    sizes = np.maximum(_ratio(deviations, keyed) * buckets / max(buckets - 1, 1), 1.0)
    return np.maximum(_ratio(sizes * keyed + counts.single, keyed + counts.single), 1.0)


def keys_in_effect(counts: KeyedCounts) -> Floats:
    """
    Return the number of equally frequent keys that would estimate the variance as well, shape (..., 2).

    It is at most the number of buckets, unless trials have no key.
    """
    keyed = counts.trials.sum(axis=-1)
    return _ratio((keyed + counts.single) ** 2, (counts.trials**2).sum(axis=-1) + counts.single)


def _key_inflation(counts: KeyedCounts) -> Floats:
    """Return the inflation of the variance of each variant's rate, shape (..., 2); 1 without variance."""
    keyed = counts.trials.sum(axis=-1)
    rate = _ratio(counts.bad.sum(axis=-1), keyed)
    residuals = ((counts.bad - rate[..., None] * counts.trials) ** 2).sum(axis=-1)
    clusters = effective_clusters(counts.trials)
    residuals *= np.where(clusters > 1.0, clusters / np.where(clusters > 1.0, clusters - 1.0, 1.0), 1.0)
    rate_single = _ratio(counts.bad_single, counts.single)
    single = counts.single * rate_single * (1.0 - rate_single)
    independent = keyed * rate * (1.0 - rate) + single
    return np.where(independent > 0.0, _ratio(residuals + single, independent), 1.0)


def key_design_effect(counts: KeyedCounts) -> Floats:
    """
    Return the design effect of keys on the difference of the two variants' rates, at least 1, shape (...).

    It is the larger of both variants' inflations. A variant with few events says little about its own inflation, and
    the other variant has the same kind of keys. As long as few keys have called, it is at least a mean of this
    estimate and of the inflation by `PRIOR_CORRELATION`.
    """
    return with_prior(_key_inflation(counts).max(axis=-1), counts)


def with_prior(estimate: Floats, counts: KeyedCounts) -> Floats:
    """
    Return an estimated design effect of keys, at least 1 and at least its mean with the assumed one, shape (...).

    Args:
        estimate: the estimate, shape (...).
        counts: the trials from which it was estimated.
    """
    estimate = np.maximum(estimate, 1.0)
    size: Floats = calls_per_key(counts).max(axis=-1)
    keys = (counts.trials.sum(axis=-1) + counts.single).min(axis=-1) / size
    weight = PRIOR_KEYS / (PRIOR_KEYS + keys)
    prior = 1.0 + PRIOR_CORRELATION * (size - 1.0)
    effect: Floats = np.maximum(estimate, weight * prior + (1.0 - weight) * estimate)
    return effect


@dataclass(frozen=True, slots=True, eq=False)
class TimeVariance:
    """
    The variance of the difference of the two variants' rates between blocks of time, beside that of independent trials.

    Attributes:
        effect: ratio of both variances, shape (...); 1 without variance.
        blocks: number of equally heavy blocks that would estimate it as well, shape (...).
        correlation: correlation of neighbouring blocks, in standard errors of independent blocks, shape (...).
    """

    effect: Floats
    blocks: Floats
    correlation: Floats

    @classmethod
    def of(cls, bad: Floats, trials: Floats, *, grows: bool = False) -> TimeVariance:
        """
        Return the variance of counts.

        Args:
            bad: bad events, shape (..., 2, blocks).
            trials: trials, same shape.
            grows: see `lasting_design_effect`.
        """
        bad, trials = np.asarray(bad, dtype=np.float64), np.asarray(trials, dtype=np.float64)
        total = trials.sum(axis=-2)
        share, rate = _ratio(trials[..., 1, :], total), _ratio(bad.sum(axis=-2), total)
        differences = (1.0 - share) * bad[..., 1, :] - share * bad[..., 0, :]
        weights = share * (1.0 - share) * total
        sizes = weights * rate if grows else weights
        residuals = differences - sizes * _ratio(differences.sum(axis=-1), sizes.sum(axis=-1))[..., None]
        squares = (residuals**2).sum(axis=-1)
        independent = (weights * rate * (1.0 - rate)).sum(axis=-1)
        blocks = effective_clusters(sizes)
        estimated = (independent > 0.0) & (blocks > 1.0)
        correction = blocks / np.where(estimated, blocks - 1.0, 1.0)
        effect = np.where(estimated, _ratio(squares, independent) * correction, 1.0)
        products = (residuals[..., 1:] * residuals[..., :-1]).sum(axis=-1)
        return cls(effect, blocks, _ratio(products, squares) * np.sqrt(blocks))


def time_design_effect(bad: Floats, trials: Floats, *, grows: bool = False) -> Floats:
    """
    Return the design effect of time on the difference of the two variants' rates, shape (...); 1 without variance.

    It compares the variance of the difference between blocks with that of independent trials. A block that is bad for
    both variants does not count. Each block's difference is taken from the mean difference over all blocks, so a
    candidate that is worse all the time has no larger design effect.

    Args:
        bad: bad events, shape (..., 2, blocks).
        trials: trials, same shape.
        grows: see `lasting_design_effect`.
    """
    return TimeVariance.of(bad, trials, grows=grows).effect


def lasting_design_effect(bad: Floats, trials: Floats, *, grows: bool = False) -> Floats:
    """
    Return the design effect of time if bad moments may last longer than a block, at least 1, shape (...).

    Blocks that are shorter than an outage give too small an effect, and longer ones are few, so their estimate is
    uncertain. The effect of blocks that are folded up to `FOLDS` times therefore counts as far as neighbouring blocks
    correlate. Otherwise, the estimate is less `CHANCE` of its relative standard error. Without that, half of the
    estimates for independent calls would be above 1, and a verdict would need 13 % more calls.

    Args:
        bad: bad events, shape (..., 2, blocks).
        trials: trials, same shape.
        grows: whether the mean difference of a block is in proportion to its rate, as that of outcomes which come late.
            If False, the mean difference is the same in all blocks.
    """
    bad, trials = np.asarray(bad, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    variance = TimeVariance.of(bad, trials, grows=grows)
    longest = variance.effect
    for _ in range(FOLDS):
        bad, trials = fold_blocks(bad), fold_blocks(trials)
        longest = np.maximum(longest, time_design_effect(bad, trials, grows=grows))
    error = np.sqrt(2.0 / np.maximum(variance.blocks - 1.0, 1.0))
    shortest = np.maximum(variance.effect * (1.0 - CHANCE * error), 1.0)
    correlated = np.clip(variance.correlation / CERTAIN, 0.0, 1.0)
    effect: Floats = shortest + correlated * np.maximum(longest - shortest, 0.0)
    return effect


def combine_design_effects(keys: Floats, time: Floats) -> Floats:
    """
    Return the design effect of keys and time together, at least 1.

    Variances of two kinds of clusters add up, less the variance of independent trials, which is in both: Cameron,
    Gelbach & Miller (2011), *Robust inference with multiway clustering*.

    Args:
        keys: the design effect of keys; 1 if no trial has a key.
        time: the design effect of time.
    """
    return np.maximum(np.maximum(keys, keys + time - 1.0), 1.0)


def _ratio(a: Floats, b: Floats) -> Floats:
    """Return a / b; 0 where b is 0."""
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(np.shape(a), np.shape(b))), where=np.asarray(b) > 0.0)


def fold_blocks(counts: Floats) -> Floats:
    """Return counts of shape (..., blocks) over blocks of twice the length, shape (..., (blocks + 1) // 2)."""
    odd = counts.shape[-1] % 2
    even: Floats = counts[..., ::2].copy()
    even[..., : even.shape[-1] - odd] += counts[..., 1::2]
    return even
