"""
Detectors that know the process of a stream: the best that a test on means could do on dependent rows.

All are tuned to one alarm in thirty days for ten features like this one. A feature then has an alarm with probability
1 - exp(-1/10) in a month, and a limit is that quantile of the largest statistic of simulated months.

- *oracle*: means over 1, 4, 16 and 64 windows against that of the training data, with their true variances.
- *ADWIN, known variance*: the mean of the last 1, 2, 4 and so on panes against that of all rows before (Bifet & Gavaldà
  2007), with true variances instead of a bound.
- *river ADWIN*: the class of river, where it is installed, on independent rows or on means of panes of dependent ones.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

import lumpy_streams as lumpy
import numpy as np
from numpy.typing import NDArray
from streams import generator

__all__ = ["LOOKS", "PANE", "Known", "Process", "adwin_delay", "know", "oracle_delay", "river_delay"]

Floats = NDArray[np.float64]

PANE, WINDOW = 250, 1_000
"""Rows of a pane and of a window."""

PANES = WINDOW // PANE
LOOKS = (1, 4, 16, 64)
"""Windows that the oracle looks back."""

MONTH = 720
REFERENCE = 20_000
QUIET = float(np.exp(-0.1))
"""Probability that one feature of ten has no alarm in a month, at one alarm a month for all."""

DELTAS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.002)
"""Values of ADWIN's parameter at which its alarms are counted."""

TUNING_VALUES = 1_500_000
"""Values of a stream on which alarms of ADWIN are counted for each parameter, without drift."""

ROWS_BETWEEN_TESTS = 32
"""Rows between two tests of ADWIN, river's default. Means of panes are tested each time."""

SCALE = 100.0
"""Factor of the values for ADWIN, so large that the part of its bound that does not depend on the variance vanishes."""


@dataclass(frozen=True, slots=True)
class Process:
    """
    A stream and the value of a row that a detector averages.

    Args:
        name: the name in the tables.
        draw: the stream.
        squares: whether squares are averaged, which a change of the spread moves.
        rows_per_value: rows that one value of river's ADWIN is the mean of.
    """

    name: str
    draw: lumpy.Draw
    squares: bool = False
    rows_per_value: int = PANE

    @property
    def clock(self) -> int:
        """Return the values between two tests of river's ADWIN."""
        return ROWS_BETWEEN_TESTS if self.rows_per_value == 1 else 1

    def values(self, rows: Floats) -> Floats:
        """Return values of mean 0 and variance 1 without drift."""
        return (rows**2 - 1.0) / np.sqrt(2.0) if self.squares else rows


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a process, from simulation."""

    deviations: dict[int, float]
    """Standard deviation of the mean over some windows minus the mean of the training data, by windows."""
    limit: float
    """The oracle's limit of the standardised difference."""
    panes: Floats
    """Variance of the mean of 1, 2, 4 and so on panes."""
    adwin_limit: float
    delta: float | None
    """The parameter of river's ADWIN. If None, river is not installed."""


def _means(values: Floats, size: int) -> Floats:
    """Return the means of consecutive values, shape (..., values // size)."""
    kept = values.shape[-1] // size * size
    return np.asarray(values[..., :kept].reshape(*values.shape[:-1], -1, size).mean(axis=-1))


def _moving(values: Floats, size: int) -> Floats:
    """Return the mean of the last *size* values at each step; NaN while there are fewer."""
    total = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
    moving = np.full(values.shape, np.nan)
    moving[..., size - 1 :] = (total[..., size:] - total[..., :-size]) / size
    return moving


def know(process: Process, months: int = 30) -> Known:
    """Simulate months without drift, of ten features each, and return what a detector could know of the process."""
    reference, panes, rows = [], [], []
    for number in range(months):
        random = generator("oracle", process.name, number)
        columns = process.draw(random, REFERENCE + MONTH * WINDOW)
        values = np.array([process.values(column) for name, column in columns.items() if name != lumpy.USER])
        reference.append(values[:, :REFERENCE].mean(axis=1))
        panes.append(_means(values[:, REFERENCE:], PANE))
        if number == 0 and process.rows_per_value == 1:
            rows.append(values.ravel())
    expected, series = np.concatenate(reference), np.concatenate(panes)
    windows = _means(series, PANES)
    spread_of_reference = float((expected**2).mean())
    deviations = {look: float(np.sqrt(np.nanmean(_moving(windows, look) ** 2) + spread_of_reference)) for look in LOOKS}
    largest = np.nanmax(np.abs(_differences(windows, expected, deviations)), axis=(0, 2))
    sizes = 2 ** np.arange(series.shape[-1].bit_length())
    variances = np.array([float((_means(series, int(size)) ** 2).mean()) for size in sizes])
    # A few blocks do not show the variance of the longest ones, which cannot fall faster than that of independent rows.
    variances[-3:] = variances[-4] / 2.0 ** np.arange(1, 4)
    largest_split = np.array([np.nanmax(_splits(one, variances)) for one in series])
    return Known(
        deviations,
        float(np.quantile(largest, QUIET)),
        variances,
        float(np.quantile(largest_split, QUIET)),
        _tuned_delta(process, np.concatenate(rows) if rows else series.ravel()),
    )


def _differences(windows: Floats, expected: Floats, deviations: dict[int, float]) -> Floats:
    """Return the standardised differences, shape (looks, series, windows)."""
    return np.array([(_moving(windows, look) - expected[:, np.newaxis]) / sd for look, sd in deviations.items()])


def oracle_delay(known: Known, panes: Floats, expected: float, begins: int) -> int | None:
    """
    Return the windows until the oracle finds the drift, or None.

    Args:
        known: what is known of the process.
        panes: means of panes, shape (panes,).
        expected: the mean of the training data.
        begins: the window in which the drift begins.
    """
    windows = _means(panes[np.newaxis], PANES)
    beyond = np.abs(_differences(windows, np.array([expected]), known.deviations))[:, 0, begins:] > known.limit
    return _first(beyond.any(axis=0))


def _first(flags: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(flags)) + 1 if flags.any() else None


def _splits(panes: Floats, variances: Floats, begins: int = 8) -> Floats:
    """Return the largest standardised difference between last panes and all before, by pane, from *begins* on."""
    total = np.concatenate([[0.0], np.cumsum(panes)])
    steps = np.arange(begins, len(panes) + 1)
    largest = np.zeros(len(steps))
    for power, variance in enumerate(variances):
        size = 2**power
        past = steps - size
        enough = past >= begins // 2
        if not enough.any():
            break
        before, now = past[enough], steps[enough]
        doublings = np.floor(np.log2(before)).astype(np.int64)
        spread = np.sqrt(variance + variances[doublings] * 2.0**doublings / before)
        difference = (total[now] - total[before]) / size - total[before] / before
        largest[enough] = np.maximum(largest[enough], np.abs(difference) / spread)
    return largest


def adwin_delay(known: Known, panes: Floats, begins: int) -> int | None:
    """Return the windows until ADWIN with known variances finds the drift, or None."""
    beyond = _splits(panes, known.panes) > known.adwin_limit
    first = begins * PANES - 8
    return _first(beyond[first + 1 :].reshape(-1, PANES).any(axis=1))


# --- river -----------------------------------------------------------------------------------------------------------


def _alarms(values: Floats, delta: float, clock: int) -> Iterator[int]:
    from river.drift import ADWIN  # noqa: PLC0415 - only where it is installed

    detector = ADWIN(delta=delta, clock=clock)
    for step, value in enumerate((SCALE * values).tolist()):
        detector.update(value)
        if detector.drift_detected:
            yield step


def _tuned_delta(process: Process, values: Floats) -> float | None:
    """Return the parameter at which river's ADWIN has a tenth of an alarm in a month, from a line of log rates."""
    if importlib.util.find_spec("river") is None:
        return None
    values = values[:TUNING_VALUES]
    month = MONTH * WINDOW / process.rows_per_value
    counts = [(delta, sum(1 for _ in _alarms(values, delta, process.clock))) for delta in DELTAS]
    points = [(np.log(delta), np.log(count / len(values) * month)) for delta, count in counts if count >= 5][-4:]
    if len(points) < 2:
        return DELTAS[0]
    slope, level = np.polyfit(*np.array(points).T, 1)
    return float(min(np.exp((np.log(0.1) - level) / slope), 1.0))


def river_delay(process: Process, known: Known, values: Floats, begins: int) -> int | None:
    """Return the windows until river's ADWIN, fed with *values* from the first window on, finds the drift, or None."""
    if known.delta is None:
        return None
    per_window = WINDOW // process.rows_per_value
    alarms = _alarms(values, known.delta, process.clock)
    step = next((step for step in alarms if step >= begins * per_window), None)
    return None if step is None else (step - begins * per_window) // per_window + 1
