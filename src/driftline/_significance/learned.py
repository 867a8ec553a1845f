"""`Learned`: what monitors have learned about the dependence of rows, by feature name, for references of any bins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from driftline._binning.bins import Feature, NumericBins
from driftline._significance.clusters import ROW_FREEDOM, Correlations
from driftline._significance.components import PARTS
from driftline._significance.dependence import Dependence, have_equal_arrays
from driftline.typing import Floats

__all__ = ["FeatureDependence", "FeatureKind", "Learned"]

FeatureKind: TypeAlias = Literal["numeric", "categorical"]

SAME_LENGTH = math.sqrt(2.0)
"""
Largest ratio of two block lengths that count as one. Lengths of one monitor are a factor of 2 apart, so each length has
at most one neighbour within it.
"""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureDependence:
    """
    The dependence of consecutive rows in one feature, as `Dependence` has it for all features of a reference.

    Attributes:
        kind: the kind of its bins. The parts of numeric and categorical features differ.
        lengths: shape (lengths,), rows per block, ascending. They are means, and need not be integers.
        freedom: shape (lengths,), degrees of freedom of the factors.
        factors: shape (lengths, parts), variance of a block's counts divided by that of independent rows; nan if it is
            unknown.
        directions: shape (lengths,), effective number of independent directions in which the shape varies.
        keys: shape (`ROW_SIZE`,), how much rows of one key depend on each other (see `Correlations.rows`). None if that
            is not known.
    """

    kind: FeatureKind
    lengths: Floats
    freedom: Floats
    factors: Floats
    directions: Floats
    keys: Floats | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FeatureDependence):
            return NotImplemented
        arrays = ("lengths", "freedom", "factors", "directions")
        same = self.keys is other.keys or (
            self.keys is not None and other.keys is not None and np.array_equal(self.keys, other.keys)
        )
        return self.kind == other.kind and have_equal_arrays(self, other, arrays) and same

    def __hash__(self) -> int:
        return hash((self.kind, self.lengths.tobytes(), self.factors.tobytes()))

    @property
    def evidence(self) -> float:
        """The degrees of freedom of all lengths with a known factor."""
        return float(self.freedom[np.isfinite(self.factors).any(axis=1)].sum())

    @property
    def evidence_of_keys(self) -> float:
        """The degrees of freedom of what is known of keys."""
        return 0.0 if self.keys is None else float(self.keys[ROW_FREEDOM].sum())


@dataclass(frozen=True, slots=True)
class Learned:
    """
    What monitors of one model have learned about the dependence of rows, by feature.

    It holds no bins, so it fits each reference that has features of the same names and kinds.

    Attributes:
        features: the dependence of each feature, by name.
    """

    features: Mapping[str, FeatureDependence]

    @classmethod
    def of(
        cls, features: Sequence[Feature], dependence: Dependence | None, correlations: Correlations | None = None
    ) -> Learned:
        """
        Return the dependence of watched features by name, without those of which nothing is known.

        Args:
            features: the features, in the order of *dependence*.
            dependence: their dependence. If None, the result is empty.
            correlations: how much their rows of one key depend on each other. If None, that is not known.
        """
        if dependence is None:
            return cls({})
        rows = None if correlations is None else correlations.rows
        by_name = {}
        for index, feature in enumerate(features):
            known = np.isfinite(dependence.factors[:, index]).any(axis=1)
            if known.any():
                by_name[feature.name] = FeatureDependence(
                    _kind_of(feature),
                    dependence.lengths[known],
                    dependence.blocks[known],
                    dependence.factors[known, index],
                    dependence.directions[known, index],
                    None if rows is None or not rows[index].any() else rows[index],
                )
        return cls(by_name)

    def updated(self, other: Learned) -> Learned:
        """
        Return, for each feature, the dependence with more evidence of the two; of equal ones that of *other*.

        The evidence of the two is not added up. Workers that serve side by side see the same hours of the same traffic,
        and both may have started from the same file. A sum would count what they share twice.
        """
        features = dict(self.features)
        for name, later in other.features.items():
            own = features.pop(name, None)
            keep = own is not None and own.kind == later.kind and own.evidence > later.evidence
            kept = own if own is not None and keep else later
            if own is not None and own.kind == later.kind:
                better = own if own.evidence_of_keys > later.evidence_of_keys else later
                kept = replace(kept, keys=better.keys)
            features[name] = kept
        return Learned(features)

    def completed(self, other: Learned) -> Learned:
        """Return the same with the features of *other* that are absent here."""
        return Learned({**other.features, **self.features})

    def correlations(self, features: Sequence[Feature]) -> Correlations | None:
        """Return what is known of the keys of the features of a reference, in their order; None if it is nothing."""
        rows = [
            own.keys if (own := self.features.get(feature.name)) is not None and own.kind == _kind_of(feature) else None
            for feature in features
        ]
        return Correlations.of_rows(rows) if any(row is not None for row in rows) else None

    def dependence(self, features: Sequence[Feature]) -> Dependence | None:
        """
        Return the dependence of the features of a reference, in their order; None if none of them is known.

        A feature counts as known if its name and its kind are. Factors of other features are nan. Lengths of features
        that differ by less than `SAME_LENGTH` are put together. The degrees of freedom of a length are the
        fewest of its features.
        """
        known = {
            index: own
            for index, feature in enumerate(features)
            if (own := self.features.get(feature.name)) is not None and own.kind == _kind_of(feature)
        }
        if not known:
            return None
        lengths = _common_lengths([own.lengths for own in known.values()])
        blocks = np.full(len(lengths), np.inf)
        factors = np.full((len(lengths), len(features), PARTS), np.nan)
        directions = np.ones((len(lengths), len(features)))
        for index, own in known.items():
            at = _nearest(lengths, own.lengths)
            factors[at, index], directions[at, index] = own.factors, own.directions
            np.minimum.at(blocks, at, own.freedom)
        return Dependence(lengths, blocks, factors, directions)


def _kind_of(feature: Feature) -> FeatureKind:
    return "numeric" if isinstance(feature.bins, NumericBins) else "categorical"


def _common_lengths(each: Sequence[Floats]) -> Floats:
    """Return ascending lengths, such that each given length is one of them or within `SAME_LENGTH` of one."""
    common: list[float] = []
    for length in np.unique(np.concatenate(each)).tolist():
        if not common or length >= common[-1] * SAME_LENGTH:
            common.append(length)
    return np.array(common)


def _nearest(lengths: Floats, wanted: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the index of the nearest of *lengths* for each wanted one, by their ratio; shape of *wanted*."""
    distances = np.abs(np.log(lengths)[:, None] - np.log(wanted)[None, :])
    nearest: np.ndarray[tuple[int], np.dtype[np.intp]] = distances.argmin(axis=0)
    return nearest
