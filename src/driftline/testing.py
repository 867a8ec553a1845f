"""For the tests of those who use driftline: a manual clock, a monitor without threads, checks for plug-ins."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from driftline.detection._stream_detectors import resolve_detectors
from driftline.monitor import Monitor
from driftline.typing import (
    Detector,
    Distance,
)

__all__ = ["ManualClock", "check_detector", "check_distance", "in_memory_monitor"]


class ManualClock:
    """
    A clock that goes when it is told to.

    >>> clock = ManualClock()
    >>> clock.advance(90.0)
    >>> clock()
    90.0
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def __call__(self) -> float:
        """Seconds since an arbitrary start."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds; a negative number is a clock that jumps back."""
        self._now += seconds


def in_memory_monitor(name: str = "model", **options: Any) -> Monitor:
    """
    A monitor that starts no thread and raises what it would otherwise log.

    Args:
        name: the model.
        options: as for `driftline.Monitor`; the defaults of *synchronous*, *on_error* and *enabled* are for tests.
    """
    return Monitor(name, **{"synchronous": True, "on_error": "raise", "enabled": True, **options})


def check_distance(distance: Distance | Callable[..., float]) -> None:
    """
    Check that a function keeps the contract of a distance.

    Raises:
        AssertionError: it changes its arguments, gives different numbers for the same counts, does not give 0 for equal
            counts, or gives anything but a number of at least 0 for different ones.
    """
    seeded = np.random.default_rng(0)
    for _ in range(50):
        reference, current = seeded.integers(0, 100, 8), seeded.integers(1, 100, 8)
        kept = reference.copy(), current.copy()
        value = float(distance(reference, current))
        if not (np.array_equal(kept[0], reference) and np.array_equal(kept[1], current)):
            msg = "the distance changes the counts that it is given"
            raise AssertionError(msg)
        if not math.isnan(value) and value < 0:
            msg = f"distance({kept[0].tolist()}, {kept[1].tolist()}) is {value}, expected at least 0"
            raise AssertionError(msg)
        if float(distance(reference, current)) != value and not math.isnan(value):
            msg = "the distance gives different numbers for the same counts"
            raise AssertionError(msg)
        same = float(distance(current, current))
        if abs(same) > 1e-9:  # noqa: PLR2004 - rounding
            msg = f"distance of {current.tolist()} from itself is {same}, expected 0"
            raise AssertionError(msg)


def check_detector(detector: Detector | Any, quiet: Sequence[float] = (), changed: Sequence[float] = ()) -> None:
    """
    Check that an object keeps the contract of a detector; it is copied, and not fed itself.

    Args:
        detector: with ``update(x)`` and ``drift_detected`` (or ``drift`` and ``reset()``, as frouros has it).
        quiet: values without a change; by default 2,000 errors (1.0) and hits (0.0), one in ten an error.
        changed: values after the change; by default 2,000, nine in ten errors.

    Raises:
        AssertionError: it says that it found a change before the first value, finds more than one in a hundred values
            where there is none, or none where there is one; a copy of it is held to the same.
        ConfigurationError: it is no detector, or cannot be copied.
    """
    seeded = np.random.default_rng(0)
    before = list(quiet) or (seeded.random(2_000) < 0.1).astype(float).tolist()  # noqa: PLR2004 - as documented
    after = list(changed) or (seeded.random(2_000) < 0.9).astype(float).tolist()  # noqa: PLR2004 - as documented
    (named,) = resolve_detectors({"error": detector})
    # Two copies, one after the other: what they share shows in the second.
    for one in (named.fresh(), named.fresh()):
        if getattr(one, named.flag):
            msg = f"{named.kind} says that it found a change before the first value"
            raise AssertionError(msg)
        places = []
        for place, value in enumerate([*before, *after]):
            one.update(value)
            if getattr(one, named.flag):
                places.append(place)
                if named.resets:
                    one.reset()  # type: ignore[attr-defined]
        early = [place for place in places if place < len(before)]
        if len(early) > len(before) / 100:
            msg = (
                f"{named.kind} finds {len(early)} changes in {len(before)} values without one, the first at {early[0]}"
            )
            raise AssertionError(msg)
        if len(early) == len(places):
            msg = f"{named.kind} finds no change in {len(after)} values after one"
            raise AssertionError(msg)
