"""
What reasons say, compared with the raw rows: the leading word, and the medians.

    python benchmarks/detection/lumpy_words.py --draws 20

Each draw fits a reference of one feature, serves one window with a change, and reads the reason of the alarm.
"""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rules_driftline import Watch, fit
from streams import generator

__all__ = ["CHANGES", "Alarm", "alarm", "is_refuted", "measure", "pairs", "rows_of", "temperatures"]

REFERENCE, WINDOW = 20_000, 2_000

SHAPES: dict[str, Callable[[np.random.Generator, int], NDArray[Any]]] = {
    "normal": lambda random, rows: random.normal(size=rows),
    "uniform": lambda random, rows: random.uniform(size=rows),
    "exponential": lambda random, rows: random.exponential(size=rows),
    "lognormal": lambda random, rows: random.lognormal(size=rows),
    "two peaks": lambda random, rows: random.normal(size=rows) + 6.0 * (random.random(rows) < 0.5),
    "counts": lambda random, rows: random.poisson(20.0, rows).astype(np.float64),
    "half zero": lambda random, rows: np.where(random.random(rows) < 0.45, 0.0, random.exponential(size=rows)),
    "two decimals": lambda random, rows: np.round(random.normal(10.0, 0.1, rows), 2),
    "categories": lambda random, rows: random.integers(10, size=rows),
}
"""How the values of a feature are distributed. All but the last are numeric."""

Change = Callable[[NDArray[Any], float, np.random.Generator], NDArray[Any]]


def _some(share: float, value: Callable[[NDArray[Any], float], float]) -> Change:
    def change(rows: NDArray[Any], deviation: float, random: np.random.Generator) -> NDArray[Any]:
        return np.where(random.random(len(rows)) < share, value(rows, deviation), rows)

    return change


CHANGES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "+0.3 σ": (lambda rows, deviation, _: rows + 0.3 * deviation, ("location up",)),
    "+1 σ": (lambda rows, deviation, _: rows + deviation, ("location up",)),
    "-0.5 σ": (lambda rows, deviation, _: rows - 0.5 * deviation, ("location down",)),
    "spread ×1.5": (lambda rows, _, __: rows.mean() + 1.5 * (rows - rows.mean()), ("spread wider",)),
    "spread ×0.6": (lambda rows, _, __: rows.mean() + 0.6 * (rows - rows.mean()), ("spread narrower",)),
    "5 % missing": (_some(0.05, lambda _, __: np.nan), ("more missing",)),
    "3 % far above": (_some(0.03, lambda rows, deviation: rows.max() + 20.0 * deviation), ("more out of range",)),
    "5 % of a new category": (_some(0.05, lambda _, __: 77.0), ("unseen",)),
    "10 % of a category to another": (lambda rows, _, random: _mix(rows, random), ("mix changed",)),
}
"""A change, given the rows and their standard deviation, and the words that may lead the reason."""

FOR_CATEGORIES = ("5 % of a new category", "10 % of a category to another")
"""Changes of categories. The others are of numbers."""


def _mix(rows: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
    return np.where((rows == 0) | ((rows == 1) & (random.random(len(rows)) < 0.5)), 2, rows)


MEDIANS = re.compile(r"median ([^\s,;]+)(?: \(±([^)]+)\))? to (above |below )?([^\s,;]+)(?: \(±([^)]+)\))?")
"""The medians of the training data and of the window, each with its error if it has one."""


def is_refuted(claim: str, error: str | None, side: str | None, true: float) -> bool:
    """Return whether a true median lies outside of what a reason says, beyond the rounding of its last digit."""
    value = float(claim)
    if side:
        return true <= value if side == "above " else true >= value
    mantissa, _, exponent = claim.partition("e")
    last_digit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(true - value) > float(error or 0.0) + 0.501 * last_digit


@dataclass(frozen=True, slots=True)
class Alarm:
    """The reason of an alarm beside the raw rows."""

    shape: str
    change: str
    reason: str
    leads: bool
    """Whether the reason begins with the right words."""
    refuted: bool | None
    """Whether the raw rows refute a median of the reason; None if it has none."""
    median_error: float
    """Distance of the window's median in the reason from the true one, in standard deviations."""


def alarm(shape: str, change: str, number: int) -> Alarm | None:
    """Draw a window with a change. Return its alarm, or None if there is none."""
    random = generator("words", shape, change, number)
    training = SHAPES[shape](random, REFERENCE)
    deviation = float(training.std())
    apply, words = CHANGES[change]
    rows = apply(SHAPES[shape](random, WINDOW), deviation, random)
    watch = Watch(fit({"x": training}, ["x"] if shape == "categories" else ()), WINDOW, 0.0)
    result = watch.feed({"x": rows})
    reason = watch.reason("x")
    watch.close()
    if "x" not in result.drifting:
        return None
    return _read(shape, change, reason, words, (training, rows, deviation))


def _read(
    shape: str, change: str, reason: str, words: Iterable[str], raw: tuple[NDArray[Any], NDArray[Any], float]
) -> Alarm:
    said = reason.partition(": ")[2]
    leads = any(said.startswith(word) for word in words)
    match = MEDIANS.search(reason)
    if match is None:
        return Alarm(shape, change, reason, leads, None, 0.0)
    before, before_error, side, after, after_error = match.groups()
    training, rows, deviation = raw
    true = float(np.nanmedian(rows))
    refuted = is_refuted(before, before_error, None, float(np.nanmedian(training)))
    refuted |= is_refuted(after, after_error, side, true)
    return Alarm(shape, change, reason, leads, refuted, 0.0 if side else abs(float(after) - true) / deviation)


def temperatures(months: Sequence[int] = (4, 6, 8, 10)) -> list[dict[str, Any]]:
    """
    Serve hourly temperatures with a season of hours: each month is compared with January (W1).

    The temperature follows the day and the year, and neighbouring hours correlate by 0.97. Hour by hour the mean moves
    by several standard deviations, so that the reason should lead with the location.
    """
    random = generator("temperatures")
    hours = np.arange(365 * 24)
    noise = np.zeros(len(hours))
    for hour in range(1, len(hours)):
        noise[hour] = 0.97 * noise[hour - 1] + random.normal(0.0, 0.8)
    year = -12.0 * np.cos(2 * np.pi * hours / len(hours))
    values = 11.0 + year + 4.0 * np.sin(2 * np.pi * (hours - 9) / 24) + noise
    month = 30 * 24
    reference = fit({"temperature": values[:month]}, time=hours[:month] * 3_600.0, seasons=("hour",))
    rows = []
    for number in months:
        watch = Watch(reference, 24, 0.0, "1d", began=float(number * month * 3_600))
        for day in range(20):
            start = number * month + 24 * day
            watch.feed({"temperature": values[start : start + 24]})
            if watch.state("temperature") == "drifting":
                break
        state, reason = watch.state("temperature"), watch.reason("temperature")
        watch.close()
        rows.append(
            {
                "month": number + 1,
                "mean moved by, σ of an hour": round(
                    float((values[number * month :][:month] - values[:month]).mean() / noise[:month].std()), 1
                ),
                "state": state,
                "leads with location": reason.partition(": ")[2].startswith("location"),
                "reason": reason,
            }
        )
    return rows


def rows_of(alarms: Iterable[Alarm], tried: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the rows of the table, one for each change."""
    by_change: dict[str, list[Alarm]] = {}
    for each in alarms:
        by_change.setdefault(each.change, []).append(each)
    rows = []
    for change, parts in by_change.items():
        medians = [each for each in parts if each.refuted is not None]
        wrong = next((each for each in parts if each.refuted or not each.leads), None)
        rows.append(
            {
                "change": change,
                "tried": tried[change],
                "alarms": len(parts),
                "leads with the right words": round(sum(each.leads for each in parts) / len(parts), 3),
                "with medians": len(medians),
                "largest error of a median, σ": round(max(each.median_error for each in medians), 3)
                if medians
                else None,
                "medians refuted": sum(1 for each in medians if each.refuted),
                "a wrong one": f"{wrong.shape}: {wrong.reason}" if wrong else "",
            }
        )
    return rows


def pairs(draws: int) -> list[tuple[str, str, int]]:
    """Return each shape with each change that it can have, and the numbers of the draws."""
    return [
        (shape, change, number)
        for change in CHANGES
        for shape in SHAPES
        if (shape == "categories") == (change in FOR_CATEGORIES)
        for number in range(draws)
    ]


Spread = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], list[Any]]
"""Calls one function with many arguments, and returns the results in their order."""


def map_in_turn(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Call a function with many arguments, one after the other."""
    return [function(*each) for each in arguments]


def measure(spread: Spread, draws: int) -> list[dict[str, Any]]:
    """Draw alarms of each shape and change, and return the rows of the table."""
    tried = pairs(draws)
    alarms = [each for each in spread(alarm, tried) if each is not None]
    return rows_of(alarms, {change: sum(1 for pair in tried if pair[1] == change) for change in CHANGES})


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rows of both tables."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10, help="draws of each shape and change")
    options = parser.parse_args(arguments)
    for row in [*measure(map_in_turn, options.draws), *temperatures()]:
        print(row)


if __name__ == "__main__":
    main()
