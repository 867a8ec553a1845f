"""`Latencies`: binned durations of both variants, as the calls beyond each edge."""

from __future__ import annotations

import numpy as np

from driftline.canary._evalues.design_effect import fold_blocks
from driftline.canary._evalues.rates import TINY, candidate_share, log_ratios
from driftline.typing import Floats

__all__ = ["Latencies", "binned_quantile"]

ROUNDING = 1e-9
"""Largest error of a share by rounding, so that a share of exactly the quantile counts as reached."""


def binned_quantile(durations: Floats, edges: Floats, quantile: float) -> float | None:
    """
    Return a quantile of binned durations, in seconds: the geometric middle of its bin; None without calls.

    Args:
        durations: calls per bin, shape (edges + 1,): below the first edge, between edges, above the last.
        edges: edges of the bins in seconds, ascending.
        quantile: the quantile to return, in [0, 1].
    """
    total = float(durations.sum())
    if not total:
        return None
    index = int(np.searchsorted(np.cumsum(durations), max(quantile * total, 1.0)))
    outer_edges = np.concatenate([edges[:1], edges, edges[-1:]])
    return float(np.sqrt(outer_edges[index] * outer_edges[index + 1]))


class Latencies:
    """
    For each edge of the bins, the number of calls of each variant that took at least as long.

    Args:
        baseline: calls of the baseline per bin, shape (strata, edges + 1): below the first edge, between edges, above
            the last.
        candidate: calls of the candidate per bin, same shape.
        edges: edges of the bins in seconds, ascending.
        block_seconds: length of the blocks of time, if the strata are such blocks. Two neighbouring blocks then become
            one stratum. 0 if the strata are no blocks of time.

    Attributes:
        edges: the edges around durations that occur, in seconds. The first may be 0, the last may be infinity. All
            calls took at least as long as the first, and none as long as the last.
        baseline: the baseline's calls that took at least as long as each edge, shape (edges, strata).
        candidate: the candidate's calls that took at least as long as each edge, same shape.
        baseline_calls: all calls of the baseline, shape (strata,).
        candidate_calls: all calls of the candidate, shape (strata,).
        compared: the candidate's calls that took at least as long as each edge, in strata with calls of the baseline,
            shape (edges,).
        weighted: share of the baseline's calls that took at least as long as each edge, shape (edges,). Strata count as
            much as the candidate has calls in them, so that both variants have the same mixture of moments.
        weighted_calls: number of calls that would estimate *weighted* as well if all strata counted as they are.
        blocks: calls of both variants that took at least as long as each edge, by block of time, shape
            (2, edges, blocks); None if the strata are no blocks of time.
        block_seconds: see above.
    """

    __slots__ = (
        "_terms",
        "baseline",
        "baseline_calls",
        "block_seconds",
        "blocks",
        "candidate",
        "candidate_calls",
        "compared",
        "edges",
        "weighted",
        "weighted_calls",
    )

    def __init__(self, baseline: Floats, candidate: Floats, edges: Floats, *, block_seconds: int = 0) -> None:
        self._terms: dict[int, tuple[Floats, Floats, Floats]] = {}
        used = np.flatnonzero(baseline.any(axis=0) | candidate.any(axis=0))
        # The edges go from 0 to infinity; only those around the durations that occur are kept.
        first, last = (max(int(used[0]) - 1, 0), int(used[-1]) + 2) if len(used) else (0, 1)
        self.edges = np.concatenate([[0.0], edges, [np.inf]])[first : last + 1]
        beyond = np.zeros((2, len(self.edges), len(baseline)))
        for side, counts in enumerate((baseline, candidate)):
            bins = counts[:, first:last][:, ::-1]
            beyond[side, : bins.shape[1]] = np.cumsum(bins, axis=1)[:, ::-1].T
        self.block_seconds, self.blocks = block_seconds, beyond if block_seconds else None
        self.baseline, self.candidate = fold_blocks(beyond) if block_seconds else beyond
        self.baseline_calls, self.candidate_calls = n, m = self.baseline[0], self.candidate[0]
        factors = np.divide(m, n, out=np.zeros_like(m), where=n > 0.0)
        total = float((factors * n).sum())
        self.compared = self.candidate @ (n > 0.0).astype(np.float64)
        self.weighted = self.baseline @ factors / max(total, TINY)
        self.weighted_calls = total**2 / max(float((factors**2 * n).sum()), TINY)

    def quantile(self, side: int, quantile: float) -> float:
        """
        Return a quantile of one variant, in seconds; both have calls in the same stratum.

        The quantile of the baseline is that of *weighted*.

        Args:
            side: 0 for the baseline, 1 for the candidate.
            quantile: in [0, 1].
        """
        calls = self.candidate_calls.sum() if side else self.weighted_calls
        beyond = self.candidate.sum(axis=1) / calls if side else self.weighted
        # A quantile that lies between the first two calls is that of the first.
        index = max(int(np.searchsorted(1.0 - beyond, max(quantile, 1.0 / calls) - ROUNDING)) - 1, 0)
        low, high = self.edges[index], self.edges[index + 1]
        return float(np.sqrt((low or high) * (high if np.isfinite(high) else low)))

    def terms(self, side: int) -> tuple[Floats, Floats, Floats]:
        """
        Return the parts of the log likelihood ratios of both variants' calls beyond each edge.

        Their sum for an edge of the baseline and an edge of the candidate has the terms of `log_e_two_rates`.

        Args:
            side: 1 for evidence that the candidate has more such calls, -1 for fewer.

        Returns:
            (baseline's part, candidate's part), shape (edges, alternatives), and the logarithms of the weights.
        """
        if side not in self._terms:
            n, m = self.baseline_calls, self.candidate_calls
            ratios = log_ratios(candidate_share(n, m), side=side)
            self._terms[side] = (
                self.baseline @ (ratios.bad_baseline - ratios.good_baseline) + n @ ratios.good_baseline,
                self.candidate @ (ratios.bad_candidate - ratios.good_candidate) + m @ ratios.good_candidate,
                ratios.weights,
            )
        return self._terms[side]
