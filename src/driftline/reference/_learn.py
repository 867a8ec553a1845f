"""`Learn`: a request for a reference without training data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAX_LEARNED", "MIN_LEARNED", "Learn"]

MIN_LEARNED = 100
"""Fewest rows from which a reference is learned; with fewer, each bin would hold only a few values."""

MAX_LEARNED = 1_000_000
"""Most rows from which a reference is learned; they are held in memory until the reference is fitted."""


@dataclass(frozen=True, slots=True)
class Learn:
    """
    A request for a reference that the monitor learns from the first rows served; `Reference.learn` returns it.

    Attributes:
        rows: number of rows to learn from.
        categorical: names of columns whose numbers are codes.
        projections: most directions through the numeric features; 0 for none.
        ignore: names of columns that are not features.
        vectors: names of columns whose values are vectors.
    """

    rows: int
    categorical: tuple[str, ...] = ()
    projections: int = 0
    ignore: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()
