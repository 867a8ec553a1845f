"""`Between`: values at a number of rows that lies between known numbers, linear in the logarithms of both."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from driftline.typing import Floats

__all__ = ["Between"]


class Between(NamedTuple):
    """
    The two neighbours of a number of rows among known numbers. Outside of them, it is the nearest known number.

    Attributes:
        low: index of the largest known number that is not above; 0 if all are.
        high: index of the next one; the same as *low* for the last one.
        share: weight of *high*, from 0 to 1.
    """

    low: int
    high: int
    share: float

    @classmethod
    def of(cls, known: Floats, rows: float) -> Between:
        """
        Return the neighbours of *rows*.

        Args:
            known: shape (lengths,), numbers of rows, ascending, above 0.
            rows: the number of rows.
        """
        low = max(int(np.searchsorted(known, rows, side="right")) - 1, 0)
        high = min(low + 1, len(known) - 1)
        shorter, longer = float(known[low]), float(known[high])
        if high == low or rows <= shorter:
            return cls(low, high, 0.0)
        return cls(low, high, math.log(rows / shorter) / math.log(longer / shorter))

    def mean(self, values: Floats) -> Floats:
        """Return the geometric mean of the values of both, shape (...). *values*, shape (lengths, ...), are above 0."""
        if not self.share:
            lower: Floats = values[self.low]
            return lower
        logs = np.log(values[[self.low, self.high]])
        mean: Floats = np.exp((1.0 - self.share) * logs[0] + self.share * logs[1])
        return mean
