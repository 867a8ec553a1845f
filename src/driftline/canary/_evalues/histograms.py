"""Evidence that two variants' histograms of a feature or of the prediction differ by more than is allowed."""

from __future__ import annotations

import numpy as np

from driftline.canary._evalues.rates import log_e_two_rates, log_mean_exp
from driftline.typing import Floats

__all__ = ["largest_difference", "log_e_shape", "tails_of"]


def tails_of(counts: Floats, *, ordered: bool) -> Floats:
    """
    The counts whose shares are compared, shape (cuts, strata), of counts of shape (strata, bins).

    Ordered bins are compared below each cut, as by Kolmogorov and Smirnov, with missing values apart; categories each.
    """
    if ordered:
        cumulative = np.cumsum(counts[:, :-1], axis=1)[:, :-1]
        counts = np.concatenate([cumulative, counts[:, -1:]], axis=1)
    cuts: Floats = counts.T
    return cuts


def largest_difference(baseline: Floats, candidate: Floats, *, ordered: bool) -> float:
    """The largest difference of the shares that `tails_of` compares, in [0, 1]; nan while one side is empty."""
    n, m = baseline.sum(), candidate.sum()
    if not n or not m:
        return float("nan")
    shares = [
        tails_of(counts, ordered=ordered).sum(axis=1) / total for counts, total in ((baseline, n), (candidate, m))
    ]
    return float(np.abs(shares[0] - shares[1]).max(initial=0.0))


def log_e_shape(
    baseline: Floats, candidate: Floats, *, ordered: bool, allowed: float, side: int = 1, scale: float = 1.0
) -> float:
    """
    Evidence that the largest difference of shares lies above (*side* 1) or below (-1) what is allowed.

    Above: the mean of the e-values over cuts and directions. Below: the smallest, for all cuts have to be within.

    Args:
        baseline: counts, shape (strata, bins).
        candidate: the same of the candidate.
        ordered: whether the bins have an order.
        allowed: largest difference of shares, in [0, 1).
        side: 1 or -1.
        scale: as if there were so many times the rows.
    """
    n, m = scale * baseline.sum(axis=1)[None], scale * candidate.sum(axis=1)[None]
    k, j = (scale * tails_of(counts, ordered=ordered) for counts in (baseline, candidate))
    used = (k.sum(axis=1) + j.sum(axis=1)) > 0
    k, j = k[used], j[used]
    if not len(k):
        return 0.0
    up = log_e_two_rates(k, n, j, m, offset=allowed, side=side)
    down = log_e_two_rates(n - k, n, m - j, m, offset=allowed, side=side)
    found = np.stack([up, down])
    return log_mean_exp(found) if side > 0 else float(found.min())
