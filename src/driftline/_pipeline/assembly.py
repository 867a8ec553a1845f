"""What stands between captured columns and their bins: features made of others, and detectors that look on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._capture.reader import FeatureReader
from driftline._capture.vector_reader import make_reader
from driftline._derived.transform import Columns, Deriver, StagedLayout
from driftline._pipeline.settings import Settings
from driftline._recording.latencies import LatencyQueue
from driftline._runtime.guard import Guard
from driftline._seasons.calendar import WeekClock
from driftline.detection._stream_detectors import unwatchable_streams
from driftline.detection._streaming import StreamEvaluator
from driftline.otel import Instruments
from driftline.reference import Learn, Reference
from driftline.results import StateChange

__all__ = [
    "capture_for",
    "detecting_for",
    "durations_for",
    "exported_names",
    "layout_for",
    "learning_capture",
    "lookout_for",
    "week_for",
]


def detecting_for(settings: Settings, changed: Callable[[StateChange], None], guard: Guard) -> StreamEvaluator | None:
    """The detectors at work; None where there are none."""
    if not settings.detectors or not settings.enabled:
        return None
    raises = settings.on_error == "raise"
    return StreamEvaluator(settings.detectors, settings.window, settings.clock, changed, guard.report, raises=raises)


def durations_for(settings: Settings, instruments: Instruments | None) -> LatencyQueue | None:
    """Where durations wait to be recorded; None where nobody wants them one by one."""
    if instruments is None or not settings.export_duration:
        return None
    return LatencyQueue(partial(instruments.record, attributes=settings.attributes), instruments.listened_to)


def layout_for(reference: Reference, settings: Settings, detecting: StreamEvaluator | None, guard: Guard) -> Layout:
    """The layout of what is counted: a plain one where every column is a feature and no detector looks on."""

    def not_derived(name: str, error: Exception) -> None:
        if settings.on_error == "raise":
            raise error
        # Its type alone: the message may quote the row, which stays here.
        guard.report("derive", f"derive[{name!r}] raised {type(error).__name__}, its value is missing")

    stages: list[Callable[[Columns, int], Columns]] = []
    if reference.derived is not None:
        stages.append(Deriver(reference.derived, settings.derive, not_derived))
    if detecting is not None:
        names = [one.name for one in reference.watched]
        stages.append(detecting.watch(names, unwatchable_streams(reference, settings.detectors)))
    return StagedLayout(reference.watched, stages, reference.derived) if stages else Layout(reference.watched)


def capture_for(
    reference: Reference, layout: Layout, guard: Guard, dropped: Callable[[str, int], None]
) -> FeatureReader:
    """The capture of calls."""
    vectors = () if reference.derived is None else tuple(vector.column for vector in reference.derived.vectors)
    packs = layout.compares(len(reference.columns))
    return make_reader(reference.columns, vectors, guard.report, dropped, packs=packs)


def lookout_for(
    capture: FeatureReader, layout: Layout, guard: Guard, dropped: Callable[[str, int], None]
) -> FeatureReader:
    """The capture of batches that are no call: where they are counted at once they are read where they lie."""
    return capture if layout.defers else FeatureReader(capture.names, guard.report, dropped, copies=False, late=False)


def exported_names(
    watched: Sequence[Feature],
    layout: Layout,
    settings: Settings,
    detecting: StreamEvaluator | None,
    instruments: Instruments | None,
    guard: Guard,
) -> tuple[frozenset[str], frozenset[str]]:
    """Whose states and scores leave, and whose counts per bin: as many as the SDK's limit of series allows."""
    names = tuple(feature.name for feature in watched)
    detectors = () if detecting is None else detecting.names
    if instruments is None:
        return frozenset((*names, *detectors)), frozenset()
    # A state has three series per feature, scores have one per distance and length: the larger counts.
    computed = {*(distance.name for distance in settings.distances), *settings.rule.distances}
    each = max(3, len(computed) * len(settings.rule.lengths))
    # A detector has an entry among the states, and no scores.
    wanted = {**dict.fromkeys(names, each), **dict.fromkeys(detectors, 3)}
    exported, binned = instruments.reserve("features", settings.attributes, wanted), frozenset[str]()
    _tell_left(guard, "states and scores", [name for name in wanted if name not in exported])
    if settings.export_bins:
        sizes = {(layout.fingerprint, feature.name): feature.bins.size for feature in watched}
        granted = instruments.reserve("bins", settings.attributes, sizes)
        binned = frozenset(name for _, name in granted)
        _tell_left(guard, "bins", [name for name in names if name not in binned])
    return exported, binned


def _tell_left(guard: Guard, what: str, left: Sequence[str]) -> None:
    if left:
        shown = ", ".join(repr(name[:60]) for name in left[:5])
        guard.report("cardinality", f"{len(left)} features are judged, their {what} not exported: {shown} …")


def learning_capture(
    ask: Learn, names: tuple[str, ...], *, guard: Guard, dropped: Callable[[str, int], None]
) -> FeatureReader:
    """The capture of calls while a reference is learnt from them."""
    return make_reader(names, ask.vectors, guard.report, dropped, late=False)


def week_for(reference: Reference, settings: Settings) -> WeekClock | None:
    """The hour in which rows are counted besides; None where windows are not compared by seasons."""
    seasonal = reference.seasons is not None and reference.seasons.kinds
    return WeekClock(settings.wall_clock) if seasonal else None
