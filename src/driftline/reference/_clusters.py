"""`Clusters`: how much the rows of one key of the training data, such as a user, depend on each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.cluster_bins import ClusterBins
from driftline._capture.clusters import Cluster, ClusterKeys, digests_of
from driftline._capture.tables import Table
from driftline._significance.clusters import Correlations, jackknife_factor, measure_variation
from driftline._significance.components import LOCATION, PARTS, SHAPE
from driftline.errors import ConfigurationError
from driftline.reference._self_check import ClusterCheck, SelfCheck
from driftline.typing import Column, Floats

__all__ = ["Clusters", "KeyColumn", "fit_clusters", "merge_clusters", "read_keys", "without_column"]

MAX_GROUPS = 4_096
"""Most groups of keys between which the variation is measured. Up to this number each key is a group."""

DIGITS = 4
"""Significant digits of estimates; more would be noise and would enlarge the file."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """
    How much the rows of one key of the training data depend on each other. It holds no key.

    Attributes:
        column: name of the column of keys; None if a function returned them.
        index: index of that column among the captured ones; None if it is one of them, or not a column.
        keys: number of keys.
        size: rows of a key, weighted by rows: the sum of the squared rows of the keys, divided by the rows.
        correlations: the correlation between two rows of a key.
        factors: shape (features, parts), variance of the means of these rows, as a multiple of that of independent
            ones, by the jackknife over keys. A single large key may make it larger than the correlation does.
    """

    column: str | None
    index: int | None
    keys: int
    size: float
    correlations: Correlations
    factors: Floats

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Clusters):
            return NotImplemented
        own, others = self._identity(), other._identity()
        return own == others

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (
            self.column,
            self.index,
            self.keys,
            self.size,
            *map(np.ndarray.tobytes, (*self.correlations.sums, self.factors)),
        )

    def check(self, features: Sequence[Feature]) -> ClusterCheck:
        """Return what `SelfCheck.words` says of the keys."""
        factors = np.maximum(self.correlations.inflation(self.size).factor, self.factors)
        factors = factors[:, [LOCATION, SHAPE]].max(axis=1)
        worst = int(np.argmax(factors))
        return ClusterCheck(self.column or "cluster", self.keys, self.size, features[worst].name, float(factors[worst]))


@dataclass(frozen=True, slots=True, eq=False)
class KeyColumn:
    """
    The keys of the rows of training data, as digests.

    Attributes:
        column: as for `Clusters`.
        index: as for `Clusters`.
        numbers: shape (rows,), the number of the key of each row; -1 for a row without a key.
        digests: shape (keys,), the digest of each key.
    """

    column: str | None
    index: int | None
    numbers: NDArray[np.intp]
    digests: NDArray[np.uint64]


def read_keys(
    cluster: Cluster, names: tuple[str, ...], columns: Sequence[Column], rows: int, kept: Collection[str]
) -> KeyColumn:
    """
    Read the keys of training data.

    Args:
        cluster: the argument ``cluster=`` of `Reference.fit`.
        names: names of the columns, in the order in which rows are captured.
        columns: the columns.
        rows: number of rows.
        kept: names of columns that are captured even if they hold the keys.

    Raises:
        ConfigurationError: there is no such column, the function raises for every row, or no row has a key.
    """
    name = cluster if isinstance(cluster, str) else None
    if name is not None and name not in names:
        msg = f"cluster={name!r}: no such column, expected a name from {list(names)}, or a function of a row"
        raise ConfigurationError(msg)
    problems: list[str] = []
    keys = ClusterKeys(cluster, names, lambda _, message: problems.append(message)).keys(columns, rows)
    digests, wrong = digests_of([] if keys is None else keys)
    known = np.array([digest is not None for digest in digests], dtype=bool)
    shown = repr(name) if name is not None else "function"
    if wrong:
        msg = f"cluster={shown}: keys of type {wrong}, expected strings, bytes, integers or UUIDs"
        raise ConfigurationError(msg)
    if not known.any():
        msg = f"cluster={shown}: {problems[-1] if problems else 'no row has a key'}, expected a key for most rows"
        raise ConfigurationError(msg)
    numbers = np.full(rows, -1, dtype=np.intp)
    different, numbers[known] = np.unique(
        np.array([digest for digest in digests if digest is not None], dtype=np.uint64), return_inverse=True
    )
    index = None if name is None or name in kept else names.index(name)
    return KeyColumn(name, index, numbers, different)


def without_column(table: Table, names: tuple[str, ...], name: str) -> tuple[tuple[str, ...], Table]:
    """
    Return the names and the table of the columns without the column of keys.

    Raises:
        ConfigurationError: there is no other column.
    """
    kept = [index for index, each in enumerate(names) if each != name]
    if not kept:
        msg = f"cluster={name!r}: the only column, expected features beside it"
        raise ConfigurationError(msg)
    left = tuple(names[index] for index in kept)
    return left, Table(table.names and left, tuple(table.columns[index] for index in kept), table.rows)


def fit_clusters(
    keys: KeyColumn | None, features: Sequence[Feature], columns: Sequence[Column], check: SelfCheck
) -> tuple[Clusters | None, SelfCheck]:
    """
    Measure the variation between the keys of training data.

    Args:
        keys: the keys; None if they are not known.
        features: the features.
        columns: the values of each feature.
        check: the self-check of the reference.

    Returns:
        what the keys show, and the self-check with that. Without keys, None and *check*.
    """
    if keys is None:
        return None, check
    clusters = _measure_clusters(keys, features, columns)
    return clusters, replace(check, clusters=clusters.check(features))


def _measure_clusters(keys: KeyColumn, features: Sequence[Feature], columns: Sequence[Column]) -> Clusters:
    chosen = keys.numbers >= 0
    everything = bool(chosen.all())
    exact = len(keys.digests) <= MAX_GROUPS
    groups = keys.numbers if everything else keys.numbers[chosen]
    sizes = np.bincount(groups).astype(np.float64)
    number = min(len(keys.digests), MAX_GROUPS)
    if not exact:
        groups = (keys.digests % MAX_GROUPS).astype(np.intp)[groups]
    measured, factors = [], []
    for feature, column in zip(features, columns, strict=True):
        bins = ClusterBins.of([feature])
        numbers = bins.numbers(0, column, len(chosen))
        numbers = numbers if everything else numbers[chosen]
        table = np.bincount(groups * bins.total + numbers, minlength=number * bins.total).reshape(number, bins.total)
        correlations = Correlations.none(1)
        if number > 1:
            variation = measure_variation(table, bins, exact=exact)
            correlations = correlations.plus(variation)
            factors.append(jackknife_factor(variation))
        else:
            factors.append(np.ones((1, PARTS)))
        measured.append(correlations.sums)
    of_all = Correlations.of(_rounded(np.concatenate(part)) for part in zip(*measured, strict=True))
    size = float(f"{(sizes**2).sum() / sizes.sum():.{DIGITS}g}")
    return Clusters(keys.column, keys.index, len(keys.digests), size, of_all, _rounded(np.concatenate(factors)))


def merge_clusters(a: Clusters | None, b: Clusters | None, rows: tuple[int, int]) -> Clusters | None:
    """
    Return what both parts of the training data show, if both know it; else None.

    The keys of the two parts count as different ones, of which the sizes are the mean weighted by *rows*.
    """
    if a is None or b is None:
        return None
    size = (a.size * rows[0] + b.size * rows[1]) / sum(rows)
    factors = (a.factors * rows[0] + b.factors * rows[1]) / sum(rows)
    return replace(a, keys=a.keys + b.keys, size=size, correlations=a.correlations + b.correlations, factors=factors)


def _rounded(values: Floats) -> Floats:
    return np.array([float(f"{value:.{DIGITS}g}") for value in values.ravel()]).reshape(values.shape)
