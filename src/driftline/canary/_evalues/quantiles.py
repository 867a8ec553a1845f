"""Evidence about quantiles of latency, from counts in bins alone."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline.canary._evalues.rates import log_e_one_rate, log_e_two_rates
from driftline.typing import Floats

__all__ = ["Latencies", "bounds_of_shift", "log_e_quantile", "quantile_of"]

Places: TypeAlias = "NDArray[np.intp]"

WHERE = 0.1
"""Part of alpha that is spent on where the baseline's quantile lies; the rest on the candidate's calls beyond it."""

BISECTIONS = 20
"""Of a bound: to a millionth of twice the slowest call."""


def quantile_of(durations: Floats, edges: Floats, quantile: float) -> float | None:
    """A quantile of the seconds a call took, read from the bins (geometric middle); None without calls."""
    total = float(durations.sum())
    if not total:
        return None
    number = int(np.searchsorted(np.cumsum(durations), max(quantile * total, 1.0)))
    around = np.concatenate([edges[:1], edges, edges[-1:]])
    return float(np.sqrt(around[number] * around[number + 1]))


class Latencies:
    """
    Durations of both variants in the same bins.

    Args:
        baseline: counts, shape (strata, edges + 1): below the first edge, between, above the last.
        candidate: the same of the candidate.
        edges: seconds, ascending.
    """

    __slots__ = ("_places", "baseline", "baseline_calls", "candidate", "candidate_calls", "edges")

    def __init__(self, baseline: Floats, candidate: Floats, edges: Floats) -> None:
        self._places: dict[tuple[float, float, float], Places] = {}
        self.baseline_calls, self.candidate_calls = baseline.sum(axis=1), candidate.sum(axis=1)
        # From nothing to for ever; but one edge below the fastest call and one above the slowest are enough.
        used = np.flatnonzero((baseline + candidate).sum(axis=0))
        kept = slice(max(int(used[0]) - 1, 0), int(used[-1]) + 3) if len(used) else slice(0, 2)
        self.edges = np.concatenate([[0.0], edges, [np.inf]])[kept]
        # Calls that took at least as long as each edge, shape (edges, strata).
        self.baseline, self.candidate = (
            np.concatenate([calls[None], calls - np.cumsum(counts, axis=1).T])[kept]
            for counts, calls in ((baseline, self.baseline_calls), (candidate, self.candidate_calls))
        )

    def places(self, quantile: float, level: float, scale: float) -> Places:
        """
        The bins in which the baseline's quantile may lie, as the numbers of their lower edges.

        A value is excluded as the quantile when the calls that took longer than it are too few or too many to be a
        share of 1 - quantile: Howard & Ramdas (2022), *Sequential estimation of quantiles*.
        """
        key = (quantile, level, scale)
        if key not in self._places:
            self._places[key] = self._search(quantile, level, scale)
        return self._places[key]

    def _search(self, quantile: float, level: float, scale: float) -> Places:
        beyond, calls = scale * self.baseline.sum(axis=1), scale * float(self.baseline_calls.sum())
        above = log_e_one_rate(beyond[:, None], [calls], limit=[1.0 - quantile], side=1) >= -math.log(level / 2.0)
        below = log_e_one_rate(beyond[:, None], [calls], limit=[1.0 - quantile], side=-1) >= -math.log(level / 2.0)
        # The bin between edges i and i + 1 holds the quantile unless too many lie above i + 1 or too few above i.
        return np.flatnonzero(~above[1:] & ~below[:-1])


def log_e_quantile(
    seen: Latencies,
    quantile: float,
    *,
    slope: float = 1.0,
    offset: float = 0.0,
    side: int = 1,
    level: float = 0.05,
    scale: float = 1.0,
) -> float:
    """
    Evidence that the candidate's quantile lies beyond slope · the baseline's + offset.

    If it does not, then at x, the baseline's own quantile, no more of the candidate's calls take longer than
    slope · x + offset than of the baseline's calls take longer than x, and no more than a share of 1 - quantile. Where
    x lies is known from the baseline's calls (at a level of `WHERE` times *level*); wherever in there it is, one of the
    two must be wrong: the smallest of the means of both e-values. Edges are rounded so that the evidence gets smaller.
    The second keeps its power where all of the baseline's calls lie in one bin.

    Args:
        seen: the durations.
        quantile: in (0, 1).
        slope: with *offset* (seconds) the edge of the null hypothesis.
        offset: see *slope*.
        side: 1: evidence for slower; -1: for no slower.
        level: the level at which the result will be read.
        scale: as if there were so many times the calls.

    Returns:
        The logarithm of the e-value, less what finding x has cost: at least ln(1/level) with a probability of at most
        *level* under the null hypothesis.
    """
    places = seen.places(quantile, WHERE * level, scale)
    if not len(places) or not seen.candidate_calls.sum():
        return 0.0
    last = len(seen.edges) - 1
    if side > 0:
        # Too many of the baseline's calls, and too few of the candidate's: x is somewhere within its bin.
        mine = np.searchsorted(seen.edges, slope * seen.edges[places + 1] + offset)
        ours = seen.baseline[places]
    else:
        mine = np.searchsorted(seen.edges, slope * seen.edges[places] + offset, side="right") - 1
        ours = seen.baseline[places + 1]
    theirs = np.where((mine <= last)[:, None], seen.candidate[np.clip(mine, 0, last)], 0.0)
    theirs = np.where((mine < 0)[:, None], seen.candidate_calls, theirs)
    found = log_e_two_rates(
        scale * ours, scale * seen.baseline_calls[None], scale * theirs, scale * seen.candidate_calls[None], side=side
    )
    alone = log_e_one_rate(scale * theirs, scale * seen.candidate_calls[None], limit=[1.0 - quantile], side=side)
    return float(np.logaddexp(found, alone).min()) + math.log(0.5 * (1.0 - WHERE))


def bounds_of_shift(seen: Latencies, quantile: float, *, lower: float, upper: float) -> tuple[float, float]:
    """Bounds of (candidate's quantile - baseline's) in seconds, each of its level; infinite before there are any."""
    reach = 2.0 * float(seen.edges[np.isfinite(seen.edges)][-1])
    found = []
    for side, level in ((1, lower), (-1, upper)):
        inside, outside, best = side * reach, -side * reach, -side * math.inf
        for _ in range(BISECTIONS):
            middle = 0.5 * (inside + outside)
            if log_e_quantile(seen, quantile, offset=middle, side=side, level=level) >= -math.log(level):
                outside = best = middle
            else:
                inside = middle
        found.append(best)
    return found[0], found[1]
