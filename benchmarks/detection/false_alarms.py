"""No drift at all: how many alarms in simulated months, ours and the peers'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rules_ours import RULES, SECONDS, ZERO, Watch, fit
from rules_peers import DEFAULTS, Panel
from scipy.special import chdtri
from streams import Source, World, generator, reference_of

__all__ = ["CASES", "Case", "month", "months_of", "poisson_interval", "rows_of"]

DAYS = 30
"""Days of a simulated month: the time that the budget of one false alarm is for."""

NORMAL = ("normal",) * 20


@dataclass(frozen=True, slots=True)
class Case:
    """
    A world, how it is watched, and for how long.

    Args:
        name: what is special about it.
        world: where the rows come from.
        rows: of a window.
        reference: rows of training data.
        order: of the training data, "time" or "shuffled".
        every: cadence of the windows.
        months: simulated at a least effect of 0, each with a reference of its own.
        default_months: how many of them are watched with the default least effect too.
        peers: how many of them the peers' rules watch too.
        days: simulated of each month.
        seasons: what the reference profiles.
        known: False where the documentation says that the reference cannot know what it is asked; no aim applies.
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
        """Windows in so many days."""
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
    # A day of 24 windows; 100,000 rows are four days of windows of 1,000.
    season = World(NORMAL, season_rows=24_000)
    for order in ("time", "shuffled"):
        # Shuffled rows have lost their hour, and the first window of an hour does differ from a day.
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


def month(place: int, number: int, days: float | None = None, training: int | None = None) -> dict[str, Any]:
    """
    One month of a case of `CASES`: alarms by rule.

    An alarm is a feature that starts to drift (for peers: is flagged and was not in the window before). Returned are,
    per rule, alarms, windows with an alarm, and windows in which anything was judged. *days* and *training* cut the
    month and the reference short, for a smoke test.
    """
    case = CASES[place]
    days = days or case.days
    windows = case.windows(days)
    source = Source(case.world, generator(case.name, case.rows, case.reference, case.order, case.every, number))
    columns = reference_of(source, min(case.reference, training or case.reference), case.order)
    categorical = case.world.categorical
    # The stretch before what is served: a row every so many seconds.
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
    found = {rule: {"alarms": 0, "loud": 0, "judged": 0} for rule in watches}
    before: dict[str, Any] = {}
    for _ in range(windows):
        window = source.take(case.rows)
        for rule, watch in watches.items():
            seen = watch.feed(window)
            _count(found[rule], len(seen.started), judged=seen.judged)
        if panel is not None:
            ratios = panel(window)
            for rule, (measured, limit) in DEFAULTS.items():
                flagged = ratios[measured] >= limit
                started = int((flagged & ~before.get(rule, np.False_)).sum())
                before[rule] = flagged
                _count(found.setdefault(rule, {"alarms": 0, "loud": 0, "judged": 0}), started, judged=True)
    for watch in watches.values():
        watch.close()
    return {"case": place, "days": days, "windows": windows, "found": found}


def _count(found: dict[str, int], started: int, *, judged: bool) -> None:
    found["alarms"] += started
    found["loud"] += started > 0
    found["judged"] += judged


def months_of(scale: float) -> list[tuple[int, int]]:
    """Every month of every case, by place and number; *scale* below 1 simulates fewer of them."""
    return [(place, number) for place, case in enumerate(CASES) for number in range(max(1, round(case.months * scale)))]


def poisson_interval(events: int, exposure: float) -> tuple[float, float]:
    """The exact 95 % confidence interval of a rate (Garwood 1936)."""
    low = float(chdtri(2 * events, 0.975)) / 2.0 if events else 0.0
    return low / exposure, float(chdtri(2 * events + 2, 0.025)) / 2.0 / exposure


def rows_of(months: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Months to rows of the table, in the order of the cases: one row per case and rule."""
    pooled: dict[tuple[int, str], list[tuple[Mapping[str, Any], Mapping[str, int]]]] = {}
    for one in months:
        for rule, counts in one["found"].items():
            pooled.setdefault((one["case"], rule), []).append((one, counts))
    rows = []
    for (place, rule), of in sorted(pooled.items(), key=lambda item: item[0][0]):
        case, found = CASES[place], [counts for _, counts in of]
        exposure = sum(one["days"] for one, _ in of) / DAYS
        windows = sum(one["windows"] for one, _ in of)
        alarms = sum(one["alarms"] for one in found)
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
                "windows with an alarm": sum(one["loud"] for one in found),
                "most in one month": max(one["alarms"] for one in found),
                "judged": round(sum(one["judged"] for one in found) / windows, 3),
                "aim applies": case.known,
            }
        )
    return rows
