"""How the rows of training data depend on each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import (
    Feature,
)
from driftline._binning.fitting import DIGITS
from driftline._binning.layout import (
    Layout,
    binner,
)
from driftline._seasons.expectation import Timed
from driftline._significance.dependence import (
    Dependence,
    choose_block_lengths,
    measure_dependence,
)
from driftline._windows.ring import LEAST_BLOCKS
from driftline.reference._self_check import SelfCheck, check_block_rows, self_check
from driftline.typing import (
    Column,
    Counts,
)

__all__ = [
    "fit_dependence",
]


def fit_dependence(
    features: Sequence[Feature], columns: Sequence[Column], rows: int, timed: Timed | None = None
) -> tuple[Dependence | None, SelfCheck]:
    """
    How the rows of training data depend on each other, and what each block of them says about the rest.

    Args:
        features: fitted to the columns.
        columns: of *rows* values each, in the order in which they came to be where that is not told by *timed*.
        rows: of the training data.
        timed: when they came to be.
    """
    layout = Layout(features)
    seasonal = None if timed is None else timed.expectation
    lengths, freedom, cells = _blocks(rows, timed)
    check_rows = check_block_rows(rows)
    number = rows // check_rows
    which = np.repeat(np.arange(number), check_rows)
    blocks = np.zeros((number, layout.total), dtype=np.int64)
    factors, directions = [], []
    for feature, column, place in zip(features, columns, layout.slices, strict=True):
        numbers = binner(feature.bins)(column)
        if timed is not None:
            numbers = numbers[timed.order]
        size = feature.bins.size
        counted = np.bincount(which * size + numbers[: number * check_rows], minlength=number * size)
        blocks[:, place] = counted.reshape(number, size)
        if lengths:
            expected = None if seasonal is None else [seasonal.of_feature(place, each) for each in cells]
            one = measure_dependence(numbers, feature.bins, lengths, freedom, expected)
            factors.append(_rounded(one[0]))
            directions.append(_rounded(one[1]))
    dependence = None
    if lengths:
        dependence = Dependence(
            np.array(lengths, dtype=np.float64),
            np.array(freedom, dtype=np.float64),
            np.stack(factors, axis=1),
            np.stack(directions, axis=1),
        )
    if timed is not None and seasonal is not None:
        checked = timed.blocks(check_rows)
        return dependence, self_check(
            features, layout, blocks, check_rows, dependence, lambda number: seasonal(checked[number])
        )
    whole = np.concatenate([np.array(feature.counts, dtype=np.float64) for feature in features])
    return dependence, self_check(features, layout, blocks, check_rows, dependence, lambda _: whole)


def _blocks(rows: int, timed: Timed | None) -> tuple[list[int], list[float], list[Counts]]:
    """Lengths of blocks, their degrees of freedom, and their rows per hour of the week where there are seasons."""
    lengths = list(choose_block_lengths(rows))
    if timed is None or timed.expectation is None:
        return lengths, [rows // length - 1.0 for length in lengths], []
    cells = [timed.blocks(length) for length in lengths]
    freedom = [float(f"{timed.expectation.freedom(each):.{DIGITS}g}") for each in cells]
    known = [place for place, free in enumerate(freedom) if free >= LEAST_BLOCKS - 1]
    return [lengths[place] for place in known], [freedom[place] for place in known], [cells[place] for place in known]


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """To `DIGITS` significant digits: a variance from blocks is known no better, and a file of them stays small."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in values.ravel()]).reshape(values.shape)
