"""Values of a file that somebody else may have written: checked, and named in the message when they are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.errors import ConfigurationError

__all__ = ["MOST_BINS", "count_of", "counts_of", "named", "number_of", "of", "pair_of"]

MOST_BINS = 100_000
"""Bins of one histogram in a file: a damaged one must not fill the memory."""

MOST_NAMES = 10_000
"""Names in one object of a file."""


def of(value: Any, kind: type, where: str) -> Any:
    """*value* if it is of a kind."""
    if not isinstance(value, kind):
        msg = f"{where}: expected {kind.__name__}, not {type(value).__name__}"
        raise ConfigurationError(msg)
    return value


def named(value: Any, where: str) -> dict[str, Any]:
    """An object, with a bounded number of names."""
    found: dict[str, Any] = of(value, dict, where)
    if len(found) > MOST_NAMES:
        msg = f"{where}: {len(found)} names, expected at most {MOST_NAMES}"
        raise ConfigurationError(msg)
    return found


def pair_of(value: Any, where: str) -> Sequence[Any]:
    """A list of two."""
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - a pair
        msg = f"{where}: expected a pair"
        raise ConfigurationError(msg)
    return value


def count_of(value: Any, where: str) -> int:
    """A whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        msg = f"{where}: expected a whole number of at least 0, not {str(value)[:40]}"
        raise ConfigurationError(msg)
    return value


def number_of(value: Any, where: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e300 < value < 1e300:  # noqa: PLR2004
        msg = f"{where}: expected a finite number, not {str(value)[:40]}"
        raise ConfigurationError(msg)
    return float(value)


def counts_of(value: Any, where: str) -> NDArray[np.int64]:
    """A list of counts, shape (bins,)."""
    counts = of(value, list, where)
    if len(counts) > MOST_BINS:
        msg = f"{where}: {len(counts)} bins, expected at most {MOST_BINS}"
        raise ConfigurationError(msg)
    return np.array([count_of(count, where) for count in counts], dtype=np.int64)
