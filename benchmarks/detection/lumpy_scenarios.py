"""The scenarios of power and recovery: a stream, the drift of its first feature, and what happens before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import lumpy_mixed as several
import lumpy_streams as lumpy
import numpy as np
from lumpy_oracle import Process
from numpy.typing import NDArray

__all__ = ["HORIZON", "SCENARIOS", "Scenario"]

Change = Callable[[NDArray[Any], NDArray[Any], np.random.Generator], NDArray[Any]]
"""Returns rows of the feature with the drift, given the rows, the training data and a random generator."""

HORIZON = 60
"""Windows within which a drift has to be found."""

LATE = 100
"""The window in which most drifts begin, long after the first ones of live traffic have been learnt from."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    A drift of the first of ten features.

    Args:
        key: the name in commands. The digits are those of the issue.
        name: the name in the tables.
        process: the stream, and what the oracle averages.
        change: the drift.
        order: order of the training data, "shuffled" or "time".
        begins: the window in which it begins.
        lasts: windows that it lasts. If None, it does not end.
        before: stretches of windows with the same drift before that, from and to.
        replaced: the window in which the reference is replaced by another one of the same stream.
        cluster: the column that says whose rows belong together.
        oracle: whether the oracle and ADWIN can see this drift.
        categorical: whether the features are categories, or the names of those that are.
        rows: rows of a window.
    """

    key: str
    name: str
    process: Process
    change: Change
    order: str = "shuffled"
    begins: int = LATE
    lasts: int | None = None
    before: tuple[tuple[int, int], ...] = ()
    replaced: int | None = None
    cluster: str | None = None
    oracle: bool = True
    categorical: bool | tuple[str, ...] = False
    rows: int = 1_000

    def categories(self, names: Iterable[str]) -> list[str]:
        """Return which of the features are categories."""
        if isinstance(self.categorical, tuple):
            return [name for name in names if name in self.categorical]
        return [*names] if self.categorical else []

    @property
    def windows(self) -> int:
        """The number of windows: until the horizon, or as many after the end of the drift."""
        return self.begins + (self.lasts or 0) + HORIZON

    def drifts(self, window: int) -> bool:
        """Return whether the feature has the drift in a window."""
        ends = self.windows if self.lasts is None else self.begins + self.lasts
        return self.begins <= window < ends or any(start <= window < stop for start, stop in self.before)


def _moved(by: float, share: float = 1.0) -> Change:
    def change(rows: NDArray[Any], training: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
        del training
        return rows + by * (random.random(len(rows)) < share)

    return change


def _wider(rows: NDArray[Any], training: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
    del training, random
    return np.asarray(rows * np.sqrt(1.2))


def _far(rows: NDArray[Any], training: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
    return np.where(random.random(len(rows)) < 0.01, 3.0 * training.max(), rows)


def _mixed(rows: NDArray[Any], training: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
    # Five percent of all rows move from the most frequent category to the third one.
    del training
    frequent = rows == 0
    return np.where(frequent & (random.random(len(rows)) < 0.05 / frequent.mean()), 2, rows)


def _more_missing(rows: NDArray[Any], training: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
    del training
    return np.where(random.random(len(rows)) < 0.1, np.nan, rows)


def _more_yes(rows: NDArray[Any], training: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
    del training
    return np.where(random.random(len(rows)) < 0.01, 1, rows)


def _yes(random: np.random.Generator, rows: int) -> dict[str, NDArray[Any]]:
    return lumpy.named((random.random((lumpy.FEATURES, rows)) < 0.015).astype(np.int64))


IID = Process("independent rows", lumpy.ar(0.0), rows_per_value=1)
SQUARES = Process("independent rows, squares", lumpy.ar(0.0), squares=True, rows_per_value=1)
AR95, AR99 = (Process(f"AR(1) {phi}", lumpy.ar(phi)) for phi in (0.95, 0.99))
USERS = Process("users of 1 to 200 rows", lumpy.users(200))
PARETO = Process("users of up to 2,000 rows (Pareto)", lumpy.pareto_users(2_000))
STATES = Process("two states of 3,000 rows on average", lumpy.states(3_000, fixed=False))
FIVE = Process("five categories", lumpy.categories(5))


def _scenarios() -> Iterable[Scenario]:
    half, third = _moved(0.5), _moved(0.3)
    yield Scenario("P1", "mean +0.5 σ", AR95, half)
    yield Scenario("P2a", "mean +0.3 σ", AR95, third)
    yield Scenario("P2b", "mean +0.3 σ", AR95, third, "time")
    yield Scenario("P4a", "mean +0.1 σ", IID, _moved(0.1))
    yield Scenario("P4b", "variance ×1.2", SQUARES, _wider)
    yield Scenario("P4c", "10 % of rows +1 σ", IID, _moved(1.0, 0.1))
    yield Scenario("P4d", "category mix 5 points", FIVE, _mixed, oracle=False, categorical=True)
    yield Scenario("P4e", "1 % of rows at three times the maximum", IID, _far, oracle=False, rows=2_000)
    yield Scenario("P5", "mean +0.05 σ", IID, _moved(0.05))
    for key, process in (("a", IID), ("b", AR95), ("c", AR99), ("d", USERS)):
        yield Scenario(f"P6{key}", "mean +1 σ for 20 windows", process, _moved(1.0), lasts=20)
    yield Scenario("P7a", "mean +0.5 σ, 40 windows after a new reference", AR95, half, replaced=60)
    flickers = ((5, 8), (12, 15), (20, 23))
    yield Scenario("P7b", "mean +0.5 σ, after three flickers", AR95, half, begins=60, before=flickers)
    first = ((0, 10),)
    yield Scenario("P7c", "mean +0.5 σ, after the same from row one", AR95, half, begins=60, before=first)
    yield Scenario("P8a", "mean +0.5 σ from row one", IID, half, begins=0)
    yield Scenario("P8b", "mean +1 σ from row one", IID, _moved(1.0), begins=0)
    yield Scenario("P8c", "mean +0.5 σ from row one", AR95, half, begins=0)
    yield Scenario("P8d", "mean +0.5 σ from row one", AR99, half, begins=0)
    yield Scenario("P8e", "mean +0.2 σ from row one", IID, _moved(0.2), begins=0)
    yield Scenario("Xa", "mean +0.5 σ", AR99, half)
    yield Scenario("Xb", "mean +1 σ", AR99, _moved(1.0))
    yield Scenario("Xc", "mean +0.5 σ", USERS, half)
    yield Scenario("Xd", "mean +0.5 σ, by key", USERS, half, cluster=lumpy.USER)
    yield Scenario("Xe", "mean +0.5 σ", PARETO, half)
    yield Scenario("Xf", "mean +0.5 σ, by key", PARETO, half, cluster=lumpy.USER)
    yield Scenario("Xg", "mean +1 σ", STATES, _moved(1.0))
    yield from _mixed_scenarios()


def _mixed_scenarios() -> Iterable[Scenario]:
    """Return pairs of scenarios: a feature beside features of other kinds, and beside features of the same kind."""
    outages = Process("5 % missing in runs of 50", lumpy.outages(0.05, 50))
    yes = Process("yes in 1.5 %", _yes)
    for letter, kind, alike, name, change in (
        ("a", several.INDEPENDENT, IID, "mean +0.1 σ", _moved(0.1)),
        ("b", several.AR95, AR95, "mean +0.5 σ", _moved(0.5)),
        ("c", several.OFTEN, outages, "10 points more missing", _more_missing),
        ("d", several.YES, yes, "1 point more yes", _more_yes),
        ("e", several.USERS, USERS, "mean +0.5 σ", _moved(0.5)),
        ("f", several.STATES, STATES, "mean +1 σ", _moved(1.0)),
    ):
        beside = Process(f"{kind}, beside other kinds", several.mixed(kind))
        yield Scenario(f"M2{letter}", name, beside, change, oracle=False, categorical=several.categories_of(kind))
        yield Scenario(f"M3{letter}", name, alike, change, oracle=False, categorical=alike is yes)


SCENARIOS = tuple(_scenarios())
