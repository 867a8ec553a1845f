"""Writes numbers for the sentences of an alarm: without separators, and with no more digits than are known."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

import numpy as np

__all__ = ["format_error", "format_number", "format_share", "resolution_of"]

PLAIN = 1e15
"""Absolute value from which a number is written with an exponent. Below it, float64 holds all whole numbers."""

MOST_DIGITS = 12
"""Most significant digits of a number of any resolution. With more, it was computed, such as 0.1 + 0.2."""

SMALL = 1e-8
"""Resolution, or absolute value of a number of any resolution, below which a number is written with an exponent."""

ROUNDINGS = {-1: ROUND_FLOOR, 0: ROUND_HALF_EVEN, 1: ROUND_CEILING}
"""How a number is rounded, by its direction."""

LARGE = Context(prec=700)
"""Digits of the smallest and the largest float64 side by side, so that no number is too long to be rounded."""

FINE = 0.001
"""Share below which a percentage has two significant digits, so that a rare event is not written as 0.0 %."""


def resolution_of(size: float, digits: int) -> float:
    """
    Return the power of ten at which a number of this size has *digits* significant digits; 0 if the size is 0.

    >>> resolution_of(25.3, 2), resolution_of(0.137, 2)
    (1.0, 0.01)
    """
    if not 0.0 < size < math.inf:
        return 0.0
    return float(f"1e{math.floor(math.log10(size)) + 1 - digits}")


def format_number(value: float, resolution: float, towards: int = 0) -> str:
    """
    Write a number as a multiple of a power of ten.

    Args:
        value: the number, which is finite.
        resolution: the power of ten. If 0, the number has as many decimals as it needs.
        towards: 0 for the nearest multiple, 1 for the next one that is not smaller, -1 for one that is not larger.

    >>> format_number(12345.678, 0.1), format_number(12345.678, 100.0), format_number(-0.04, 0.1)
    ('12345.7', '12300', '0')
    >>> format_number(4.2301, 0.01, 1), format_number(4.2399, 0.01, -1)
    ('4.24', '4.23')
    """
    exact = Decimal(_shortest(value))
    if resolution:
        last = Decimal(1).scaleb(round(math.log10(resolution)))
        exact = exact.quantize(last, ROUNDINGS[towards], LARGE)
    elif len(exact.as_tuple().digits) > MOST_DIGITS:
        exact = Decimal(f"{value:.{MOST_DIGITS}g}")
    if not exact:
        return "0"
    if abs(value) >= PLAIN or 0.0 < (resolution or abs(value)) < SMALL:
        return f"{exact.normalize():e}"
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shortest(value: float) -> str:
    """Return the shortest string that gives the same float64, or the same float32 if it is one with decimals."""
    if value.is_integer():
        return repr(value)
    with np.errstate(all="ignore"):
        narrow = np.float32(value)
    return str(narrow) if float(narrow) == value and len(str(narrow)) < len(repr(value)) else repr(value)


def format_error(error: float) -> str:
    """
    Write the most that a number may be off, with two significant digits, rounded up.

    >>> format_error(0.1371), format_error(25.0), format_error(1234.0)
    ('0.14', '25', '1300')
    """
    return format_number(error, resolution_of(error, 2), 1)


def format_share(share: float) -> str:
    """
    Write a share as a percentage with one decimal. A share near 0 or 1 has more, so that it is not written as 0 or 1.

    >>> format_share(0.04), format_share(0.00034), format_share(0.0), format_share(0.99987)
    ('4.0%', '0.034%', '0.0%', '99.987%')
    """
    rest = min(share, 1.0 - share)
    if rest <= 0.0 or rest >= FINE:
        return f"{share:.1%}"
    return f"{100.0 * share:.{1 - math.floor(math.log10(100.0 * rest))}f}%"
