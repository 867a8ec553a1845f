"""A reference that takes the place of another while calls are under way: every call counted once, no row misread."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from driftline._capture import Batch, Capture, Captured
from driftline._recorder import Recorder, Tally
from driftline._values import Counts

__all__ = ["AlignedCapture", "Counted", "Door", "Past"]

_Key = TypeVar("_Key")

KEPT = 8
"""Recorders that are still drained after they were replaced: a thread may have been within one of them."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """What was captured of a call, with the names in whose order it lies."""

    captured: Captured
    names: tuple[str, ...]


class AlignedCapture:
    """A capture that says in which order its rows are: once references of different features have been in use."""

    __slots__ = ("_capture", "names")

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self.names = capture.names

    def __call__(self, features: Any) -> Aligned | None:
        """Read one call's features."""
        captured = self._capture(features)
        return None if captured is None else Aligned(captured, self.names)


class Door:
    """
    Where calls end while rows of different orders are under way; each is counted, those of the right order are binned.

    Args:
        recorder: of the present reference.
        names: the features in its order.
    """

    __slots__ = ("_names", "_recorder")

    def __init__(self, recorder: Recorder, names: tuple[str, ...]) -> None:
        self._recorder = recorder
        self._names = names

    def record(self, captured: Any, output: Any, seconds: float, context: object) -> None:
        """Take down one successful call."""
        if self._fits(captured):
            self._recorder.record(captured.captured, output, seconds, context)
        elif captured is None:
            self._recorder.record(None, output, seconds, context)
        else:
            self._recorder.count(_dropped(captured, self._recorder), seconds, context)

    def record_failure(self, captured: Any, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised."""
        if self._fits(captured):
            self._recorder.record_failure(captured.captured, seconds, context, error)
        elif captured is None:
            self._recorder.record_failure(None, seconds, context, error)
        else:
            self._recorder.count(_dropped(captured, self._recorder), seconds, context, error)

    def record_batch(self, captured: Any, outputs: Any) -> None:
        """Take down rows without a call."""
        if self._fits(captured):
            self._recorder.record_batch(captured.captured, outputs)
        elif captured is None:
            self._recorder.record_batch(None, outputs)
        else:
            self._recorder.count(_dropped(captured, self._recorder), None, None)

    def drain(self) -> None:
        """Bin what waits."""
        self._recorder.drain()

    def reset(self) -> None:
        """Start anew: the child of a fork."""
        self._recorder.reset()

    def _fits(self, captured: Any) -> bool:
        return captured.__class__ is Aligned and captured.names == self._names


def _dropped(captured: Any, recorder: Recorder) -> int:
    """Count rows whose order is that of another reference as dropped; how many they are."""
    rows = _rows(captured)
    recorder.drop("replaced", rows)
    return rows


def _rows(captured: Any) -> int:
    if isinstance(captured, Aligned):
        return _rows(captured.captured)
    if isinstance(captured, Batch):
        return captured.rows
    return len(captured) if isinstance(captured, list) else 1


@dataclass(frozen=True, slots=True)
class Counted:
    """
    A recorder, the features in the order of its layout, and those of them whose bins are exported.

    ``prediction`` is the fingerprint of the bins of the prediction; None where it is not watched.
    """

    recorder: Recorder
    watched: tuple[str, ...]
    exported: frozenset[str]
    prediction: str | None

    def bins(self, tally: Tally) -> dict[tuple[str, str], Counts]:
        """The counts per bin, by the fingerprint of the reference and the feature."""
        layout = self.recorder.layout
        return {
            (layout.fingerprint, name): tally.counts[place]
            for name, place in zip(self.watched, layout.slices, strict=True)
            if name in self.exported
        }

    def predictions(self, tally: Tally) -> dict[str, Counts]:
        """The counts per bin of the prediction, by the fingerprint of these bins."""
        return {} if self.prediction is None else {self.prediction: tally.counts[self.recorder.layout.slices[-1]]}


class Past:
    """The counts of the recorders that were replaced; they only grow, by the calls that were within one of them."""

    def __init__(self) -> None:
        self._counted: deque[Counted] = deque()
        self._tallies: list[Tally] = []
        self._bins: dict[tuple[str, str], Counts] = {}
        self._predictions: dict[str, Counts] = {}

    def add(self, counted: Counted) -> Past:
        """These recorders and one more; the oldest become plain counts."""
        # Nobody judges its windows any more, so nobody is to be called for them.
        counted.recorder.wake = counted.recorder.overdue = None
        past = Past()
        past._counted = deque([*self._counted, counted])
        past._tallies, past._bins, past._predictions = list(self._tallies), dict(self._bins), dict(self._predictions)
        while len(past._counted) > KEPT:
            oldest = past._counted.popleft()
            oldest.recorder.drain()
            tally = oldest.recorder.read()
            past._tallies.append(tally)
            _add(past._bins, oldest.bins(tally))
            _add(past._predictions, oldest.predictions(tally))
        return past

    def drain(self) -> None:
        """Count what came late; windows of a reference that is no more are not judged."""
        for counted in self._counted:
            counted.recorder.drain()
            deque(counted.recorder.windows(), maxlen=0)

    def reset(self) -> None:
        """Forget everything: the child of a fork starts here."""
        for counted in self._counted:
            counted.recorder.reset()
        self._tallies, self._bins, self._predictions = [], {}, {}

    def plus(self, present: Tally) -> Tally:
        """The tally of the present recorder and of those before it; ``counts`` and ``rows`` are the present one's."""
        total = present.copy()
        for tally in (*self._tallies, *(counted.recorder.read() for counted in self._counted)):
            total.served += tally.served
            total.durations += tally.durations
            for ours, theirs in ((total.failed, tally.failed), (total.dropped, tally.dropped)):
                for key, count in theirs.items():
                    ours[key] = ours.get(key, 0) + count
        return total

    def bins(self, present: Mapping[tuple[str, str], Counts]) -> dict[tuple[str, str], Counts]:
        """The counts per bin of the present recorder and of those before it; those of equal bins add up."""
        total = dict(present)
        _add(total, self._bins)
        for counted in self._counted:
            _add(total, counted.bins(counted.recorder.read()))
        return total

    def predictions(self, bins: str, present: Counts) -> Counts:
        """The counts per bin of the prediction of the present recorder, and of those before it with the same bins."""
        total = {bins: present}
        _add(total, self._predictions)
        for counted in self._counted:
            _add(total, counted.predictions(counted.recorder.read()))
        return total[bins]


def _add(total: dict[_Key, Counts], more: Mapping[_Key, Counts]) -> None:
    for key, counts in more.items():
        total[key] = total[key] + counts if key in total else counts
