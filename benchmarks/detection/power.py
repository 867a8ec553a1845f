"""One of twenty features drifts: measures which rules find it, and after how many rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from false_alarms import poisson_interval
from numpy.typing import NDArray
from rules_driftline import Result, Watch, fit
from rules_peers import DEFAULTS, RULES, Panel, ks_distance, ks_p_value
from scipy.special import bdtri
from streams import SHIFTS, Shift, Source, World, generator, reference_of

__all__ = [
    "LEVEL_SHIFTS",
    "SIZES",
    "binomial_interval",
    "episode",
    "held_out",
    "level",
    "level_rows",
    "limits_of",
    "power_rows",
    "tune",
]

SIZES = (200, 1_000, 5_000)
"""Rows of a window."""

REFERENCE = 10_000
"""Rows of the training data."""

HORIZON = {200: 40_000, 1_000: 40_000, 5_000: 80_000}
"""Rows after the beginning of the drift within which a rule has to find it: 200, 40 and 16 windows."""

WARM_UP = 32
"""Windows without drift before it. A rule that learns from live traffic learns from them."""

BUDGET_WINDOWS = 720
"""Windows in thirty days of hours. Peers are tuned to one alarm in this number of windows."""

TAIL = 0.01
"""Share of the largest values, which the tail is fitted to."""


# --- tuning ----------------------------------------------------------------------------------------------------------


def tune(rows: int, number: int, windows: int) -> dict[str, Any]:
    """Return for each rule its ratios in windows without drift, shape (windows, features)."""
    source = Source(World(), generator("tune", rows, number))
    columns = reference_of(source, REFERENCE, "time")
    panel = Panel.fit(columns, source.world.categorical, rows)
    measured = [panel(source.take(rows)) for _ in range(windows)]
    return {"rows": rows, "ratios": {rule: np.array([ratios[rule] for ratios in measured]) for rule in RULES}}


Limits = Mapping[str, Mapping[str, float]]
"""For each rule and kind of feature, the ratio from which the rule flags."""


def limits_of(tuned: Iterable[Mapping[str, Any]]) -> dict[int, Limits]:
    """
    Return, by window size, the limits at which the whole model has one alarm in `BUDGET_WINDOWS` windows.

    Every kind of feature has a separate limit, which each feature exceeds once in twenty times as many windows. That is
    more tuning than most users would do, and the best case for the peers: a kind that suits a rule badly does not blunt
    the rule for other kinds. The excess of the largest values over their smallest one is modelled as exponential, which
    is more stable than the few values beyond the quantile. `held_out` measures the rates at these limits.
    """
    kinds = np.array(World().kinds)
    limits: dict[int, Limits] = {}
    for rows, by_rule in _pooled(tuned).items():
        limits[rows] = {
            rule: {kind: _exceeded_once(ratios[:, kinds == kind].ravel()) for kind in dict.fromkeys(kinds.tolist())}
            for rule, ratios in by_rule.items()
        }
    return limits


def _pooled(drawn: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, NDArray[np.float64]]]:
    drawn = list(drawn)
    return {
        rows: {rule: np.concatenate([part["ratios"][rule] for part in drawn if part["rows"] == rows]) for rule in RULES}
        for rows in sorted({part["rows"] for part in drawn})
    }


def held_out(others: Iterable[Mapping[str, Any]], limits: Mapping[int, Limits]) -> list[dict[str, Any]]:
    """Return the alarms in thirty days at tuned and default limits, on references that were not used for tuning."""
    kinds = World().kinds
    rows = []
    for size, rules in _pooled(others).items():
        tested = {f"{rule}, tuned": (rule, np.array([limits[size][rule][kind] for kind in kinds])) for rule in rules}
        tested.update(
            {f"{rule}, default": (measured, np.full(len(kinds), limit)) for rule, (measured, limit) in DEFAULTS.items()}
        )
        for rule, (measured, limit) in tested.items():
            flagged = int((rules[measured] >= limit).any(axis=1).sum())
            windows = len(rules[measured])
            months = windows / BUDGET_WINDOWS
            low, high = poisson_interval(flagged, months)
            rows.append(
                {
                    "window rows": size,
                    "rule": rule,
                    "limit of a normal feature": round(float(limit[0]), 3),
                    "limit of five categories": round(float(limit[kinds.index("cat5")]), 3),
                    "windows": windows,
                    "windows flagged in 30 days": round(flagged / months, 2),
                    "low": round(low, 2),
                    "high": round(high, 2),
                }
            )
    return rows


def _exceeded_once(values: NDArray[np.float64]) -> float:
    start = float(np.quantile(values, 1.0 - TAIL))
    beyond = values[values > start]
    if not len(beyond):
        return float("inf")  # the rule does not apply to this kind of feature
    return start + float((beyond - start).mean()) * float(np.log(TAIL * BUDGET_WINDOWS * len(World().kinds)))


# --- power -----------------------------------------------------------------------------------------------------------


def episode(shift: str, rows: int, number: int, limits: Limits) -> dict[str, Any]:
    """
    Serve windows without drift and then the drift. Return for each rule the rows until it finds the drift, or None.

    driftline finds it when the feature (or a projection) is drifting, and a peer when it flags the feature in one
    window.
    """
    drift = SHIFTS[shift]
    # The seed does not depend on the size of a drift, so that all sizes shift the same streams.
    source = Source(drift.world, generator("power", rows, number))
    noise = generator("drift", rows, number)
    columns = reference_of(source, REFERENCE, "time")
    categorical = drift.world.categorical
    reference = fit(columns, categorical, joint=bool(drift.world.pair))
    watches = {
        "driftline, least effect 0": Watch(reference, rows, 0.0),
        "driftline, default": Watch(reference, rows, None),
    }
    panel = Panel.fit({drift.feature: columns[drift.feature]}, categorical, rows, len(columns))
    kind = drift.world.kinds[drift.world.names.index(drift.feature)]
    flags = {
        **{f"{rule}, tuned": (rule, limits[rule][kind]) for rule in RULES},
        **{f"{rule}, default": pair for rule, pair in DEFAULTS.items()},
    }
    for _ in range(WARM_UP):
        window = source.take(rows)
        for watch in watches.values():
            watch.feed(window)
    rows_until: dict[str, int | None] = dict.fromkeys([*watches, *flags])
    for served in range(rows, HORIZON[rows] + 1, rows):
        window = drift.change(source.take(rows), noise)
        ratios = panel(window)
        open_rules = [rule for rule, value in rows_until.items() if value is None]
        hits = {rule for rule in watches if rule in open_rules and finds(watches[rule].feed(window), drift)}
        hits |= {rule for rule, (measured, limit) in flags.items() if ratios[measured][0] >= limit}
        rows_until.update(dict.fromkeys(hits.intersection(open_rules), served))
        if hits.issuperset(open_rules):
            break
    for watch in watches.values():
        watch.close()
    return {"shift": shift, "rows": rows, "rows until": rows_until}


def finds(result: Result, drift: Shift) -> bool:
    """Return whether the feature of a drift, or a projection, is drifting."""
    return drift.feature in result.drifting or bool(result.drifting - set(drift.world.names))


def power_rows(episodes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table, one for each shift, window size and rule."""
    pooled: dict[tuple[str, int, str], list[int | None]] = {}
    for result in episodes:
        for rule, value in result["rows until"].items():
            pooled.setdefault((result["shift"], result["rows"], rule), []).append(value)
    rows = []
    order = list(SHIFTS)
    for (shift, size, rule), values in sorted(pooled.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        horizon = HORIZON[size]
        times = np.array([horizon * 2 if value is None else value for value in values])
        hits = int((times <= horizon).sum())
        median = float(np.median(times))
        low, high = binomial_interval(hits, len(values))
        rows.append(
            {
                "shift": shift,
                "window rows": size,
                "rule": rule,
                "episodes": len(values),
                "found": round(hits / len(values), 3),
                "low": round(low, 3),
                "high": round(high, 3),
                "found in the first window": round(float((times == size).mean()), 3),
                "median rows until found": int(median) if median <= horizon else None,
                "horizon": horizon,
            }
        )
    return rows


def binomial_interval(hits: int, tries: int) -> tuple[float, float]:
    """Return the exact 95 % confidence interval of a share (Clopper & Pearson 1934)."""
    low = float(bdtri(hits - 1, tries, 0.975)) if hits else 0.0
    high = float(bdtri(hits, tries, 0.025)) if hits < tries else 1.0
    return low, high


# --- a single window at a given level --------------------------------------------------------------------------------

LEVEL = 0.05 / 20
"""The level at which prototypes were compared: 5 % for all twenty features together."""

LEVEL_SHIFTS = ("none", "mean +0.1 σ", "mean +0.2 σ", "variance ×1.2", "5 % outliers at 3 σ")
WINDOWS_PER_REFERENCE = 10


def level(shift: str, rows: int, number: int) -> dict[str, Any]:
    """Test each window with a separate monitor. Count the p-values at or below `LEVEL`, of driftline and of KS."""
    world = World(("normal",))
    source = Source(world, generator("level", rows, number))
    noise = generator("level drift", rows, number)
    columns = reference_of(source, REFERENCE, "time")
    reference = fit(columns)
    known = np.sort(columns["f0"])
    hits = {"driftline": 0, "Kolmogorov-Smirnov": 0}
    untested = 0
    for _ in range(WINDOWS_PER_REFERENCE):
        window = source.take(rows)
        if shift in SHIFTS:
            window = SHIFTS[shift].change(window, noise)
        watch = Watch(reference, rows, 0.0)
        watch.feed(window)
        p = watch.p_value("f0")
        watch.close()
        untested += p is None
        hits["driftline"] += p is not None and p <= LEVEL
        sample = np.sort(window["f0"])
        hits["Kolmogorov-Smirnov"] += ks_p_value(ks_distance(known, sample), REFERENCE, rows) <= LEVEL
    return {"shift": shift, "rows": rows, "hits": hits, "windows": WINDOWS_PER_REFERENCE, "untested": untested}


PROTOTYPE: dict[tuple[str, int], float] = {
    ("none", 200): 0.00,
    ("mean +0.2 σ", 200): 0.27,
    ("none", 1_000): 0.01,
    ("mean +0.1 σ", 1_000): 0.34,
    ("mean +0.2 σ", 1_000): 1.00,
    ("variance ×1.2", 1_000): 0.43,
    ("5 % outliers at 3 σ", 1_000): 0.50,
    ("mean +0.1 σ", 5_000): 0.99,
    ("variance ×1.2", 5_000): 0.99,
}
"""Share of 300 windows that a prototype of the components on ten decile bins flagged. driftline has to reach it."""


def level_rows(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table, one for each shift and window size."""
    rows = []
    for size in SIZES:
        for shift in LEVEL_SHIFTS:
            matching = [part for part in parts if part["rows"] == size and part["shift"] == shift]
            windows = sum(part["windows"] for part in matching)
            if not windows:
                continue
            hits = {rule: sum(part["hits"][rule] for part in matching) for rule in matching[0]["hits"]}
            low, high = binomial_interval(hits["driftline"], windows)
            rows.append(
                {
                    "window rows": size,
                    "shift": shift,
                    "windows": windows,
                    "driftline": round(hits["driftline"] / windows, 3),
                    "low": round(low, 3),
                    "high": round(high, 3),
                    "Kolmogorov-Smirnov": round(hits["Kolmogorov-Smirnov"] / windows, 3),
                    "prototype": PROTOTYPE.get((shift, size)),
                    "without a p-value": sum(part["untested"] for part in matching),
                }
            )
    return rows
