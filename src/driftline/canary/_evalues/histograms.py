"""E-values for a difference between two variants' histograms of a feature or of the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from driftline.canary._evalues.projections import with_rates
from driftline.canary._evalues.rates import TINY, LogRatios, candidate_share, log_ratios, log_sum_exp
from driftline.typing import Floats

__all__ = ["FAR", "Histograms", "compared_counts", "largest_differences", "log_e_differences"]

SHARES = (0.02, 0.12, 0.25, 0.45, 0.7)
"""Shares of the baseline in the mixture. Rarer ones have no part in evidence about differences of some points."""

FAR = 0.5
"""Part of the allowed difference below which an observed difference is no evidence for a larger one."""


def compared_counts(counts: Floats, *, ordered: bool) -> Floats:
    """
    Return the counts whose shares are compared; each of them is called a cut.

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


class Histograms:
    """
    The rows of two variants by stratum and cut (see `compared_counts`).

    Strata without rows of both variants are dropped, because they have no evidence. So are cuts without rows.

    Args:
        baseline: counts of the baseline, shape (strata, bins).
        candidate: counts of the candidate, same shape.
        ordered: whether the bins have an order.

    Attributes:
        baseline: rows of the baseline, shape (strata,).
        candidate: rows of the candidate, same shape.
        baseline_cuts: rows of the baseline in each cut, shape (cuts, strata).
        candidate_cuts: rows of the candidate in each cut, same shape.
        differences: candidate's share - baseline's share in each cut, shape (cuts,). Strata are compared separately,
            and have the weights of `rate_difference`.
    """

    __slots__ = ("_terms", "baseline", "baseline_cuts", "candidate", "candidate_cuts", "differences")

    def __init__(self, baseline: Floats, candidate: Floats, *, ordered: bool) -> None:
        self._terms: dict[float, tuple[Floats, Floats]] = {}
        n, m = baseline.sum(axis=1), candidate.sum(axis=1)
        strata = (n > 0.0) & (m > 0.0)
        self.baseline, self.candidate = n[strata], m[strata]
        k, j = (compared_counts(counts[strata], ordered=ordered) for counts in (baseline, candidate))
        cuts = (k.any(axis=1) | j.any(axis=1)) & bool(strata.any())
        self.baseline_cuts, self.candidate_cuts = k[cuts], j[cuts]
        weights = self.baseline * self.candidate / (self.baseline + self.candidate)
        shares = self.candidate_cuts / self.candidate - self.baseline_cuts / self.baseline
        self.differences: Floats = shares @ weights / weights.sum()

    @property
    def largest_difference(self) -> float:
        """The largest difference of shares over all cuts, in [0, 1]; nan if no stratum has rows of both variants."""
        return float(np.abs(self.differences).max(initial=0.0)) if len(self.baseline) else float("nan")

    def share(self) -> Floats:
        """Return the candidate's share of the rows in each stratum."""
        return candidate_share(self.baseline, self.candidate)

    def log_e(self, allowed: float, *, side: int = 1, scale: float = 1.0) -> float:
        """
        Return the log e-value for a `largest_difference` above or below *allowed*; 0 without rows.

        Each cut has two e-values: for a higher and for a lower share of the candidate. For *side* 1 the result is their
        mean over all cuts. An e-value is taken for 0 if the observed difference is less than half of *allowed*, which
        can only lower the mean. For *side* -1 the result is the smallest, because no cut may exceed *allowed*.

        Args:
            allowed: largest difference of shares, in [0, 1).
            side: 1 for evidence that the difference is above *allowed*, -1 for below.
            scale: factor on all counts, to estimate the evidence after more rows.
        """
        if not len(self.differences):
            return 0.0
        if side > 0:
            return self.log_e_harm(allowed, None, scale)
        if allowed not in self._terms:
            ratios = log_ratios(self.share(), offset=allowed, side=side, kept=with_rates(SHARES))
            if not len(ratios.weights):
                return 0.0
            up, down = self._terms_of(ratios, slice(None))
            self._terms[allowed] = np.concatenate([up, down]), ratios.weights
        terms, weights = self._terms[allowed]
        return float(log_sum_exp(scale * terms + weights).min())

    def log_e_harm(self, allowed: float, ratios: LogRatios | None, scale: float = 1.0) -> float:
        """
        Return the log e-value for a difference above *allowed*.

        Args:
            allowed: largest difference of shares, in [0, 1).
            ratios: the likelihood ratios for this edge and these strata, if they are known.
            scale: factor on all counts.
        """
        far = np.flatnonzero(np.abs(self.differences) >= FAR * allowed)
        if not len(far):
            return -np.inf
        ratios = ratios or log_ratios(self.share(), offset=allowed, kept=with_rates(SHARES))
        if not len(ratios.weights):
            return 0.0
        higher = self.differences[far] >= 0.0
        up, down = self._terms_of(ratios, far)
        log_e = log_sum_exp(scale * np.where(higher[:, None], up, down) + ratios.weights)
        return float(log_sum_exp(log_e) - np.log(2.0 * len(self.differences)))

    def _terms_of(self, ratios: LogRatios, cuts: Any) -> tuple[Floats, Floats]:
        """Return the log likelihood ratios of higher and of lower shares in some cuts, shape (cuts, alternatives)."""
        terms = self.baseline_cuts[cuts] @ (ratios.bad_baseline - ratios.good_baseline)
        terms += self.candidate_cuts[cuts] @ (ratios.bad_candidate - ratios.good_candidate)
        higher = self.baseline @ ratios.good_baseline + self.candidate @ ratios.good_candidate
        lower = self.baseline @ ratios.bad_baseline + self.candidate @ ratios.bad_candidate
        return terms + higher, lower - terms


def largest_differences(counts: Floats, *, ordered: bool) -> Floats:
    """
    Return the `Histograms.largest_difference` of several features over the same number of bins, shape (features,).

    Args:
        counts: rows per bin, shape (features, strata, 2, bins); the variants are baseline and candidate.
        ordered: whether the bins have an order.
    """
    rows = counts.sum(axis=-1)
    if ordered:
        cumulative = np.cumsum(counts[..., :-1], axis=-1)[..., :-1]
        counts = np.concatenate([cumulative, counts[..., -1:]], axis=-1)
    shares = counts / np.maximum(rows, TINY)[..., None]
    weights = rows.prod(axis=-1) / np.maximum(rows.sum(axis=-1), TINY)
    differences = (weights[..., None] * (shares[:, :, 1] - shares[:, :, 0])).sum(axis=1)
    total = weights.sum(axis=1)
    largest: Floats = np.abs(differences).max(axis=-1, initial=0.0)
    result: Floats = np.divide(largest, total, out=np.full(len(counts), np.nan), where=total > 0.0)
    return result


def log_e_differences(histograms: Sequence[Histograms], allowed: float, features: int) -> float:
    """
    Return the log e-value for a difference above *allowed* in any of several features: the mean of their e-values.

    Args:
        histograms: the rows of features. Others are taken to have no evidence; see `Histograms.log_e`.
        allowed: largest difference of shares, in [0, 1).
        features: number of all features, at least that of *histograms*.
    """
    logs = []
    shared: tuple[bytes, LogRatios] | None = None
    for feature in histograms:
        # Features of the same rows have the same shares, and so the same ratios.
        share = feature.share()
        if shared is None or shared[0] != share.tobytes():
            shared = share.tobytes(), log_ratios(share, offset=allowed, kept=with_rates(SHARES))
        logs.append(feature.log_e_harm(allowed, shared[1]))
    if not logs or max(logs) == -np.inf:
        return -np.inf
    return float(log_sum_exp(np.array(logs)) - np.log(features))
