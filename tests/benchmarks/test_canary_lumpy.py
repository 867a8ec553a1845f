"""Ten cells of the study of lumpy traffic with few runs, the same cells with a broken rule, and the report."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from driftline.canary._evalues import clustered_rates, quantile_location

FOLDER = Path(__file__).parents[2] / "benchmarks" / "canary"
RUNS = 30
MOST_WRONG = 3
"""Wrong decisions of 30 that a right rule exceeds in 6 % of all seeds at most. The seeds are fixed."""

WRONG = (
    "errors rollback independent, 50/50",
    "errors rollback sticky users σ 2, calls within 5% of the time, 95/5",
    "errors rollback season of load and errors, 50/50",
    "errors rollback 6 outages of each of 10 pods, 50/50",
    "errors rollback ramp 5/25/50 % while 1 % becomes 3 %, sticky users σ 1",
    "errors promote sticky users σ 1, 50/50",
    "latency rollback p95, bursts of one process, 50/50",
    "latency rollback p95, 20 slow first calls, 95/5",
    "outcomes rollback wrong same day, right after 10 days, 50/50",
)
"""Cells whose candidates are equal, or at the margin."""

WORSE = (
    "errors power 2 % against 4%, independent, 50/50",
    "latency power p95, +50%, margin, independent, 30 calls a second, 50/50",
    "outcomes power 20 points worse, right same day, wrong after 10 days, 50/50",
)
"""Cells whose candidates are worse."""


@pytest.fixture(scope="module")
def decided(part):
    """Return a function: the number of runs of a cell that have decided by their end."""
    lumpy = part("lumpy")
    names = [f"{cell.topic} {cell.kind} {cell.name}" for cell in lumpy.cells()]

    def count(name, runs=RUNS):
        return int(lumpy.part(names.index(name), range(runs)).decided.any(axis=1).sum())

    return count


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_equal_candidates_are_rarely_decided(decided, name):
    assert decided(name) <= MOST_WRONG


@pytest.mark.slow
@pytest.mark.parametrize("name", WORSE)
def test_worse_candidates_are_rolled_back(decided, name):
    assert decided(name) >= 0.9 * RUNS


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "errors rollback sticky users σ 2, calls within 5% of the time, 50/50",
        "errors rollback 6 outages of each variant, sticky users σ 2, calls within 100% of the time, 50/50",
    ],
)
def test_without_the_design_effect_equal_candidates_are_rolled_back(decided, monkeypatch, name):
    """The same runs: clusters count as independent calls, or as what they are."""
    assert decided(name) <= MOST_WRONG
    real = clustered_rates.rate_design_effect
    monkeypatch.setattr(clustered_rates, "rate_design_effect", lambda *counts: (1.0 + 0.0 * real(*counts)[0], True))
    assert decided(name) >= 2 * MOST_WRONG


@pytest.mark.slow
def test_without_the_design_effect_bursts_of_slow_calls_roll_back(decided, monkeypatch):
    name = "latency rollback p95, bursts of one process, 50/50"
    assert decided(name) <= MOST_WRONG
    monkeypatch.setattr(quantile_location, "time_design_effect", lambda slow, _: np.ones(slow.shape[:-2]))
    assert decided(name) >= 2 * MOST_WRONG


def test_all_cells_have_names_of_their_own(part):
    keys = [(cell.topic, cell.kind, cell.name) for cell in part("lumpy_cells").cells()]
    assert len(set(keys)) == len(keys)
    assert {key[:2] for key in keys} == set(part("lumpy_report").HEADINGS)


def test_calls_until_a_share_of_the_runs_has_decided(part):
    """Of four runs, one decides at the second look and two at the third."""
    hit = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)
    calls = np.tile([10, 20, 40], (4, 1))
    until = part("lumpy_report").calls_until
    assert [until(hit, calls, share) for share in (0.25, 0.5, 0.75)] == [20.0, 30.0, 40.0]
    assert until(hit, calls, 0.8) == math.inf


@pytest.mark.slow
def test_results_survive_their_file_and_fill_the_page(part, tmp_path):
    report = part("lumpy_report")
    results = [
        report.Result("errors", "rollback", "a, b", 2_000, 31, math.inf, math.inf, math.inf),
        report.Result("errors", "power", "c", 400, 399, 3_500.0, 6_200.0, 3_580.0),
    ]
    file, page = tmp_path / "lumpy.csv", tmp_path / "page.md"
    report.write(file, results)
    assert list(report.read(file).values()) == results
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    report.write_page(page, results)
    lines = page.read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "| a, b | 31 of 2,000 | 1.6% [1.1%, 2.2%] |" in lines
    assert "| c | 399 of 400 | 99.8% [98.6%, 100.0%] | 3,500 | 6,200 | 3,580 | 0.98 |" in lines
    assert "old" not in lines
