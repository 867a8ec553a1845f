"""Results of a monitor: counts, scores and states of features. All are immutable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np

from driftline.errors import ConfigurationError
from driftline.typing import Counts

__all__ = [
    "WORST_FIRST",
    "CanaryState",
    "Component",
    "DriftState",
    "FeatureStatus",
    "Score",
    "Snapshot",
    "StateChange",
    "replaced",
    "worst_state",
]
DriftState: TypeAlias = Literal["stable", "drifting", "insufficient_data"]
CanaryState: TypeAlias = Literal["promote", "rollback", "inconclusive"]

WORST_FIRST: Final[tuple[DriftState, ...]] = ("drifting", "insufficient_data", "stable")
"""All drift states in the order in which they matter."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """
    The counts of rows over the bins of all features.

    Snapshots over the same bins add up with ``+``: those of several threads, processes, hosts or times.

    Attributes:
        counts: rows per bin, shape (bins,), in the order of the features of the reference.
        rows: number of rows.
        fingerprint: `Reference.fingerprint` of the reference, which identifies the bins.

    Raises:
        ConfigurationError: two snapshots over different bins are added.
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


@dataclass(frozen=True, slots=True)
class Score:
    """
    The distance of one feature from the reference.

    ``str(score)`` explains the score: how far the median moved, and which bins changed most.

    Attributes:
        feature: the name of the feature.
        distance: the name of the distance.
        value: the distance.
        corrected: the distance minus its expectation without drift; None if that is not known.
        rows: rows of the feature in the window.
        length: the length of the window, as `Window.label`.
        moved: returns the explanation; None if there is none.
    """

    feature: str
    distance: str
    value: float
    corrected: float | None
    rows: int
    length: str
    moved: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    """Returns the explanation. It is a function because few of the hundreds of scores a second are ever printed."""

    def __str__(self) -> str:
        moved = self.feature if self.moved is None else self.moved()
        corrected = "" if self.corrected is None else f" ({self.corrected:.3g} corrected)"
        return f"{moved}; {self.distance} {self.value:.3g}{corrected}, n = {self.rows}"


@dataclass(frozen=True, slots=True)
class Component:
    """
    A part of the difference between a window and the reference.

    Attributes:
        name: the name of the part, such as ``"location"``.
        p_value: the p-value of its test.
        words: a short description, such as ``"location up"``.
        size: how large the part is, in standard deviations of the reference or what is as much; None if not known.
            It orders the parts of one feature.
    """

    name: str
    p_value: float
    words: str
    size: float | None = None


@dataclass(frozen=True, slots=True)
class FeatureStatus:
    """
    The state of a feature, and the evidence for it.

    Attributes:
        state: ``"stable"``, ``"drifting"`` or ``"insufficient_data"``.
        p_value: the p-value of the test; None if the rule does not test.
        effect: the corrected PSI; None if it is not known.
        rows: rows of the feature in the window.
        reason: the reason for the state, as a sentence.
        components: the parts of the difference, the largest significant one first; empty if the rule does not test.
            Numeric features have location, spread, shape, out of range and missing. Categorical ones have mix, unseen
            and missing.
    """

    state: DriftState
    p_value: float | None
    effect: float | None
    rows: int
    reason: str
    components: Sequence[Component] = ()

    def __repr__(self) -> str:
        return f"FeatureStatus({self.state!r}, effect={self.effect}, p_value={self.p_value}, reason={self.reason!r})"

    def _repr_html_(self) -> str:
        """Return the status as a card for notebooks."""
        from driftline._drawing.cards import draw_status  # noqa: PLC0415 - notebooks only

        parts = [(part.words, part.size, part.p_value) for part in self.components]
        return draw_status(self.state, self.reason, self.p_value, self.effect, self.rows, parts)


@dataclass(frozen=True, slots=True)
class StateChange:
    """
    A change of the state of a feature, a detector or a limit.

    Attributes:
        feature: the name of the feature, the detector or the limit.
        previous: the state before the change.
        status: the status after the change.
        length: the length of the window, as `Window.label`; ``"each value"`` for a detector.
    """

    feature: str
    previous: DriftState
    status: FeatureStatus
    length: str


def worst_state(states: Iterable[str]) -> DriftState:
    """
    Return the state of a whole whose parts have several states.

    Args:
        states: the states of the parts, as the features of a model.

    >>> worst_state(["stable", "insufficient_data", "stable"])
    'insufficient_data'
    >>> worst_state([])
    'insufficient_data'
    """
    present = set(states)
    return next((state for state in WORST_FIRST if state in present), "insufficient_data")


def replaced(states: Mapping[str, FeatureStatus], length: str) -> Iterator[StateChange]:
    """
    Yield a change to ``"insufficient_data"`` for each name in another state, because the reference was replaced.

    Args:
        states: the states by name, under the old reference.
        length: the value of `StateChange.length`.
    """
    for name, status in states.items():
        if status.state != "insufficient_data":
            unknown = FeatureStatus("insufficient_data", None, None, 0, "the reference was replaced")
            yield StateChange(name, status.state, unknown, length)
