"""Keeps what a monitor learns about the dependence of rows: for its next reference, and in a file for others."""

from __future__ import annotations

import time
from pathlib import Path

from driftline._pipeline.active_reference import ActiveReference
from driftline._pipeline.learned_file import LearnedFile, LearnedFileError
from driftline._runtime.guard import Report
from driftline._runtime.watched_lock import WatchedLock
from driftline._significance.learned import Learned

__all__ = ["KeptDependence"]

SAVE_SECONDS = 60.0
"""Shortest pause between two writes, in seconds. A killed process loses what it has learned since the last one."""

SAVE_FACTOR = 200.0
"""Shortest pause after a write, as a multiple of its CPU time. Writing thus takes at most 0.5 % of a core."""


class KeptDependence:
    """
    Keeps what a monitor learns about the dependence of rows.

    Args:
        path: the file that keeps it for later processes. If None, only this process keeps it.
        model: the name of the model.
        report: called with a place and a message if the file cannot be read or written. It is ignored then.

    Attributes:
        known: what the file held at the start, and what earlier references of this monitor have shown.
    """

    def __init__(self, path: Path | None, model: str, report: Report) -> None:
        self._file = None if path is None else LearnedFile(path, model)
        self._report = report
        self.known = self._saved = Learned({})
        if self._file is not None:
            try:
                self.known = self._saved = self._file.read()
            except LearnedFileError as error:
                self._report("learned", f"learned_path={error}")
                # The file may be another program's, or a newer driftline's: leave it as it is.
                self._file = None
        self.reset()

    def reset(self) -> None:
        """Renew the lock, as the child of a fork must."""
        self._lock = WatchedLock()
        self._next_save = time.monotonic() + SAVE_SECONDS

    def keep(self, active: ActiveReference | None) -> None:
        """Keep what the windows of a reference have shown, which is about to be replaced. If it is None, do nothing."""
        if active is not None:
            self.known = self.known.updated(active.evaluator.learned)

    def save_if_due(self, active: ActiveReference) -> None:
        """Write the file if the last write is a while ago, and no other thread does it."""
        if self._file is not None and time.monotonic() >= self._next_save:
            self._save(self._file, active, blocking=False)

    def save(self, active: ActiveReference | None) -> None:
        """Write the file, unless nothing was learned since the last write. Without a reference, do nothing."""
        if self._file is not None and active is not None:
            self._save(self._file, active, blocking=True)

    def _save(self, file: LearnedFile, active: ActiveReference, *, blocking: bool) -> None:
        with self._lock.hold(blocking=blocking) as held:
            if not held:
                return
            spent = time.thread_time()
            # Also if the write fails, so that a disk that is full is not tried without a pause.
            self._next_save = time.monotonic() + SAVE_SECONDS
            latest = self.known.updated(active.evaluator.learned)
            if latest == self._saved:
                return
            try:
                file.update(latest)
            except LearnedFileError as error:
                self._report("learned", f"learned_path={error}")
                return
            self._saved = latest
            self._next_save = time.monotonic() + max(SAVE_SECONDS, SAVE_FACTOR * (time.thread_time() - spent))
