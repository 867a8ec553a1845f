"""`ActiveReference`: one reference with everything that depends on it, replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from driftline import semconv as sc
from driftline._binning.layout import Layout
from driftline._pipeline.scheduling import EvaluationTurns
from driftline._pipeline.series import ExportedSeries
from driftline._recording.recorder import Recorder
from driftline._windows.blocks import BlockCounts
from driftline._windows.totals import Totals
from driftline.detection._evaluator import WindowEvaluator
from driftline.reference import Reference
from driftline.typing import Counts

__all__ = ["ActiveReference"]


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
        origin: the value of ``ml.reference.origin``: where the reference comes from.
    """

    reference: Reference
    layout: Layout
    evaluator: WindowEvaluator
    turns: EvaluationTurns
    recorder: Recorder
    fingerprints: Mapping[str, str]
    exported: ExportedSeries
    binned: frozenset[str]
    origin: str = "training"

    @property
    def info(self) -> dict[str, str | int]:
        """The attributes of ``ml.monitor.info`` that describe the reference."""
        return {
            sc.ML_REFERENCE_FINGERPRINT: self.layout.fingerprint,
            sc.ML_REFERENCE_ROWS: self.reference.rows,
            sc.ML_REFERENCE_FEATURES: len(self.reference.features),
        }

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

    def blocks_by_feature(self, bins: BlockCounts) -> dict[tuple[str, str], BlockCounts]:
        """Return what `counts_by_feature` returns, by block of time. *bins* are those of `CallLog.read`."""
        return {
            (self.fingerprints[feature.name], feature.name): replace(bins, counts=bins.counts[:, columns])
            for feature, columns in zip(self.reference.watched, self.layout.slices, strict=True)
        }
