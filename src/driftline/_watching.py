"""Everything that depends on a reference, made at once so that it can be put in place, and replaced, at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from driftline._binning import Layout
from driftline._calendar import WeekClock
from driftline._capture import Capture
from driftline._deriving import fingerprint_of
from driftline._detecting import Detecting
from driftline._guard import Guard
from driftline._judging import Judging
from driftline._recorder import Call, Failure, Recorder
from driftline._replacing import Counted
from driftline._settings import Settings
from driftline._staging import capture_for, layout_for
from driftline._values import PREDICTION, StateChange
from driftline.otel import Instruments
from driftline.reference import Reference

__all__ = ["Watching", "watching"]


@dataclass(frozen=True, slots=True)
class Watching:
    """
    What watches one reference.

    ``exported`` are the features and detectors whose states and scores are exported: all, unless they are too many.
    """

    reference: Reference
    layout: Layout
    judging: Judging
    capture: Capture
    recorder: Recorder
    counted: Counted
    exported: frozenset[str]


def watching(
    reference: Reference,
    settings: Settings,
    *,
    detecting: Detecting | None,
    guard: Guard,
    instruments: Instruments | None,
    changed: Callable[[StateChange], None],
    on_calls: Callable[[Sequence[Call], Sequence[Failure]], None],
) -> Watching:
    """Make what watches *reference*."""
    window, clock, watched = settings.window, settings.clock, reference.watched
    layout = layout_for(reference, settings, detecting, guard)
    judging = Judging(reference, layout, window, settings.rule, settings.distances, clock, changed, guard.note)
    seasonal = reference.seasons is not None and reference.seasons.kinds
    week = WeekClock(settings.wall_clock) if seasonal else None
    recorder = Recorder(layout, len(reference.features), window, clock, on_calls, week)
    recorder.divide(wanted=judging.learning)
    capture = capture_for(reference, reference.columns, guard, recorder.drop)
    names = tuple(feature.name for feature in watched)
    prints = {
        # Of the output nothing is derived: over the same bins it adds up whatever the features are.
        one.name: fingerprint_of(Layout([one]), None if one.name == PREDICTION else reference.derived)
        for one in watched
    }
    detectors = () if detecting is None else detecting.names
    exported, binned = frozenset((*names, *detectors)), frozenset[str]()
    if instruments is not None:
        # A state has three series per feature, scores have one per distance and length: the larger counts.
        computed = {*(distance.name for distance in settings.distances), *settings.rule.distances}
        each = max(3, len(computed) * len(settings.rule.lengths))
        # A detector has an entry among the states, and no scores.
        wanted = {**dict.fromkeys(names, each), **dict.fromkeys(detectors, 3)}
        exported = instruments.reserve("features", settings.attributes, wanted)
        _tell_left(guard, "states and scores", [name for name in wanted if name not in exported])
        if settings.export_bins:
            sizes = {(layout.fingerprint, feature.name): feature.bins.size for feature in watched}
            granted = instruments.reserve("bins", settings.attributes, sizes)
            binned = frozenset(name for _, name in granted)
            _tell_left(guard, "bins", [name for name in names if name not in binned])
    return Watching(reference, layout, judging, capture, recorder, Counted(recorder, names, prints, binned), exported)


def _tell_left(guard: Guard, what: str, left: Sequence[str]) -> None:
    if left:
        shown = ", ".join(repr(name[:60]) for name in left[:5])
        guard.note("cardinality", f"{len(left)} features are judged, their {what} not exported: {shown} …")
