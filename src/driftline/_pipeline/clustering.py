"""The parts of a monitor that ``cluster=`` needs: a reader of keys, and a table of rows by bucket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from driftline._binning.cluster_bins import ClusterBins
from driftline._capture.clusters import Cluster, ClusterKeys
from driftline._capture.keyed_reader import KeyedReader
from driftline._capture.ownership import Holder, copy_value, own_value
from driftline._capture.reader import FeatureReader
from driftline._derived.spec import Derived
from driftline._pipeline.settings import Settings
from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._runtime.guard import Report
from driftline._significance.cluster_learner import ClusterLearner, KnownClusters
from driftline._significance.learned import Learned
from driftline._windows.bucket_table import BucketTable
from driftline.reference import Reference

__all__ = ["Clustering"]


@dataclass(frozen=True, slots=True)
class Clustering:
    """
    Where the key of a row is.

    Attributes:
        cluster: the name of the column of keys, or a user function of a row.
        names: names of the columns that are captured, that of the keys included.
        column: index of the column of keys in *names* if nothing else needs that column; else None.
        known: what the reference knows of keys; None if it was fitted without.
    """

    cluster: Cluster
    names: tuple[str, ...]
    column: int | None
    known: KnownClusters | None

    @classmethod
    def of(cls, settings: Settings, reference: Reference) -> Clustering | None:
        """Return the clustering that a monitor asks for, or else that of the reference; None if neither has one."""
        fitted, columns = reference.clusters, reference.columns
        cluster = settings.cluster or (None if fitted is None else fitted.column)
        if cluster is None:
            return None
        known = None if fitted is None else KnownClusters(fitted.correlations, fitted.size, fitted.factors)
        if not isinstance(cluster, str) or cluster in columns:
            return cls(cluster, columns, None, known)
        # In rows without names, the key is where it was in the training data, or last.
        same = fitted is not None and fitted.column == cluster
        index = len(columns) if not same or fitted is None or fitted.index is None else fitted.index
        return cls(cluster, (*columns[:index], cluster, *columns[index:]), index, known)

    @property
    def key_inputs(self) -> tuple[str, ...]:
        """The name of the column of keys, if nothing else needs it; else nothing."""
        return () if self.column is None else (self.names[self.column],)

    def holder(self, derived: Derived | None) -> Holder:
        """Return the function that a reader applies to values: whole values for user functions, else what bins need."""
        return copy_value if callable(self.cluster) or (derived is not None and derived.functions) else own_value

    def learner(self, reference: Reference, settings: Settings, learned: Learned | None) -> ClusterLearner:
        """
        Return what learns from windows how much the rows of a key depend on each other.

        It begins with what the reference knows, or *learned* if that is known better.
        """
        known = None if learned is None else learned.correlations(reference.watched)
        bins = ClusterBins.of(reference.watched)
        counts = bins.pooled(np.concatenate([feature.counts for feature in reference.watched]))
        return ClusterLearner(bins, counts, settings.rule.lengths, KEY_BUCKETS, self.known, known)

    def table(self, reference: Reference, settings: Settings, learner: ClusterLearner, report: Report) -> BucketTable:
        """Return the table of rows by bucket, which *learner* learns from."""
        return BucketTable(learner.bins, len(reference.columns), settings.window.panes, learner, report)

    def reader(self, make: Callable[[tuple[str, ...]], FeatureReader], report: Report) -> KeyedReader:
        """
        Return the reader of features and buckets.

        Args:
            make: returns a reader of the columns of these names.
            report: called with a place and a message for keys of a wrong type.
        """
        bare = None
        if self.column is not None:
            bare = make((*self.names[: self.column], *self.names[self.column + 1 :]))
        return KeyedReader(make(self.names), ClusterKeys(self.cluster, self.names, report), self.column, bare)
