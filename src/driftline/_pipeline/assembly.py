"""Builds everything that depends on a reference, as one object so that one step switches to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from driftline._binning.bins import PREDICTION, Feature
from driftline._binning.calibration import fit_calibration
from driftline._binning.confidence import ConfidenceReader
from driftline._binning.layout import Layout
from driftline._binning.prediction_kind import kind_of
from driftline._binning.rejects import Rejects
from driftline._capture.keyed_reader import KeyedReader
from driftline._capture.names import UnknownNames
from driftline._capture.ownership import Ownership, copy_value, keep_value, own_value
from driftline._capture.reader import FeatureReader
from driftline._capture.vector_reader import make_reader
from driftline._derived.transform import Columns, Deriver, StagedLayout, fingerprint_of
from driftline._pipeline.active_reference import ActiveReference
from driftline._pipeline.clustering import Clustering
from driftline._pipeline.learning import Learner
from driftline._pipeline.planned_series import planned_series
from driftline._pipeline.scheduling import EvaluationTurns
from driftline._pipeline.series import ExportedSeries
from driftline._pipeline.settings import Settings
from driftline._recording.durations import DurationQueue
from driftline._recording.recorder import Recorder
from driftline._runtime.floats import without_float_errors
from driftline._runtime.guard import Guard
from driftline._runtime.worker import Worker
from driftline._seasons.clock import WeekClock
from driftline._seasons.zones import TimeZone
from driftline._significance.learned import Learned
from driftline._windows.panes import Panes
from driftline._windows.window import Window
from driftline.detection._evaluator import WindowEvaluator
from driftline.detection._stream_detectors import unwatchable_streams
from driftline.detection._streaming import StreamEvaluator
from driftline.otel import Instruments, current_context
from driftline.reference import Learn, Reference
from driftline.results import StateChange

__all__ = ["Assembly", "detectors_for", "duration_queue_for"]

Reader: TypeAlias = "FeatureReader | KeyedReader"
"""Reads the features of calls, with or without keys."""

_log = logging.getLogger("driftline")

OF_THE_FLEET = "the rows of all processes together have a state (scope='fleet'), see driftline judge"
"""The reason of the states of a process whose counts are evaluated with those of its fleet."""


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

    @without_float_errors
    def build(self, reference: Reference, learned: Learned | None = None) -> ActiveReference:
        """
        Build the objects that compare traffic with a reference. No call uses them yet.

        Building reserves series of the export, so build only for a reference that is about to be switched to. *learned*
        is what is known about the dependence of rows. If None, nothing.
        """
        settings, guard, watched = self.settings, self.guard, reference.watched
        if reference.check is not None and reference.check.warning:
            _log.warning("model %s, reference: %s", settings.name, reference.check.warning)
        layout = self._layout(reference, watched)
        seasons = reference.seasons
        # Seasons are compared by the hour of the week.
        week = WeekClock(settings.wall_clock, TimeZone(seasons.timezone)) if seasons and seasons.kinds else None
        rejects = Rejects(watched, guard.report, _projected(reference))
        confidence = _confidence_reader(reference)
        clustering = Clustering.of(settings, reference)
        clusters = None if clustering is None else clustering.learner(reference, settings, learned)
        buckets = None
        if clustering is not None and clusters is not None:
            buckets = clustering.table(reference, settings, clusters, guard.report)
        panes = Panes(layout, settings.window, settings.clock, week, rejects, confidence, buckets)
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
            learned,
            clusters,
            OF_THE_FLEET if settings.fleet else "",
        )
        panes.divide(wanted=evaluator.learning)
        turns = EvaluationTurns(evaluator, panes, self.detectors, guard)
        capture = self._reader(reference, layout, clustering)
        probable = kind_of(reference.prediction) == "probability"
        labels = settings.outcomes.labels_over(reference.labels, probable=probable)
        recorder = Recorder(
            panes,
            len(reference.features),
            capture,
            # Batches that are counted before the caller goes on need no copy.
            capture if layout.defers else self._batch_reader(reference, clustering),
            durations=self.durations,
            worker=self.worker,
            on_overdue=turns.evaluate_overdue,
            on_stuck=partial(guard.report, "derive", "a function in derive= does not return: rows are dropped"),
            form=replace(labels.form, scores=confidence is not None),
        )
        fingerprints = {
            # The prediction is never derived. Its counts therefore add up over references that derive other features.
            feature.name: fingerprint_of([feature], None if feature.name == PREDICTION else reference.derived)
            for feature in watched
        }
        exported = self._exported_series(watched)
        sizes = {feature.name: feature.bins.size for feature in watched}
        binned = exported.bins(layout.fingerprint, sizes) if settings.exports_bins else frozenset[str]()
        self._log_series(reference)
        return ActiveReference(reference, layout, evaluator, turns, recorder, fingerprints, exported, binned)

    def _log_series(self, reference: Reference) -> None:
        """Log how many series the monitor exports under this reference."""
        if self.instruments is None or not _log.isEnabledFor(logging.INFO):
            return
        settings = self.settings
        series = planned_series(
            reference,
            settings.distances,
            settings.rule,
            bins=settings.exports_bins,
            durations=settings.export_duration,
            fleet=settings.fleet,
            detectors=0 if self.detectors is None else len(self.detectors.names),
        )
        _log.info(
            "model %s: at most %d series in this process, before outcomes and canaries: %s. See docs/metrics.md.",
            settings.name,
            sum(series.values()),
            ", ".join(f"{metric} {number}" for metric, number in series.items()),
        )

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
            cluster=settings.cluster,
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

    def _reader(self, reference: Reference, layout: Layout, clustering: Clustering | None) -> Reader:
        """Return a reader that copies the features of a call as a row."""
        columns, derived = reference.columns, reference.derived
        vectors = () if derived is None else tuple(vector.column for vector in derived.vectors)
        inputs = () if derived is None else derived.other_inputs
        make = partial(
            make_reader,
            vectors=vectors,
            report=self.guard.report,
            unknown=self._unknown(reference),
            unread=() if derived is None or derived.functions else inputs,
        )
        if clustering is None:
            ownership = self._ownership(reference, vectors)
            return make(columns, inputs=inputs, packs=layout.can_pack(len(columns)), ownership=ownership)
        keys = clustering.key_inputs
        return clustering.reader(
            lambda names: make(
                names,
                inputs=(*inputs, *keys),
                unread=() if clustering.holder(derived) is copy_value else tuple(set(inputs) - {clustering.cluster}),
                late=False,
                ownership=Ownership(names, clustering.holder(derived), vectors, trial=0),
            ),
            self.guard.report,
        )

    def _batch_reader(self, reference: Reference, clustering: Clustering | None) -> Reader:
        """Return a reader of batches that copies nothing."""
        make = partial(
            FeatureReader, report=self.guard.report, unknown=self._unknown(reference), copies=False, late=False
        )
        if clustering is None:
            return make(reference.columns, ownership=self._ownership(reference, ()))
        return clustering.reader(
            lambda names: make(
                names,
                inputs=clustering.key_inputs,
                ownership=Ownership(names, clustering.holder(reference.derived), trial=0),
            ),
            self.guard.report,
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
        """Reserve the series of the states of features and detectors. Features of a fleet have no state here."""
        detectors = () if self.detectors is None else self.detectors.names
        features = () if self.settings.fleet else tuple(feature.name for feature in watched)
        names = (*features, *detectors)
        computed = {*(distance.name for distance in self.settings.distances), *self.settings.rule.distances}
        scored = [feature.name for feature in watched]
        shortest = self.settings.window.label_of(1)
        return ExportedSeries(
            self.instruments, self.attributes, self.guard.report, names, scored, len(computed), shortest
        )


def _confidence_reader(reference: Reference) -> ConfidenceReader | None:
    """Return the reader of the confidences of predictions; None if the reference has no outcomes by confidence."""
    confidence = None if reference.outcomes is None else reference.outcomes.confidence
    if confidence is None or reference.prediction is None or not any(confidence.known):
        return None
    # Fit the curve now, so that no collection of metrics waits for it.
    fit_calibration(confidence)
    return ConfidenceReader(confidence.bins, reference.prediction.bins, len(reference.columns))


def _projected(reference: Reference) -> dict[str, tuple[str, ...]]:
    """Return the features that each projection of a reference combines, by the name of the projection."""
    projections = None if reference.derived is None else reference.derived.projections
    return {} if projections is None else dict.fromkeys(projections.names, projections.columns)


def duration_queue_for(
    settings: Settings, attributes: Mapping[str, str], instruments: Instruments | None
) -> DurationQueue | None:
    """Return the queue of durations, or None if nothing records them one by one."""
    if instruments is None or not settings.export_duration:
        return None
    record = partial(instruments.record, attributes=attributes)
    return DurationQueue(record, instruments.listened_to, current_context)


def detectors_for(settings: Settings, on_change: Callable[[StateChange], None], guard: Guard) -> StreamEvaluator | None:
    """Return the stream detectors of a monitor, or None if it has none."""
    if not settings.detectors or not settings.enabled:
        return None
    raises = settings.on_error == "raise"
    return StreamEvaluator(settings.detectors, settings.window, settings.clock, on_change, guard.report, raises=raises)
