"""
The default rules of other libraries, restated in numpy, so that a month of windows takes seconds.

Each rule returns a *ratio* for each feature: its value divided by its limit. By default it flags a drift from a ratio
of 1. A rule that is tuned to another rate of false alarms flags from another ratio. `installed.py` compares the
restatements with the libraries. They follow evidently 0.7.23, nannyml 0.13.1 and alibi-detect 0.13.0:

evidently
    With a reference of more than 1,000 rows: Wasserstein distance over the reference's standard deviation, or
    Jensen-Shannon distance (natural logarithm) for categories and for at most five values, at least 0.1. With a smaller
    reference: Kolmogorov-Smirnov, or chi-square goodness of fit, p at most 0.05. Missing values are dropped.
nannyml
    Jensen-Shannon distance (base 2) over Doane's bins or the categories, above the mean of the reference's own chunks
    plus three of their standard deviations. Missing values are dropped.
alibi-detect
    `TabularDrift`: Kolmogorov-Smirnov or chi-square, Bonferroni over the features, p below 0.05. Missing values are
    dropped.
PSI
    Ten quantile bins or the categories, and one bin for missing values, at least 0.1 or 0.2. The share of an empty bin
    counts as 0.0001.
mean
    Difference of the means over the reference's standard deviation, at least 0.2.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov

__all__ = ["DEFAULTS", "RULES", "Panel", "ks_distance", "ks_p_value"]

Floats = NDArray[np.float64]
Ratio = Callable[[NDArray[Any]], float]
"""Takes a column of a window and returns the value of the rule over its limit."""

SMALL_REFERENCE = 1_000
"""Rows of a reference up to which evidently tests instead of computing distances."""

MIN_P = 1e-300
"""Smallest p-value, so that its logarithm is finite."""

EMPTY = 1e-4
"""Share of an empty bin in PSI."""


def _present(column: NDArray[Any]) -> NDArray[Any]:
    return column[~np.isnan(column)] if column.dtype.kind == "f" else column


def ks_distance(reference: Floats, sample: Floats) -> float:
    """Return the largest distance of two sorted empirical distributions. Values may repeat."""
    m, n = len(reference), len(sample)
    after = np.searchsorted(reference, sample, side="right") / m
    before = np.searchsorted(reference, sample, side="left") / m
    last = np.append(sample[1:] != sample[:-1], True)
    first = np.append(True, last[:-1])
    ranks = np.arange(n)
    # The function of the sample jumps after the first and before the last of equal values.
    high = np.abs((ranks[last] + 1) / n - after[last]).max()
    low = np.abs(ranks[first] / n - before[first]).max()
    return float(max(high, low))


def ks_p_value(distance: float, m: int, n: int) -> float:
    """Return the asymptotic p-value, with the correction of Stephens (1970) for finite samples."""
    root = np.sqrt(m * n / (m + n))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))


def _js(p: Floats, q: Floats) -> float:
    """Return the Jensen-Shannon distance with natural logarithm. p and q need not add up to 1."""
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2.0
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0.0, p * np.log(p / middle), 0.0)
        right = np.where(q > 0.0, q * np.log(q / middle), 0.0)
    return float(np.sqrt(max((left.sum() + right.sum()) / 2.0, 0.0)))


def _counts(codes: NDArray[Any], size: int) -> Floats:
    """Return the counts of codes from 0 up, of length *size* or longer."""
    return np.bincount(codes, minlength=size).astype(np.float64)


def _padded(reference: Floats, current: Floats) -> tuple[Floats, Floats]:
    return np.pad(reference, (0, len(current) - len(reference))), current


def _strength(p: float, limit: float) -> float:
    """Return a p-value on the scale of ratios: 1 at the limit, larger for smaller p."""
    return float(np.log(max(p, MIN_P)) / np.log(limit))


# --- evidently -------------------------------------------------------------------------------------------------------


def _wasserstein(column: Floats) -> Ratio:
    reference = np.sort(_present(column))
    norm, m = max(float(np.std(reference)), 0.001), len(reference)

    def ratio(window: NDArray[Any]) -> float:
        sample = np.sort(_present(window))
        # Compare quantiles at the reference's ranks. This is exact if its rows are a multiple of the window's.
        matched = sample[(np.arange(m) * len(sample)) // m]
        return float(np.abs(reference - matched).mean() / norm / 0.1)

    return ratio


def _js_of_values(column: Floats) -> Ratio:
    values = np.unique(_present(column))
    reference = _counts(np.searchsorted(values, _present(column)), len(values))

    def ratio(window: NDArray[Any]) -> float:
        current = _counts(np.searchsorted(values, _present(window)), len(values))
        return _js(*_padded(reference, current)) / 0.1

    return ratio


def _js_of_codes(codes: NDArray[Any]) -> Ratio:
    reference = _counts(codes, 0)

    def ratio(window: NDArray[Any]) -> float:
        return _js(*_padded(reference, _counts(window, len(reference)))) / 0.1

    return ratio


def _ks(column: Floats, limit: float) -> Ratio:
    reference = np.sort(_present(column))

    def ratio(window: NDArray[Any]) -> float:
        sample = np.sort(_present(window))
        return _strength(ks_p_value(ks_distance(reference, sample), len(reference), len(sample)), limit)

    return ratio


def _goodness_of_fit(codes: NDArray[Any], limit: float) -> Ratio:
    reference = _counts(codes, 0)

    def ratio(window: NDArray[Any]) -> float:
        base, current = _padded(reference, _counts(window, len(reference)))
        kept = (base + current) > 0
        expected = base[kept] * len(window) / base.sum()
        with np.errstate(divide="ignore"):
            statistic = float(((current[kept] - expected) ** 2 / expected).sum())
        return _strength(float(chdtrc(kept.sum() - 1, statistic)) if np.isfinite(statistic) else 0.0, limit)

    return ratio


def evidently(column: NDArray[Any], *, categorical: bool, features: int, rows: int) -> Ratio:
    """Fit `DataDriftPreset()` with a reference of more than 1,000 rows."""
    del features, rows
    if categorical:
        return _js_of_codes(column)
    return _js_of_values(column) if len(np.unique(column[:1_000])) <= 5 else _wasserstein(column)


def evidently_small(column: NDArray[Any], *, categorical: bool, features: int, rows: int) -> Ratio:
    """Fit `DataDriftPreset()` with the last 1,000 rows as the reference."""
    del features, rows
    column = column[-SMALL_REFERENCE:]
    if categorical:
        return _goodness_of_fit(column, 0.05)
    return _ks(column, 0.05)


# --- nannyml ---------------------------------------------------------------------------------------------------------


def _chunked(column: NDArray[Any], rows: int, measure: Ratio) -> Ratio:
    """Return the measure, centred and scaled by the mean and three deviations of the reference's own chunks."""
    chunks = np.array_split(column[: len(column) // rows * rows], max(len(column) // rows, 1))
    own = np.array([measure(chunk) for chunk in chunks])
    mean_value, spread = float(own.mean()), 3.0 * float(own.std())
    return lambda window: (measure(window) - mean_value) / spread if spread > 0.0 else 0.0


def nannyml(column: NDArray[Any], *, categorical: bool, features: int, rows: int) -> Ratio:
    """Fit `UnivariateDriftCalculator` with Jensen-Shannon and chunks of the window's rows."""
    del features
    if categorical:
        reference = _counts(column, 0)
        return _chunked(
            column,
            rows,
            lambda window: _js(*_padded(reference, _counts(window, len(reference)))) / np.sqrt(np.log(2.0)),
        )
    present = _present(column)
    edges = np.histogram_bin_edges(present, bins="doane")
    shares = np.histogram(present, edges)[0] / len(present)
    uniform = float(edges[1] - edges[0])

    def measure(window: NDArray[Any]) -> float:
        sample = _present(window)
        inside = sample[(sample >= edges[0]) & (sample <= edges[-1])]
        numbers = np.minimum(((inside - edges[0]) / uniform).astype(np.intp), len(shares) - 1)
        current = np.bincount(numbers, minlength=len(shares)) / len(sample)
        outside = 1.0 - len(inside) / len(sample)
        return _js(np.append(shares, 0.0), np.append(current, outside)) / float(np.sqrt(np.log(2.0)))

    return _chunked(column, rows, measure)


# --- alibi-detect ----------------------------------------------------------------------------------------------------


def alibi(column: NDArray[Any], *, categorical: bool, features: int, rows: int) -> Ratio:
    """Fit `TabularDrift`: p below 0.05 over the number of features."""
    del rows
    limit = 0.05 / features
    if not categorical:
        return _ks(column, limit)
    reference = _counts(column, 0)

    def ratio(window: NDArray[Any]) -> float:
        table = np.stack(_padded(reference, _counts(window, len(reference))))
        table = table[:, table.sum(axis=0) > 0]
        expected = table.sum(axis=0) * table.sum(axis=1, keepdims=True) / table.sum()
        statistic = float(((table - expected) ** 2 / expected).sum())
        return _strength(float(chdtrc(table.shape[1] - 1, statistic)), limit)

    return ratio


# --- rules of thumb --------------------------------------------------------------------------------------------------


def _psi(column: NDArray[Any], *, categorical: bool) -> Ratio:
    edges = np.unique(np.quantile(_present(column), np.linspace(0.1, 0.9, 9))) if not categorical else np.empty(0)

    def count(values: NDArray[Any], size: int) -> Floats:
        if categorical:
            return _counts(values, size)
        # nan is counted in one more bin after the last one.
        numbers = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
        return _counts(numbers, len(edges) + 2)

    reference = count(column, 0)

    def psi(window: NDArray[Any]) -> float:
        base, current = _padded(reference, count(window, len(reference)))
        kept = (base + current) > 0
        p = np.maximum(base[kept] / base.sum(), EMPTY)
        q = np.maximum(current[kept] / current.sum(), EMPTY)
        return float(((q - p) * np.log(q / p)).sum())

    return psi


def psi(column: NDArray[Any], *, categorical: bool, features: int, rows: int) -> Ratio:
    """Fit PSI of at least 0.1."""
    del features, rows
    measure = _psi(column, categorical=categorical)
    return lambda window: measure(window) / 0.1


def mean(column: NDArray[Any], *, categorical: bool, features: int, rows: int) -> Ratio:
    """Fit a difference of the means of at least 0.2 standard deviations. Categories get a ratio of 0."""
    del features, rows
    if categorical:
        return lambda _: 0.0
    present = _present(column)
    centre, spread = float(present.mean()), max(float(present.std()), 1e-6)
    return lambda window: abs(float(_present(window).mean()) - centre) / spread / 0.2


Rule = Callable[..., Ratio]

RULES: dict[str, Rule] = {
    "evidently, reference > 1,000 rows": evidently,
    "evidently, reference of 1,000 rows": evidently_small,
    "nannyml": nannyml,
    "alibi-detect": alibi,
    "PSI > 0.1": psi,
    "mean > 0.2 σ": mean,
}

DEFAULTS: dict[str, tuple[str, float]] = {
    **{name: (name, 1.0) for name in RULES},
    "PSI > 0.2": ("PSI > 0.1", 2.0),
}
"""For each rule at its default: the rule whose ratio it uses, and the ratio from which it flags."""


@dataclass(frozen=True, slots=True)
class Panel:
    """All rules, fitted to one reference."""

    names: tuple[str, ...]
    ratios: Mapping[str, tuple[Ratio, ...]]

    @classmethod
    def fit(
        cls,
        reference: Mapping[str, NDArray[Any]],
        categorical: Collection[str],
        rows: int,
        features: int | None = None,
    ) -> Panel:
        """
        Fit the rules.

        Args:
            reference: training data.
            categorical: names of the columns of codes.
            rows: rows of the windows to come.
            features: number of features of the model. If None, those of *reference*.
        """
        return cls(
            tuple(reference),
            {
                rule: tuple(
                    make(column, categorical=name in categorical, features=features or len(reference), rows=rows)
                    for name, column in reference.items()
                )
                for rule, make in RULES.items()
            },
        )

    def __call__(self, window: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
        """Return for each rule the ratios of the features, shape (features,)."""
        columns = [window[name] for name in self.names]
        return {
            rule: np.array([ratio(column) for ratio, column in zip(ratios, columns, strict=True)])
            for rule, ratios in self.ratios.items()
        }
