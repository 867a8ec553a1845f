"""Fits `Projections` and `VectorColumn`: directions in which numeric features, or entries of vectors, vary together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from driftline._capture.columns import as_floats
from driftline._capture.vectors import as_matrix
from driftline._derived.spec import Projections, VectorColumn
from driftline.errors import ConfigurationError
from driftline.typing import Column, Floats

__all__ = ["MAX_DIRECTIONS", "MAX_PROJECTED", "fit_projections", "fit_vectors"]


MAX_DIRECTIONS = 64
"""Most directions through the numeric features. Each becomes a feature that is counted, tested and exported."""

MAX_PROJECTED = 1_000
"""Most numeric features in projections. The time of a fit grows with the cube of their number, to 1 s for 1,000."""

ROWS_PER_FEATURE = 10
"""Fewest rows per numeric feature; with fewer, directions come from chance."""

MAX_LEADING = 4
"""
Most principal directions through the numeric features, which show a shift that many features share. The other
directions show a broken relation between features: each is the part of one feature that the others do not explain.
"""

EXPLAINED = 0.05
"""Smallest share of a feature's variance that the others explain, for it to have a relation that could break."""

RIDGE = 1e-3
"""Number added to each feature's variance, which is 1, so that the residual of a duplicate is not only rounding."""

LEVELS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Shares of the training data below the knots of a feature's normal scale: those of the cuts of bins, and 0.1 %."""

DIGITS = 6
"""Decimals to which a direction is rounded; more would double the size of the file for no precision."""

SAMPLE = 8_192
"""Most vectors to which directions are fitted. They are spaced evenly over the training data."""

PRINCIPAL, RANDOM = 4, 4
"""
Number of principal and of random directions through vectors. Principal ones show a changed mix of the same vectors.
Random ones show vectors in a new region, such as those of another embedding model (docs/derived.md has the figures).
"""

ITERATIONS, OVERSAMPLED = 20, 8
"""
Number of iterations, and of extra directions, of the subspace iteration that finds the principal directions of vectors
(Halko, Martinsson & Tropp 2011).
"""


def fit_projections(columns: Sequence[tuple[str, Column]], most: int) -> Projections:
    """
    Fit directions through numeric features: principal ones, then residuals of single features given the others.

    The residuals of the features that the others explain best come first.

    Args:
        columns: (name, values) of each numeric feature. Constants are skipped.
        most: most directions.

    Raises:
        ConfigurationError: fewer than 2 or more than 1000 features vary, or there are too few rows for them.
    """
    usable = [scale for name, column in columns if (scale := _normal_scale(name, as_floats(column))) is not None]
    count, rows = len(usable), len(columns[0][1]) if columns else 0
    if not 2 <= count <= MAX_PROJECTED:  # noqa: PLR2004 - one feature has no relation to another
        msg = f"projections: {count} numeric features that vary, expected 2 to {MAX_PROJECTED}"
        raise ConfigurationError(msg)
    if rows < ROWS_PER_FEATURE * count:
        msg = f"projections: {rows} rows for {count} numeric features, expected at least {ROWS_PER_FEATURE * count}"
        raise ConfigurationError(msg)
    covariance = _covariance(usable, rows)
    variances, vectors = np.linalg.eigh(covariance)
    variances, vectors = variances[::-1], vectors[:, ::-1]
    # Eigenvalues of independent features do not exceed this edge (Marchenko & Pastur 1967).
    edge = (1.0 + np.sqrt(count / rows)) ** 2
    leading = max(1, min(int((variances > edge).sum()), MAX_LEADING, most, count - 1))
    precision = np.linalg.inv(covariance + RIDGE * np.eye(count))
    residuals = precision / np.diag(precision)[:, None]
    explained = 1.0 - 1.0 / (np.diag(precision) * (np.diag(covariance) + RIDGE)) - count / rows
    order = [int(index) for index in np.argsort(-explained, kind="stable") if explained[index] >= EXPLAINED]
    order = order[: most - leading]
    directions = np.vstack([_signed(vectors[:, :leading].T), residuals[order]]).round(DIGITS)
    names = (
        *(f"projection {number}" for number in range(1, leading + 1)),
        *(f"{usable[index].name} given the others" for index in order),
        "reconstruction error",
    )
    return Projections(
        tuple(scale.name for scale in usable),
        tuple(tuple(scale.knots.tolist()) for scale in usable),
        tuple(tuple(scale.scores.tolist()) for scale in usable),
        _matrix(directions),
        leading,
        names,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """
    A numeric feature with its normal scale: the scale on which its values have the standard normal distribution.

    Attributes:
        name: name of the feature.
        values: values of the feature, shape (rows,).
        knots: increasing values of the feature.
        scores: the values on the normal scale at the knots.
    """

    name: str
    values: Floats
    knots: Floats
    scores: Floats


def _normal_scale(name: str, values: Floats) -> _Scale | None:
    """Fit the normal scale of a feature (see `_Scale`); None if the feature is constant or has no finite value."""
    finite = np.sort(values[np.isfinite(values)])
    if not len(finite):
        return None
    knots = np.unique(np.quantile(finite, LEVELS, method="inverted_cdf"))
    below = np.searchsorted(finite, knots, side="left")
    upto = np.searchsorted(finite, knots, side="right")
    # Many rows may share a value, so its rank is the middle of their ranks.
    middle = (below + upto) / 2 / len(finite)
    scores = np.array([NormalDist().inv_cdf(share) for share in middle.tolist()])
    scaled = np.interp(finite, knots, scores)
    spread = float(scaled.std())
    if len(knots) < 2 or spread == 0.0:  # noqa: PLR2004 - a scale has two ends
        return None
    return _Scale(name, values, knots, ((scores - scaled.mean()) / spread).round(DIGITS))


def _covariance(scales: Sequence[_Scale], rows: int) -> Floats:
    """Return the covariance of features on their normal scales, shape (features, features)."""
    matrix = np.empty((rows, len(scales)))
    for index, scale in enumerate(scales):
        matrix[:, index] = np.nan_to_num(np.interp(scale.values, scale.knots, scale.scores))
    matrix -= matrix.mean(axis=0)
    covariance: Floats = matrix.T @ matrix / rows
    return covariance


def fit_vectors(column: str, values: Column, length: int) -> VectorColumn:
    """
    Fit principal directions through a column of vectors, and add random ones.

    Args:
        column: the name of the column.
        values: its values.
        length: the length of the vectors; values of other lengths are skipped.

    Raises:
        ConfigurationError: fewer than two vectors have this length and finite entries.
    """
    step = -(-len(values) // SAMPLE)
    matrix = as_matrix(values[::step], length)
    matrix = matrix[np.isfinite(matrix).all(axis=1)]
    if len(matrix) < 2:  # noqa: PLR2004 - one vector varies in no direction
        msg = f"column {column!r} holds {len(matrix)} vectors of {length} finite numbers, expected at least 2"
        raise ConfigurationError(msg)
    centre = matrix.mean(axis=0).round(DIGITS)
    seeded = np.random.default_rng(0)
    principal = _principal(matrix - centre, min(PRINCIPAL, length), seeded)
    random = seeded.normal(size=(RANDOM, length))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    directions = np.vstack([principal, random]).round(DIGITS)
    return VectorColumn(column, tuple(centre.tolist()), _matrix(directions), len(principal))


def _principal(centred: Floats, count: int, seeded: np.random.Generator) -> Floats:
    """
    Return the first principal directions of vectors by subspace iteration.

    Args:
        centred: the vectors minus their mean, shape (rows, length).
        count: number of directions.
        seeded: generator of the first guess.

    Returns:
        Unit vectors, shape (count, length).
    """
    basis = seeded.normal(size=(centred.shape[1], min(count + OVERSAMPLED, centred.shape[1])))
    for _ in range(ITERATIONS):
        basis, _ = np.linalg.qr(centred.T @ (centred @ basis))
    _, _, turned = np.linalg.svd(centred @ basis, full_matrices=False)
    return _signed((basis @ turned.T).T[:count])


def _signed(directions: Floats) -> Floats:
    """Return directions, shape (directions, length), with signs that make the largest entry of each positive."""
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    signed: Floats = directions * np.where(signs == 0.0, 1.0, signs)[:, None]
    return signed


def _matrix(rows: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in rows.tolist())
