"""The number of rows in pending batches stays right while other threads append batches and count them again."""

from __future__ import annotations

import threading

from driftline._capture.captured import Batch
from driftline._recording.deferred import DeferredWork

SECONDS = 30
"""Longest time that another thread may take for what takes a millisecond, on a machine that is busy."""


class Entries(list):
    """The entries of a buffer. Before a batch is appended, another thread begins to count them."""

    def __init__(self, deferred):
        super().__init__()
        self._deferred = deferred
        self.thread = threading.Thread(target=deferred.count, args=(self,))

    def begin(self):
        self.thread.start()
        self.thread.join(0.1)  # it waits for the append, or else has counted by then

    def __iadd__(self, entry):
        self.begin()
        return super().__iadd__(entry)

    def extend(self, entry):
        self.begin()
        super().extend(entry)


def test_a_batch_that_is_appended_while_another_thread_counts_is_counted():
    deferred = DeferredWork()
    entries = Entries(deferred)
    deferred.append(Batch([[1.0] * 40], 40), entries)
    entries.thread.join(SECONDS)
    assert deferred.batch_rows == 40
    assert deferred.remove_entries(entries) == 40
    assert deferred.batch_rows == 0
