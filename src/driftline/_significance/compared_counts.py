"""`ComparedCounts`: the counts that a window is compared with, and the sums of them that every test needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from driftline._significance.components import FeatureMatrix, Numbers
from driftline._significance.effect import NO_ROWS
from driftline.typing import Floats

__all__ = ["ComparedCounts"]


class ComparedCounts(NamedTuple):
    """
    The counts that a window is compared with, of the features of one matrix.

    Attributes:
        matrix: the features, with these counts as those of their reference.
        known: shape (features, bins), the counts without unseen categories.
        known_rows: shape (features, 1), the sums of *known*, above 0.
        present: shape (features,), rows that are not missing.
        rows: shape (features,), all rows.
        trials: shape (features,), the rows that support *outside*.
        outside: shape (features,), rows out of range or unseen.
        latent: shape (features,), further ones that the reference would have if its range came from other rows.
    """

    matrix: FeatureMatrix
    known: Numbers
    known_rows: Numbers
    present: Numbers
    rows: Numbers
    trials: Floats
    outside: Floats
    latent: Floats

    @classmethod
    def of(cls, matrix: FeatureMatrix) -> ComparedCounts:
        known, present = matrix.without_unseen(matrix.reference), matrix.reference.sum(axis=1)
        return cls(
            matrix,
            known,
            np.maximum(known.sum(axis=1, keepdims=True), NO_ROWS),
            present,
            present + matrix.reference_missing,
            present * matrix.reliability,
            matrix.reference_outside * matrix.reliability,
            matrix.latent_outside * matrix.reliability,
        )
