"""
Stream detectors: river's ADWIN itself, and Page-Hinkley and KSWIN restated for many series together.

`PageHinkley()` and `KSWIN()` are restated from river 0.23 with their defaults. `installed.py` compares them with river.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from streams import SHIFTS, Source, World, generator

__all__ = ["DETECTORS", "Detector", "adwin", "false_alarms", "kswin", "page_hinkley", "power", "tuned"]

Floats = NDArray[np.float64]
Alarms = NDArray[np.int64]
"""Shape (alarms, 2): series and step of each alarm."""

MONTH_VALUES = 720 * 1_000 * 20
"""Values in thirty days of 1,000 rows an hour with 20 features. One false alarm in this number is one a month."""

BEFORE = 42_000
"""Values before the drift, as many as the rows of reference and warm-up of the other rules."""

HORIZON = 40_000
DRIFTS = (
    "mean +0.05 σ",
    "mean +0.1 σ",
    "mean +0.2 σ",
    "mean +0.5 σ",
    "variance ×1.2",
    "5 % outliers at 3 σ",
)


def page_hinkley(values: Floats, threshold: float = 50.0) -> Alarms:
    """Run `river.drift.PageHinkley`: delta 0.005, alpha 0.9999, at least 30 values, both directions."""
    series = len(values)
    count, mean, up, down = (np.zeros(series) for _ in range(4))
    lowest, highest = np.full(series, np.inf), np.full(series, -1.0)
    alarms = []
    for step, value in enumerate(values.T):
        count += 1.0
        mean += (value - mean) / count
        away = value - mean
        up = 0.9999 * up + away - 0.005
        down = 0.9999 * down + away + 0.005
        np.minimum(lowest, up, out=lowest)
        np.maximum(highest, down, out=highest)
        drift = (count >= 30.0) & ((up - lowest > threshold) | (highest - down > threshold))
        if drift.any():
            alarms += [(index, step) for index in np.flatnonzero(drift)]
            for state in (count, mean, up, down):
                state[drift] = 0.0
            lowest[drift], highest[drift] = np.inf, -1.0
    return np.array(alarms, dtype=np.int64).reshape(-1, 2)


WINDOW, RECENT = 100, 30


def _ks_table() -> Floats:
    """Return the exact P(D ≥ k/30) of two samples of 30 (Gnedenko & Korolyuk 1951)."""
    total = comb(2 * RECENT, RECENT)
    table = [1.0]
    for k in range(1, RECENT + 1):
        terms = ((-1) ** (j - 1) * comb(2 * RECENT, RECENT - j * k) for j in range(1, RECENT // k + 1))
        table.append(min(1.0, 2.0 * sum(terms) / total))
    return np.array(table)


KS_TABLE = _ks_table()


def kswin(values: Floats, alpha: float = 0.005) -> Alarms:
    """Run `river.drift.KSWIN`: the last 30 of 100 values against 30 drawn from the 70 before."""
    random = generator("kswin", values.shape)
    series, steps = values.shape
    since = np.zeros(series, dtype=np.int64)
    rows = np.arange(series)[:, np.newaxis]
    limit = max(np.searchsorted(-KS_TABLE, -alpha), 4)  # a distance above 0.1
    alarms = []
    for step in range(steps):
        since += 1
        ready = np.flatnonzero(since >= WINDOW)
        if not len(ready):
            continue
        window = values[ready, step + 1 - WINDOW : step + 1]
        drawn = random.random((len(ready), WINDOW - RECENT)).argpartition(RECENT, axis=1)[:, :RECENT]
        both = np.concatenate([window[rows[: len(ready)], drawn], window[:, -RECENT:]], axis=1)
        jumps = np.where(both.argsort(axis=1) < RECENT, 1, -1).cumsum(axis=1)
        drift = ready[np.abs(jumps).max(axis=1) >= limit]
        alarms += [(index, step) for index in drift]
        since[drift] = 0
    return np.array(alarms, dtype=np.int64).reshape(-1, 2)


def adwin(values: Floats, delta: float = 0.002) -> Alarms:
    """Run river's `ADWIN` itself."""
    from river.drift import ADWIN  # noqa: PLC0415 - only in the peers' environment

    alarms = []
    for series, row in enumerate(values):
        detector = ADWIN(delta=delta)
        for step, value in enumerate(row.tolist()):
            detector.update(value)
            if detector.drift_detected:
                alarms.append((series, step))
    return np.array(alarms, dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Detector:
    """
    A detector with the values of its parameter to test.

    Args:
        run: takes values of shape (series, steps) and the parameter, and returns alarms.
        default: default of the parameter.
        grid: values of the parameter, from many alarms to few.
        logarithmic: whether the parameter is a probability, so that the rate depends on its logarithm.
        values: shape of the simulated values for each point of the grid.
    """

    run: Callable[[Floats, float], Alarms]
    default: float
    grid: tuple[float, ...]
    logarithmic: bool
    values: tuple[int, int]


DETECTORS: dict[str, Detector] = {
    "river ADWIN": Detector(adwin, 0.002, (0.5, 0.1, 0.02, 0.002, 2e-4), logarithmic=True, values=(8, 100_000)),
    "river PageHinkley": Detector(
        page_hinkley, 50.0, (50.0, 100.0, 200.0, 300.0, 400.0), logarithmic=False, values=(200, 60_000)
    ),
    "river KSWIN": Detector(kswin, 0.005, (0.005, 1e-3, 1e-4, 1e-5), logarithmic=True, values=(100, 6_000)),
}


def false_alarms(scale: float = 1.0) -> list[dict[str, Any]]:
    """Count the alarms in thirty days on iid normal values, for every parameter of the grids."""
    rows = []
    for name, detector in DETECTORS.items():
        series, steps = detector.values
        values = generator("streaming", name).normal(size=(series, max(500, round(steps * scale))))
        for parameter in detector.grid:
            alarms = len(detector.run(values, parameter))
            rows.append(
                {
                    "detector": name,
                    "parameter": parameter,
                    "is the default": parameter == detector.default,
                    "values": values.size,
                    "alarms": alarms,
                    "alarms in 30 days": alarms / values.size * MONTH_VALUES,
                }
            )
    return rows


def tuned(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the parameter of each detector at one alarm in thirty days, from a line through the log rates."""
    rows = list(rows)
    parameters = {}
    for name, detector in DETECTORS.items():
        # A reset takes time, which limits the rate of the first point. A rate needs a few alarms.
        points = [row for row in rows if row["detector"] == name and row["alarms"] >= 3][-3:]
        if len(points) < 2:
            parameters[name] = detector.default
            continue
        x = np.array([point["parameter"] for point in points])
        x = np.log(x) if detector.logarithmic else x
        slope, level = np.polyfit(x, np.log([point["alarms in 30 days"] for point in points]), 1)
        at = -level / slope
        parameters[name] = float(np.exp(at) if detector.logarithmic else at)
    return parameters


def power(parameters: Mapping[str, float], episodes: int) -> list[dict[str, Any]]:
    """Run every detector, at its default and tuned, on the drifting feature. Return the values until its alarm."""
    results = []
    for shift in DRIFTS:
        streams = []
        for number in range(episodes):
            source = Source(World(("normal",)), generator("streaming power", number))
            before, after = source.take(BEFORE), source.take(HORIZON)
            drifted = SHIFTS[shift].change(after, generator("streaming drift", number))
            streams.append(np.concatenate([before["f0"], drifted["f0"]]))
        values = np.array(streams)
        for name, detector in DETECTORS.items():
            for label, parameter in (("default", detector.default), ("tuned", parameters[name])):
                alarms = detector.run(values, parameter)
                late = alarms[alarms[:, 1] >= BEFORE]
                for series in range(episodes):
                    steps = late[late[:, 0] == series, 1]
                    first = int(steps.min()) - BEFORE + 1 if len(steps) else None
                    results.append({"shift": shift, "rows": 1_000, "rows until": {f"{name}, {label}": first}})
    return results
