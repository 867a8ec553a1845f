"""
Bins of probabilities on the scale of log-odds, and the positions of scores within their bin.

The bins are the same for all models and processes, so that all counts add up. They are a tenth wide in log-odds from
0.0001 to 0.9999, where most scores are, and wider beyond, down to the smallest float and up to the largest below 1. The
numbers 0 and 1 have bins of their own. Of each bin the positions of its scores are summed, so that scores which are
closer together than a bin is wide still have an order.
"""

from __future__ import annotations

import math

import numpy as np

from driftline.typing import Counts, Floats

__all__ = ["SCORE_BINS", "SCORE_EDGES", "count_scores", "mean_scores", "spread_scores"]

POSITION_STEPS = 1 << 16
"""Positions within a bin. The sum of the squares of 2^31 positions fits into an int64."""

CELLS = 32
"""Cells of a bin in which `spread_scores` places its scores."""

REACH = 4.0
"""Distance of the outermost cells from the mean of a bin's scores, in their standard deviations."""

_LOW = np.concatenate([np.arange(-740.0, -37.0, 5.0), np.arange(-74, -18) / 2.0])
_LOG_ODDS = np.concatenate([_LOW, np.arange(-92, 93) / 10.0, np.arange(19, 74) / 2.0])


def _logistic(log_odds: Floats) -> Floats:
    """Return the probabilities of log-odds, exact near 0 and 1."""
    with np.errstate(over="ignore", under="ignore"):
        tail = np.exp(-np.abs(log_odds))
    result: Floats = np.where(log_odds < 0, tail / (1.0 + tail), 1.0 / (1.0 + tail))
    return result


SCORE_EDGES = np.unique(np.concatenate([[math.ulp(0.0)], _logistic(_LOG_ODDS), [1.0]]))
"""
Edges of the bins, ascending. One of them is 0.5. A score that equals an edge belongs to the bin above it, so that the
first bin holds 0 and the last one 1.
"""

SCORE_BINS = len(SCORE_EDGES) + 1
"""Number of bins."""


def _log_odds(scores: Floats) -> Floats:
    """Return the log-odds of scores from 0 to 1, with ±750 for 0 and 1."""
    with np.errstate(divide="ignore"):
        result: Floats = np.clip(np.log(scores) - np.log1p(-scores), -750.0, 750.0)
    return result


_EDGE_LOG_ODDS = _log_odds(SCORE_EDGES)
# The first and the last bin hold one number each. So does the one below 1.
_STARTS = np.concatenate([[-750.0], _EDGE_LOG_ODDS])
_WIDTHS = np.concatenate([[1.0], np.diff(_EDGE_LOG_ODDS), [1.0]])


def count_scores(scores: Floats, truths: Counts) -> Counts:
    """
    Count scores from 0 to 1 by bin and outcome.

    Args:
        scores: shape (n,).
        truths: shape (n,), 0 or 1.

    Returns:
        Shape (SCORE_BINS, 2, 3): for false and true outcomes, their number, and the sums of positions within the bin
        and of their squares.
    """
    bins = np.searchsorted(SCORE_EDGES, scores, side="right")
    within = (_log_odds(scores) - _STARTS[bins]) / _WIDTHS[bins]
    positions = np.clip(within * POSITION_STEPS, 0, POSITION_STEPS - 1).astype(np.int64)
    cells = 2 * bins + truths
    size = 2 * SCORE_BINS
    parts = [np.bincount(cells, minlength=size)]
    # The sums of a chunk of pairs stay below 2^53, so that floats are exact.
    parts += [np.bincount(cells, weights=values, minlength=size) for values in (positions, positions * positions)]
    return np.stack(parts, axis=1).astype(np.int64).reshape(SCORE_BINS, 2, 3)


def mean_scores(scores: Counts) -> Floats:
    """Return the mean score of each bin that holds scores, and nan for others, shape (SCORE_BINS,)."""
    numbers, sums = scores[:, :, 0].sum(axis=1), scores[:, :, 1].sum(axis=1)
    with np.errstate(invalid="ignore"):
        position = (sums / numbers + 0.5) / POSITION_STEPS
    means = _logistic(_STARTS + position * _WIDTHS)
    means[0], means[-1] = 0.0, 1.0
    means[numbers == 0] = np.nan
    return means


def spread_scores(scores: Counts) -> tuple[Floats, Floats]:
    """
    Return the numbers of false and of true outcomes in ascending cells of scores, each of shape (cells,).

    A bin that holds only one of the outcomes is one cell. In any other bin, the scores of each outcome are placed in
    `CELLS` cells as a normal distribution with their mean and variance; in one cell if they are equal. The cells reach
    as far as `REACH` standard deviations from the mean of the bin's scores, even beyond the bin, but scores of another
    bin stay below or above.
    """
    numbers = scores[:, :, 0]
    parts: list[tuple[Floats, Floats]] = []
    for index in np.flatnonzero(numbers.any(axis=1)).tolist():
        false, true = scores[index].tolist()
        if false[0] and true[0]:
            mean, deviation = _moments(*(a + b for a, b in zip(false, true, strict=True)))
            parts.append((_cells(false, mean, deviation), _cells(true, mean, deviation)))
        else:
            parts.append((np.array(false[:1], dtype=np.float64), np.array(true[:1], dtype=np.float64)))
    negatives, positives = zip(*parts, strict=True)
    return np.concatenate(negatives), np.concatenate(positives)


def _moments(number: int, total: int, squares: int) -> tuple[float, float]:
    """Return the mean and the standard deviation of positions, from their number, sum and sum of squares."""
    mean = total / number
    return mean, math.sqrt(max(0.0, squares / number - mean * mean))


def _cells(sums: tuple[int, int, int], middle: float, unit: float) -> Floats:
    """
    Return scores in the cells of a bin.

    Args:
        sums: their number, the sum of their positions and of the squares.
        middle: the mean position of all scores in the bin.
        unit: the standard deviation of all scores in the bin.
    """
    counts = np.zeros(CELLS)
    mean, deviation = _moments(*sums)
    number = sums[0]
    # Positions are whole numbers, so that a smaller deviation is rounding.
    if deviation <= 0.5 or unit <= 0.0:  # noqa: PLR2004 - half a position
        cell = 0.5 if unit <= 0.0 else ((mean - middle) / unit / REACH + 1.0) / 2.0
        counts[min(max(int(cell * CELLS), 0), CELLS - 1)] = number
        return counts
    edges = middle + unit * REACH * np.linspace(-1.0, 1.0, CELLS + 1)
    below = _error_function((edges - mean) / (deviation * math.sqrt(2.0)))
    below[0], below[-1] = -1.0, 1.0
    spread: Floats = np.diff(below) * (number / 2.0)
    return spread


def _error_function(values: Floats) -> Floats:
    """Return the error function within 1.5e-7 (Abramowitz & Stegun 1964, formula 7.1.26)."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(values))
    polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    result: Floats = np.sign(values) * (1.0 - polynomial * np.exp(-values * values))
    return result
