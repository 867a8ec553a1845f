"""Everything that depends on a reference, built as one object so that one step switches to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from driftline._binning.bins import PREDICTION, Feature
from driftline._binning.layout import Layout
from driftline._binning.rejects import Rejects
from driftline._capture.names import UnknownNames
from driftline._capture.ownership import Ownership, copy_value, keep_value, own_value
from driftline._capture.reader import FeatureReader
from driftline._capture.vector_reader import make_reader
from driftline._derived.transform import Columns, Deriver, StagedLayout, fingerprint_of
from driftline._pipeline.learning import Learner
from driftline._pipeline.scheduling import EvaluationTurns
from driftline._pipeline.series import ExportedSeries
from driftline._pipeline.settings import Settings
from driftline._recording.durations import DurationQueue
from driftline._recording.recorder import Recorder
from driftline._runtime.guard import Guard
from driftline._runtime.worker import Worker
from driftline._seasons.calendar import WeekClock
from driftline._windows.panes import Panes
from driftline._windows.totals import Totals
from driftline._windows.window import Window
from driftline.detection._evaluator import WindowEvaluator
from driftline.detection._stream_detectors import unwatchable_streams
from driftline.detection._streaming import StreamEvaluator
from driftline.otel import Instruments
from driftline.reference import Learn, Reference
from driftline.results import StateChange
from driftline.typing import Counts

__all__ = ["ActiveReference", "Assembly"]


@dataclass(frozen=True, slots=True)
class ActiveReference:
    """
    One reference and the objects that compare traffic with it.

    Attributes:
        reference: the reference.
        layout: the bins of its features.
        evaluator: evaluates windows.
        turns: lets one thread at a time use the evaluator.
        recorder: counts calls and rows.
        fingerprints: by feature, the fingerprint of its bins. Counts of equal fingerprints add up.
        exported: the states and scores that are exported, within the limit of series.
        binned: the names of the features whose counts per bin are exported.
    """

    reference: Reference
    layout: Layout
    evaluator: WindowEvaluator
    turns: EvaluationTurns
    recorder: Recorder
    fingerprints: Mapping[str, str]
    exported: ExportedSeries
    binned: frozenset[str]

    def exported_counts(self, totals: Totals) -> dict[tuple[str, str], Counts]:
        """
        Return the rows per bin of each feature in *binned*.

        Keys are (fingerprint of the reference, name of the feature).
        """
        layout = self.layout
        return {
            (layout.fingerprint, feature.name): totals.counts[bins]
            for feature, bins in zip(self.reference.watched, layout.slices, strict=True)
            if feature.name in self.binned
        }

    def counts_by_feature(self, totals: Totals) -> dict[tuple[str, str], Counts]:
        """
        Return the rows per bin of each feature.

        Keys are (fingerprint of the feature's bins, name of the feature).
        """
        return {
            (self.fingerprints[feature.name], feature.name): totals.counts[bins]
            for feature, bins in zip(self.reference.watched, self.layout.slices, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Assembly:
    """
    The parts of a monitor that outlive its references. They build an `ActiveReference` or a `Learner`.

    Attributes:
        settings: the checked arguments of the monitor.
        attributes: model, version and variant.
        guard: reports errors.
        unknown: reports names of features that a reference lacks.
        on_change: called when a feature or detector changes its state.
        detectors: the stream detectors.
        instruments: limits the number of exported series. If None, nothing is exported.
        durations: the queue of durations. If None, durations are not recorded one by one.
        worker: the worker thread. If None, callers do its work.
    """

    settings: Settings
    attributes: Mapping[str, str]
    guard: Guard
    unknown: UnknownNames
    on_change: Callable[[StateChange], None]
    detectors: StreamEvaluator | None
    instruments: Instruments | None
    durations: DurationQueue | None
    worker: Worker | None

    def build(self, reference: Reference) -> ActiveReference:
        """
        Build the objects that compare traffic with a reference. No call uses them yet.

        Building reserves series of the export, so build only for a reference that is about to be switched to.
        """
        settings, guard, watched = self.settings, self.guard, reference.watched
        layout = self._layout(reference, watched)
        seasonal = reference.seasons is not None and reference.seasons.kinds
        # Seasons are compared by the hour of the week.
        week = WeekClock(settings.wall_clock) if seasonal else None
        rejects = Rejects(watched, guard.report, _projected(reference))
        panes = Panes(layout, settings.window, settings.clock, week, rejects)
        evaluator = WindowEvaluator(
            reference,
            layout,
            settings.window,
            settings.rule,
            settings.distances,
            settings.clock,
            self.on_change,
            guard.report,
            rejects,
        )
        panes.divide(wanted=evaluator.learning)
        turns = EvaluationTurns(evaluator, panes, self.detectors, guard)
        capture = self._reader(reference, layout)
        recorder = Recorder(
            panes,
            len(reference.features),
            capture,
            # Batches that are counted before the caller goes on need no copy.
            capture
            if layout.defers
            else FeatureReader(
                capture.names,
                guard.report,
                unknown=self._unknown(reference),
                copies=False,
                late=False,
                ownership=self._ownership(reference, ()),
            ),
            durations=self.durations,
            worker=self.worker,
            on_overdue=turns.evaluate_overdue,
            on_stuck=partial(guard.report, "derive", "a function in derive= does not return: rows are dropped"),
        )
        fingerprints = {
            # The prediction is never derived. Its counts therefore add up over references that derive other features.
            feature.name: fingerprint_of([feature], None if feature.name == PREDICTION else reference.derived)
            for feature in watched
        }
        exported = self._exported_series(watched)
        sizes = {feature.name: feature.bins.size for feature in watched}
        binned = exported.bins(layout.fingerprint, sizes) if settings.export_bins else frozenset[str]()
        return ActiveReference(reference, layout, evaluator, turns, recorder, fingerprints, exported, binned)

    def watch_streams(self, reference: Reference) -> None:
        """Let the stream detectors watch the streams of this reference from now on. Without detectors, do nothing."""
        if self.detectors is not None:
            self.detectors.watch(*self._streams(reference))

    def _streams(self, reference: Reference) -> tuple[list[str], dict[str, str]]:
        """
        Return the streams of a reference.

        Returns:
            the names of the features; and for each stream that no detector can watch, the reason.
        """
        names = [feature.name for feature in reference.watched]
        return names, unwatchable_streams(reference, self.settings.detectors)

    def learn(self, learn: Learn, on_learned: Callable[[Reference], None]) -> Learner:
        """Return the learner of a reference, which calls *on_learned* with it."""
        settings, guard, detectors = self.settings, self.guard, self.detectors

        def on_overdue(threaded: bool) -> None:  # noqa: FBT001 - a callback of `Backpressure`
            if detectors is not None and not threaded:
                detectors.feed()

        unread = () if settings.derive else learn.ignore
        # A window that is never full.
        panes = Panes(Layout(()), Window(rows=2**40), settings.clock, None)
        return Learner(
            learn,
            panes,
            lambda names: make_reader(
                names,
                learn.vectors,
                guard.report,
                unknown=self.unknown,
                unread=unread,
                late=False,
                ownership=Ownership(names, copy_value if settings.derive else keep_value, learn.vectors, trial=0),
            ),
            on_learned=on_learned,
            report=guard.report,
            derive=settings.derive,
            durations=self.durations,
            worker=self.worker,
            on_overdue=on_overdue,
        )

    def _layout(self, reference: Reference, watched: Sequence[Feature]) -> Layout:
        """Return the layout of the bins. It has stages for derived features and for detectors, if there are any."""
        stages: list[Callable[[Columns, int], Columns]] = []
        if reference.derived is not None:
            stages.append(Deriver(reference.derived, self.settings.derive, self._on_derive_error))
        if self.detectors is not None:
            stages.append(self.detectors.queueing_stage(*self._streams(reference)))
        return StagedLayout(watched, stages, reference.derived) if stages else Layout(watched)

    def _on_derive_error(self, name: str, error: BaseException) -> None:
        """Raise or report the error of the function of the derived feature *name*."""
        if self.settings.on_error == "raise":
            raise error
        # The class alone: the message may quote the row, which must not leave the process.
        self.guard.report("derive", f"derive[{name!r}] raised {type(error).__name__}, its value is missing")

    def _reader(self, reference: Reference, layout: Layout) -> FeatureReader:
        """Return a reader that copies the features of a call as a row."""
        columns, derived = reference.columns, reference.derived
        vectors = () if derived is None else tuple(vector.column for vector in derived.vectors)
        inputs = () if derived is None else tuple(name for name in derived.inputs if name not in vectors)
        return make_reader(
            columns,
            vectors,
            self.guard.report,
            unknown=self._unknown(reference),
            inputs=inputs,
            unread=() if derived is None or derived.functions else inputs,
            packs=layout.can_pack(len(columns)),
            ownership=self._ownership(reference, vectors),
        )

    def _ownership(self, reference: Reference, vectors: Collection[str]) -> Ownership:
        """Return what a reader keeps of the values: all of them if user functions read them, else what bins need."""
        derived = reference.derived
        hold = copy_value if derived is not None and derived.functions else own_value
        return Ownership(reference.columns, hold, vectors)

    def _unknown(self, reference: Reference) -> UnknownNames:
        """Return the report of names that the reference lacks. The column of its times is known, and no feature."""
        column = None if reference.seasons is None else reference.seasons.column
        return self.unknown.knowing(() if column is None else (column,))

    def _exported_series(self, watched: Sequence[Feature]) -> ExportedSeries:
        """Reserve the series of the states of features and detectors."""
        detectors = () if self.detectors is None else self.detectors.names
        names = (*(feature.name for feature in watched), *detectors)
        computed = {*(distance.name for distance in self.settings.distances), *self.settings.rule.distances}
        return ExportedSeries(self.instruments, self.attributes, self.guard.report, names, len(computed))


def _projected(reference: Reference) -> dict[str, tuple[str, ...]]:
    """Return the features that each projection of a reference combines, by the name of the projection."""
    projections = None if reference.derived is None else reference.derived.projections
    return {} if projections is None else dict.fromkeys(projections.names, projections.columns)
