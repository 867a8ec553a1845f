"""Where a feature usually is: its own past while it did not drift, which sharpens the baseline of the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Counts, Floats

__all__ = ["OwnPast"]

MIN_WINDOWS = 64
"""Windows from which the past counts. With fewer, a drift that began early could become a part of the baseline."""


class OwnPast:
    """
    The counts of rows served while a feature did not drift, as a difference from the counts that were expected.

    Args:
        sizes: shape (features,), number of bins of each feature.
        reference_rows: rows of the reference. The past counts once it has more rows.

    Attributes:
        rows: shape (features,), rows of the past.
    """

    __slots__ = ("_difference", "_reference_rows", "_sizes", "_windows", "rows")

    def __init__(self, sizes: NDArray[np.intp], reference_rows: float) -> None:
        self._sizes, self._reference_rows = sizes, reference_rows
        self._difference = np.zeros(int(sizes.sum()))
        self._windows = np.zeros(len(sizes))
        self.rows = np.zeros(len(sizes))

    def add(self, counts: Counts, rows: int, expected: Floats, quiet: NDArray[np.bool_], windows: float) -> None:
        """
        Add the rows of windows.

        Args:
            counts: shape (bins,).
            rows: number of rows.
            expected: shape (bins,), the shares that were expected; 1 in sum over the bins of each feature.
            quiet: shape (features,), which features did not drift.
            windows: number of windows.
        """
        weights = np.repeat(quiet.astype(np.float64), self._sizes)
        self._difference += weights * (counts - rows * expected)
        self.rows += rows * quiet
        self._windows += windows * quiet

    @property
    def known(self) -> NDArray[np.bool_]:
        """Shape (features,), whether the past of each feature is long enough to be a part of its baseline."""
        long_enough: NDArray[np.bool_] = (self._windows >= MIN_WINDOWS) & (self.rows > self._reference_rows)
        return long_enough

    def move(self, expected: Floats, share: Floats) -> Floats:
        """
        Return expected shares, moved towards the past.

        Args:
            expected: shape (bins,), the shares that the reference expects.
            share: shape (features,), weight of the past, 0 to 1.
        """
        mean = self._difference / np.repeat(np.maximum(self.rows, 1.0), self._sizes)
        moved: Floats = np.maximum(expected + np.repeat(share, self._sizes) * mean, 0.0)
        return moved

    def counts(self, expected: Floats, share: Floats, rows: Floats) -> Floats:
        """Return the shares of `move` as counts of *rows*, shape (features,) rows."""
        return self.move(expected, share) * np.repeat(rows, self._sizes)
