"""`EvidenceTable`: the evidence of all features of one look, in columns, because most of it is never read by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from driftline.detection._rules import NOT_BLIND, Evidence
from driftline.detection._states import AS_REFERENCE
from driftline.results import Component, FeatureStatus
from driftline.typing import Counts, Floats

__all__ = ["Details", "EvidenceTable", "clearly_stable"]


class Details(NamedTuple):
    """
    The columns of the evidence that are read of features that drift or are reported.

    Attributes:
        stay: shape (features,), as `Evidence.stay`, and so on.
        p_values: shape (features,).
        effects: shape (features,).
        deviations: shape (features, parts).
        leads: shape (features,).
    """

    stay: NDArray[np.bool_]
    p_values: Floats
    effects: Floats
    deviations: Floats
    leads: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceTable(Sequence[Evidence]):
    """
    The evidence for each feature, in their order. An `Evidence` is made when it is read.

    Attributes:
        enter: shape (features,), as `Evidence.enter`, and so on.
        rows: shape (features,).
        errors: shape (features, parts); None if rows are taken to be independent.
        blind: by the index of a feature and of a part, why even a large change would not show; empty where all would.
        details: returns the further columns. They are computed when they are read.
        explain: returns the reason of the feature with an index.
        components: returns the parts of the difference of the feature with an index.
    """

    enter: NDArray[np.bool_]
    rows: Counts
    errors: Floats | None
    blind: Mapping[int, Mapping[int, Callable[[], str]]]
    details: Callable[[], Details]
    explain: Callable[[int], Callable[[], str]]
    components: Callable[[int], Sequence[Component]]

    def is_quiet(self, min_rows: int) -> NDArray[np.bool_]:
        """Return which features have too few rows to count, or neither enter nor are blind, shape (features,)."""
        quiet = ~self.enter
        quiet[[*self.blind]] = False
        quiet |= self.rows < min_rows
        return quiet

    def stable(self, features: NDArray[np.bool_]) -> list[FeatureStatus | None]:
        """Return the state of *features*, which are stable; None for the others."""
        details = self.details()
        columns = (column.tolist() for column in (features, details.p_values, details.effects, self.rows))
        return [
            FeatureStatus("stable", p, effect, rows, AS_REFERENCE, self.components(index)) if stable else None
            for index, (stable, p, effect, rows) in enumerate(zip(*columns, strict=True))
        ]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Evidence: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Evidence, ...]: ...

    def __getitem__(self, index: int | slice) -> Evidence | tuple[Evidence, ...]:
        if isinstance(index, slice):
            return tuple(self._at(each) for each in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            msg = f"index {index} is out of range: there are {len(self)} features"
            raise IndexError(msg)
        return self._at(index % len(self))

    def __iter__(self) -> Iterator[Evidence]:
        return map(self._at, range(len(self)))

    def _at(self, index: int) -> Evidence:
        details = self.details()
        return Evidence(
            bool(self.enter[index]),
            bool(details.stay[index]),
            float(details.p_values[index]),
            float(details.effects[index]),
            int(self.rows[index]),
            self.explain(index),
            self.components(index),
            "",
            details.deviations[index],
            None if self.errors is None else self.errors[index],
            int(details.leads[index]),
            self.blind.get(index, NOT_BLIND),
        )


def clearly_stable(
    evidence: Sequence[Sequence[Evidence]], drifting: NDArray[np.bool_], min_rows: int
) -> tuple[NDArray[np.bool_], Callable[[], Sequence[FeatureStatus | None]]]:
    """
    Return which features clearly are stable, shape (features,), and a function that returns their states.

    The states are those that `update_status` returns for them. Nearly all features are stable.

    Args:
        evidence: the evidence of each length, the shortest first. Only tables show what is clearly stable.
        drifting: shape (features,), the features that drift.
        min_rows: the rows of a feature below which it has no state.
    """
    tables = [each for each in evidence if isinstance(each, EvidenceTable)]
    if len(tables) < len(evidence) or not tables:
        nothing: list[FeatureStatus | None] = [None] * len(drifting)
        return np.zeros(len(drifting), dtype=np.bool_), lambda: nothing
    shortest = tables[0]
    quiet = (shortest.rows >= min_rows) & ~drifting
    for table in tables:
        quiet &= table.is_quiet(min_rows)
    return quiet, lambda: shortest.stable(quiet)
