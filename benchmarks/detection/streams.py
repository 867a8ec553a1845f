"""Seeded streams of rows without drift, and the drifts to add to them. Needs only numpy and scipy."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

__all__ = ["CATEGORICAL", "MIXED", "SHIFTS", "Columns", "Shift", "Source", "World", "generator", "reference_of"]

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]

SEED = 20_261_123
"""The seed of all random numbers of the benchmark."""

EXTREME = 1e-12
"""Smallest distance of probabilities from 0 and 1, where t2 has no finite quantile."""

CATEGORIES = {"cat5": 5, "cat18": 18, "cat500": 500}
"""Number of categories of each categorical kind."""


def generator(*path: object) -> np.random.Generator:
    """Return a generator that depends only on a path of names and numbers."""
    return np.random.default_rng([SEED, zlib.crc32(repr(path).encode())])


# --- marginals: every feature is a function of a latent standard normal value, which has the dependence --------------


def _cuts(weights: Sequence[float]) -> Floats:
    shares = np.cumsum(np.array(weights) / np.sum(weights))[:-1]
    return np.asarray(ndtri(shares), dtype=np.float64)


def _zipf(size: int) -> Floats:
    return _cuts([1.0 / rank for rank in range(1, size + 1)])


def _t2(latent: Floats) -> Floats:
    share = np.clip(ndtr(latent), EXTREME, 1.0 - EXTREME)
    return np.asarray((2.0 * share - 1.0) / np.sqrt(2.0 * share * (1.0 - share)))


FEW_CUTS = _cuts([0.22, 0.33, 0.25, 0.13, 0.05, 0.02])
CODE_CUTS = {kind: _zipf(size) for kind, size in CATEGORIES.items()}

MARGINALS: dict[str, Callable[[Floats], NDArray[Any]]] = {
    "normal": lambda latent: latent,
    "lognormal": np.exp,
    "t2": _t2,
    "few": lambda latent: np.searchsorted(FEW_CUTS, latent) * 1.5,
    "spike": lambda latent: np.maximum(latent, 0.0),
    "cat5": lambda latent: np.searchsorted(CODE_CUTS["cat5"], latent),
    "cat18": lambda latent: np.searchsorted(CODE_CUTS["cat18"], latent),
    "cat500": lambda latent: np.searchsorted(CODE_CUTS["cat500"], latent),
}
CATEGORICAL = frozenset(CATEGORIES)

MIXED = (
    *["normal"] * 8,
    *["lognormal"] * 3,
    "t2",
    *["few"] * 2,
    *["spike"] * 2,
    *["cat5"] * 2,
    *["cat18"] * 2,
)
"""Kinds of twenty features, as a service may have them. Numeric shifts change the first one."""


@dataclass(frozen=True, slots=True)
class World:
    """
    The rows that a model sees while nothing drifts.

    Args:
        kinds: the marginal of each feature.
        autocorrelation: correlation of neighbouring rows, AR(1), of each feature.
        season_rows: rows in a day. The hour of the day is then half of the latent variance. If 0, there is no season.
        correlation: correlation of any two features in the same row.
        pair: correlation of the first two features in the same row.
    """

    kinds: tuple[str, ...] = MIXED
    autocorrelation: float = 0.0
    season_rows: int = 0
    correlation: float = 0.0
    pair: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        return tuple(f"f{index}" for index in range(len(self.kinds)))

    @property
    def categorical(self) -> tuple[str, ...]:
        """The names of the features whose numbers are codes."""
        return tuple(name for name, kind in zip(self.names, self.kinds, strict=True) if kind in CATEGORICAL)


SEASON_SHARE = 0.5
"""Share of the latent variance that the hour of the day explains."""


@dataclass(slots=True)
class Source:
    """An endless stream of the rows of a world. Consecutive calls of `take` return one continuous stretch."""

    world: World
    random: np.random.Generator
    _state: Floats = field(init=False)
    _row: int = field(init=False, default=0)
    _phase: Floats = field(init=False)

    def __post_init__(self) -> None:
        size = len(self.world.kinds)
        self._state = self.random.normal(size=(size, 1)) * self.world.autocorrelation
        self._phase = self.random.uniform(0.0, 2.0 * np.pi, size=(size, 1))

    def take(self, rows: int) -> dict[str, NDArray[Any]]:
        """Return the next rows."""
        world = self.world
        latent = self.random.normal(size=(len(world.kinds), rows))
        if world.correlation:
            common = self.random.normal(size=rows)
            latent = np.sqrt(1.0 - world.correlation) * latent + np.sqrt(world.correlation) * common
        if world.pair:
            latent[1] = world.pair * latent[0] + np.sqrt(1.0 - world.pair**2) * latent[1]
        if world.autocorrelation:
            scale = np.sqrt(1.0 - world.autocorrelation**2)
            latent, self._state = lfilter([scale], [1.0, -world.autocorrelation], latent, zi=self._state)
        if world.season_rows:
            hours = 2.0 * np.pi * (self._row + np.arange(rows)) / world.season_rows
            latent = np.sqrt(1.0 - SEASON_SHARE) * latent + np.sqrt(2.0 * SEASON_SHARE) * np.sin(hours + self._phase)
        self._row += rows
        return {
            name: MARGINALS[kind](values) for name, kind, values in zip(world.names, world.kinds, latent, strict=True)
        }


def reference_of(source: Source, rows: int, order: str) -> dict[str, NDArray[Any]]:
    """
    Return training data: the stretch before the rows served.

    Args:
        source: the source of the rows.
        rows: number of rows.
        order: "time" keeps the order of the rows. "shuffled" permutes them, as data sets on disk often are.
    """
    columns = source.take(rows)
    if order == "shuffled":
        order_of_rows = source.random.permutation(rows)
        return {name: column[order_of_rows] for name, column in columns.items()}
    return columns


# --- drifts ----------------------------------------------------------------------------------------------------------

Change = Callable[[dict[str, NDArray[Any]], np.random.Generator], dict[str, NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class Shift:
    """A drift: the feature that it changes, and a function that changes a batch, possibly in place."""

    feature: str
    change: Change
    numeric: bool = True
    world: World = field(default_factory=World)


def _moved(by: float) -> Change:
    def change(columns: dict[str, NDArray[Any]], random: np.random.Generator) -> dict[str, NDArray[Any]]:
        del random
        return {**columns, "f0": columns["f0"] + by}

    return change


def _spread(columns: dict[str, NDArray[Any]], random: np.random.Generator) -> dict[str, NDArray[Any]]:
    del random
    return {**columns, "f0": columns["f0"] * np.sqrt(1.2)}


def _outliers(columns: dict[str, NDArray[Any]], random: np.random.Generator) -> dict[str, NDArray[Any]]:
    far = 3.0 + 0.1 * random.normal(size=len(columns["f0"]))
    return {**columns, "f0": np.where(random.random(len(far)) < 0.05, far, columns["f0"])}


def _missing(columns: dict[str, NDArray[Any]], random: np.random.Generator) -> dict[str, NDArray[Any]]:
    return {**columns, "f0": np.where(random.random(len(columns["f0"])) < 0.02, np.nan, columns["f0"])}


def _mix(columns: dict[str, NDArray[Any]], random: np.random.Generator) -> dict[str, NDArray[Any]]:
    # Five percent of all rows change from the most frequent category (43.8 %) to the third (14.6 %).
    codes = columns[CATEGORY]
    moved = (codes == 0) & (random.random(len(codes)) < 0.05 * HARMONIC_5)
    return {**columns, CATEGORY: np.where(moved, 2, codes)}


def _unseen(columns: dict[str, NDArray[Any]], random: np.random.Generator) -> dict[str, NDArray[Any]]:
    codes = columns[CATEGORY]
    return {**columns, CATEGORY: np.where(random.random(len(codes)) < 0.005, CATEGORIES["cat5"], codes)}


def _flip(columns: dict[str, NDArray[Any]], random: np.random.Generator) -> dict[str, NDArray[Any]]:
    del random
    return {**columns, "f1": -columns["f1"]}


CATEGORY = "f16"
"""A feature of five categories in `MIXED`."""

HARMONIC_5 = sum(1.0 / rank for rank in range(1, 6))
"""Reciprocal of the share of the most frequent of the five categories."""

SHIFTS: dict[str, Shift] = {
    "mean +0.05 σ": Shift("f0", _moved(0.05)),
    "mean +0.1 σ": Shift("f0", _moved(0.1)),
    "mean +0.2 σ": Shift("f0", _moved(0.2)),
    "mean +0.5 σ": Shift("f0", _moved(0.5)),
    "variance ×1.2": Shift("f0", _spread),
    "5 % outliers at 3 σ": Shift("f0", _outliers),
    "category mix 5 points": Shift(CATEGORY, _mix, numeric=False),
    "missing 0 to 2 %": Shift("f0", _missing),
    "unseen category 0.5 %": Shift(CATEGORY, _unseen, numeric=False),
    "correlation +0.8 to -0.8": Shift("f1", _flip, world=World(pair=0.8)),
}
