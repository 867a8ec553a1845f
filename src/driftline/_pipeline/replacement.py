"""A reference that takes the place of another while calls are under way: every call counted once, no row misread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from driftline._capture.reader import Captured
from driftline._recording.buffer import ROWS, Entry
from driftline._recording.recorder import Recorder
from driftline._windows.totals import Totals
from driftline.typing import Counts

__all__ = [
    "Counted",
    "LateCalls",
    "RetiredRecorders",
]

KEPT = 8
"""Recorders that are still drained after they were replaced: calls end where they began."""


class LateCalls:
    """
    Where calls end that have outlived the recorder in which they began: they are counted, their features are not.

    Args:
        present: the recorder at work.
    """

    __slots__ = ("_present",)

    def __init__(self, present: Callable[[], Recorder]) -> None:
        self._present = present

    def put(self, entry: Entry) -> None:
        """Take down one successful call that took the short way."""
        row, output, seconds, context = entry
        self.record(row, output, seconds, context)

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """Take down one successful call."""
        del output
        recorder = self._present()
        recorder.count(_dropped(captured, recorder), seconds, context)

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised."""
        recorder = self._present()
        recorder.count(_dropped(captured, recorder), seconds, context, error)

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """Take down rows without a call."""
        del outputs
        recorder = self._present()
        recorder.count(_dropped(captured, recorder), None, None)


def _dropped(captured: Captured, recorder: Recorder) -> int:
    """How many rows these are; what could not be read has been dropped already."""
    if captured is None:
        return 1
    rows = 1 if captured.__class__ in ROWS else len(captured)
    recorder.drop("replaced", rows)
    return rows


@dataclass(frozen=True, slots=True)
class Counted:
    """
    A recorder and the features in the order of its layout.

    Attributes:
        recorder: where they are counted.
        watched: their names.
        prints: which bins each of them is counted in, by name: equal prints add up.
        exported: those whose counts per bin are exported.
    """

    recorder: Recorder
    watched: tuple[str, ...] = ()
    prints: Mapping[str, str] = field(default_factory=dict)
    exported: frozenset[str] = frozenset()

    def exports(self, tally: Totals) -> dict[tuple[str, str], Counts]:
        """The counts per bin that are exported, by the fingerprint of the reference and the feature."""
        layout = self.recorder.layout
        return {
            (layout.fingerprint, name): tally.counts[place]
            for name, place in zip(self.watched, layout.slices, strict=True)
            if name in self.exported
        }

    def features(self, tally: Totals) -> dict[tuple[str, str], Counts]:
        """The counts per bin of all features, by the print of these bins and the feature."""
        return {
            (self.prints[name], name): tally.counts[place]
            for name, place in zip(self.watched, self.recorder.layout.slices, strict=True)
        }


class RetiredRecorders:
    """
    The counts of the recorders that were replaced; they only grow, by the calls that began in one of them.

    A reference of other bins than those before adds as many numbers as it has bins, one of the same bins none.

    Args:
        present: the recorder at work, which counts the calls that outlive all that are kept.
    """

    def __init__(self, present: Callable[[], Recorder]) -> None:
        self._ended = LateCalls(present)
        self._present = present
        self._counted: deque[Counted] = deque()
        self._tallies: list[Totals] = []
        self._exports: dict[tuple[str, str], Counts] = {}
        self._features: dict[tuple[str, str], Counts] = {}

    def add(self, counted: Counted) -> RetiredRecorders:
        """These recorders and one more; the oldest become plain counts."""
        counted.recorder.relief.retire()
        past = RetiredRecorders(self._present)
        past._counted = deque([*self._counted, counted])
        past._tallies, past._exports, past._features = list(self._tallies), dict(self._exports), dict(self._features)
        while len(past._counted) > KEPT:
            oldest = past._counted.popleft()
            lane = oldest.recorder.lane
            lane.end, lane.put = self._ended, self._ended.put
            oldest.recorder.drain()
            tally = oldest.recorder.read()
            _add(past._exports, oldest.exports(tally))
            _add(past._features, oldest.features(tally))
            past._tallies = [_sum([*past._tallies, tally])]
        return past

    def drain(self, pause: Callable[[], bool] | None = None, *, foreign: bool = False) -> None:
        """Count what came late, as `Recorder.drain`; windows of a reference that is no more are not judged."""
        for counted in self._counted:
            counted.recorder.drain(pause, foreign=foreign)
            counted.recorder.leave_out()

    def reset(self) -> None:
        """Forget everything: the child of a fork starts here."""
        for counted in self._counted:
            counted.recorder.reset()
        self._tallies, self._exports, self._features = [], {}, {}

    def read(self) -> list[Totals]:
        """Return a copy of the totals of each recorder that is kept, for `plus`, `exports` and `features`."""
        return [counted.recorder.read() for counted in self._counted]

    def plus(self, present: Totals, kept: Sequence[Totals]) -> Totals:
        """Return the totals of all recorders; ``counts`` and ``rows`` are the present one's."""
        return _sum([present, *self._tallies, *kept])

    def exports(
        self, present: Mapping[tuple[str, str], Counts], kept: Sequence[Totals]
    ) -> dict[tuple[str, str], Counts]:
        """Return the exported counts per bin of all recorders."""
        total = dict(present)
        _add(total, self._exports)
        for counted, tally in zip(self._counted, kept, strict=True):
            _add(total, counted.exports(tally))
        return total

    def features(
        self, present: Mapping[tuple[str, str], Counts], kept: Sequence[Totals]
    ) -> dict[tuple[str, str], Counts]:
        """Return the counts per bin of the present recorder's features, and of earlier ones with the same bins."""
        total = dict(present)
        _add(total, self._features)
        for counted, tally in zip(self._counted, kept, strict=True):
            _add(total, counted.features(tally))
        return {key: total[key] for key in present}


def _sum(tallies: Sequence[Totals]) -> Totals:
    """What was called, served and dropped; the counts per bin are those of the first."""
    total = tallies[0].copy()
    for tally in tallies[1:]:
        total.add_calls(tally)
    return total


def _add(total: dict[tuple[str, str], Counts], more: Mapping[tuple[str, str], Counts]) -> None:
    for key, counts in more.items():
        total[key] = total[key] + counts if key in total else counts
