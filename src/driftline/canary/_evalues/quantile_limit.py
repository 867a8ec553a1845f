"""`Limit`: the largest quantile of latency that a candidate may have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftline.typing import Floats

__all__ = ["EQUAL", "Limit"]


@dataclass(frozen=True, slots=True)
class Limit:
    """
    The largest allowed quantile of the candidate, as a function of the baseline's quantile x: *slope* · x + *offset*.

    Attributes:
        slope: factor on the baseline's quantile.
        offset: seconds that are added.
        larger: if True, the limit is the larger of *slope* · x and x + *offset*.
    """

    slope: float = 1.0
    offset: float = 0.0
    larger: bool = False

    def of(self, x: Floats) -> Floats:
        """Return the limits for these quantiles of the baseline, in seconds."""
        return np.maximum(self.slope * x, x + self.offset) if self.larger else self.slope * x + self.offset


EQUAL = Limit()
"""The limit of a candidate that may not be slower at all."""
