"""The test of a difference between the predictions of the two variants, and the rows that it compares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from driftline._binning.bins import PREDICTION
from driftline.canary._evalues.histograms import Histograms
from driftline.canary._evidence import CanaryEvidence, Stratum
from driftline.canary._margins import Margin
from driftline.canary._rate_counts import stratify_pair
from driftline.canary._tests import OTHER_BINS, CriterionTest, empty_test, format_points, share_bounds
from driftline.canary._variant_evidence import VariantEvidence
from driftline.typing import Counts, Floats

__all__ = ["bin_counts", "prediction_drift_test"]

GRID = 4
"""Numbers that say over which blocks and bins a table counts: level, first block, blocks and bins."""


def bin_counts(strata: Sequence[Stratum], names: Sequence[str]) -> dict[str, Floats]:
    """
    Return the rows per bin of features or the prediction by name, shape (strata, 2, bins).

    The strata are shares of the candidate and, where both variants have tables, blocks of time.

    Args:
        strata: strata in which both variants have counts of all names over the same bins.
        names: names of features, or `PREDICTION`.
    """
    parts = [_stratum_bins(stratum, names) for stratum in strata]
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _stratum_bins(stratum: Stratum, names: Sequence[str]) -> dict[str, Floats]:
    sides = stratum.baseline, stratum.candidate
    # Tables over the same blocks and bins are aligned together.
    groups: dict[tuple[int, ...], list[str]] = {}
    counts = {}
    for name in names:
        totals = [_bins_of(side, name) for side in sides]
        tables = [side.call_tables.bins.get(name) for side in sides if side.call_tables is not None]
        grid: tuple[int, ...] = ()
        for table, total in zip(tables, totals, strict=False):
            if table is not None and table.counts.shape[1:] == total.shape:
                grid += (table.level, table.first, *table.counts.shape)
        groups.setdefault(grid if len(grid) == GRID * len(sides) else (), []).append(name)
        counts[name] = np.stack(totals)[None].astype(np.float64)
    for grid, members in groups.items():
        if grid:
            counts.update(_blocks_of(sides, members, counts))
    return counts


def _blocks_of(
    sides: tuple[VariantEvidence, VariantEvidence], names: list[str], totals: Mapping[str, Floats]
) -> dict[str, Floats]:
    """
    Return rows per block and bin by name, shape (blocks, 2, bins), for tables over the same blocks and bins.

    Names whose tables lack rows are missing in the result.

    Args:
        sides: baseline and candidate.
        names: the names.
        totals: rows per bin by name, shape (1, 2, bins).
    """
    tables = []
    for side in sides:
        own = [side.call_tables.bins[name] for name in names if side.call_tables is not None]
        tables.append(replace(own[0], counts=np.stack([table.counts for table in own], axis=1)))
    aligned = stratify_pair((tables[0], tables[1]))
    whole = aligned.sum(axis=0) == np.concatenate([totals[name] for name in names]).swapaxes(0, 1)
    covers = whole.all(axis=(0, 2))
    return {name: aligned[:, :, index] for index, name in enumerate(names) if covers[index]}


def _bins_of(variant: VariantEvidence, name: str) -> Counts:
    if name != PREDICTION:
        return variant.features[name]
    return np.zeros(0, dtype=np.int64) if variant.predictions is None else variant.predictions


def prediction_drift_test(evidence: CanaryEvidence, margin: Margin, design_effect: float) -> CriterionTest:
    """
    Return a test of whether the predictions of the two variants differ by more than allowed.

    Without predictions, or if the variants count them over different bins, the test is inconclusive.

    Args:
        evidence: the counts; in each stratum both variants have counts of their predictions.
        margin: the largest allowed difference; `largest_difference` defines it.
        design_effect: variance inflation by which all counts are divided.
    """
    last = evidence.strata[-1]
    if not last.candidate.comparable(PREDICTION, last.baseline):
        return empty_test("prediction_drift", "predictions", margin, obstacle=OTHER_BINS)
    counts = bin_counts(evidence.strata, (PREDICTION,))[PREDICTION]
    rows = int(counts.sum(axis=(0, 2)).min())
    histograms = Histograms(
        counts[:, 0] / design_effect,
        counts[:, 1] / design_effect,
        ordered=PREDICTION not in evidence.strata[0].baseline.unordered,
    )
    difference, limit = histograms.largest_difference, margin.absolute
    if math.isnan(difference):
        return empty_test("prediction_drift", "predictions", margin)
    error = math.sqrt(0.25 / histograms.baseline.sum() + 0.25 / histograms.candidate.sum())

    def log_e(scale: float, allowed: float, side: int) -> float:
        return histograms.log_e(allowed, side=side, scale=scale)

    return CriterionTest(
        "prediction_drift",
        f"shares of the predictions differ by up to {format_points(difference)}",
        difference,
        limit,
        rows,
        "predictions",
        margin.any_harm,
        margin.weight,
        lambda scale, _: log_e(scale, 0.0 if margin.any_harm else limit, 1),
        lambda scale, _: log_e(scale, limit, -1),
        lambda lower, upper: share_bounds(log_e, difference, lower, upper, error),
        format_points,
        "a difference of",
    )
