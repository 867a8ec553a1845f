"""How large each part of a difference is, on one scale, so that the largest can lead the explanation of an alarm."""

from __future__ import annotations

import math

import numpy as np

from driftline._binning.bins import CategoricalBins, Feature
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, PARTS, SHAPE, SPREAD
from driftline.typing import Floats

__all__ = ["measure_parts", "measure_rank_shift"]

LEVELS = np.linspace(0.05, 0.95, 19)
"""Quantiles that are compared. Those further out have too few rows in a window of `MIN_ROWS` rows."""

NORMAL_SPREAD = 0.873
"""Standard deviation of these quantiles of the standard normal distribution: the unit of a shift is divided by it."""

FEWEST_LEVELS = 5
"""Fewest levels at which both sides are within the range. With fewer, values out of range count at its ends."""

MOST = 10.0
"""Largest size of a part. Of a constant, every change would be infinite."""

FARTHEST = 1e6
"""Largest factor of a spread, and the inverse of the smallest. Beyond it, the size is `MOST` anyway."""

PSEUDO_ROWS = 0.5
"""Rows that are added to a share and to the rest, so that an event which the reference never had has a finite size."""


FEW_OUTSIDE = 0.1
"""Largest share of a window's rows beyond the range that are taken for a few rows apart. More are a part of a shift."""


def measure_parts(feature: Feature, before: Floats, after: Floats) -> Floats:
    """
    Return the size of each part of a difference, shape (parts,), in standard deviations or what is as much.

    The quantiles of the window, as a function of those of the reference, split into three parts (Irpino & Verde 2015,
    *Basic statistics for distributional symbolic variables*, for the squared Wasserstein distance). The difference of
    their means is the location, and the quotient of their standard deviations the spread. What is not on a straight
    line is the shape. So a distribution that moves as a whole differs in its location only, whatever its shape is.

    - location: the difference of the means, in standard deviations of the reference.
    - spread: the square root of the population stability index (PSI) that such a change of a normal distribution has.
    - shape: the mean distance from the line, in standard deviations of the reference.
    - out of range: the square root of the PSI of the share, compared with the share that the line predicts. So values
      that a shift carries out of the range are a part of the shift. Where few rows are beyond the range, and the
      others have kept the shares of the reference better than a line explains all, the line is that of the others.
    - missing, unseen, mix: the square root of the PSI. A shift of a normal distribution has the same square root of
      PSI as its size.

    A part that does not apply is 0.

    Args:
        feature: the feature.
        before: shape (bins,), counts to compare with. They are to be expected of new rows (see `NewRows`).
        after: shape (bins,), counts of the window.
    """
    sizes = np.zeros(PARTS)
    rows, usual = float(after.sum()), float(before.sum())
    if rows <= 0 or usual <= 0:
        return sizes
    sizes[MISSING] = _root_psi(before[-1] / usual, after[-1] / rows, usual, rows)
    before, after = before[:-1], after[:-1]
    rows, usual = float(after.sum()), float(before.sum())
    if rows <= 0 or usual <= 0:
        return sizes
    if isinstance(feature.bins, CategoricalBins):
        unseen = feature.bins.unseen
        sizes[OUTSIDE] = _root_psi(before[unseen] / usual, after[unseen] / rows, usual, rows)
        known = np.arange(len(before)) != unseen
        sizes[SHAPE] = _root_mix(before[known], after[known])
        return sizes
    with np.errstate(all="ignore"):
        positions = feature.positions()[:-1]
    if np.isfinite(positions).all():
        with np.errstate(all="ignore"):
            # The values of a file may be so large that their squares overflow.
            shares = before / usual, after / rows
            _measure_line(positions, *shares, (usual, rows), sizes)
            if feature.moments is not None and feature.moments.std > 0.0:
                edges = (np.array(feature.bins.cuts) - feature.moments.mean) / feature.moments.std
                _measure_within(positions, edges, *shares, (usual, rows), sizes)
    return np.where(np.isnan(sizes), 0.0, sizes)


def measure_rank_shift(before: Floats, after: Floats) -> float:
    """
    Return how much more often a value of the window is above one of the reference than below; missing ones excluded.

    It is twice the probability of superiority (McGraw & Wong 1992), minus 1. Values in the same bin are neither.

    Args:
        before: shape (bins,), counts to compare with.
        after: shape (bins,), counts of the window.
    """
    usual, now = before[:-1], after[:-1]
    below = np.cumsum(usual) - usual
    above = usual.sum() - below - usual
    pairs = float(usual.sum() * now.sum())
    return float(now @ (below - above)) / pairs if pairs else 0.0


def _measure_line(positions: Floats, before: Floats, after: Floats, rows: tuple[float, float], sizes: Floats) -> None:
    """
    Write the sizes of location, spread, shape and out of range.

    Args:
        positions: shape (bins,), the value of each bin.
        before: shape (bins,), shares of the reference.
        after: shape (bins,), shares of the window.
        rows: rows of the reference and of the window.
        sizes: shape (parts,), which is changed.
    """
    all_usual, all_now = _quantiles(positions, before), _quantiles(positions, after)
    lowest, highest = max(before[0], after[0]), 1.0 - max(before[-1], after[-1])
    inside = (lowest < LEVELS) & (highest > LEVELS)
    if inside.sum() < FEWEST_LEVELS:
        inside[:] = True
    usual, now = all_usual[inside], all_now[inside]
    unit = float(all_usual.std()) / NORMAL_SPREAD
    if unit <= 0.0:
        # Half of the distance, so that the move of a constant has the size 2.
        unit = max(float(np.abs(now - usual).max()) / 2, 1e-300)
    deviations = float(usual.std()), float(now.std())
    factor = 1.0
    sizes[LOCATION] = min(abs(float(now.mean() - usual.mean())) / unit, MOST)
    if min(deviations) > 0.0:
        factor = min(max(deviations[1] / deviations[0], 1.0 / FARTHEST), FARTHEST)
        sizes[SPREAD] = min(math.sqrt(2.0) * abs(math.sinh(math.log(factor))), MOST)
        correlation = float(((usual - usual.mean()) * (now - now.mean())).mean()) / (deviations[0] * deviations[1])
        rest = 2.0 * deviations[0] * deviations[1] * max(1.0 - correlation, 0.0)
        sizes[SHAPE] = min(math.sqrt(rest) / unit, MOST)
    elif max(deviations) > 0.0:
        factor = 0.0 if deviations[1] == 0.0 else MOST
        sizes[SPREAD] = MOST
    # The ends of the range are where the line carries these values of the reference.
    ends = usual.mean() + (positions[[0, -1]] - now.mean()) / max(factor, 1.0 / MOST)
    below, not_above = np.interp(ends, positions, np.cumsum(before) - before / 2, left=0.0, right=1.0).tolist()
    for end, beyond in ((0, below), (-1, 1.0 - not_above)):
        expected = max(beyond, float(before[end]))
        if after[end] > expected:
            sizes[OUTSIDE] = max(sizes[OUTSIDE], _root_psi(expected, float(after[end]), *rows))


def _measure_within(
    positions: Floats, edges: Floats, before: Floats, after: Floats, rows: tuple[float, float], sizes: Floats
) -> None:
    """
    Write the sizes again, those of the rows within the range and of the others apart, if that explains the counts.

    A few rows far beyond the range move every quantile a little. A line takes that for a shift or a wider spread,
    which would carry rows out of the range. Of the two explanations, the one with the smaller deviance is nearer.

    Args:
        positions: shape (bins,), the value of each bin.
        edges: shape (bins - 1,), the cuts between the bins.
        before: shape (bins,), shares of the reference.
        after: shape (bins,), shares of the window.
        rows: rows of the reference and of the window.
        sizes: shape (parts,), which is changed.
    """
    more = [end for end in (0, -1) if after[end] > before[end]]
    within = np.ones(len(before))
    within[[0, -1]] = 0.0
    inside, inside_now = float(before @ within), float(after @ within)
    if not more or inside <= 0.0 or inside_now < 1.0 - FEW_OUTSIDE:
        return
    kept = before * within * (inside_now / inside) + after * (1.0 - within)
    if _deviance(after, kept, rows) >= _deviance(after, _carried(positions, edges, before, after), rows):
        return
    sizes[[LOCATION, SPREAD, SHAPE, OUTSIDE]] = 0.0
    _measure_line(positions, before * within / inside, after * within / inside_now, rows, sizes)
    sizes[OUTSIDE] = max(_root_psi(float(before[end]), float(after[end]), *rows) for end in more)


def _carried(positions: Floats, edges: Floats, before: Floats, after: Floats) -> Floats:
    """Return the share of each bin, shape (bins,), if the reference moves and widens as its quantiles did."""
    usual, now = _quantiles(positions, before), _quantiles(positions, after)
    factor = max(float(now.std()), 1.0 / FARTHEST) / max(float(usual.std()), 1.0 / FARTHEST)
    origins = usual.mean() + (edges - now.mean()) / factor
    below = np.interp(origins, edges, np.cumsum(before)[:-1], left=0.0, right=1.0)
    return np.diff(below, prepend=0.0, append=1.0)


def _deviance(after: Floats, predicted: Floats, rows: tuple[float, float]) -> float:
    """Return twice the log-likelihood that shares lose against those of the window (McCullagh & Nelder 1989, 2.3)."""
    now = after * rows[1]
    expected = (predicted * rows[0] + PSEUDO_ROWS) * (rows[1] / rows[0])
    seen = now > 0.0
    return 2.0 * float((now[seen] * np.log(now[seen] / expected[seen])).sum() + expected.sum() - now.sum())


def _quantiles(positions: Floats, shares: Floats) -> Floats:
    """Return the quantiles at `LEVELS`, by a line between the bins that hold rows, each at the middle of its ranks."""
    filled = shares > 0
    middles = (np.cumsum(shares) - shares / 2)[filled]
    quantiles: Floats = np.interp(LEVELS, middles, positions[filled])
    return quantiles


def _root_psi(before: float, after: float, usual: float, rows: float) -> float:
    """Return the square root of the PSI of two shares of an event, with `PSEUDO_ROWS`."""
    p = (before * usual + PSEUDO_ROWS) / (usual + 2 * PSEUDO_ROWS)
    q = (after * rows + PSEUDO_ROWS) / (rows + 2 * PSEUDO_ROWS)
    return math.sqrt(max((q - p) * (math.log(q / p) - math.log((1 - q) / (1 - p))), 0.0))


def _root_mix(before: Floats, after: Floats) -> float:
    """Return the square root of the PSI of the shares of categories, with `PSEUDO_ROWS` in each."""
    p, q = (counts + PSEUDO_ROWS for counts in (before, after))
    p, q = p / p.sum(), q / q.sum()
    return math.sqrt(max(float(((q - p) * np.log(q / p)).sum()), 0.0))
