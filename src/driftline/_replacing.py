"""A reference that takes the place of another while calls are under way: every call counted once, no row misread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from driftline._capture import Batch, Capture, Captured
from driftline._recorder import Recorder
from driftline._tally import Tally
from driftline._values import Counts, FeatureStatus, StateChange
from driftline._vector_capture import VectorCapture

__all__ = ["AlignedCapture", "Counted", "Door", "Past", "order_of", "replaced"]

KEPT = 8
"""Recorders that are still drained after they were replaced: a thread may have been within one of them."""


Order: TypeAlias = "tuple[tuple[str, ...], frozenset[str]]"
"""Columns in the order in which a row has them, and those of them that hold vectors."""


def order_of(capture: Capture) -> Order:
    """How the rows lie that this captures."""
    return capture.names, capture.vectors if isinstance(capture, VectorCapture) else frozenset()


@dataclass(frozen=True, slots=True)
class Aligned:
    """What was captured of a call, and the order in which it lies."""

    captured: Captured
    order: Order


class AlignedCapture:
    """A capture that says in which order its rows are: once references of different features have been in use."""

    __slots__ = ("_capture", "names", "order")

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self.names = capture.names
        self.order = order_of(capture)

    def __call__(self, features: Any) -> Aligned | None:
        """Read one call's features."""
        captured = self._capture(features)
        return None if captured is None else Aligned(captured, self.order)


class Door:
    """
    Where calls end while rows of different orders are under way; each is counted, those of the right order are binned.

    Args:
        recorder: of the present reference.
        order: of the rows that it can count.
    """

    __slots__ = ("_order", "_recorder")

    def __init__(self, recorder: Recorder, order: Order) -> None:
        self._recorder = recorder
        self._order = order

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
        return captured.__class__ is Aligned and captured.order == self._order


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

    def exports(self, tally: Tally) -> dict[tuple[str, str], Counts]:
        """The counts per bin that are exported, by the fingerprint of the reference and the feature."""
        layout = self.recorder.layout
        return {
            (layout.fingerprint, name): tally.counts[place]
            for name, place in zip(self.watched, layout.slices, strict=True)
            if name in self.exported
        }

    def features(self, tally: Tally) -> dict[tuple[str, str], Counts]:
        """The counts per bin of all features, by the print of these bins and the feature."""
        return {
            (self.prints[name], name): tally.counts[place]
            for name, place in zip(self.watched, self.recorder.layout.slices, strict=True)
        }


class Past:
    """
    The counts of the recorders that were replaced; they only grow, by the calls that were within one of them.

    A reference of other bins than those before adds as many numbers as it has bins, one of the same bins none.
    """

    def __init__(self) -> None:
        self._counted: deque[Counted] = deque()
        self._tallies: list[Tally] = []
        self._exports: dict[tuple[str, str], Counts] = {}
        self._features: dict[tuple[str, str], Counts] = {}

    def add(self, counted: Counted) -> Past:
        """These recorders and one more; the oldest become plain counts."""
        # Nobody judges its windows any more, so nobody is to be called for them.
        counted.recorder.wake = counted.recorder.overdue = None
        past = Past()
        past._counted = deque([*self._counted, counted])
        past._tallies, past._exports, past._features = list(self._tallies), dict(self._exports), dict(self._features)
        while len(past._counted) > KEPT:
            oldest = past._counted.popleft()
            oldest.recorder.drain()
            tally = oldest.recorder.read()
            _add(past._exports, oldest.exports(tally))
            _add(past._features, oldest.features(tally))
            past._tallies = [_sum([*past._tallies, tally])]
        return past

    def drain(self) -> None:
        """Count what came late; windows of a reference that is no more are not judged."""
        for counted in self._counted:
            counted.recorder.drain()
            counted.recorder.leave_out()

    def reset(self) -> None:
        """Forget everything: the child of a fork starts here."""
        for counted in self._counted:
            counted.recorder.reset()
        self._tallies, self._exports, self._features = [], {}, {}

    def plus(self, present: Tally) -> Tally:
        """The tally of the present recorder and of those before it; ``counts`` and ``rows`` are the present one's."""
        return _sum([present, *self._tallies, *(counted.recorder.read() for counted in self._counted)])

    def exports(self, present: Mapping[tuple[str, str], Counts]) -> dict[tuple[str, str], Counts]:
        """The counts per bin that are exported, of the present recorder and of those before it."""
        total = dict(present)
        _add(total, self._exports)
        for counted in self._counted:
            _add(total, counted.exports(counted.recorder.read()))
        return total

    def features(self, present: Mapping[tuple[str, str], Counts]) -> dict[tuple[str, str], Counts]:
        """The counts per bin of the present recorder's features, with those before it of the same bins."""
        total = dict(present)
        _add(total, self._features)
        for counted in self._counted:
            _add(total, counted.features(counted.recorder.read()))
        return {key: total[key] for key in present}


def replaced(states: Mapping[str, FeatureStatus], length: str) -> Iterator[StateChange]:
    """The changes to no state at all, of everything that had one."""
    for name, status in states.items():
        if status.state != "insufficient_data":
            unknown = FeatureStatus("insufficient_data", None, None, 0, "the reference was replaced")
            yield StateChange(name, status.state, unknown, length)


def _sum(tallies: Sequence[Tally]) -> Tally:
    """What was called, served and dropped; the counts per bin are those of the first."""
    total = tallies[0].copy()
    for tally in tallies[1:]:
        total.served += tally.served
        total.failed_calls += tally.failed_calls
        total.batches += tally.batches
        total.durations += tally.durations
        for ours, theirs in ((total.failed, tally.failed), (total.dropped, tally.dropped)):
            for key, count in theirs.items():
                ours[key] = ours.get(key, 0) + count
    return total


def _add(total: dict[tuple[str, str], Counts], more: Mapping[tuple[str, str], Counts]) -> None:
    for key, counts in more.items():
        total[key] = total[key] + counts if key in total else counts
