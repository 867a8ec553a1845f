"""Real flights by month, a placebo made of the rows of the reference, and a negligible change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from false_alarms import poisson_interval
from rules_driftline import DEFAULT, RULES, Watch, fit
from streams import Source, World, generator, reference_of

from driftline.demo.flights import hour_to_date, load

__all__ = ["MONTH_WINDOWS", "flights_year", "harmless", "placebo", "remarkable_days", "replayed"]

WEEKS = 8
"""Weeks of the reference: January and February."""

FIRST_HOUR = WEEKS * 7 * 24
YEAR_HOURS = 365 * 24
HOUR = 3_600.0
MONTH_WINDOWS = 720
"""Windows in thirty days of hours."""

EVENTS = {
    "2013-03-10": "clocks go forward",
    "2013-11-03": "clocks go back",
    "2013-07-04": "Independence Day",
    "2013-11-28": "Thanksgiving",
    "2013-12-25": "Christmas Day",
}
"""Dates of the calendar to compare alarms with. The data themselves show the storms (`remarkable_days`)."""


def flights_year(window: int | str, every: str, min_effect: float | None) -> dict[str, Any]:
    """Serve the ten months after the reference by hour. Return every alarm with its date and its reason."""
    flights = load()
    training = flights.between(0, FIRST_HOUR)
    watch = Watch(fit(training.columns), window, min_effect, every)
    served = flights.between(FIRST_HOUR, YEAR_HOURS)
    alarms: list[dict[str, Any]] = []
    drifting: Counter[str] = Counter()
    last = FIRST_HOUR
    for hour in served.hours():
        rows = {name: column[hour.rows] for name, column in served.columns.items()}
        result = watch.feed(rows, (hour.number - last) * HOUR)
        last = hour.number
        date = f"{hour_to_date(hour.number):%Y-%m-%d %H:%M}"
        alarms += [{"seen at": date, "feature": name, "reason": watch.reason(name)} for name in result.started]
        for name in result.drifting:
            drifting[f"{date[:7]} {name}"] += 1
    watch.close()
    return {
        "window": window if isinstance(window, str) else f"{window} rows",
        "rule": DEFAULT if min_effect is None else f"least effect {min_effect:g}",
        "alarms": alarms,
        "drifting hours": dict(drifting),
    }


def remarkable_days(most: int = 14) -> list[dict[str, Any]]:
    """Return the days with most cancelled or late flights, and some days of the calendar."""
    flights = load()
    days: list[dict[str, Any]] = []
    for day in range(365):
        part = flights.between(day * 24, day * 24 + 24)
        delay, date = part.columns["dep_delay"], f"{hour_to_date(day * 24):%Y-%m-%d}"
        days.append(
            {
                "date": date,
                "flights": len(part),
                "cancelled": round(float(np.isnan(delay).mean()), 3),
                "late": round(float(part.late.mean()), 3),
                "in the reference": day < WEEKS * 7,
                "calendar": EVENTS.get(date, ""),
            }
        )
    worst = {id(day) for key in ("cancelled", "late") for day in sorted(days, key=lambda day: -day[key])[:most]}
    return [day for day in days if id(day) in worst or day["calendar"]]


def placebo(months: int, windows: int, rows: int = 1_000) -> list[dict[str, Any]]:
    """Serve permutations of the reference's own rows in hourly windows, and count alarms."""
    training = load().between(0, FIRST_HOUR)
    table = []
    for rule, effect in RULES.items():
        alarms: list[str] = []
        for month in range(months):
            random = generator("placebo", month)
            watch = Watch(fit(training.columns), rows, effect)
            order = np.concatenate(
                [random.permutation(len(training)) for _ in range(windows * rows // len(training) + 1)]
            )
            for window in range(windows):
                chosen = order[window * rows : (window + 1) * rows]
                alarms += watch.feed({name: column[chosen] for name, column in training.columns.items()}).started
            watch.close()
        table.append(_placebo_row("permuted, 1,000 rows an hour", rule, alarms, months * windows / MONTH_WINDOWS))
    return table


def replayed() -> list[dict[str, Any]]:
    """Serve the reference's own rows by hour, in their order, in windows of a day, and count alarms."""
    training = load().between(0, FIRST_HOUR)
    table = []
    for rule, effect in RULES.items():
        watch = Watch(fit(training.columns), "1d", effect)
        alarms: list[str] = []
        last = 0
        for hour in training.hours():
            rows = {name: column[hour.rows] for name, column in training.columns.items()}
            alarms += watch.feed(rows, (hour.number - last) * HOUR).started
            last = hour.number
        watch.close()
        table.append(_placebo_row("replayed in time order, a window a day", rule, alarms, WEEKS * 7 / 30))
    return table


def _placebo_row(stream: str, rule: str, alarms: Iterable[str], months: float) -> dict[str, Any]:
    alarms = list(alarms)
    low, high = poisson_interval(len(alarms), months)
    return {
        "stream": stream,
        "rule": rule,
        "months": round(months, 2),
        "alarms": len(alarms),
        "alarms in 30 days": round(len(alarms) / months, 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "features": ", ".join(f"{name} {times}" for name, times in Counter(alarms).most_common()),
    }


def harmless(rows: int = 50_000, by: float = 0.05, windows: int = 20) -> list[dict[str, Any]]:
    """Serve a shift of the mean that is significant in a large window, and negligible."""
    source = Source(World(("normal",) * 20), generator("harmless", rows))
    reference = fit(reference_of(source, 2 * rows, "time"))
    watches = {rule: Watch(reference, rows, effect) for rule, effect in RULES.items()}
    drifting: Counter[str] = Counter()
    effects: list[float] = []
    for _ in range(windows):
        window = source.take(rows)
        window["f0"] += by
        for rule, watch in watches.items():
            drifting[rule] += "f0" in watch.feed(window).drifting
        effects.append(watches[DEFAULT].effect("f0"))
    for watch in watches.values():
        watch.close()
    return [
        {
            "window rows": rows,
            "mean moved by, σ": by,
            "rule": rule,
            "windows": windows,
            "windows in which it drifts": drifting[rule],
            "median corrected PSI": round(float(np.median(effects)), 4),
        }
        for rule in watches
    ]
