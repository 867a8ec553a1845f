"""`CountSource`: the counts that the processes of a fleet have exported, wherever they are stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from driftline.semconv import Metric
from driftline.typing import Counts, Floats

__all__ = ["MAX_COUNT", "CountSource", "Grid", "Match", "Sample", "as_counts", "bin_index"]

MAX_COUNT = 2.0**53
"""Counts below it are exact in a store of floats."""

Match: TypeAlias = Mapping[str, "str | Collection[str]"]
"""Attributes that select series: by their value, or by several values. An empty value selects series without it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """
    The last value of one series.

    Attributes:
        attributes: the attributes, by OpenTelemetry's names. Labels that a backend has added keep their names.
        value: the value.
        dialect: the spelling of names in the backend, as `CountSource.history` takes it.
    """

    attributes: Mapping[str, str]
    value: float
    dialect: str


@dataclass(frozen=True, slots=True)
class Grid:
    """
    Points of time at equal distances.

    Attributes:
        start: the first point, in seconds of Unix time.
        step: seconds between two points, more than 0.
        points: the number of points, at least 1. The last ones may be in the future.
    """

    start: float
    step: float
    points: int

    @property
    def end(self) -> float:
        """The last point, in seconds of Unix time."""
        return self.start + self.step * (self.points - 1)


class CountSource(Protocol):
    """
    A store of exported counts.

    Counts are read as they were exported, never as rates: they are exact, and add up.
    """

    def latest(self, metric: Metric, match: Match, *, at: float, within: float) -> Sequence[Sample]:
        """
        Return the last value of each series.

        Args:
            metric: the metric.
            match: selects series.
            at: Unix time in seconds. Later values are ignored.
            within: seconds before *at*. Series without a value in this time are dropped.

        Raises:
            OSError: the store cannot be reached, is late, or its response is incomplete.
            ValueError: the response cannot be read.
        """
        ...

    def history(
        self,
        metric: Metric,
        match: Match,
        *,
        unit: str,
        by: Sequence[str],
        grid: Grid,
        within: float,
        dialect: str,
    ) -> Mapping[tuple[str, ...], Floats]:
        """
        Return sums over processes of the last values at points of time.

        Args:
            metric: the metric.
            match: selects series.
            unit: the attribute with the id of a process. Copies of a series of one process count once.
            by: attributes by whose values the sums are kept apart.
            grid: the points of time.
            within: seconds before a point. Series without a value in this time do not count at that point.
            dialect: the spelling of names, from a `Sample`.

        Returns:
            for each combination of values of *by*, the sums, shape (points,); nan where there is no value. An absent
            attribute has the value "".

        Raises:
            OSError: the store cannot be reached, is late, or its response is incomplete.
            ValueError: the response cannot be read.
        """
        ...


def as_counts(values: Floats) -> Counts:
    """
    Return values of a store as counts. Points without a value are 0.

    Raises:
        ValueError: they are no counts.
    """
    if not (np.isnan(values) | ((values >= 0) & (values < MAX_COUNT))).all():
        msg = f"expected counts, not {values[~np.isnan(values)].tolist()[:5]}"
        raise ValueError(msg)
    counts: Counts = np.rint(np.nan_to_num(values)).astype(np.int64)
    return counts


def bin_index(text: str, size: int) -> int:
    """
    Return the number of a bin or bucket.

    Raises:
        ValueError: it is no number below *size*.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) < size):  # noqa: PLR2004 - digits
        msg = f"expected the number of a bin below {size}, not {text[:20]!r}"
        raise ValueError(msg)
    return int(text)
