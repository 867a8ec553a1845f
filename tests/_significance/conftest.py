"""Windows of rows for what learns from them, without a monitor."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.layout import Layout
from driftline._significance.history import History
from driftline._significance.learner import Learner
from driftline._windows.ring import BLOCKS, WindowCounts


class Traffic:
    """A history of what is served to it, window by window."""

    def __init__(self, training, *, rows=1_000, panes=1, longest=64, seeds=(), reference=None):
        self.reference = Reference.fit(training) if reference is None else reference
        self.features = self.reference.watched
        self.layout = Layout(self.features)
        self.rows, self.panes = rows, panes
        free = np.array([feature.bins.size for feature in self.features]) - 4.0
        self.history = History(
            self.features,
            self.layout,
            panes=panes,
            blocks=BLOCKS,
            longest=longest,
            reference_rows=self.reference.rows,
            learner=Learner(free, BLOCKS, seeds),
        )
        self.window = None
        self.served = []

    def counts(self, columns):
        """Return the counts of rows over the bins of all features."""
        columns = [column if isinstance(column, list) else np.asarray(column) for column in columns]
        return WindowCounts(self.layout.count(columns, len(columns[0])), len(columns[0]))

    def serve(self, *columns, unusable=None):
        """Add a window of these columns, divided into blocks, and return it."""
        columns = [list(column) if np.asarray(column).dtype.kind == "U" else np.asarray(column) for column in columns]
        edges = np.linspace(0, len(columns[0]), BLOCKS + 1).astype(int)
        blocks = [
            self.counts([column[low:high] for column in columns])
            for low, high in itertools.pairwise(edges)
            if high > low
        ]
        window = WindowCounts.sum(blocks, self.layout.total)
        window.blocks = tuple(blocks)
        self.history.add(window, self.which() if unusable is None else unusable)
        self.served.append(window)
        return window

    def which(self, *indices):
        """Return which features these are, shape (features,)."""
        chosen = np.zeros(len(self.features), dtype=np.bool_)
        chosen[list(indices)] = True
        return chosen

    def change(self, begun=(), ended=(), drifting=(), windows=1):
        """Tell the history of states."""
        self.history.change(self.which(*begun) * windows, self.which(*ended), self.which(*begun, *drifting))

    def look(self, windows=1):
        """Return the difference of the latest windows."""
        counts = WindowCounts.sum(self.served[-windows:], self.layout.total)
        return self.history.look(windows, counts)

    def error(self, part, windows=1):
        """Return the standard deviation of a part in the latest windows, shape (features,)."""
        return self.look(windows).error[:, part]


@pytest.fixture
def traffic():
    """The class `Traffic`."""
    return Traffic
