"""What a value is: the frozen values of driftline in the order of its flow, and the Protocols that plug in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from driftline.errors import ConfigurationError

__all__ = [
    "PREDICTION",
    "Bins",
    "CanaryState",
    "CategoricalBins",
    "Column",
    "Component",
    "Correct",
    "Counts",
    "Detector",
    "Distance",
    "DriftState",
    "Feature",
    "FeatureStatus",
    "Label",
    "Moments",
    "NumericBins",
    "OutcomeCounts",
    "RetrainingRequest",
    "Score",
    "Snapshot",
    "StateChange",
]

PREDICTION = "prediction"
"""The name under which the model's output is watched like any feature."""

Counts: TypeAlias = NDArray[np.int64]
Label: TypeAlias = "str | int | float | bool"
Column: TypeAlias = "NDArray[np.generic] | Sequence[object]"
DriftState: TypeAlias = Literal["stable", "drifting", "insufficient_data"]
CanaryState: TypeAlias = Literal["promote", "rollback", "inconclusive"]


# --- the reference ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NumericBins:
    """
    Half-open bins ``[cuts[i], cuts[i+1])`` with a bin below the first cut, one above the last and one for missing.

    With ``k`` cuts the bin numbers are 0 (below), 1 … k-1 (between), k (above) and k+1 (missing).
    """

    cuts: tuple[float, ...]

    @property
    def size(self) -> int:
        """Number of bins, the ones out of range and the one for missing included."""
        return len(self.cuts) + 2

    @property
    def missing(self) -> int:
        """The number of the bin of missing values."""
        return len(self.cuts) + 1

    def label(self, number: int) -> str:
        """The bin in words."""
        last = len(self.cuts)
        if number == last + 1:
            return "missing"
        if not self.cuts:
            return "present"
        if number == 0:
            return f"below {_shown(self.cuts[0])}"
        if number == last:
            return f"above {_shown(self.cuts[-1])}"
        return f"{_shown(self.cuts[number - 1])} to {_shown(self.cuts[number])}"


def _shown(cut: float) -> str:
    """A cut in words; one that lies below zero only because the range was widened by one float32 step is zero."""
    return "0" if abs(cut) < np.finfo(np.float32).tiny else f"{cut:.6g}"


@dataclass(frozen=True, slots=True)
class CategoricalBins:
    """
    A bin per frequent category, then *other* (known but rare), *unseen* and *missing*.

    ``open`` says that the reference had more categories than are kept, so that an unknown one may well have been among
    them: it counts as *other*, and nothing is ever *unseen*.
    """

    categories: tuple[Label, ...]
    others: tuple[Label, ...] = ()
    open: bool = False

    @property
    def size(self) -> int:
        """Number of bins, *other*, *unseen* and *missing* included."""
        return len(self.categories) + 3

    @property
    def other(self) -> int:
        """The number of the bin of known, rare categories."""
        return len(self.categories)

    @property
    def unseen(self) -> int:
        """The number of the bin of categories that the reference did not have."""
        return len(self.categories) + 1

    @property
    def missing(self) -> int:
        """The number of the bin of missing values."""
        return len(self.categories) + 2

    def label(self, number: int) -> str:
        """The bin in words."""
        if number < len(self.categories):
            return str(self.categories[number])
        return ("other", "unseen", "missing")[number - len(self.categories)]


Bins: TypeAlias = "NumericBins | CategoricalBins"


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean, population standard deviation and range of the finite values of a numeric feature."""

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Feature:
    """
    A feature of the reference: its bins, what the training data put into them, and the mean within each bin.

    ``once`` is the number of categories that the training data had a single time: about as many rows in as many again
    hold a category that was never seen (Good 1953, *The population frequencies of species*). ``twice``, of those
    that it had two times, tells how well that is known.
    """

    name: str
    bins: Bins
    counts: tuple[int, ...]
    means: tuple[float, ...] = ()
    moments: Moments | None = None
    once: int = 0
    twice: int = 0

    def positions(self) -> NDArray[np.float64]:
        """
        Where each bin lies, in standard deviations from the reference's mean; nan where a bin has no place.

        Values out of range lie at least at the reference's minimum or maximum: how far out is not known from counts, so
        distances that use positions understate a shift beyond the range (the out-of-range bin itself tells of it).
        """
        places = np.full(self.bins.size, np.nan)
        if not isinstance(self.bins, NumericBins) or self.moments is None or not self.bins.cuts:
            return places
        last = len(self.bins.cuts)
        places[1:last] = self.means[1:last]
        places[0], places[last] = self.moments.minimum, self.moments.maximum
        if self.moments.std == 0.0:
            # A constant has no spread to measure in: whatever differs from it lies one unit away.
            places[:-1] = np.sign(np.arange(last + 1) - 1.0)
            return places
        return (places - self.moments.mean) / self.moments.std


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """
    Per bin of the prediction: outcomes known in the reference, and how many of them the prediction got right.

    ``dispersion``: how much more the right ones scatter over stretches of rows than those of independent rows would.
    """

    known: tuple[int, ...]
    correct: tuple[int, ...]
    dispersion: float = 1.0


# --- windows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """
    The counts of some rows: one flat vector over the bins of all features, in the order of the reference.

    Snapshots over the same bins add up: of two threads, processes, hosts or stretches of time.
    """

    counts: Counts
    rows: int
    fingerprint: str

    def __add__(self, other: Snapshot) -> Snapshot:
        if not isinstance(other, Snapshot):
            return NotImplemented
        if self.fingerprint != other.fingerprint:
            msg = f"snapshots over different bins do not add up: {self.fingerprint} and {other.fingerprint}"
            raise ConfigurationError(msg)
        return Snapshot(self.counts + other.counts, self.rows + other.rows, self.fingerprint)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return (
            self.fingerprint == other.fingerprint
            and self.rows == other.rows
            and bool(np.array_equal(self.counts, other.counts))
        )

    def __hash__(self) -> int:
        return hash((self.fingerprint, self.rows, self.counts.tobytes()))


# --- judgement -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Score:
    """
    A distance with its evidence: raw, corrected for the bias of small windows where that is known, and n.

    ``str(score)`` says in words what moved, from where to where, and which bins carry it.
    """

    feature: str
    distance: str
    value: float
    corrected: float | None
    rows: int
    length: str
    moved: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    """Says what moved, when it is asked: of hundreds of scores a second few ever are."""

    def __str__(self) -> str:
        moved = self.feature if self.moved is None else self.moved()
        corrected = "" if self.corrected is None else f" ({self.corrected:.3g} corrected)"
        return f"{moved}; {self.distance} {self.value:.3g}{corrected}, n = {self.rows}"


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the difference between a window and the reference: its name, how sure it is, and it in words."""

    name: str
    p_value: float
    words: str


@dataclass(frozen=True, slots=True)
class FeatureStatus:
    """
    Whether a feature drifts, how sure that is (p-value), how large (corrected PSI), on how many rows, and why.

    ``components`` are the parts of the difference (location, spread, shape, out of range, missing; for categories mix,
    unseen, missing), each tested by itself, the most significant first; empty where the rule does not test.
    """

    state: DriftState
    p_value: float | None
    effect: float | None
    rows: int
    reason: str
    components: Sequence[Component] = ()


@dataclass(frozen=True, slots=True)
class StateChange:
    """A feature has gone from one state to another."""

    feature: str
    previous: DriftState
    status: FeatureStatus
    length: str


@dataclass(frozen=True, slots=True)
class RetrainingRequest:
    """A request to train anew: an id, since when (UNIX seconds), and why."""

    id: str
    model: str
    version: str | None
    reason: Literal["drift", "accuracy", "latency"]
    detail: str
    features: tuple[str, ...]
    created: float


# --- what plugs in ---------------------------------------------------------------------------------------------------


@runtime_checkable
class Distance(Protocol):
    """Two count vectors over the same bins in, one number out. Pure; nan where it is undefined."""

    def __call__(self, reference: Counts, current: Counts, /) -> float:
        """The distance of *current* from *reference*."""
        ...


class Detector(Protocol):
    """A sequential test: fed one value at a time, and asked after each. river's fit as they are, frouros's too."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last value showed a change; the detector starts anew by itself after one."""
        ...

    def update(self, x: float, /) -> object:
        """Take one finite value."""
        ...


class Correct(Protocol):
    """Decides whether a prediction was right, once the outcome is known."""

    def __call__(self, prediction: object, actual: object, /) -> bool:
        """True when *prediction* got *actual* right."""
        ...
