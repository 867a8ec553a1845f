"""The replacement of a reference while calls are under way: each call is counted once, and no row is misread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from driftline._capture.reader import Captured
from driftline._pipeline.assembly import ActiveReference
from driftline._pipeline.learning import Learner
from driftline._recording.buffer import ROWS, Entry
from driftline._recording.recorder import Recorder
from driftline._windows.totals import Totals
from driftline.typing import Counts

__all__ = ["Counted", "LateCalls", "RetiredRecorders", "Serving"]

MAX_RETIRED = 8
"""Retired recorders that are still drained. A call ends in the recorder in which it began."""


class LateCalls:
    """
    The sink of calls that end after their recorder is gone. They are counted, and their features are not.

    Args:
        present: returns the recorder at work.
    """

    __slots__ = ("_present",)

    def __init__(self, present: Callable[[], Recorder]) -> None:
        self._present = present

    def append(self, entry: Entry) -> None:
        """Record one successful call of the fast path."""
        row, output, seconds, context = entry
        self.record(row, output, seconds, context)

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """Record one successful call."""
        del output
        recorder = self._present()
        recorder.record_without_features(_drop_rows(captured, recorder), seconds, context)

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Record a call that raised."""
        recorder = self._present()
        recorder.record_without_features(_drop_rows(captured, recorder), seconds, context, error)

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """Record rows without a call."""
        del outputs
        recorder = self._present()
        recorder.record_without_features(_drop_rows(captured, recorder), None, None)


def _drop_rows(captured: Captured, recorder: Recorder) -> int:
    """Count rows as dropped, and return their number. Unreadable features have been counted before."""
    if captured is None:
        return 1
    rows = 1 if captured.__class__ in ROWS else len(captured)
    recorder.panes.drop("replaced", rows)
    return rows


@dataclass(frozen=True, slots=True)
class Counted:
    """
    A recorder that was replaced, and the features that it counts.

    Attributes:
        recorder: the recorder.
        active: what was made for its reference. If None, it counted calls while a reference was learned.
    """

    recorder: Recorder
    active: ActiveReference | None

    def exports(self, totals: Totals) -> dict[tuple[str, str], Counts]:
        """Return the exported counts per bin, as `ActiveReference.exports`."""
        return {} if self.active is None else self.active.exports(totals)

    def features(self, totals: Totals) -> dict[tuple[str, str], Counts]:
        """Return all counts per bin, as `ActiveReference.features`."""
        return {} if self.active is None else self.active.features(totals)


class RetiredRecorders:
    """
    The recorders that were replaced. Their counts only grow, by the calls that began in one of them.

    A reference of other bins than those before adds as many numbers as it has bins, one of the same bins adds none.

    Args:
        present: returns the recorder at work, which counts the calls that outlive all recorders that are kept.
    """

    def __init__(self, present: Callable[[], Recorder]) -> None:
        self._late_calls = LateCalls(present)
        self._present = present
        self._kept: deque[Counted] = deque()
        self._totals: list[Totals] = []
        self._exports: dict[tuple[str, str], Counts] = {}
        self._features: dict[tuple[str, str], Counts] = {}

    def __len__(self) -> int:
        """Return the number of recorders that are still drained."""
        return len(self._kept)

    def add(self, counted: Counted) -> RetiredRecorders:
        """Return these recorders and one more. The oldest become plain counts."""
        counted.recorder.relief.retire()
        retired = RetiredRecorders(self._present)
        retired._kept = deque([*self._kept, counted])
        retired._totals = list(self._totals)
        retired._exports, retired._features = dict(self._exports), dict(self._features)
        while len(retired._kept) > MAX_RETIRED:
            oldest = retired._kept.popleft()
            oldest.recorder.buffer.redirect(self._late_calls, self._late_calls.append)
            oldest.recorder.drain()
            totals = oldest.recorder.panes.read()
            _add(retired._exports, oldest.exports(totals))
            _add(retired._features, oldest.features(totals))
            retired._totals = [_sum([*retired._totals, totals])]
        return retired

    def drain(self, pause: Callable[[], bool] | None = None, *, foreign: bool = False) -> None:
        """Count late calls, as `Recorder.drain`. The windows of a replaced reference are not evaluated."""
        for counted in self._kept:
            counted.recorder.drain(pause, foreign=foreign)
            counted.recorder.panes.pending.clear()

    def reset(self) -> None:
        """Set all counts to zero, as the child of a fork must."""
        for counted in self._kept:
            counted.recorder.reset()
        self._totals, self._exports, self._features = [], {}, {}

    def read(self) -> list[Totals]:
        """Return a copy of the totals of each recorder that is kept, for `plus`, `exports` and `features`."""
        return [counted.recorder.panes.read() for counted in self._kept]

    def plus(self, present: Totals, kept: Sequence[Totals]) -> Totals:
        """Return the totals of all recorders. ``counts`` and ``rows`` are those of *present*."""
        return _sum([present, *self._totals, *kept])

    def exports(
        self, present: Mapping[tuple[str, str], Counts], kept: Sequence[Totals]
    ) -> dict[tuple[str, str], Counts]:
        """Return the exported counts per bin of all recorders."""
        total = dict(present)
        _add(total, self._exports)
        for counted, totals in zip(self._kept, kept, strict=True):
            _add(total, counted.exports(totals))
        return total

    def features(
        self, present: Mapping[tuple[str, str], Counts], kept: Sequence[Totals]
    ) -> dict[tuple[str, str], Counts]:
        """Return the counts per bin of the present recorder's features, and of earlier ones with the same bins."""
        total = dict(present)
        _add(total, self._features)
        for counted, totals in zip(self._kept, kept, strict=True):
            _add(total, counted.features(totals))
        return {key: total[key] for key in present}


class Present(NamedTuple):
    """
    The counts of one monitor at one instant.

    Attributes:
        active: the reference at work, or None while one is learned.
        counts: the totals of the recorder at work.
        totals: the totals of all recorders.
        retired: the recorders that were replaced.
        kept: the totals of each recorder that is still drained.
    """

    active: ActiveReference | None
    counts: Totals
    totals: Totals
    retired: RetiredRecorders
    kept: Sequence[Totals]

    def exports(self) -> dict[tuple[str, str], Counts]:
        """Return the exported counts per bin, by the fingerprint of the reference and the feature."""
        return {} if self.active is None else self.retired.exports(self.active.exports(self.counts), self.kept)

    def features(self) -> dict[tuple[str, str], Counts]:
        """Return all counts per bin, by the fingerprint of the bins and the feature."""
        return {} if self.active is None else self.retired.features(self.active.features(self.counts), self.kept)


class Serving:
    """
    The recorder at work, and those that it has replaced.

    Args:
        start: the reference that is compared with, or the learner of one.

    Attributes:
        recorder: the recorder that counts calls.
        active: the reference at work, or None while one is learned.
        learner: the learner, or None once there is a reference.
        retired: the recorders that were replaced.
    """

    def __init__(self, start: ActiveReference | Learner) -> None:
        self._renew_lock()
        self.recorder = start.recorder
        self.learner: Learner | None = start if isinstance(start, Learner) else None
        self.active: ActiveReference | None = None if isinstance(start, Learner) else start
        self.retired = RetiredRecorders(lambda: self.recorder)

    def _renew_lock(self) -> None:
        # Re-entrant: the garbage collector may run a finalizer of the host here, and that may predict.
        self.lock = threading.RLock()

    def activate(self, active: ActiveReference) -> None:
        """Replace the recorder at work. Calls that are under way end in the recorder in which they began."""
        with self.lock:
            self.retired = self.retired.add(Counted(self.recorder, self.active))
            self.active, self.learner, self.recorder = active, None, active.recorder

    def drain(self, pause: Callable[[], bool] | None = None, *, foreign: bool = False) -> None:
        """Count all buffered calls, as `Recorder.drain`."""
        self.retired.drain(pause, foreign=foreign)
        (self.learner or self.recorder).drain(pause, foreign=foreign)

    def read(self) -> Present:
        """Return the counts of this instant."""
        with self.lock:
            active, retired, counts, kept = self.active, self.retired, self.recorder.panes.read(), self.retired.read()
        return Present(active, counts, retired.plus(counts, kept), retired, kept)

    def reset(self) -> None:
        """Set all counts to zero, and renew the locks, as the child of a fork must."""
        self._renew_lock()
        self.retired.reset()
        (self.learner or self.recorder).reset()
        if self.active is not None:
            self.active.turns.reset()


def _sum(totals: Sequence[Totals]) -> Totals:
    """Return the sum of calls, served and dropped rows. The counts per bin are those of the first."""
    result = totals[0].copy()
    for each in totals[1:]:
        result.add_calls(each)
    return result


def _add(total: dict[tuple[str, str], Counts], more: Mapping[tuple[str, str], Counts]) -> None:
    for key, counts in more.items():
        total[key] = total[key] + counts if key in total else counts
