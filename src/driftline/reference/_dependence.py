"""Estimates how consecutive rows of training data depend on each other, and counts them by season."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout, binner
from driftline._seasons.expectation import OrderedRows
from driftline._seasons.fitting import fit_seasons, order_rows
from driftline._seasons.seasons import Seasons
from driftline._significance.dependence import Dependence, choose_block_lengths, measure_dependence
from driftline._windows.ring import MIN_BLOCKS
from driftline.reference._features import FittedFeatures
from driftline.reference._self_check import SelfCheck, check_block_rows, self_check
from driftline.reference._training import TrainingData
from driftline.reference._trend import TrendSearch
from driftline.typing import Counts, Floats

__all__ = ["FittedDependence", "fit_dependence"]


DIGITS = 4
"""Significant digits of numbers that are estimated from blocks; more would be noise and would enlarge the file."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedDependence:
    """
    The parts of a reference that depend on the order or the times of the rows.

    Attributes:
        dependence: variance inflation by block length; None if there are too few rows.
        check: the result of testing blocks of the training data against the rest.
        seasons: the counts by season; None if the times of the rows are not known.
    """

    dependence: Dependence | None
    check: SelfCheck
    seasons: Seasons | None


def fit_dependence(training: TrainingData, fitted: FittedFeatures) -> FittedDependence:
    """
    Estimate how consecutive rows depend on each other, and test each block of rows against the rest.

    Args:
        training: the training data. Its rows are sorted by their times; without times, they stay in their order.
        fitted: the features, and the columns of values that are counted in their bins.
    """
    features, layout = fitted.watched, Layout(fitted.watched)
    seasons = ordered = None
    if training.times is not None:
        seasons = fit_seasons(
            features, fitted.columns, training.times, fitted.seasons, training.zone, training.time_column
        )
        ordered = order_rows(training.times, seasons, features, layout, training.zone)
    expectation = None if ordered is None else ordered.expectation
    lengths, freedom, cells = _block_sizes(training.rows, len(features), ordered)
    check_rows = check_block_rows(training.rows)
    number_of_blocks = training.rows // check_rows
    block_of_row = np.repeat(np.arange(number_of_blocks), check_rows)
    blocks = np.zeros((number_of_blocks, layout.total), dtype=np.int64)
    trends = TrendSearch(training.rows, ordered)
    factors, directions = [], []
    for index, (feature, column, bins) in enumerate(zip(features, fitted.columns, layout.slices, strict=True)):
        numbers = binner(feature.bins)(column)
        if ordered is not None:
            numbers = numbers[ordered.order]
        trends.add(feature, bins, numbers, column)
        size = feature.bins.size
        flat = np.bincount(block_of_row * size + numbers[: len(block_of_row)], minlength=number_of_blocks * size)
        blocks[:, bins] = flat.reshape(number_of_blocks, size)
        if lengths:
            expected = None if expectation is None else [expectation.of_feature(bins, counts) for counts in cells]
            feature_factors, feature_directions = measure_dependence(
                numbers, feature.bins, lengths, freedom[:, index].tolist(), expected
            )
            factors.append(_rounded(feature_factors))
            directions.append(_rounded(feature_directions))
    dependence = None
    if lengths:
        dependence = Dependence(
            np.array(lengths, dtype=np.float64),
            freedom.min(axis=1),
            np.stack(factors, axis=1),
            np.stack(directions, axis=1),
        )
    expected_counts = _expected_counts(features, ordered, check_rows)
    check = self_check(features, layout, blocks, check_rows, dependence, expected_counts, trends.result())
    return FittedDependence(dependence, check, seasons)


def _expected_counts(
    features: Sequence[Feature], ordered: OrderedRows | None, check_rows: int
) -> Callable[[int], Floats]:
    """Return the function from the index of a block to the counts to compare it with, shape (bins,)."""
    if ordered is not None and ordered.expectation is not None:
        cells, expectation = ordered.cell_counts(check_rows), ordered.expectation
        return lambda index: expectation(cells[index])
    whole = np.concatenate([np.array(feature.counts, dtype=np.float64) for feature in features])
    return lambda _: whole


def _block_sizes(
    rows: int, features: int, ordered: OrderedRows | None
) -> tuple[Sequence[int], Floats, Sequence[Counts]]:
    """
    Choose the block lengths at which dependence is measured.

    Returns:
        Rows per block of each length; degrees of freedom of all blocks of a length, for each feature, shape (lengths,
        features); and rows of each block by hour of the week, shape (blocks, `CELLS`), for each length. The last is
        empty if windows are not compared by seasons.
    """
    lengths = choose_block_lengths(rows)
    if ordered is None or ordered.expectation is None:
        freedom = np.array([rows // length - 1.0 for length in lengths])
        return lengths, np.repeat(freedom[:, None], features, axis=1), []
    cells = [ordered.cell_counts(length) for length in lengths]
    freedom = _rounded(np.array([ordered.expectation.freedom(counts) for counts in cells]).reshape(-1, features))
    enough = [index for index, degrees in enumerate(freedom) if degrees.min() >= MIN_BLOCKS - 1]
    return [lengths[index] for index in enough], freedom[enough], [cells[index] for index in enough]


def _rounded(values: Floats) -> Floats:
    """Return values rounded to `DIGITS` significant digits, same shape."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in values.ravel()]).reshape(values.shape)
