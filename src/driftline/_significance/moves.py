"""What a distribution that only moves looks like in the bins of its reference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from driftline._binning.bins import Feature, NumericBins
from driftline._binning.layout import Layout
from driftline._significance.components import FeatureMatrix, group_features, orthonormal_polynomials
from driftline.typing import Floats

__all__ = ["Moves"]

FURTHEST, STEPS = 6.0, 97
"""Largest move that is tabulated, in standard deviations of a normal distribution, and the number of moves."""

PLACES = 65
"""Number of mean scores at which variance and bend are tabulated."""

MAX_BATCH = 2**20
"""Largest number of shares that are computed in one step, which take 8 MB."""


class Moves:
    """
    Variance and bend of features that only moved, by the mean of their location score.

    A move is that of a normal distribution with the shares of the reference in its bins. The *variance* is that of the
    location score: bins compress what moves beyond them, so a shift lowers the variance of ranks, and without this it
    looks like rows of one narrow state. It is also computed for moves of the values themselves, which differ for skewed
    features, and the smaller one counts. The *bend* is what remains of the chi-square per row without location and
    spread: a shift is not linear in the ranks, and without this a large one looks like another shape.

    Args:
        features: the features, in the order of *layout*.
        layout: the layout of their bins.
    """

    __slots__ = ("_bends", "_cuts", "_low", "_rows", "_step", "_variances")

    def __init__(self, features: Sequence[Feature], layout: Layout) -> None:
        from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

        size = len(features)
        self._low, self._step = np.zeros(size), np.ones(size)
        self._variances, self._bends = np.ones((size, PLACES)), np.zeros((size, PLACES))
        self._rows = np.arange(size)
        self._cuts = [each.bins.cuts if isinstance(each.bins, NumericBins) else () for each in features]
        for matrix in group_features(features, layout):
            if matrix.ordered:
                batch = max(1, MAX_BATCH // (STEPS * matrix.bins.shape[1]))
                for start in range(0, len(matrix.indices), batch):
                    with np.errstate(all="ignore"):
                        self._tabulate(matrix, slice(start, start + batch), special)

    @classmethod
    def share(cls, features: Sequence[Feature], layout: Layout) -> Moves:
        """Return the moves of features. The two users in a monitor share them, because they take long to compute."""
        return _moves_of(tuple(features), layout)

    def _tabulate(self, matrix: FeatureMatrix, part: slice, special: Any) -> None:
        shares = matrix.smoothed_shares[part]
        scores = orthonormal_polynomials(shares)
        below = np.concatenate([np.zeros((len(shares), 1)), np.cumsum(shares, axis=1)], axis=1)
        below[:, -1] = 1.0
        edges = special.ndtri(np.minimum(below, 1.0))
        moves = np.linspace(-FURTHEST, FURTHEST, STEPS)
        normal = np.diff(special.ndtr(edges[:, None, :] - moves[:, None]), axis=2)
        indices = matrix.indices[part].tolist()
        own = np.stack(
            [_move_values(self._cuts[index], below[row], matrix.bins.shape[1]) for row, index in enumerate(indices)]
        )
        tables = [_moments(moved, shares, scores) for moved in (normal, own)]
        for row, index in enumerate(indices):
            means = [each.mean[row] for each in tables]
            low, high = min(each[0] for each in means), max(each[-1] for each in means)
            places = np.linspace(low, high, PLACES)
            self._low[index], self._step[index] = low, max((high - low) / (PLACES - 1), 1e-12)
            # Of the two kinds of moves, take what explains more of a small variance.
            self._variances[index] = np.min(
                [np.interp(places, mean, each.variance[row]) for mean, each in zip(means, tables, strict=True)], axis=0
            )
            self._bends[index] = np.interp(places, means[0], np.sqrt(tables[0].bend[row]))

    def variance(self, mean: Floats) -> Floats:
        """Return the variance of the score of features that moved to these mean scores, shape (features,) each."""
        return self._look_up(self._variances, mean)

    def bend(self, mean: Floats) -> Floats:
        """Return the bend of features that moved to these mean scores, shape (features,) each."""
        return self._look_up(self._bends, mean) ** 2

    def _look_up(self, table: Floats, mean: Floats) -> Floats:
        position = np.clip((mean - self._low) / self._step, 0.0, PLACES - 1.0)
        position = np.where(np.isfinite(position), position, 0.0)
        low = np.minimum(position.astype(np.intp), PLACES - 2)
        share = position - low
        value: Floats = (1.0 - share) * table[self._rows, low] + share * table[self._rows, low + 1]
        return value


@lru_cache(maxsize=1)
def _moves_of(features: tuple[Feature, ...], layout: Layout) -> Moves:
    """Return the moves of features. Only the latest ones are kept, because a monitor needs them twice in a row."""
    return Moves(features, layout)


class _Moments(NamedTuple):
    """Mean and variance of the location score, and the bend, of moved distributions, shape (features, moves) each."""

    mean: Floats
    variance: Floats
    bend: Floats


def _moments(moved: Floats, shares: Floats, scores: tuple[Floats, Floats]) -> _Moments:
    """Return the moments of moved shares, shape (features, moves, bins), for the *shares* before, (features, bins)."""
    location, spread = scores
    mean = np.einsum("fmb,fb->fm", moved, location)
    variance = np.maximum(np.einsum("fmb,fb->fm", moved, location**2) - mean**2, 0.0)
    whole = ((moved - shares[:, None, :]) ** 2 / np.where(shares > 0.0, shares, 1.0)[:, None, :]).sum(axis=2)
    bend = np.maximum(whole - mean**2 - np.einsum("fmb,fb->fm", moved, spread) ** 2, 0.0)
    # A feature of one value has no location, and `interp` needs means that increase.
    return _Moments(np.maximum.accumulate(mean + 1e-12 * np.arange(STEPS), axis=1), variance, bend)


def _move_values(cuts: Sequence[float], below: Floats, width: int) -> Floats:
    """
    Return the shares of a feature whose values all increase by the same, for all moves, shape (moves, bins).

    Within a bin, values are taken to be uniform.

    Args:
        cuts: the cuts between the bins.
        below: shape (width + 1,), shares below the edges of the bins.
        width: number of bins, with those that only pad the matrix.
    """
    edges = np.array(cuts, dtype=np.float64)
    share_below = below[1 : len(edges) + 1]
    if len(edges) < 2:  # noqa: PLR2004 - a single cut has no width
        return np.repeat(np.diff(below)[None, :], STEPS, axis=0)
    quarter, three_quarters = np.interp([0.25, 0.75], share_below, edges)
    typical = max(three_quarters - quarter, (edges[-1] - edges[0]) / len(edges), 1e-300)
    largest = max(edges[-1] - edges[0], typical)
    sizes = np.geomspace(typical / STEPS, largest, STEPS // 2)
    moves = np.concatenate([-sizes[::-1], [0.0], sizes])
    moved = np.interp(edges[None, :] - moves[:, None], edges, share_below, left=0.0, right=1.0)
    filled = np.ones((STEPS, width + 1))
    filled[:, 0] = 0.0
    filled[:, 1 : len(edges) + 1] = moved
    return np.diff(filled, axis=1)
