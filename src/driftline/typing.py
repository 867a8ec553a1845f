"""Array types and the Protocols of what users plug in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Column",
    "Correct",
    "Counts",
    "Detector",
    "Distance",
    "Floats",
    "Label",
]


Counts: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Label: TypeAlias = "str | int | float | bool"
Column: TypeAlias = "NDArray[np.generic] | Sequence[object]"


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
