"""Everything that depends on a reference, made at once so that it can be put in place, and replaced, at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from driftline._binning import Layout
from driftline._capture import Capture
from driftline._guard import Guard
from driftline._judging import Judging
from driftline._recorder import Call, Failure, Recorder
from driftline._replacing import Counted
from driftline._settings import Settings
from driftline._values import StateChange
from driftline.otel import Instruments
from driftline.reference import Reference

__all__ = ["Watching", "watching"]


@dataclass(frozen=True, slots=True)
class Watching:
    """
    What watches one reference.

    ``exported`` are the features whose states and scores are exported: all, unless they are too many.
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
    clock: Callable[[], float],
    guard: Guard,
    instruments: Instruments | None,
    changed: Callable[[StateChange], None],
    on_calls: Callable[[Sequence[Call], Sequence[Failure]], None],
) -> Watching:
    """Make what watches *reference*."""
    watched = reference.watched
    names = tuple(feature.name for feature in watched)
    layout = Layout(watched)
    judging = Judging(reference, layout, settings.window, settings.rule, settings.distances, clock, changed, guard.note)
    recorder = Recorder(layout, len(reference.features), settings.window, clock, on_calls)
    recorder.divide(wanted=judging.learning)
    capture = Capture(tuple(feature.name for feature in reference.features), guard.note, recorder.drop)
    exported, binned = frozenset(names), frozenset[str]()
    if instruments is not None:
        # A state has three series per feature, scores have one per distance and length: the larger counts.
        computed = {*(distance.name for distance in settings.distances), *settings.rule.distances}
        each = max(3, len(computed) * len(settings.rule.lengths))
        exported = instruments.reserve("features", settings.attributes, dict.fromkeys(names, each))
        _tell_left(guard, "states and scores", [name for name in names if name not in exported])
        if settings.export_bins:
            sizes = {(layout.fingerprint, feature.name): feature.bins.size for feature in watched}
            granted = instruments.reserve("bins", settings.attributes, sizes)
            binned = frozenset(name for _, name in granted)
            _tell_left(guard, "bins", [name for name in names if name not in binned])
    prediction = None if reference.prediction is None else Layout([reference.prediction]).fingerprint
    counted = Counted(recorder, names, binned, prediction)
    return Watching(reference, layout, judging, capture, recorder, counted, exported)


def _tell_left(guard: Guard, what: str, left: Sequence[str]) -> None:
    if left:
        shown = ", ".join(repr(name[:60]) for name in left[:5])
        guard.note("cardinality", f"{len(left)} features are judged, their {what} not exported: {shown} …")
