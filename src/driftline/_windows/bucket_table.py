"""`BucketTable`: counts the rows of a window by the bucket of their key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from driftline._binning.cluster_bins import ClusterBins
from driftline._capture.clusters import Buckets
from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._runtime.guard import Report
from driftline.typing import Column, Counts

__all__ = ["BucketLearner", "BucketTable"]


class BucketLearner(Protocol):
    """What learns from the counts of windows by bucket. It does not keep the arrays that it gets."""

    def reset(self) -> None:
        """Forget all windows."""
        ...

    def learn(self, table: NDArray[np.integer[Any]]) -> None:
        """Learn from a window, shape (`KEY_BUCKETS`, bins)."""
        ...

    def learn_partial(self, table: NDArray[np.integer[Any]]) -> None:
        """Learn from the rows so far, while no window is complete."""
        ...


class BucketTable:
    """
    Counts the rows of each window by the bucket of their key and by bin.

    Windows do not overlap here: the next one begins when all panes of a window are over. It takes no lock.

    Args:
        bins: the bins.
        width: the number of captured columns before that of buckets.
        panes: number of panes of a window.
        learner: gets the counts of each window.
        report: called with a place and a message if no row of a window has a key.
    """

    __slots__ = ("_bins", "_counts", "_flat", "_left", "_panes", "_report", "_unkeyed", "_width", "learner")

    def __init__(self, bins: ClusterBins, width: int, panes: int, learner: BucketLearner, report: Report) -> None:
        self._bins, self._width, self._panes = bins, width, panes
        self.learner, self._report = learner, report
        self._counts = np.zeros((KEY_BUCKETS, bins.total), dtype=np.int32)
        self._flat = self._counts.reshape(-1)
        self._left, self._unkeyed = 1, False

    def reset(self) -> None:
        """Drop all counts."""
        self._counts[:] = 0
        self._left, self._unkeyed = 1, False
        self.learner.reset()

    def split(self, columns: Sequence[Any]) -> tuple[list[Any], Buckets]:
        """Return captured columns, and perhaps predictions, without the column of buckets; and that column."""
        width = self._width
        return [*columns[:width], *columns[width + 1 :]], np.asarray(columns[width], dtype=np.int16)

    def locate(self, columns: Sequence[Column | None], rows: int) -> NDArray[np.int32]:
        """
        Return the index of the bin of each value of a batch, shape (features, rows).

        Args:
            columns: as for `Layout.count`.
            rows: number of rows.
        """
        located = np.empty((len(columns), rows), dtype=np.int32)
        for index, column in enumerate(columns):
            located[index] = self._bins.numbers(index, column, rows)
            located[index] += self._bins.offsets[index]
        return located

    def count(self, located: NDArray[np.int32], buckets: Buckets, part: slice) -> Counts:
        """
        Count a part of a batch, and return its rows by bucket, shape (`KEY_BUCKETS`,).

        Args:
            located: what `locate` returned.
            buckets: shape (rows,), the buckets of the rows. Rows without a key are not counted.
            part: the rows to count.
        """
        chosen, located = buckets[part], located[:, part]
        keyed = chosen >= 0
        if not keyed.all():
            self._unkeyed = True
            chosen, located = chosen[keyed], located[:, keyed]
        indices = chosen.astype(np.intp) * self._bins.total + located
        # With an array of the type of the counts, this is eighty times as fast as with the number 1.
        np.add.at(self._flat, indices.ravel(), np.ones(indices.size, dtype=np.int32))
        return np.bincount(chosen, minlength=KEY_BUCKETS)

    def close_window(self) -> None:
        """Take note that a window is complete, one pane after the one before. The first has all its panes."""
        self._left -= 1
        if self._left:
            return
        self._left = self._panes
        if self._counts.any():
            self.learner.learn(self._counts)
        elif self._unkeyed:
            self._report("key", "no row of a window has a key: expected the column or the result of cluster=")
        self._counts[:] = 0
        self._unkeyed = False

    def show_partial(self) -> None:
        """Let the learner see the rows so far, which no window has."""
        if self._counts.any():
            self.learner.learn_partial(self._counts)
