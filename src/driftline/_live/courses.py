"""The course of a number since the start of a view, in a bounded number of points."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Course"]

MAX_POINTS = 120
"""Points of a course. Beyond it, every second one is dropped, and later ones are half as dense."""


class Course:
    """
    Keeps points of time and value, which become sparse when there are many.

    >>> course = Course()
    >>> for second in range(1000):
    ...     course.add(float(second), second % 7)
    >>> len(course.points) <= MAX_POINTS, course.points[0], course.points[-1]
    (True, (0.0, 0), (999.0, 5))
    """

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._step = 0.0

    def add(self, time: float, value: float) -> None:
        """Add a value at a time, in seconds. The last point is always that of the last value."""
        points = self._points
        if len(points) > 1 and points[-1][0] - points[-2][0] < self._step:
            points[-1] = time, value
            return
        if points and points[-1][1] == value and len(points) > 1 and points[-2][1] == value:
            points[-1] = time, value  # a run of equal values has two ends
            return
        points.append((time, value))
        if len(points) > MAX_POINTS:
            self._step = 2.0 * (points[-1][0] - points[0][0]) / len(points)
            self._points = [*points[:-1:2], points[-1]]

    @property
    def points(self) -> Sequence[tuple[float, float]]:
        """The points, the earliest first."""
        return tuple(self._points)
