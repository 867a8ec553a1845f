"""
Seeded traffic that comes in lumps while nothing drifts: states, users, outages, long memory, seasons, rare categories.

Every function takes a random generator and a number of rows, and returns that number of consecutive rows. A feature
has mean 0 and variance 1 unless said. Features are independent, except that users and people are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from streams import Columns, Source, World

__all__ = [
    "USER",
    "Draw",
    "additive_seasons",
    "ar",
    "categories",
    "identifiers",
    "long_memory",
    "named",
    "outages",
    "panel",
    "pareto_users",
    "states",
    "users",
    "weekend",
]

Draw = Callable[[np.random.Generator, int], Columns]
"""Draws consecutive rows: columns by name, each of shape (rows,)."""

FEATURES = 10
USER = "user"
"""The name of the column that says which user sent a row."""

ROWS_PER_HOUR = 1_000
"""Rows in an hour of the streams with seasons."""

HALF = np.sqrt(0.5)
"""Half of the variance lies between states, users or people."""


def named(values: NDArray[Any], start: int = 0) -> dict[str, NDArray[Any]]:
    """Return rows of a matrix of shape (features, rows) as columns f0, f1 and so on."""
    return {f"f{start + index}": column for index, column in enumerate(values)}


def categories(size: int) -> Draw:
    """Return independent categories of which the share falls with the rank (Zipf)."""

    def draw(random: np.random.Generator, rows: int) -> Columns:
        total = np.cumsum(1.0 / np.arange(1, size + 1))
        return named(np.searchsorted(total, random.random((FEATURES, rows)) * total[-1]))

    return draw


def identifiers(random: np.random.Generator, rows: int) -> Columns:
    """Return numbers that never occur twice, as an order number would."""
    first = random.integers(0, 1_000_000, size=(FEATURES, 1))
    return named(first + np.arange(rows))


def ar(phi: float, features: int = FEATURES) -> Draw:
    """Return normal values of which neighbouring rows correlate by *phi*. With 0, rows are independent."""

    def draw(random: np.random.Generator, rows: int) -> Columns:
        return Source(World(("normal",) * features, autocorrelation=phi), random).take(rows)

    return draw


def states(length: int, *, fixed: bool, shared: bool = False) -> Draw:
    """
    Return values whose mean alternates between two states, which explain half of the variance.

    Args:
        length: rows of a state.
        fixed: whether all states have this length. If False, it is the mean of an exponential distribution.
        shared: whether all features are in the same state.
    """

    def draw(random: np.random.Generator, rows: int) -> Columns:
        level = np.stack([_alternating(random, rows, length, fixed=fixed) for _ in range(1 if shared else FEATURES)])
        sign = random.choice([-1.0, 1.0], size=(FEATURES, 1))
        return named(HALF * (sign * level + random.normal(size=(FEATURES, rows))))

    return draw


def _alternating(random: np.random.Generator, rows: int, length: int, *, fixed: bool) -> NDArray[np.float64]:
    """Return -1 and 1 in turns, from a random row of a state on."""
    if fixed:
        return 1.0 - 2.0 * ((np.arange(rows) + random.integers(2 * length)) // length % 2)
    # A stationary process begins within a state, whose rest is exponential too.
    lengths = _enough(lambda size: np.ceil(random.exponential(length, size)).astype(np.int64), rows, length)
    signs = random.choice([-1.0, 1.0]) * (1.0 - 2.0 * (np.arange(len(lengths)) % 2))
    return np.asarray(np.repeat(signs, lengths)[:rows])


def _enough(lengths: Callable[[int], NDArray[np.int64]], rows: int, mean: float) -> NDArray[np.int64]:
    """Return lengths of runs that add up to at least *rows*."""
    drawn = lengths(int(rows / mean) + 1)
    while drawn.sum() < rows:
        drawn = np.concatenate([drawn, lengths(int(rows / mean / 4) + 1)])
    return drawn


def _of_groups(random: np.random.Generator, lengths: NDArray[np.int64], rows: int) -> dict[str, NDArray[Any]]:
    user = np.repeat(np.arange(len(lengths)), lengths)[:rows]
    between = random.normal(size=(FEATURES, len(lengths)))
    values = HALF * (between[:, user] + random.normal(size=(FEATURES, rows)))
    return {**named(values), USER: user + random.integers(1_000_000)}


def users(most: int, *, interleaved: int = 0) -> Draw:
    """
    Return the rows of users, each of whom sends 1 to *most* rows in a row.

    Args:
        most: the largest number of rows of a user. All numbers are equally frequent.
        interleaved: rows of a stretch within which the rows of its users are in random order.
    """

    def draw(random: np.random.Generator, rows: int) -> Columns:
        lengths = _enough(lambda size: random.integers(1, most + 1, size), rows, (most + 1) / 2)
        columns = _of_groups(random, lengths, rows)
        if interleaved:
            order = np.argsort(np.arange(rows) // interleaved + random.random(rows), kind="stable")
            columns = {name: column[order] for name, column in columns.items()}
        return columns

    return draw


def pareto_users(most: int) -> Draw:
    """Return the rows of users. A user sends at least x rows with probability 1/x, but never more than *most*."""

    def draw(random: np.random.Generator, rows: int) -> Columns:
        def lengths(size: int) -> NDArray[np.int64]:
            return np.minimum(1.0 / (1.0 - random.random(size)), most).astype(np.int64)

        return _of_groups(random, _enough(lengths, rows, 1.0 + np.log(most)), rows)

    return draw


def panel(each: int, share: float) -> Draw:
    """Return the answers of people of whom each is asked *each* times: yes, with probability *share*, or no."""

    def draw(random: np.random.Generator, rows: int) -> Columns:
        people = rows // each + 1
        answers = random.random((FEATURES, people)) < share
        user = np.repeat(np.arange(people), each)[:rows]
        return {**named(answers[:, user]), USER: user + random.integers(1_000_000)}

    return draw


def outages(share: float, length: int) -> Draw:
    """Return independent normal values. A *share* is missing, in runs of *length* rows, of each feature on its own."""

    def draw(random: np.random.Generator, rows: int) -> Columns:
        values = random.normal(size=(FEATURES, rows))
        present = length * (1.0 / share - 1.0)
        for column in values:
            gaps = _enough(lambda size: random.exponential(present, size).astype(np.int64) + length, rows, present)
            ends = np.cumsum(gaps) - random.integers(int(present) + length)
            missing = (ends[:, np.newaxis] - np.arange(1, length + 1)).ravel()
            column[missing[(missing >= 0) & (missing < rows)]] = np.nan
        return named(values)

    return draw


def long_memory(d: float) -> Draw:
    """
    Return normal values whose correlation falls like the lag to the power of 2d - 1: ARFIMA(0, d, 0).

    Drawn exactly, by circulant embedding (Davies & Harte 1987), of the autocorrelations of Hosking (1981).
    """

    def draw(random: np.random.Generator, rows: int) -> Columns:
        half = 1 << (rows - 1).bit_length()
        lag = np.arange(1, half + 1)
        correlation = np.concatenate([[1.0], np.cumprod((lag - 1 + d) / (lag - d))])
        circle = np.concatenate([correlation, correlation[-2:0:-1]])
        power = np.sqrt(np.maximum(np.fft.fft(circle).real, 0.0) / len(circle))
        values = np.empty((FEATURES, rows))
        # The real and the imaginary part are independent, so that one transform gives two features.
        for index in range(0, FEATURES, 2):
            noise = random.normal(size=(2, len(circle)))
            drawn = np.fft.fft(power * (noise[0] + 1j * noise[1]))[:rows]
            values[index], values[index + 1] = drawn.real, drawn.imag
        return named(values)

    return draw


def additive_seasons(random: np.random.Generator, rows: int) -> Columns:
    """Return values whose mean is an effect of the hour plus an effect of the weekday. Each has variance 1/3."""
    hour, day = _hour_and_day(rows)
    effects = random.normal(size=(FEATURES, 7))
    effects = (effects - effects.mean(axis=1, keepdims=True)) / effects.std(axis=1, keepdims=True)
    course = np.sqrt(2.0) * np.sin(2.0 * np.pi * (np.arange(24) / 24 + random.random((FEATURES, 1))))
    return named((course[:, hour] + effects[:, day] + random.normal(size=(FEATURES, rows))) / np.sqrt(3.0))


def weekend(random: np.random.Generator, rows: int) -> Columns:
    """Return values whose mean follows the hour, with another course on the last two days of a week."""
    hour, day = _hour_and_day(rows)
    clock = 2.0 * np.pi * np.arange(24) / 24
    course = np.sqrt(2.0) * np.sin(clock + 2.0 * np.pi * random.random((2, FEATURES, 1)))
    mean = np.where(day >= 5, course[1][:, hour], course[0][:, hour])
    return named(HALF * (mean + random.normal(size=(FEATURES, rows))))


def _hour_and_day(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    hours = np.arange(rows) // ROWS_PER_HOUR
    return hours % 24, hours // 24 % 7
