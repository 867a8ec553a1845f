"""Finds parts of features of which a look would not show even a large change, and says how many rows would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import CategoricalBins, Feature
from driftline._binning.layout import Layout
from driftline._binning.selection import NewRows
from driftline._significance.baseline import Difference
from driftline._significance.block_scores import BlockScores
from driftline._significance.components import MISSING, OUTSIDE, SHAPE, leading_parts
from driftline._significance.history import HIDDEN_FREEDOM
from driftline._significance.rate_test import MAX_FREEDOM, compare_rates
from driftline._significance.two_sample import MIN_EXPECTED
from driftline.detection._rules import Look
from driftline.typing import Floats

__all__ = ["BlindParts", "Blindness"]

BlindParts: TypeAlias = Mapping[int, Mapping[int, Callable[[], str]]]
"""By the index of a feature and of a part, a function that returns why not even a large change of it would show."""

LARGE_SHIFT = 0.9
"""Shift of the mean rank score, in standard deviations, when a normal feature moves by a standard deviation."""

LARGE_SHARE = 0.5
"""
Share of the values present that go missing in a large change (of those missing that come back, if they are the
majority), and share of the rows whose category is new.
"""

PARTS_TESTED = 5.0
"""Number of parts among which the level of a feature is divided."""

SOME_CRITICAL, MOST_CRITICAL, MANY_FREEDOM = 12.0, 200.0, 12.0
"""
Upper limits of a critical value: of a test with at least `MANY_FREEDOM` degrees of freedom, and of any other. Looking
up a quantile of Student's t takes microseconds, so it is done only where it can matter.
"""

CLUMPED = 4.0
"""Variance inflation above which rows are so few that a test of bins or of a rate may show nothing."""

LONGEST_DOUBLINGS = 24
"""Doublings of a look up to which the number of rows that would show a change of a rate is looked for."""

NEVER = "no number of rows would show it, because the reference is too small or its rows are too much alike"
"""What a reason says instead of a number of rows."""


class Blindness:
    """
    Finds the features of which a look would not show even a large change, part by part.

    The parts are location (of categories: the mix) and the shares that the others do not show: of missing values, and
    of new categories. Numbers out of range count in the location.

    Args:
        features: the features.
        layout: the layout of their bins.
    """

    __slots__ = ("_bins", "_leading", "_rates", "_reference_rows", "_rows", "_scores", "_special", "_tested", "_varies")

    def __init__(self, features: Sequence[Feature], layout: Layout) -> None:
        from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

        self._special: Any = special
        self._leading = leading_parts(features)
        self._rows = np.arange(len(features))
        # With one filled bin there is nothing that could move. With several, there is even if the test pools them all.
        self._varies = np.array([np.count_nonzero(each.counts[:-1]) > 1 for each in features], dtype=np.bool_)
        self._bins = [
            slice(bins.start, bins.stop - (2 if isinstance(each.bins, CategoricalBins) else 1))
            for bins, each in zip(layout.slices, features, strict=True)
        ]
        self._scores = BlockScores(features, layout)
        counts = np.concatenate([np.array(each.counts, dtype=np.int64) for each in features])
        self._rates = self._scores.rates(np.append(NewRows(features)(counts), 0))
        present = np.array([sum(each.counts[:-1]) for each in features], dtype=np.float64)
        self._reference_rows = np.stack([present, np.array([sum(each.counts) for each in features])], axis=1)
        categorical = np.array([isinstance(each.bins, CategoricalBins) for each in features], dtype=np.bool_)
        # Of an identifier all rows are new anyway.
        new = categorical & (self._rates[:, 0] <= LARGE_SHARE)
        self._tested = np.stack([new, np.ones(len(features), dtype=np.bool_)], axis=1)

    def __call__(self, look: Look, known: NDArray[np.bool_], level: float) -> BlindParts:
        """
        Return the parts that the look is blind for, each with a function that returns the reason.

        Args:
            look: the look.
            known: shape (features, parts), whether the look tests a part.
            level: significance level of one feature.
        """
        difference = look.difference
        if difference is None:
            return {}
        level_of_part = level / PARTS_TESTED
        blind: dict[int, dict[int, Callable[[], str]]] = {}
        for index in self._blind_to_shifts(look, difference, known, level_of_part):
            part = int(self._leading[index])
            blind.setdefault(index, {})[part] = partial(_explain_shift, look, index, part, level_of_part)
        for column, part in enumerate((OUTSIDE, MISSING)):
            for index, reason in self._blind_to_rates(look, difference, known[:, part], column, level_of_part).items():
                blind.setdefault(index, {})[part] = reason
        return blind

    def _blind_to_shifts(self, look: Look, difference: Difference, known: NDArray[np.bool_], level: float) -> list[int]:
        at = self._rows, self._leading
        error, freedom = difference.error[at], difference.inflation.freedom[at]
        largest = np.where(freedom < MANY_FREEDOM, MOST_CRITICAL, SOME_CRITICAL)
        # Dependence may leave so few effective rows that the test has a single bin left, which shows nothing at all.
        pooled = self._varies & ~known[at] & (difference.inflation.factor[:, SHAPE] > CLUMPED)
        for index in np.flatnonzero(pooled).tolist():
            # Where nearly all rows are missing or have new categories, two bins would be too many anyway.
            pooled[index] = look.window.counts[self._bins[index]].sum() >= 2.0 * MIN_EXPECTED
        candidates = np.flatnonzero(pooled | (known[at] & (error * largest > LARGE_SHIFT)))
        if not len(candidates):
            return []
        critical = -self._special.stdtrit(np.minimum(freedom[candidates], MAX_FREEDOM), level / 2.0)
        blind: list[int] = candidates[pooled[candidates] | (critical * error[candidates] > LARGE_SHIFT)].tolist()
        return blind

    def _blind_to_rates(
        self, look: Look, difference: Difference, known: NDArray[np.bool_], column: int, level: float
    ) -> dict[int, Callable[[], str]]:
        """Return the features whose rate of a column of `RATES` cannot be evaluated, with functions of the reason."""
        part = (OUTSIDE, MISSING)[column]
        # What hides only concerns fewer events. A large increase shows in the variance that was seen.
        factor = difference.seen[:, part]
        # A variance that hardly anything is known about limits the p-value as much as a large one.
        uncertain = (factor > CLUMPED) | (difference.inflation.freedom[:, part] < MANY_FREEDOM)
        candidates = np.flatnonzero(known & self._tested[:, column] & uncertain)
        if not len(candidates):
            return {}
        rate = self._rates[candidates, column]
        more = rate <= LARGE_SHARE
        changed = np.where(more, rate + LARGE_SHARE * (1.0 - rate), (1.0 - LARGE_SHARE) * rate)
        rows = np.full(len(candidates), float(look.window.rows))
        reference_rows = self._reference_rows[candidates, column]
        freedom = _freedom_seen(difference, candidates, part)

        def p_values(rows: Floats, freedom: Floats) -> Floats:
            events = rate * reference_rows
            return compare_rates(rows * changed, events, rows, reference_rows, factor[candidates], freedom, None)[0]

        blind = np.flatnonzero(p_values(rows, freedom) > level)
        if not len(blind):
            return {}
        few = p_values(rows, np.full(len(candidates), np.inf)) <= level
        needed = np.full(len(candidates), np.inf)
        for doublings in range(LONGEST_DOUBLINGS, 0, -1):
            longer = rows * 2.0**doublings
            needed = np.where(p_values(longer, freedom) <= level, longer, needed)
        return {
            int(candidates[each]): partial(
                _explain_rate,
                part,
                look.window.rows,
                None if few[each] else float(needed[each]),
                more=bool(more[each]),
            )
            for each in blind.tolist()
        }


def _freedom_seen(difference: Difference, features: NDArray[np.intp], part: int) -> Floats:
    """Return the degrees of freedom of the variance that was seen, without those of the hidden one, (features,)."""
    whole, seen = difference.inflation.factor[features, part], difference.seen[features, part]
    of_seen = whole**2 / difference.inflation.freedom[features, part] - (whole - seen) ** 2 / HIDDEN_FREEDOM
    freedom: Floats = seen**2 / np.maximum(of_seen, 1e-300)
    return freedom


def _explain_shift(look: Look, index: int, part: int, level: float) -> str:
    """Return why a look would not show even a large shift of a feature."""
    difference = look.difference
    if difference is not None and difference.inflation.factor[index, part] > difference.seen[index, part] * (1 + 1e-9):
        return (
            f"cannot tell: {look.window.rows} rows vary less than those of the reference: either all are from one of "
            "its states, or the distribution became narrower; rows of other states will tell, or several times as many "
            "rows as the reference has"
        )
    rows = float("inf") if look.rows_to_see is None else look.rows_to_see(index, LARGE_SHIFT, level)
    if difference is not None and rows <= look.window.rows:
        # Rows of the same key are alike, which their order does not show.
        rows = _rows_at_constant_inflation(look.window.rows, difference, (index, part), level)
    if difference is not None and rows <= look.window.rows:
        # The test has a single bin, because two need more independent rows.
        rows = 4.0 * MIN_EXPECTED * float(difference.inflation.factor[index, SHAPE])
    change = "a change of the mix as large as a shift" if part == SHAPE else "a shift"
    return (
        f"cannot tell: rows depend on each other so much that even {change} of a standard deviation would not show in "
        f"{look.window.rows} rows; {_state_rows(rows, look.window.rows)}"
    )


def _rows_at_constant_inflation(rows: int, difference: Difference, at: tuple[int, int], level: float) -> float:
    """Return how many rows would show a large shift if their inflation stays as it is; inf if none would."""
    from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

    factor, freedom = difference.inflation.factor[at], min(difference.inflation.freedom[at], MAX_FREEDOM)
    critical = -float(special.stdtrit(freedom, level / 2.0))
    of_baseline = float(difference.error[at]) ** 2 / factor - 1.0 / rows
    left = (LARGE_SHIFT / critical) ** 2 / factor - of_baseline
    return 1.0 / left if left > 0.0 else float("inf")


def _explain_rate(part: int, window_rows: int, rows: float | None, *, more: bool) -> str:
    """
    Return why a look would not show even a large change of a rate.

    Args:
        part: the part, `OUTSIDE` or `MISSING`.
        window_rows: rows of the look.
        rows: rows that would show it. If None, these would if their variance were known better.
        more: whether the large change is an increase.
    """
    if part == OUTSIDE:
        what, change = "whether more categories are unseen", "if half of the rows had new categories"
    elif more:
        what, change = "whether more values are missing", "if half of the other values were missing too"
    else:
        what, change = "whether fewer values are missing", "if half of the missing values came back"
    if rows is None:
        return (
            f"cannot tell {what}: they come in runs, of which too few have been seen; even {change}, {window_rows} "
            "rows would not show it yet; more windows will tell how long the runs are"
        )
    return (
        f"cannot tell {what}: they come in runs so long that even {change}, {window_rows} rows would not show it; "
        f"{_state_rows(rows, window_rows)}"
    )


def _state_rows(needed: float, rows: int) -> str:
    """Return how many rows it would take, as a clause."""
    if needed <= rows:
        return "it would take more rows"
    return f"it would take about {needed:.0f} rows" if needed < float("inf") else NEVER
