"""`Statuses`: the states of all features after a window, of which those of stable ones are made when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from driftline.results import DriftState, FeatureStatus

__all__ = ["Statuses"]


@dataclass(frozen=True, slots=True, eq=False)
class Statuses:
    """
    The states of all features after a window. It never changes, so that a reader sees one evaluation.

    Attributes:
        names: the names of the features.
        stable: for each feature, whether it is stable without its own status in *known*.
        known: the statuses of the other features, by name.
        make_stable: returns the statuses of the *stable* features by index; None for the others.
    """

    names: Sequence[str]
    stable: Sequence[bool]
    known: Mapping[str, FeatureStatus]
    make_stable: Callable[[], Sequence[FeatureStatus | None]]

    @classmethod
    def of(cls, known: Mapping[str, FeatureStatus]) -> Statuses:
        """Return these statuses of all features."""
        nothing: list[FeatureStatus | None] = [None] * len(known)
        return cls([*known], [False] * len(known), known, lambda: nothing)

    @property
    def states(self) -> list[DriftState]:
        """The state of each feature."""
        known = self.known
        return ["stable" if stable else known[name].state for name, stable in zip(self.names, self.stable, strict=True)]

    def by_name(self) -> dict[str, FeatureStatus]:
        """Return the status of each feature by its name, in the order of the features."""
        return {
            name: self.known[name] if status is None else status
            for name, status in zip(self.names, self.make_stable(), strict=True)
        }
