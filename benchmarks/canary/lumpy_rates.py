"""The looks at which driftline, and a test of fixed size, decide about simulated error rates."""

from __future__ import annotations

import math
from typing import NamedTuple

import lumpy_traffic as traffic
import numpy as np
from lumpy_traffic import Simulator, Tables
from numpy.typing import NDArray

from driftline.canary._evalues.clustered_rates import log_e_two_clustered_rates
from driftline.canary._evalues.design_effect import KeyedCounts, effective_clusters

ALPHA = 0.05
Z = 1.959964
"""The 97.5 % quantile of the normal distribution, of the test of fixed size."""

MARGIN = (1.1, 0.005)
"""Slope and offset of the default margin of the error rate: half a point plus a tenth of the baseline's."""

ANY_HARM = (1.0, 0.0)
MIN_CLUSTERS = 16.0
"""Clusters in effect of each variant that the test of fixed size needs. With fewer, its variance is too uncertain."""

CHUNK = 10
"""Streams that are simulated and evaluated together; their tables fit into the cache of a processor."""

Floats = NDArray[np.float64]


class Decisions(NamedTuple):
    """
    What was decided at each look.

    Attributes:
        decided: whether the look has decided, shape (runs, looks).
        fixed: whether the test of fixed size would at this look alone, same shape.
        calls: calls (or predictions) of the candidate until the look, same shape.
    """

    decided: NDArray[np.bool_]
    fixed: NDArray[np.bool_]
    calls: NDArray[np.int64]


def join(parts: list[Decisions]) -> Decisions:
    """Return the decisions of all runs."""
    return Decisions(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def decisions(
    simulate: Simulator, kind: str, runs: range, seed: int, *, criteria: int = 1, looks: int = traffic.LOOKS
) -> Decisions:
    """
    Simulate runs, and return what was decided at each look.

    Args:
        simulate: draws the calls of one run.
        kind: "promote" for evidence of safety at the default margin, else evidence of any harm.
        runs: numbers of the runs.
        seed: seed of all runs.
        criteria: criteria among which alpha is divided; a run then has as many independent streams.
        looks: number of looks.
    """
    streams = range(runs.start * criteria, runs.stop * criteria)
    parts = []
    for start in range(streams.start, streams.stop, CHUNK):
        drawn = traffic.tables(simulate, range(start, min(start + CHUNK, streams.stop)), seed, looks)
        decided = decided_at(drawn, kind, ALPHA / criteria)
        parts.append(Decisions(decided, fixed_test(drawn), drawn.candidate_calls))
    joined = join(parts)
    decided = joined.decided.reshape(len(runs), criteria, -1).any(axis=1)
    return Decisions(decided, joined.fixed[::criteria], joined.calls[::criteria])


def keyed(tables: Tables) -> KeyedCounts | None:
    """Return the counts by key in the form of the product."""
    if tables.keys is None:
        return None
    blocks = tables.blocks.sum(axis=-2).astype(np.float64)
    counts = tables.keys.astype(np.float64)
    return KeyedCounts.of(counts[..., 1], counts[..., 0], blocks[..., 1], blocks[..., 0])


def decided_at(tables: Tables, kind: str, level: float) -> NDArray[np.bool_]:
    """Return whether each look has decided, shape (runs, looks)."""
    edge, side = (MARGIN, -1) if kind == "promote" else (ANY_HARM, 1)
    blocks = tables.blocks.astype(np.float64)
    log_e = log_e_two_clustered_rates(
        blocks[..., 1], blocks[..., 0], keyed(tables), slope=edge[0], offset=edge[1], side=side
    )
    decided: NDArray[np.bool_] = log_e >= -math.log(level)
    return decided


def fixed_test(tables: Tables) -> NDArray[np.bool_]:
    """Return whether a cluster-robust z-test at each look alone finds the candidate worse, shape (runs, looks)."""
    clusters = (tables.blocks if tables.keys is None else tables.keys).astype(np.float64)
    rates, variance = cluster_variance(clusters[..., 1], clusters[..., 0], is_clustered=tables.keys is not None)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (rates[..., 1] - rates[..., 0]) / np.sqrt(variance.sum(axis=-1))
    is_worse: NDArray[np.bool_] = np.nan_to_num(z) > Z
    return is_worse


def cluster_variance(bad: Floats, trials: Floats, *, is_clustered: bool) -> tuple[Floats, Floats]:
    """
    Return the rates of both variants, and the variances of the rates, each of shape (..., 2).

    Args:
        bad: bad events, shape (..., 2, clusters).
        trials: trials, same shape.
        is_clustered: whether trials depend on each other within clusters. If False, the variance is binomial.
    """
    n = np.maximum(trials.sum(axis=-1), 1.0)
    rates = bad.sum(axis=-1) / n
    if not is_clustered:
        return rates, rates * (1.0 - rates) / n
    clusters = effective_clusters(trials)
    correction = clusters / np.maximum(clusters - 1.0, 1.0)
    variance = ((bad - rates[..., None] * trials) ** 2).sum(axis=-1) / n**2 * correction
    return rates, np.where(clusters >= MIN_CLUSTERS, variance, np.inf)
