"""
Sums of errors and of their powers that are exact for every float, and that add up and subtract over processes.

A sum is an integer in units of the smallest float, held in limbs of 24 bits (Kulisch 2013, *Computer arithmetic and
validity*, section 8: a superaccumulator). Limbs are added without carries: an int64 holds the sum of 2^39 of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from driftline.typing import Counts, Floats

__all__ = ["ERRORS_SIZE", "ErrorMoments", "count_errors", "error_moments", "unusable_errors"]

LIMB_BITS = 24
"""Bits of a limb."""

LEAST_EXPONENT, MOST_EXPONENT = -1073, 1025
"""Exponents of floats as `numpy.frexp` returns them, and one more for the difference of two floats."""

MANTISSA_BITS = 53
"""Bits of a float64's mantissa."""

POWERS = (1, 1, 2, 4)
"""Powers of which there are sums: errors, absolute errors, squares (for MSE), and their squares (for its variance)."""

_MASK = (1 << LIMB_BITS) - 1


def _offset(power: int) -> int:
    """Return the binary exponent of the unit of a sum of powers, negated."""
    # A product of fractions of at least a half has up to *power* leading zeros.
    return -power * LEAST_EXPONENT + MANTISSA_BITS + power


def _limbs(power: int) -> int:
    """Return the number of limbs of a sum of powers."""
    return (power * MOST_EXPONENT + _offset(power)) // LIMB_BITS + 4


_STARTS = np.cumsum([2, *map(_limbs, POWERS)]).tolist()

ERRORS_SIZE = _STARTS[-1]
"""Length of a vector of sums: the number of errors, the number that cannot be used, and the limbs of each sum."""


def count_errors(predictions: Floats, actuals: Floats) -> Counts:
    """
    Return the sums of the errors, prediction minus outcome, and of their powers, shape (ERRORS_SIZE,).

    A difference is rounded to a float64, and so are its powers: a relative error of at most 3e-16 in each term. The
    sums are exact. Infinite and missing values are counted as unusable.

    Args:
        predictions: shape (n,).
        actuals: shape (n,).
    """
    sums = np.zeros(ERRORS_SIZE, dtype=np.int64)
    with np.errstate(all="ignore"):
        finite = np.isfinite(predictions) & np.isfinite(actuals)
        predictions, actuals = predictions[finite], actuals[finite]
        errors = predictions - actuals
        too_large = np.isinf(errors)
        fractions, exponents = np.frexp(np.where(too_large, predictions / 2 - actuals / 2, errors))
    exponents = exponents.astype(np.int64) + too_large
    sums[0], sums[1] = len(errors), len(finite) - len(errors)
    squares = fractions * fractions
    for start, power, values in zip(
        _STARTS, POWERS, (fractions, np.abs(fractions), squares, squares * squares), strict=False
    ):
        size = _limbs(power)
        sums[start : start + size] = _sum(values, power * exponents, _offset(power), size)
    return sums


def _sum(fractions: Floats, exponents: Counts, offset: int, size: int) -> Counts:
    """Return the limbs of the sum of ``fractions * 2.0**exponents``, shape (size,)."""
    fractions, more = np.frexp(fractions)
    mantissas = np.ldexp(np.abs(fractions), MANTISSA_BITS).astype(np.int64)
    positions = exponents + more - MANTISSA_BITS + offset
    positions[mantissas == 0] = 0
    limb, shift = np.divmod(positions, LIMB_BITS)
    low = LIMB_BITS - shift
    rest = mantissas >> low
    parts = ((mantissas & ((1 << low) - 1)) << shift, rest & _MASK, (rest >> LIMB_BITS) & _MASK, rest >> 2 * LIMB_BITS)
    signs = np.sign(fractions)
    total = np.zeros(size)
    for index, part in enumerate(parts):
        # The sums of a chunk of pairs stay far below 2^53, so that floats are exact.
        total += np.bincount(limb + index, weights=signs * part, minlength=size)
    return total.astype(np.int64)


def unusable_errors(sums: Counts) -> int:
    """Return the number of errors that were infinite or missing."""
    return int(sums[1])


@dataclass(frozen=True, slots=True)
class ErrorMoments:
    """
    Means of the errors and of their powers, in units of a power of two, so that none overflows.

    Attributes:
        rows: number of errors.
        exponent: the unit is ``2.0**exponent``, close to the root mean square.
        mean: mean of the errors.
        absolute: mean of the absolute errors.
        square: mean of the squares.
        fourth: mean of the fourth powers.
    """

    rows: int
    exponent: int
    mean: float
    absolute: float
    square: float
    fourth: float

    def scaled(self, value: float) -> float:
        """Return a value in this unit as a plain number, ±inf if it is too large for a float."""
        try:
            return math.ldexp(value, self.exponent)
        except OverflowError:
            return math.copysign(math.inf, value)


def error_moments(sums: Counts) -> ErrorMoments | None:
    """Return the moments of the errors in a vector of sums; None if there are none."""
    rows = int(sums[0])
    if rows <= 0:
        return None
    signed, absolute, square, fourth = (
        _integer(sums[start : start + _limbs(power)]) for start, power in zip(_STARTS, POWERS, strict=False)
    )
    exponent = 0
    if square > 0:
        exponent = (square.bit_length() - rows.bit_length() - _offset(2)) // 2
    means = [
        _ratio(total, rows, _offset(power) + power * exponent)
        for total, power in zip((signed, absolute, square, fourth), POWERS, strict=True)
    ]
    return ErrorMoments(rows, exponent, *means)


def _integer(limbs: Counts) -> int:
    """Return the integer that limbs without carries represent."""
    total = 0
    for index in np.flatnonzero(limbs).tolist():
        total += int(limbs[index]) << (LIMB_BITS * index)
    return total


def _ratio(total: int, rows: int, bits: int) -> float:
    """Return ``total / rows / 2**bits``, rounded once."""
    return total / (rows << bits) if bits >= 0 else (total << -bits) / rows
