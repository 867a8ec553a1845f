"""One of twenty features drifts: who finds it, and after how many rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from false_alarms import poisson_interval
from numpy.typing import NDArray
from rules_ours import Seen, Watch, fit
from rules_peers import DEFAULTS, RULES, Panel, ks_distance, ks_p_value
from scipy.special import bdtri
from streams import SHIFTS, Shift, Source, World, generator, reference_of

__all__ = ["LEVEL_SHIFTS", "SIZES", "episode", "held_out", "level", "level_rows", "limits_of", "power_rows", "tune"]

SIZES = (200, 1_000, 5_000)
"""Rows of a window."""

REFERENCE = 10_000
HORIZON = {200: 40_000, 1_000: 40_000, 5_000: 80_000}
"""Rows after the drift began within which it must be found: 200, 40 and 16 windows."""

WARM_UP = 32
"""Windows without drift before it: a rule that learns from live traffic has had them."""

BUDGET_WINDOWS = 720
"""Windows in thirty days of hours: peers are tuned to one alarm in so many."""

TAIL = 0.01
"""Share of the values, the largest, that the tail is fitted to."""


# --- tuning ----------------------------------------------------------------------------------------------------------


def tune(rows: int, number: int, windows: int) -> dict[str, Any]:
    """Per rule the ratios of the twenty features in each of *windows* windows without drift, (windows, features)."""
    source = Source(World(), generator("tune", rows, number))
    columns = reference_of(source, REFERENCE, "time")
    panel = Panel.fit(columns, source.world.categorical, rows)
    measured = [panel(source.take(rows)) for _ in range(windows)]
    return {"rows": rows, "ratios": {rule: np.array([one[rule] for one in measured]) for rule in RULES}}


Limits = Mapping[str, Mapping[str, float]]
"""Per rule and kind of feature the ratio from where on it flags."""


def limits_of(tuned: Iterable[Mapping[str, Any]]) -> dict[int, Limits]:
    """
    By size of window, the limits at which the whole model has one alarm in `BUDGET_WINDOWS` windows.

    Every kind of feature has a limit of its own, exceeded by each feature once in twenty times as many windows: more
    than most users would do, and the best for the peers, as one kind that a rule suits badly does not blunt it for the
    others. Above the start of the largest values the excess is taken as exponential: steadier than the few values
    beyond the quantile itself. `held_out` says what the limits are worth.
    """
    kinds = np.array(World().kinds)
    limits: dict[int, Limits] = {}
    for rows, of in _pooled(tuned).items():
        limits[rows] = {
            rule: {kind: _exceeded_once(ratios[:, kinds == kind].ravel()) for kind in dict.fromkeys(kinds.tolist())}
            for rule, ratios in of.items()
        }
    return limits


def _pooled(drawn: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, NDArray[np.float64]]]:
    drawn = list(drawn)
    return {
        rows: {rule: np.concatenate([one["ratios"][rule] for one in drawn if one["rows"] == rows]) for rule in RULES}
        for rows in sorted({one["rows"] for one in drawn})
    }


def held_out(others: Iterable[Mapping[str, Any]], limits: Mapping[int, Limits]) -> list[dict[str, Any]]:
    """Alarms in thirty days at the tuned limits and at the defaults, on references and windows not tuned on."""
    kinds = World().kinds
    rows = []
    for size, rules in _pooled(others).items():
        asked = {f"{rule}, tuned": (rule, np.array([limits[size][rule][kind] for kind in kinds])) for rule in rules}
        asked.update(
            {f"{rule}, default": (measured, np.full(len(kinds), limit)) for rule, (measured, limit) in DEFAULTS.items()}
        )
        for rule, (measured, limit) in asked.items():
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
        return float("inf")  # a rule that says nothing about this kind of feature
    return start + float((beyond - start).mean()) * float(np.log(TAIL * BUDGET_WINDOWS * len(World().kinds)))


# --- power -----------------------------------------------------------------------------------------------------------


def episode(shift: str, rows: int, number: int, limits: Limits) -> dict[str, Any]:
    """
    One reference, some windows without drift, and then the drift: per rule the rows until it is found, or None.

    Ours has found it when the feature (or something that watches features together) is drifting; a peer when it flags
    the feature in one window.
    """
    drift = SHIFTS[shift]
    # The size of a drift is no part of its random numbers: the same streams are shifted by more or less.
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
    found: dict[str, int | None] = dict.fromkeys([*watches, *flags])
    for served in range(rows, HORIZON[rows] + 1, rows):
        window = drift.change(source.take(rows), noise)
        ratios = panel(window)
        waiting = [rule for rule, rows_until in found.items() if rows_until is None]
        seen = {rule for rule in watches if rule in waiting and _sees(watches[rule].feed(window), drift)}
        seen |= {rule for rule, (measured, limit) in flags.items() if ratios[measured][0] >= limit}
        found.update(dict.fromkeys(seen.intersection(waiting), served))
        if seen.issuperset(waiting):
            break
    for watch in watches.values():
        watch.close()
    return {"shift": shift, "rows": rows, "found": found}


def _sees(seen: Seen, drift: Shift) -> bool:
    return drift.feature in seen.drifting or bool(seen.drifting - set(drift.world.names))


def power_rows(episodes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Episodes to rows of the table: one row per shift, size of window and rule."""
    pooled: dict[tuple[str, int, str], list[int | None]] = {}
    for one in episodes:
        for rule, found in one["found"].items():
            pooled.setdefault((one["shift"], one["rows"], rule), []).append(found)
    rows = []
    order = list(SHIFTS)
    for (shift, size, rule), found in sorted(pooled.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        horizon = HORIZON[size]
        times = np.array([horizon * 2 if one is None else one for one in found])
        hits = int((times <= horizon).sum())
        middle = float(np.median(times))
        low, high = _binomial_interval(hits, len(found))
        rows.append(
            {
                "shift": shift,
                "window rows": size,
                "rule": rule,
                "episodes": len(found),
                "found": round(hits / len(found), 3),
                "low": round(low, 3),
                "high": round(high, 3),
                "found in the first window": round(float((times == size).mean()), 3),
                "median rows until found": int(middle) if middle <= horizon else None,
                "horizon": horizon,
            }
        )
    return rows


def _binomial_interval(hits: int, tries: int) -> tuple[float, float]:
    """The exact 95 % confidence interval of a share (Clopper & Pearson 1934)."""
    low = float(bdtri(hits - 1, tries, 0.975)) if hits else 0.0
    high = float(bdtri(hits, tries, 0.025)) if hits < tries else 1.0
    return low, high


# --- a single window at a given level --------------------------------------------------------------------------------

LEVEL = 0.05 / 20
"""The level at which prototypes were compared: 5 % shared by twenty features."""

LEVEL_SHIFTS = ("none", "mean +0.1 σ", "mean +0.2 σ", "variance ×1.2", "5 % outliers at 3 σ")
WINDOWS_PER_REFERENCE = 10


def level(shift: str, rows: int, number: int) -> dict[str, Any]:
    """Windows judged each by a monitor of its own: how many have a p-value at or below `LEVEL`, ours and KS."""
    world = World(("normal",))
    source = Source(world, generator("level", rows, number))
    noise = generator("level drift", rows, number)
    columns = reference_of(source, REFERENCE, "time")
    reference = fit(columns)
    known = np.sort(columns["f0"])
    hits = {"driftline": 0, "Kolmogorov-Smirnov": 0}
    unjudged = 0
    for _ in range(WINDOWS_PER_REFERENCE):
        window = source.take(rows)
        if shift in SHIFTS:
            window = SHIFTS[shift].change(window, noise)
        watch = Watch(reference, rows, 0.0)
        watch.feed(window)
        p = watch.p_value("f0")
        watch.close()
        unjudged += p is None
        hits["driftline"] += p is not None and p <= LEVEL
        sample = np.sort(window["f0"])
        hits["Kolmogorov-Smirnov"] += ks_p_value(ks_distance(known, sample), REFERENCE, rows) <= LEVEL
    return {"shift": shift, "rows": rows, "hits": hits, "windows": WINDOWS_PER_REFERENCE, "unjudged": unjudged}


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
"""Share of 300 windows that a prototype of the components on ten decile bins flagged: the least to reach."""


def level_rows(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Parts to rows of the table: one row per shift and size of window."""
    rows = []
    for size in SIZES:
        for shift in LEVEL_SHIFTS:
            of = [one for one in parts if one["rows"] == size and one["shift"] == shift]
            windows = sum(one["windows"] for one in of)
            if not windows:
                continue
            hits = {rule: sum(one["hits"][rule] for one in of) for rule in of[0]["hits"]}
            low, high = _binomial_interval(hits["driftline"], windows)
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
                    "not judged": sum(one["unjudged"] for one in of),
                }
            )
    return rows
