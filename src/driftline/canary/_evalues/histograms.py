"""E-values for a difference between two variants' histograms of a feature or of the prediction."""

from __future__ import annotations

import numpy as np

from driftline.canary._evalues.rates import log_e_two_rates, log_mean_exp
from driftline.typing import Floats

__all__ = ["compared_counts", "largest_difference", "log_e_two_histograms"]


def compared_counts(counts: Floats, *, ordered: bool) -> Floats:
    """
    Return the counts whose shares `largest_difference` compares; each of them is called a cut.

    Args:
        counts: rows per bin, shape (strata, bins); the last bin holds missing values.
        ordered: if True, a cut counts the rows below an edge between bins (Kolmogorov-Smirnov), and one more cut counts
            the missing values. If False, each bin is a cut.

    Returns:
        Counts of shape (cuts, strata).
    """
    if ordered:
        cumulative = np.cumsum(counts[:, :-1], axis=1)[:, :-1]
        counts = np.concatenate([cumulative, counts[:, -1:]], axis=1)
    cuts: Floats = counts.T
    return cuts


def largest_difference(baseline: Floats, candidate: Floats, *, ordered: bool) -> float:
    """
    Return the largest difference between two histograms over all strata, in [0, 1]; nan if either has no rows.

    Args:
        baseline: rows per bin, shape (strata, bins).
        candidate: rows per bin, same shape.
        ordered: if True, cumulative shares and the shares of missing values are compared. If False, the shares of the
            bins are compared.
    """
    n, m = baseline.sum(), candidate.sum()
    if not n or not m:
        return float("nan")
    shares = [
        compared_counts(counts, ordered=ordered).sum(axis=1) / total
        for counts, total in ((baseline, n), (candidate, m))
    ]
    return float(np.abs(shares[0] - shares[1]).max(initial=0.0))


def log_e_two_histograms(
    baseline: Floats, candidate: Floats, *, ordered: bool, allowed: float, side: int = 1, scale: float = 1.0
) -> float:
    """
    Return the log e-value for a `largest_difference` above or below *allowed*; 0 without rows.

    Each cut (see `compared_counts`) has two e-values: for a higher and for a lower share of the candidate. For *side* 1
    the result is their mean over all cuts. For *side* -1 it is the smallest, because no cut may exceed *allowed*.

    Args:
        baseline: counts of the baseline, shape (strata, bins).
        candidate: counts of the candidate, same shape.
        ordered: whether the bins have an order.
        allowed: largest difference of shares, in [0, 1).
        side: 1 for evidence that the difference is above *allowed*, -1 for below.
        scale: factor on all counts, to estimate the evidence after more rows.
    """
    n, m = scale * baseline.sum(axis=1)[None], scale * candidate.sum(axis=1)[None]
    k, j = (scale * compared_counts(counts, ordered=ordered) for counts in (baseline, candidate))
    used = (k.sum(axis=1) + j.sum(axis=1)) > 0
    k, j = k[used], j[used]
    if not len(k):
        return 0.0
    up = log_e_two_rates(k, n, j, m, offset=allowed, side=side)
    down = log_e_two_rates(n - k, n, m - j, m, offset=allowed, side=side)
    log_e = np.stack([up, down])
    return log_mean_exp(log_e) if side > 0 else float(log_e.min())
