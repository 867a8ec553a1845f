"""Seeded traffic of the pods of a fleet while nothing drifts: independent rows, dependent rows, moods of all pods."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

__all__ = ["FEATURES", "TRAFFIC", "WINDOW_ROWS", "WINDOW_SECONDS", "Fleet", "Traffic", "generator"]

Floats = NDArray[np.float64]

SEED = 20_261_129
"""The seed of all random numbers of the simulation."""

FEATURES = 3
"""Features of a model, which share its budget."""

WINDOW_ROWS = 10_000
"""Rows of the whole fleet in a window, whatever the number of its pods. Of 40 pods, each has 250."""

WINDOW_SECONDS = 3_600.0
"""Seconds of a window."""

MOOD_SECONDS = 60.0
"""Seconds in which the correlation of the common part falls to 1/e."""


def generator(*path: object) -> np.random.Generator:
    """Return a generator that depends only on a path of names and numbers."""
    return np.random.default_rng([SEED, zlib.crc32(repr(path).encode())])


@dataclass(frozen=True, slots=True)
class Traffic:
    """
    How the rows of a fleet depend on each other. Every feature is normal, with mean 0 and variance 1.

    Args:
        key: the name in commands.
        name: the name in tables.
        own: correlation of neighbouring rows of one pod, AR(1), independent of the other pods.
        common: share of the variance that all pods have in common at a moment, AR(1) in time.
    """

    key: str
    name: str
    own: float = 0.0
    common: float = 0.0


TRAFFIC = {
    each.key: each
    for each in (
        Traffic("independent", "independent rows"),
        Traffic("own", "AR(1) 0.9 within each pod", own=0.9),
        Traffic("common", "half of the variance common to all pods, for about a minute", common=0.5),
    )
}


@dataclass(slots=True)
class Fleet:
    """
    An endless stream of the rows of a fleet.

    Args:
        traffic: how the rows depend on each other.
        pods: number of pods, which divides `WINDOW_ROWS`.
        random: the source of the values.
    """

    traffic: Traffic
    pods: int
    random: np.random.Generator
    rows: int = field(init=False)
    """Rows of one pod in a window. The rows of all pods arrive at the same moments."""
    _own: Floats = field(init=False)
    _common: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.rows = WINDOW_ROWS // self.pods
        self._own = self.random.normal(size=(FEATURES, self.pods, 1)) * self.traffic.own
        self._common = self.random.normal(size=(FEATURES, 1, 1)) * self._mood

    @property
    def _mood(self) -> float:
        """The correlation of the common part at two neighbouring moments."""
        return float(np.exp(-WINDOW_SECONDS / self.rows / MOOD_SECONDS))

    def take(self) -> Floats:
        """Return the rows of the next window, shape (features, pods, rows of a pod)."""
        share = self.traffic.common
        values = self.random.normal(size=(FEATURES, self.pods, self.rows))
        if self.traffic.own:
            values, self._own = _autoregression(values, self.traffic.own, self._own)
        if share:
            common = self.random.normal(size=(FEATURES, 1, self.rows))
            common, self._common = _autoregression(common, self._mood, self._common)
            values = np.sqrt(1.0 - share) * values + np.sqrt(share) * common
        return np.asarray(values, dtype=np.float64)


def _autoregression(noise: Floats, correlation: float, state: Floats) -> tuple[Floats, Floats]:
    scale = np.sqrt(1.0 - correlation**2)
    values, state = lfilter([scale], [1.0, -correlation], noise, zi=state)
    return np.asarray(values), np.asarray(state)
