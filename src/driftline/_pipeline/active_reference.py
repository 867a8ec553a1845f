"""Everything that depends on a reference, made at once so that it can be put in place, and replaced, at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from driftline._binning.bins import PREDICTION
from driftline._binning.layout import Layout
from driftline._derived.transform import fingerprint_of
from driftline._pipeline import assembly as staging
from driftline._pipeline.replacement import Counted
from driftline._pipeline.settings import Settings
from driftline._recording.latencies import LatencyQueue
from driftline._recording.recorder import Recorder
from driftline._runtime.guard import Guard
from driftline.detection._evaluator import WindowEvaluator
from driftline.detection._streaming import StreamEvaluator
from driftline.otel import Instruments
from driftline.reference import Reference
from driftline.results import StateChange

__all__ = ["ActiveReference", "watching"]


@dataclass(frozen=True, slots=True)
class ActiveReference:
    """
    What watches one reference.

    ``exported`` are the features and detectors whose states and scores are exported: all, unless they are too many.
    """

    reference: Reference
    layout: Layout
    judging: WindowEvaluator
    recorder: Recorder
    counted: Counted
    exported: frozenset[str]


def watching(
    reference: Reference,
    settings: Settings,
    *,
    detecting: StreamEvaluator | None,
    guard: Guard,
    instruments: Instruments | None,
    changed: Callable[[StateChange], None],
    durations: LatencyQueue | None,
) -> ActiveReference:
    """Make what watches *reference*."""
    window, clock, watched = settings.window, settings.clock, reference.watched
    layout = staging.layout_for(reference, settings, detecting, guard)
    judging = WindowEvaluator(
        reference, layout, window, settings.rule, settings.distances, clock, changed, guard.report
    )
    week = staging.week_for(reference, settings)
    recorder = Recorder(layout, len(reference.features), window, clock, durations, week)
    recorder.divide(wanted=judging.learning)
    recorder.endless = partial(
        guard.report, "derive", "a function in derive= does not come to its end: rows are counted as dropped"
    )
    capture = staging.capture_for(reference, layout, guard, recorder.drop)
    recorder.lane.read_by(capture, staging.lookout_for(capture, layout, guard, recorder.drop))
    prints = {
        # Of the output nothing is derived: over the same bins it adds up whatever the features are.
        one.name: fingerprint_of(Layout([one]), None if one.name == PREDICTION else reference.derived)
        for one in watched
    }
    exported, binned = staging.exported_names(watched, layout, settings, detecting, instruments, guard)
    counted = Counted(recorder, tuple(feature.name for feature in watched), prints, binned)
    return ActiveReference(reference, layout, judging, recorder, counted, exported)
