"""What a value is: the frozen values of driftline in the order of its flow, and the Protocols that plug in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from driftline.errors import ConfigurationError
from driftline.typing import Counts

__all__ = [
    "CanaryState",
    "Component",
    "DriftState",
    "FeatureStatus",
    "Score",
    "Snapshot",
    "StateChange",
    "replaced",
]
DriftState: TypeAlias = Literal["stable", "drifting", "insufficient_data"]
CanaryState: TypeAlias = Literal["promote", "rollback", "inconclusive"]


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


def replaced(states: Mapping[str, FeatureStatus], length: str) -> Iterator[StateChange]:
    """The changes to no state at all, of everything that had one."""
    for name, status in states.items():
        if status.state != "insufficient_data":
            unknown = FeatureStatus("insufficient_data", None, None, 0, "the reference was replaced")
            yield StateChange(name, status.state, unknown, length)
