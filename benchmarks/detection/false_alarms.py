"""Counts the alarms of driftline and of its peers in simulated months without drift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rules_driftline import RULES, SECONDS, ZERO, Watch, fit
from rules_peers import DEFAULTS, Panel
from scipy.special import chdtri
from streams import Source, World, generator, reference_of

__all__ = ["CASES", "Case", "month", "months_of", "poisson_interval", "rows_of"]

DAYS = 30
"""Days of a simulated month, the time of the budget of one false alarm."""

NORMAL = ("normal",) * 20


@dataclass(frozen=True, slots=True)
class Case:
    """
    A world, the windows of the monitor, and the length of the simulation.

    Args:
        name: the name in the tables.
        world: the source of the rows.
        rows: rows of a window.
        reference: rows of the training data.
        order: order of the training data, "time" or "shuffled".
        every: cadence of the windows.
        months: months at a least effect of 0, each with a separate reference.
        default_months: months that run with the default least effect too.
        peers: months that run with the rules of the peers too.
        days: days of each month to simulate.
        seasons: seasons that the reference profiles.
        known: False if the documentation says that such a reference cannot know its season. Then no aim applies.
    """

    name: str
    world: World
    rows: int = 1_000
    reference: int = 20_000
    order: str = "time"
    every: str = "1h"
    months: int = 8
    default_months: int = 3
    peers: int = 0
    days: int = DAYS
    seasons: tuple[str, ...] = ()
    known: bool = True

    def windows(self, days: float) -> int:
        """Return the number of windows in a number of days."""
        return max(1, round(days * 86_400 / SECONDS[self.every]))


def _ar(phi: float) -> World:
    return World(NORMAL, autocorrelation=phi)


def _cases() -> Iterable[Case]:
    iid = World(NORMAL)
    yield Case("iid, normal", iid, months=40, default_months=8)
    yield Case("iid, mixed kinds", World(), months=30, default_months=6, peers=3)
    yield Case("iid, correlated 0.5", World(NORMAL, correlation=0.5), months=12)
    for kind, name in (
        ("t2", "iid, t with 2 degrees of freedom"),
        ("lognormal", "iid, lognormal"),
        ("few", "iid, six values"),
        ("cat500", "iid, 500 categories"),
    ):
        yield Case(name, World((kind,) * 20), months=10 if kind != "cat500" else 6)
    for phi in (0.5, 0.9, 0.97):
        for order in ("time", "shuffled"):
            peers = 2 if phi == 0.9 else 0
            yield Case(f"AR(1) {phi}", _ar(phi), order=order, peers=peers)
    # A day has 24 windows, so 100,000 rows are four days of windows of 1,000.
    season = World(NORMAL, season_rows=24_000)
    for order in ("time", "shuffled"):
        # Shuffled rows have lost their hour, and a window of one hour does differ from the whole day.
        known, peers = order == "time", int(order == "time")
        yield Case("daily season, 4 days", season, reference=100_000, order=order, months=4, peers=peers, known=known)
    yield Case("daily season, by its hours", season, reference=100_000, seasons=("hour",), months=8)
    yield Case("daily season, 8 days", World(NORMAL, season_rows=2_400), rows=100, reference=20_000)
    yield Case("daily season, a window a day", World(NORMAL, season_rows=2_400), rows=2_400, every="1d", months=20)
    yield Case("daily season, 20 hours", World(NORMAL, season_rows=24_000), months=2, default_months=2, known=False)
    for phi, name in ((0.0, "iid, normal"), (0.9, "AR(1) 0.9")):
        world = _ar(phi)
        yield Case(name, world, rows=100, reference=20_000, months=20)
        yield Case(name, world, rows=10_000, reference=100_000, months=2, default_months=1)
        yield Case(name, world, reference=2_000)
        yield Case(name, world, reference=100_000)
        if phi:
            yield Case(name, world, rows=100, reference=20_000, order="shuffled", months=12)
            yield Case(name, world, rows=200, reference=5_000, order="shuffled", months=12)
            yield Case(name, world, reference=2_000, order="shuffled")
            yield Case(name, world, reference=100_000, order="shuffled")
        yield Case(f"{name}, 200 features", replace(world, kinds=("normal",) * 200), months=2, default_months=1)
        yield Case(f"{name}, a window a minute", world, rows=100, every="1min", days=3, months=6, default_months=2)


CASES = tuple(_cases())


def month(index: int, number: int, days: float | None = None, training: int | None = None) -> dict[str, Any]:
    """
    Simulate one month of a case, and return for each rule the alarms, the windows with an alarm and the evaluated ones.

    An alarm is a feature that starts to drift. For peers, it is a feature that is flagged and was not flagged in the
    window before.

    Args:
        index: index of the case in `CASES`.
        number: number of the month, part of its seed.
        days: days to simulate. If None, those of the case.
        training: largest number of rows of the reference. If None, those of the case.
    """
    case = CASES[index]
    days = days or case.days
    windows = case.windows(days)
    source = Source(case.world, generator(case.name, case.rows, case.reference, case.order, case.every, number))
    columns = reference_of(source, min(case.reference, training or case.reference), case.order)
    categorical = case.world.categorical
    # Training data are the stretch before the rows served, with equal times between rows.
    trained = len(next(iter(columns.values())))
    times = np.arange(trained) * (SECONDS[case.every] / case.rows) if case.seasons else None
    reference = fit(columns, categorical, time=times, seasons=case.seasons)
    began = 0.0 if times is None else trained * SECONDS[case.every] / case.rows
    watches = {
        rule: Watch(reference, case.rows, effect, case.every, began=began)
        for rule, effect in RULES.items()
        if rule == ZERO or number < case.default_months
    }
    panel = Panel.fit(columns, categorical, case.rows) if number < case.peers else None
    counts = {rule: {"alarms": 0, "loud": 0, "evaluated": 0} for rule in watches}
    before: dict[str, Any] = {}
    for _ in range(windows):
        window = source.take(case.rows)
        for rule, watch in watches.items():
            result = watch.feed(window)
            _count(counts[rule], len(result.started), evaluated=result.evaluated)
        if panel is not None:
            ratios = panel(window)
            for rule, (measured, limit) in DEFAULTS.items():
                flagged = ratios[measured] >= limit
                started = int((flagged & ~before.get(rule, np.False_)).sum())
                before[rule] = flagged
                _count(counts.setdefault(rule, {"alarms": 0, "loud": 0, "evaluated": 0}), started, evaluated=True)
    for watch in watches.values():
        watch.close()
    return {"case": index, "days": days, "windows": windows, "counts": counts}


def _count(counts: dict[str, int], started: int, *, evaluated: bool) -> None:
    counts["alarms"] += started
    counts["loud"] += started > 0
    counts["evaluated"] += evaluated


def months_of(scale: float) -> list[tuple[int, int]]:
    """Return every month of every case, by index and number. A *scale* below 1 returns fewer months."""
    return [(index, number) for index, case in enumerate(CASES) for number in range(max(1, round(case.months * scale)))]


def poisson_interval(events: int, exposure: float) -> tuple[float, float]:
    """Return the exact 95 % confidence interval of a rate (Garwood 1936)."""
    low = float(chdtri(2 * events, 0.975)) / 2.0 if events else 0.0
    return low / exposure, float(chdtri(2 * events + 2, 0.025)) / 2.0 / exposure


def rows_of(months: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table, one for each case and rule, in the order of the cases."""
    pooled: dict[tuple[int, str], list[tuple[Mapping[str, Any], Mapping[str, int]]]] = {}
    for result in months:
        for rule, counts in result["counts"].items():
            pooled.setdefault((result["case"], rule), []).append((result, counts))
    rows = []
    for (index, rule), parts in sorted(pooled.items(), key=lambda item: item[0][0]):
        case, all_counts = CASES[index], [counts for _, counts in parts]
        exposure = sum(result["days"] for result, _ in parts) / DAYS
        windows = sum(result["windows"] for result, _ in parts)
        alarms = sum(counts["alarms"] for counts in all_counts)
        low, high = poisson_interval(alarms, exposure)
        rows.append(
            {
                "case": case.name,
                "features": len(case.world.kinds),
                "window rows": case.rows,
                "a window every": case.every,
                "reference rows": case.reference,
                "training data": case.order,
                "rule": rule,
                "months": round(exposure, 2),
                "alarms": alarms,
                "alarms in 30 days": round(alarms / exposure, 3),
                "low": round(low, 3),
                "high": round(high, 3),
                "windows with an alarm": sum(counts["loud"] for counts in all_counts),
                "most in one month": max(counts["alarms"] for counts in all_counts),
                "evaluated": round(sum(counts["evaluated"] for counts in all_counts) / windows, 3),
                "aim applies": case.known,
            }
        )
    return rows
