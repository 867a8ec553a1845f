"""The baseline of a look: the reference, and the own past of each feature where that is long enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline._significance.inflation import Inflation
from driftline._significance.long_run import LongRun
from driftline._significance.own_past import OwnPast
from driftline.typing import Floats

__all__ = ["Baseline", "Difference", "ReferenceRows"]


class ReferenceRows(NamedTuple):
    """
    The rows of the reference.

    Attributes:
        rows: shape (features,), those behind the shares that a look expects.
        whole: all of them.
        keyed: the inflation that rows of the same key cause in the reference. If None, there are no keys.
    """

    rows: Floats
    whole: float
    keyed: Inflation | None


class Baseline(NamedTuple):
    """
    What a look is compared with.

    Attributes:
        variance: shape (features, parts), variance of the means of the baseline, in units of one row's.
        rows: shape (features,), its rows.
        counts: shape (bins,), its counts; None for those of the reference or its season.
    """

    variance: Floats
    rows: Floats
    counts: Floats | None

    @classmethod
    def of(
        cls, expected: Floats, reference: ReferenceRows, past: OwnPast, run: LongRun, leading: NDArray[np.intp]
    ) -> Baseline:
        """
        Weigh the reference and the own past by their variance.

        Args:
            expected: shape (bins,), the shares that the reference expects of the look.
            reference: its rows.
            past: where each feature usually is.
            run: the long-run variance.
            leading: shape (features,), the part of each feature whose variance sets the weights.
        """
        rows, whole, keyed = reference
        of_reference = run.at(float(rows.max()))[0] / rows[:, None]
        if keyed is not None:
            of_reference = np.maximum(of_reference, keyed.factor / rows[:, None])
        past_rows = np.maximum(past.rows, 1.0)
        of_past = run.at(float(past_rows.max()))[0] / past_rows[:, None]
        lead = np.arange(len(rows)), leading
        # What the hours of this look add to the error of the whole reference. The past of other hours cannot lessen it.
        apart = np.maximum(1.0 / rows - 1.0 / whole, 0.0)
        of_hours = of_reference * (apart * rows)[:, None]
        of_reference = of_reference - of_hours
        share = np.where(past.known, of_reference[lead] / (of_reference[lead] + of_past[lead]), 0.0)
        column = share[:, None]
        variance = (1.0 - column) ** 2 * of_reference + column**2 * of_past + of_hours
        baseline_rows = 1.0 / ((1.0 - share) ** 2 / whole + share**2 / past_rows + apart)
        counts = past.counts(expected, share, baseline_rows) if share.any() else None
        return cls(variance, baseline_rows, counts)


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """
    How much the difference between a look and its baseline varies while nothing drifts.

    Attributes:
        inflation: the variance, as a multiple of that of independent rows (1 / rows + 1 / rows of the baseline).
        baseline: shape (bins,), the counts to compare with; None for those of the reference or its season.
        error: shape (features, parts), standard deviation of the difference in units of that of one row.
        seen: shape (features, parts), the part of *inflation* that rows have shown. The rest is hidden variance.
    """

    inflation: Inflation
    baseline: Floats | None
    error: Floats
    seen: Floats
