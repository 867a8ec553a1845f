"""The tests of latency: one for each quantile of the policy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from driftline._windows.blocks import align_blocks
from driftline._windows.totals import DURATION_EDGES, KEY_DURATION_EDGES
from driftline.canary._evalues.design_effect import (
    MIN_KEYS,
    KeyedCounts,
    calls_per_key,
    key_design_effect,
    keys_in_effect,
)
from driftline.canary._evalues.latencies import Latencies, binned_quantile
from driftline.canary._evalues.quantile_limit import EQUAL, Limit
from driftline.canary._evalues.quantiles import MIN_BLOCKS, MIN_CALLS, QuantileComparison
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._margins import Margin
from driftline.canary._tests import CriterionTest, empty_test
from driftline.canary._variant_evidence import VariantEvidence

__all__ = ["latency_tests"]


def latency_tests(
    evidence: CanaryEvidence, quantiles: Sequence[float], margin: Margin, design_effect: float
) -> Iterator[CriterionTest]:
    """
    Yield a test for each quantile: whether the candidate's latency exceeds the baseline's by more than allowed.

    Calls that are counted by block of time are compared without the warm-up of their processes, and their design effect
    is estimated. Without calls of both variants, a test is inconclusive.

    Args:
        evidence: the counts.
        quantiles: the tested quantiles, in (0, 1); each gets an equal part of the margin's weight.
        margin: seconds by which the candidate's quantile may exceed the baseline's.
        design_effect: the least variance inflation.
    """
    pooled = evidence.pooled()
    latencies = None if pooled is None else _timed_latencies(pooled) or _stratified_latencies(evidence)
    for quantile in quantiles:
        name = f"latency_p{100 * quantile:g}"
        if pooled is None or latencies is None:
            yield empty_test(name, "calls", margin, len(quantiles))
        elif not latencies.weighted_calls:
            obstacle = f"{name}: no calls of both variants after the warm-up yet" if _warm_up_calls(pooled) else ""
            yield empty_test(name, "calls", margin, len(quantiles), obstacle)
        else:
            yield _quantile_test(name, latencies, quantile, margin, len(quantiles), design_effect, pooled)


def _timed_latencies(pooled: tuple[VariantEvidence, VariantEvidence]) -> Latencies | None:
    """Return the latencies by block of time, without the warm-up; None if calls of a variant are in no table."""
    tables = [variant.call_tables.durations for variant in pooled if variant.call_tables is not None]
    if len(tables) < len(pooled):
        return None
    # Most bins are empty. Two of them on each side of the others keep the edges around durations that occur.
    used = np.flatnonzero(sum(table.counts.any(axis=0) for table in tables))
    first, end = (max(int(used[0]) - 2, 0), int(used[-1]) + 3) if len(used) else (0, 1)
    (level, _), (baseline, candidate) = align_blocks(
        [replace(table, counts=table.counts[:, first:end]) for table in tables]
    )
    edges = DURATION_EDGES[first : first + baseline.shape[1] - 1]
    return Latencies(baseline.astype(np.float64), candidate.astype(np.float64), edges, block_seconds=2**level)


def _stratified_latencies(evidence: CanaryEvidence) -> Latencies:
    """Return the latencies of all calls by stratum."""
    baseline, candidate = (
        np.array([getattr(stratum, side).durations for stratum in evidence.strata], dtype=np.float64)
        for side in ("baseline", "candidate")
    )
    return Latencies(baseline, candidate, np.array(evidence.strata[0].baseline.edges))


def _quantile_test(
    name: str,
    latencies: Latencies,
    quantile: float,
    margin: Margin,
    quantiles: int,
    design_effect: float,
    pooled: tuple[VariantEvidence, VariantEvidence],
) -> CriterionTest:
    """Return the test of one quantile; both variants have calls."""
    baseline, candidate = (latencies.quantile(side, quantile) for side in (0, 1))
    allowed = Limit(1.0 + margin.relative, margin.absolute, margin.combine == "larger")
    harm_limit = EQUAL if margin.any_harm else allowed
    key_effect, keys = _key_effect(pooled, baseline)
    comparison = QuantileComparison(latencies, quantile, (allowed,), inflation=max(design_effect, key_effect))
    comparison.ready = comparison.ready and keys >= MIN_KEYS
    observed = (
        f"p{100 * quantile:g} latency {_format_milliseconds(candidate)} against {_format_milliseconds(baseline)}"
        f"{_warm_up_note(pooled[1], quantile)}"
    )
    return CriterionTest(
        name,
        observed,
        candidate - baseline,
        margin.allowed(baseline),
        comparison.calls,
        "calls",
        margin.any_harm,
        margin.weight / quantiles,
        lambda scale, level: comparison.log_e(harm_limit, side=1, level=level, scale=scale),
        lambda scale, level: comparison.log_e(allowed, side=-1, level=level, scale=scale),
        comparison.bounds,
        _format_milliseconds,
        obstacle="" if comparison.ready else _missing(latencies, comparison, keys),
    )


def _key_effect(pooled: tuple[VariantEvidence, VariantEvidence], quantile: float) -> tuple[float, float]:
    """
    Return the design effect of keys on slow calls, and the keys in effect of the variant that has fewer.

    Customers differ in what they ask for, so calls of a key are slow together. Slow calls are those beyond the last
    edge of `KEY_DURATION_EDGES` that is not above a quantile. There are more of them than beyond the quantile, so that
    the estimate is certain sooner. Where durations are not counted by key, all calls of a key are taken for one.

    Args:
        pooled: baseline and candidate.
        quantile: the baseline's quantile, in seconds.

    Returns:
        (design effect, 1 without keys; keys in effect, infinity without keys).
    """
    tables = [variant.call_tables for variant in pooled if variant.call_tables is not None]
    if len(tables) < len(pooled) or not any(table.has_keys for table in tables):
        return 1.0, math.inf
    calls = np.array([table.keys[:, 0] - table.keys[:, 1] for table in tables], dtype=np.float64)
    by_key = np.array([table.key_durations for table in tables], dtype=np.float64)
    returned = np.array([variant.durations.sum() for variant in pooled], dtype=np.float64)
    if (calls.any(axis=1) & ~by_key.any(axis=(1, 2))).any():
        keys = KeyedCounts.of(np.zeros_like(calls), calls, np.zeros(len(pooled)), returned)
        return float(calls_per_key(keys).max()), float(keys_in_effect(keys).min())
    edge = int(np.searchsorted(KEY_DURATION_EDGES, quantile, side="right"))
    slow = np.array([variant.durations[_first_bin(edge) :].sum() for variant in pooled], dtype=np.float64)
    keys = KeyedCounts.of(by_key[..., edge:].sum(axis=-1), by_key.sum(axis=-1), slow, returned)
    return float(key_design_effect(keys)), float(keys_in_effect(keys).min())


def _first_bin(edge: int) -> int:
    """Return the first bin of `DURATION_EDGES` that lies in the bin *edge* of `KEY_DURATION_EDGES`."""
    return int(np.searchsorted(DURATION_EDGES, KEY_DURATION_EDGES[edge - 1])) + 1 if edge else 0


def _missing(latencies: Latencies, comparison: QuantileComparison, keys: float) -> str:
    """Return what a comparison that is not ready needs, and what it has."""
    if comparison.calls < MIN_CALLS:
        return f"needs {MIN_CALLS:.0f} calls of both variants, has {comparison.calls}"
    if comparison.location.blocks >= MIN_BLOCKS:
        return f"{math.floor(keys):,} keys in effect, a variant needs {MIN_KEYS:.0f}"
    return (
        f"needs calls of both variants in {MIN_BLOCKS:.0f} blocks of {latencies.block_seconds:,} s, "
        f"has about {comparison.location.blocks:.0f}"
    )


def _warm_up_calls(pooled: tuple[VariantEvidence, VariantEvidence]) -> int:
    """Return the calls of both variants that are not compared, because they belong to a warm-up."""
    return sum(int(variant.call_tables.warm_up.sum()) for variant in pooled if variant.call_tables is not None)


def _warm_up_note(variant: VariantEvidence, quantile: float) -> str:
    """Return what a reason says of the warm-up of a variant; an empty string without one."""
    tables = variant.call_tables
    seconds = None if tables is None else binned_quantile(tables.warm_up.astype(np.float64), DURATION_EDGES, quantile)
    if tables is None or seconds is None:
        return ""
    calls = int(tables.warm_up.sum())
    return f" (warm-up of {calls:,} calls not counted, p{100 * quantile:g} {_format_milliseconds(seconds)})"


def _format_milliseconds(seconds: float) -> str:
    milliseconds = 1e3 * seconds
    return f"{milliseconds:,.0f} ms" if abs(milliseconds) >= 1e3 else f"{milliseconds:.3g} ms"  # noqa: PLR2004 - 1e+03
