"""The parts of the benchmark that serve lumpy traffic and public streams, in the processes of a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lumpy
import lumpy_power
import lumpy_words
from lumpy_cases import CASES, matching
from lumpy_scenarios import SCENARIOS
from public import STREAMS, Stream, serve
from rules_driftline import RULES, ZERO

__all__ = ["budget", "power", "public", "words"]

Spread = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], list[Any]]
"""Calls one function with many arguments in all processes, and returns the results in their order."""

QUICK_CASES, QUICK_SCENARIOS = "D2a,D6a,D13", ("P6a", "P8a")


def budget(spread: Spread, months: int, *, quick: bool) -> dict[str, Any]:
    """Count onsets and time in a false drift, the worst case first."""
    cases = [case for case in (matching(QUICK_CASES) if quick else CASES) if lumpy.can_run(case.cluster)]
    windows = 3 if quick else lumpy.WINDOWS
    simulated = spread(_month, [(case.key, number, windows) for case in cases for number in range(months)])
    rows = [
        lumpy.pooled(case, [month for month in simulated if month["case"] == case.key], rule)
        for case in cases
        for rule in RULES
    ]
    kinds = [
        row
        for case in cases
        for row in lumpy.by_kind(case, [month for month in simulated if month["case"] == case.key], ZERO)
    ]
    return {"lumpy": sorted(rows, key=lambda row: (-row["high"], -row["time"])), "lumpy_kinds": kinds}


def _month(key: str, number: int, windows: int) -> lumpy.Counts:
    return lumpy.simulate(matching(key)[0], number, windows=windows)


def power(spread: Spread, runs: int, *, quick: bool) -> dict[str, Any]:
    """Measure power and recovery beside the detectors that know the process."""
    scenarios = [
        scenario
        for scenario in SCENARIOS
        if (scenario.key in QUICK_SCENARIOS if quick else lumpy.can_run(scenario.cluster))
    ]
    names = list(dict.fromkeys(scenario.process.name for scenario in scenarios if scenario.oracle))
    known = dict(zip(names, spread(_known, [(name, 1 if quick else 30) for name in names]), strict=True))
    arguments = [
        (scenario.key, number, known.get(scenario.process.name)) for scenario in scenarios for number in range(runs)
    ]
    return {"lumpy_power": lumpy_power.rows_of(spread(_run, arguments))}


def _known(name: str, months: int) -> Any:
    process = next(scenario.process for scenario in SCENARIOS if scenario.process.name == name)
    return lumpy_power.known(process, months)


def _run(key: str, number: int, known: Any) -> dict[str, Any]:
    scenario = next(scenario for scenario in SCENARIOS if scenario.key == key)
    return lumpy_power.run(scenario, number, known)


def words(spread: Spread, draws: int) -> dict[str, Any]:
    """Compare what reasons say with the raw rows."""
    return {"words": lumpy_words.measure(spread, draws), "temperatures": lumpy_words.temperatures()}


def public(spread: Spread, folder: Path | None) -> dict[str, Any]:
    """Serve the public streams of a folder, if there is one."""
    if folder is None:
        return {}
    streams: Sequence[Stream] = [
        stream for stream in STREAMS if lumpy.can_run(stream.cluster if stream.by_key else None)
    ]
    return {"public": spread(serve, [(stream, folder, rule) for rule in RULES for stream in streams])}
