"""
Distances between two binned distributions.

Each function takes counts over the *same* bins, those of the reference first. It returns 0.0 if the distributions
agree, a larger number if they differ, and nan if either side is empty. Only `corrected_psi` may be below 0. The
functions are pure.

Counts of shape (bins,) give a float. Counts of shape (features, bins) give an array of shape (features,). Counts of
another shape, or of two different shapes, raise ``ValueError``. In the formulas, p are the shares of the reference, and
q those of the current side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BY_NAME",
    "chi_square",
    "corrected_psi",
    "hellinger",
    "js",
    "kl",
    "ks",
    "mean",
    "psi",
    "total_variation",
    "wasserstein",
]

Floats: TypeAlias = NDArray[np.float64]

SMOOTHING = 0.5
"""Pseudo-count added to each bin (Jeffreys' prior for a share), so that an empty bin does not make PSI infinite."""


def psi(reference: ArrayLike, current: ArrayLike, /, *, smoothing: ArrayLike = SMOOTHING) -> Any:
    """
    Population Stability Index: Σ (q − p) ln(q / p), in nats.

    Source: Kullback & Leibler (1951), the symmetric divergence J(1, 2); Yurdakul & Naranjo (2020) for its distribution.

    Args:
        smoothing: pseudo-count added to every bin, or of the shape of the counts, one for each bin. With 0, a bin that
            is empty on one side makes PSI infinite.

    >>> psi([10, 10], [10, 10])
    0.0
    >>> round(psi([10, 10], [15, 5]), 3)
    0.247
    """
    r, c = _counts(reference, current)
    p, q = _shares(r + np.asarray(smoothing)), _shares(c + np.asarray(smoothing))
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p == q, 0.0, (q - p) * np.log(q / p))
    return _result(terms.sum(axis=-1), r, c)


def corrected_psi(reference: ArrayLike, current: ArrayLike, /, *, smoothing: ArrayLike = SMOOTHING) -> Any:
    """
    PSI minus its expectation without drift: PSI − (B − 1)(1/n + 1/m), with B the number of filled bins.

    n and m are the rows of both sides. For two samples of one distribution the value is about 0, and negative about
    half of the time. Negative values are kept, because the estimate would be biased without them.

    Source: Yurdakul & Naranjo (2020), *Statistical properties of the population stability index*.

    Args:
        smoothing: as for `psi`. It does not change the subtracted expectation.

    >>> round(corrected_psi([1000, 1000], [500, 500]), 4)
    -0.0015
    """
    r, c = _counts(reference, current)
    bins = ((r + c) > 0).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = (bins - 1) * (1 / r.sum(axis=-1) + 1 / c.sum(axis=-1))
    return _result(np.asarray(psi(r, c, smoothing=smoothing)) - bias, r, c)


def kl(reference: ArrayLike, current: ArrayLike, /, *, smoothing: ArrayLike = SMOOTHING) -> Any:
    """
    Kullback-Leibler divergence of the current distribution from the reference: Σ q ln(q / p), in nats.

    Source: Kullback & Leibler (1951), *On information and sufficiency*.

    Args:
        smoothing: as for `psi`. With 0, a bin that only the current side fills makes the divergence infinite.

    >>> round(kl([10, 10], [15, 5]), 3)
    0.118
    """
    r, c = _counts(reference, current)
    p, q = _shares(r + np.asarray(smoothing)), _shares(c + np.asarray(smoothing))
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(q > 0, q * np.log(q / p), 0.0)
    return _result(terms.sum(axis=-1), r, c)


def js(reference: ArrayLike, current: ArrayLike, /) -> Any:
    """
    Jensen-Shannon distance: the square root of the Jensen-Shannon divergence to base 2, in [0, 1].

    Source: Lin (1991) for the divergence; Endres & Schindelin (2003) for its root, which is a metric.

    >>> js([10, 0], [0, 10])
    1.0
    """
    r, c = _counts(reference, current)
    p, q = _shares(r), _shares(c)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log2(p / middle), 0.0)
        right = np.where(q > 0, q * np.log2(q / middle), 0.0)
    divergence = np.clip((left + right).sum(axis=-1) / 2, 0.0, 1.0)
    return _result(np.sqrt(divergence), r, c)


def hellinger(reference: ArrayLike, current: ArrayLike, /) -> Any:
    """
    Hellinger distance: √(½ Σ (√p − √q)²), in [0, 1].

    Source: Hellinger (1909); in this form Le Cam (1986).

    >>> hellinger([10, 0], [0, 10])
    1.0
    """
    r, c = _counts(reference, current)
    gap = np.sqrt(_shares(r)) - np.sqrt(_shares(c))
    return _result(np.sqrt((gap**2).sum(axis=-1) / 2), r, c)


def total_variation(reference: ArrayLike, current: ArrayLike, /) -> Any:
    """
    Total variation distance: ½ Σ |p − q|, the share of rows that moved to other bins, in [0, 1].

    Source: Levin, Peres & Wilmer (2009), proposition 4.2.

    >>> total_variation([10, 10], [15, 5])
    0.25
    """
    r, c = _counts(reference, current)
    return _result(np.abs(_shares(r) - _shares(c)).sum(axis=-1) / 2, r, c)


def chi_square(reference: ArrayLike, current: ArrayLike, /) -> Any:
    """
    Pearson's two-sample chi-square statistic. Bins that are empty on both sides contribute nothing.

    The statistic grows with the number of rows if the shares differ, unlike the other distances.

    Source: Pearson (1911), *On the probability that two independent distributions of frequency are really samples from
    the same population*.

    >>> round(chi_square([10, 10], [15, 5]), 4)
    2.6667
    """
    r, c = _counts(reference, current)
    m, n = r.sum(axis=-1, keepdims=True), c.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (r + c) / (m + n)
        terms = np.where(pooled > 0, (r - m * pooled) ** 2 / (m * pooled) + (c - n * pooled) ** 2 / (n * pooled), 0.0)
    return _result(terms.sum(axis=-1), r, c)


def ks(reference: ArrayLike, current: ArrayLike, /, *, positions: ArrayLike | None = None) -> Any:
    """
    Kolmogorov-Smirnov distance: the largest gap between the cumulative shares, in [0, 1].

    The distance of binned values is at most that of the values themselves.

    Source: Smirnov (1939).

    Args:
        positions: positions of the bins, of the same shape as the counts. Bins at nan have no order and are skipped. A
            feature without any position (a categorical one) gives nan. If None, the bins are in order.

    Raises:
        ValueError: *positions* have another shape than the counts.

    >>> ks([10, 10, 10], [0, 10, 20])
    0.3333333333333333
    """
    r, c = _counts(reference, current)
    if positions is not None:
        r, c, _ = _skip_unpositioned(r, c, positions)
    gap = np.abs(np.cumsum(_shares(r), axis=-1) - np.cumsum(_shares(c), axis=-1))
    return _result(gap.max(axis=-1), r, c)


def wasserstein(reference: ArrayLike, current: ArrayLike, /, *, positions: ArrayLike) -> Any:
    """
    Wasserstein distance of order 1: the area between the cumulative shares, in the unit of *positions*.

    Source: Kantorovich (1942); for distributions on a line Vallender (1974).

    Args:
        positions: positions of the bins, of the same shape as the counts, non-decreasing. Bins at nan (missing values,
            categories) are skipped. `driftline` passes positions in standard deviations of the reference.

    Raises:
        ValueError: *positions* have another shape than the counts.

    >>> wasserstein([10, 0], [0, 10], positions=[0.0, 2.0])
    2.0
    """
    r, c = _counts(reference, current)
    r, c, x = _skip_unpositioned(r, c, positions)
    gap = np.abs(np.cumsum(_shares(r), axis=-1) - np.cumsum(_shares(c), axis=-1))
    return _result((gap[..., :-1] * np.diff(x, axis=-1)).sum(axis=-1), r, c)


def mean(reference: ArrayLike, current: ArrayLike, /, *, positions: ArrayLike) -> Any:
    """
    Distance of the means: |Σ q x − Σ p x|, in the unit of *positions*.

    Args:
        positions: as for `wasserstein`, in any order. If they are in standard deviations of the reference, the distance
            is about the standardised mean difference (Cohen 1988). The width of the bins limits its accuracy.

    Raises:
        ValueError: *positions* have another shape than the counts.

    >>> mean([10, 0], [5, 5], positions=[0.0, 2.0])
    1.0
    """
    r, c = _counts(reference, current)
    r, c, x = _skip_unpositioned(r, c, positions)
    return _result(np.abs(((_shares(c) - _shares(r)) * x).sum(axis=-1)), r, c)


BY_NAME: Mapping[str, Callable[..., Any]] = {
    "chi_square": chi_square,
    "corrected_psi": corrected_psi,
    "hellinger": hellinger,
    "js": js,
    "kl": kl,
    "ks": ks,
    "mean": mean,
    "psi": psi,
    "total_variation": total_variation,
    "wasserstein": wasserstein,
}
"""The built-in distances by the name under which they are exported, the value of ``ml.drift.distance``."""


def _counts(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats]:
    """Return both counts as float arrays. Raise ``ValueError`` if a shape is wrong."""
    r, c = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if r.shape != c.shape or r.ndim not in {1, 2}:
        msg = f"counts of shapes {r.shape} and {c.shape}: expected both (bins,) or both (features, bins)"
        raise ValueError(msg)
    return r, c


def _shares(counts: Floats) -> Floats:
    """Return the counts divided by their sum along the last axis; nan where the sum is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Floats = counts / counts.sum(axis=-1, keepdims=True)
    return shares


def _skip_unpositioned(r: Floats, c: Floats, positions: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """
    Return both counts with 0 for bins at nan, and positions in which those bins have no width.

    All three have the shape of the counts.

    Raises:
        ValueError: *positions* have another shape than the counts.
    """
    x = np.asarray(positions, dtype=np.float64)
    if x.shape != r.shape:
        msg = f"positions of shape {x.shape}: expected {r.shape}, one for each count"
        raise ValueError(msg)
    positioned = ~np.isnan(x)
    # A bin at nan gets the last position before it, or else the first one. Its count is 0 then, so any would do.
    before = np.maximum.accumulate(np.where(positioned, x, -np.inf), axis=-1)
    first = np.where(positioned, x, np.inf).min(axis=-1, keepdims=True)
    x = np.where(np.isfinite(before), before, np.where(np.isfinite(first), first, 0.0))
    return np.where(positioned, r, 0.0), np.where(positioned, c, 0.0), x


def _result(values: Any, r: Floats, c: Floats) -> Any:
    """Return the values, a single one as a float; nan where either side has no rows."""
    values = np.where((r.sum(axis=-1) > 0) & (c.sum(axis=-1) > 0), values, np.nan)
    return float(values) if values.ndim == 0 else values
