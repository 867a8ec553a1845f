"""Array types, and the Protocols of objects that users plug in."""

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


@runtime_checkable
class Distance(Protocol):
    """A pure function that returns the distance of two count vectors over the same bins, shape (bins,)."""

    def __call__(self, reference: Counts, current: Counts, /) -> float:
        """Return the distance of *current* from *reference*, 0 if they agree, or nan if it is undefined."""
        ...


class Detector(Protocol):
    """A sequential test for changes that gets one value at a time, such as the detectors of river."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last value showed a change. The detector resets itself after a change."""
        ...

    def update(self, x: float, /) -> object:
        """Add one finite value."""
        ...


class Correct(Protocol):
    """A function that decides whether a prediction was correct, once the outcome is known."""

    def __call__(self, prediction: object, actual: object, /) -> bool:
        """Return True if *prediction* is correct for the outcome *actual*."""
        ...
