"""The cells of the study of lumpy traffic: each is one situation and one question."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import NormalDist

import lumpy_latency
import lumpy_outcomes
import lumpy_rates
import lumpy_traffic as traffic
from lumpy_latency import LatencyTest, LatencyTraffic
from lumpy_outcomes import OutcomeTraffic
from lumpy_rates import Decisions
from lumpy_traffic import Simulator

CALLS = {0.5: 20_000, 0.05: 40_000, 0.01: 100_000}
"""Calls of a run for each share of the candidate, of errors."""

LATENCY_CALLS = {0.5: 20_000, 0.05: 40_000, 0.01: 60_000}
"""The same of latency."""

CRITERIA_CALLS = {0.5: 5_000, 0.05: 20_000}
"""The same with 12 criteria, which are 12 independent streams of calls."""

LATENCY_HARM = ((1.2, lumpy_latency.EQUAL, "no margin"), (1.5, lumpy_latency.MARGIN, "margin"))
"""Factor on the candidate's durations, and the limit of the test with its name."""

POWER_LOOKS, PROMOTE_LOOKS = 60, 16


@dataclass(frozen=True)
class Cell:
    """
    One simulated situation.

    Attributes:
        topic: "errors", "latency" or "outcomes".
        kind: "rollback" or "promote" for wrong decisions, "power" for a candidate that is worse, "limit" for wrong
            rollbacks of traffic beyond the documented limits.
        name: the situation in words.
        simulate: returns what the runs of these numbers decided, from these numbers and a seed.
    """

    topic: str
    kind: str
    name: str
    simulate: Callable[[range, int], Decisions]


@lru_cache(maxsize=1)
def cells() -> tuple[Cell, ...]:
    """Return every cell of the study."""
    return (*_error_cells(), *_latency_cells(), *_outcome_cells(), *_limit_cells(), *_more_latency_cells())


def _errors(kind: str, name: str, simulate: Simulator, *, criteria: int = 1, looks: int = traffic.LOOKS) -> Cell:
    def part(runs: range, seed: int) -> Decisions:
        return lumpy_rates.decisions(simulate, kind, runs, seed, criteria=criteria, looks=looks)

    return Cell("errors", kind, name, part)


def _split(share: float) -> str:
    return f"{100 * (1 - share):.0f}/{100 * share:.0f}"


def _error_cells() -> Iterator[Cell]:
    for share, calls in CALLS.items():
        same = {
            "independent": traffic.independent(calls, share, 0.02),
            **{
                f"sticky users σ {sigma:g}, calls within {window:.0%} of the time": traffic.sticky(
                    calls, share, 0.02, sigma, window=window
                )
                for sigma in (0.0, 1.0, 2.0)
                for window in ((0.05,) if share < 0.05 else (0.05, 1.0))
            },
            "sticky users σ 2, the candidate's σ 0": traffic.sticky(calls, share, 0.02, 2.0, candidate_sigma=0.0),
            "season of load and errors": traffic.season(calls, share, 0.02),
            "6 outages of each variant, 1 pod": traffic.outages(calls, share, 0.02),
            "6 outages of each of 10 pods": traffic.outages(calls, share, 0.02, pods=10),
            **{
                f"6 outages of each variant, sticky users σ 2, calls within {window:.0%} of the time": traffic.outages(
                    calls, share, 0.02, sigma=2.0, window=window
                )
                for window in ((0.05,) if share < 0.05 else (0.05, 1.0))
            },
        }
        for name, simulate in same.items():
            if share < 0.05 and "σ 0" in name:
                continue
            yield _errors("rollback", f"{name}, {_split(share)}", simulate)
        edge = {
            "independent": traffic.independent(calls, share, 0.02, 0.027),
            **{
                f"sticky users σ {sigma:g}": traffic.sticky(calls, share, 0.02, sigma, candidate=0.027)
                for sigma in (0.0, 1.0, 2.0)
            },
            "sticky users σ 0, the candidate's σ 2": traffic.sticky(
                calls, share, 0.02, 0.0, candidate=0.027, candidate_sigma=2.0
            ),
        }
        for name, simulate in edge.items():
            if share < 0.05 and "σ 0" in name:
                continue
            yield _errors("promote", f"{name}, {_split(share)}", simulate, looks=PROMOTE_LOOKS)
    for share, calls in CRITERIA_CALLS.items():
        name = f"12 criteria, independent, {_split(share)}"
        yield _errors("rollback", name, traffic.independent(calls, share, 0.02), criteria=12)
    yield _errors(
        "rollback", "12 criteria, sticky users σ 1, 50/50", traffic.sticky(5_000, 0.5, 0.02, 1.0), criteria=12
    )
    for sigma in (None, 1.0, 2.0):
        users = "independent" if sigma is None else f"sticky users σ {sigma:g}"
        simulate = traffic.ramp(40_000, (0.05, 0.25, 0.5), (0.01, 0.03), sigma)
        yield _errors("rollback", f"ramp 5/25/50 % while 1 % becomes 3 %, {users}", simulate)
    yield from _error_power_cells()


def _error_power_cells() -> Iterator[Cell]:
    for worse, calls in ((0.03, 20_000), (0.04, 8_000)):
        simulate = traffic.independent(calls, 0.5, 0.02, worse)
        yield _errors("power", f"2 % against {worse:.0%}, independent, 50/50", simulate, looks=POWER_LOOKS)
    for sigma, worse, share, calls in (
        (2.0, 0.03, 0.5, 200_000),
        (2.0, 0.04, 0.5, 80_000),
        (1.0, 0.03, 0.5, 80_000),
        (0.0, 0.03, 0.5, 50_000),
        (2.0, 0.04, 0.05, 300_000),
        (1.0, 0.04, 0.05, 120_000),
    ):
        name = f"2 % against {worse:.0%}, sticky users σ {sigma:g}, {_split(share)}"
        simulate = traffic.sticky(calls, share, 0.02, sigma, candidate=worse)
        yield _errors("power", name, simulate, looks=POWER_LOOKS)


def _latency(
    kind: str, name: str, served: LatencyTraffic, test: LatencyTest, *, looks: int = lumpy_latency.LOOKS
) -> Cell:
    name = f"p{100 * test.quantile:g}, {name}, {_split(served.share)}"
    return Cell("latency", kind, name, partial(lumpy_latency.decisions, served, test, looks=looks))


def _latency_cells() -> Iterator[Cell]:
    situations: list[tuple[str, tuple[float, ...], dict[str, float]]] = [
        ("independent", (0.5, 0.05, 0.01), {}),
        ("bursts of one process", (0.5, 0.05, 0.01), {"every": 2_000}),
        ("bursts of 6 calls of each of 10 pods", (0.5, 0.05), {"every": 200, "burst": 6, "pods": 10}),
        ("bursts of both variants", (0.5, 0.05), {"every": 2_000, "is_shared": True}),
        ("season of load", (0.5, 0.05), {"is_seasonal": True}),
        ("20 slow first calls", (0.05,), {"cold": 20}),
        ("150 slow first calls", (0.05,), {"cold": 150}),
        ("20 slow first calls of each of 10 pods", (0.05,), {"cold": 20, "pods": 10}),
    ]
    for quantile in (0.95, 0.99):
        for name, shares, more in situations:
            for share in shares:
                served = LatencyTraffic(LATENCY_CALLS[share], share, **more)  # type: ignore[arg-type]
                yield _latency("rollback", name, served, LatencyTest(quantile))
        edge = LatencyTraffic(LATENCY_CALLS[0.5], 0.5, factor=1.11 if quantile < 0.97 else 1.1)
        yield _latency("promote", "independent", edge, LatencyTest(quantile, lumpy_latency.MARGIN, -1))
        for factor, limit, margin in LATENCY_HARM:
            for rate in (30.0, 300.0):
                served = LatencyTraffic(20_000, 0.5, factor=factor, per_second=rate)
                name = f"{factor - 1:+.0%}, {margin}, independent, {rate:.0f} calls a second"
                yield _latency("power", name, served, LatencyTest(quantile, limit), looks=POWER_LOOKS)
    # Bursts of more than 1 % of the calls would be the p99.
    for factor, limit, margin in LATENCY_HARM:
        served = LatencyTraffic(60_000, 0.5, factor=factor, every=6_000)
        name = f"{factor - 1:+.0%}, {margin}, bursts of one process, 300 calls a second"
        yield _latency("power", name, served, LatencyTest(0.95, limit), looks=POWER_LOOKS)


def _outcome_cells() -> Iterator[Cell]:
    for kind, margin, wrong, side in (
        ("rollback", 0.0, lumpy_outcomes.WRONG, 1),
        ("promote", lumpy_outcomes.MARGIN, lumpy_outcomes.WRONG + lumpy_outcomes.MARGIN, -1),
        ("power", lumpy_outcomes.MARGIN, lumpy_outcomes.WRONG + 0.2, 1),
    ):
        for shape in lumpy_outcomes.SHAPES:
            for share, per_day in ((0.5, 400), (0.05, 1_000)):
                if kind != "power" or share == 0.5:
                    served = OutcomeTraffic(shape, share, per_day, wrong)
                    simulate = partial(lumpy_outcomes.decisions, served, margin, side)
                    name = f"{shape}, {_split(share)}"
                    yield Cell("outcomes", kind, f"20 points worse, {name}" if kind == "power" else name, simulate)


def _limit_cells() -> Iterator[Cell]:
    """Yield situations beyond the limits that the page states, so that the page has their figures."""
    for pods in (1, 10):
        simulate = traffic.outages(CALLS[0.5], 0.5, 0.02, number=3, pods=pods, length=0.01)
        of = "each variant, 1 pod" if pods == 1 else f"each of {pods} pods"
        yield _errors("limit", f"3 outages of {of}, each 1 % of the time, 50/50", simulate)
    served = LatencyTraffic(LATENCY_CALLS[0.05], 0.05, cold=400)
    yield _latency("limit", "400 slow first calls", served, LatencyTest(0.95))
    slow = LatencyTraffic(LATENCY_CALLS[0.5], 0.5, per_second=10.0, every=2_000)
    yield _latency("limit", "bursts of one process, 10 calls a second", slow, LatencyTest(0.95))
    for share in (0.5, 0.05):
        pods = LatencyTraffic(LATENCY_CALLS[share], share, every=2_000, pods=10)
        yield _latency("limit", "bursts of 60 calls of each of 10 pods", pods, LatencyTest(0.95))


def _more_latency_cells() -> Iterator[Cell]:
    """Yield candidates with the baseline's quantile whose calls crowd around it, and slow starts at lower rates."""
    for quantile in (0.95, 0.99):
        for sigma in (0.05, 0.25):
            for share in (0.5, 0.05):
                factor = math.exp((lumpy_latency.SIGMA - sigma) * NormalDist().inv_cdf(quantile))
                served = LatencyTraffic(LATENCY_CALLS[share], share, factor=factor, sigma=sigma)
                yield _latency("rollback", f"same quantile, candidate's σ {sigma:g}", served, LatencyTest(quantile))
    for cold, rate in ((60, 30.0), (150, 30.0), (60, 3.0), (150, 3.0)):
        served = LatencyTraffic(LATENCY_CALLS[0.05], 0.05, cold=cold, per_second=rate)
        name = f"{cold} slow first calls, {rate:.0f} calls a second"
        yield _latency("rollback", name, served, LatencyTest(0.95))
