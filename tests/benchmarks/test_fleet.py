"""The traffic of a simulated fleet depends as its names say, both sides see it, and the table has their figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "fleet"


def correlation(left, right):
    """Return the correlation of values with mean 0 and variance 1."""
    return float((left * right).mean())


@pytest.mark.parametrize("key", ["independent", "own", "common"])
def test_rows_depend_as_the_name_says(part, key):
    """Within a pod, between pods, and across the border of two windows."""
    pods = part("pods")
    fleet = pods.Fleet(pods.TRAFFIC[key], 40, pods.generator("test", key))
    rows = np.concatenate([fleet.take() for _ in range(12)], axis=2)
    assert rows.shape == (pods.FEATURES, 40, 12 * 250)
    assert rows.mean() == pytest.approx(0.0, abs=0.1)
    assert rows.var() == pytest.approx(1.0, abs=0.1)
    neighbours = correlation(rows[:, :, :-1], rows[:, :, 1:])
    between = correlation(rows[:, 0::2], rows[:, 1::2])
    mood = 0.5 * np.exp(-3_600 / 250 / 60)
    assert neighbours == pytest.approx({"independent": 0.0, "own": 0.9, "common": mood}[key], abs=0.05)
    assert between == pytest.approx(0.5 if key == "common" else 0.0, abs=0.05)
    border = correlation(rows[:, :, 249::250][:, :, :-1], rows[:, :, 250::250])
    assert border == pytest.approx(neighbours, abs=0.15)


@pytest.mark.parametrize("side", ["together", "alone"])
def test_a_side_runs(part, side):
    """A short month and a run of power; a shift of half a standard deviation is found."""
    figures, pods = part("false_alarms"), part("pods")
    month = figures.simulate(pods.TRAFFIC["independent"], 8, 0, side, windows=3)
    assert (month["onsets"], month["loud"], month["undecided"]) == (0, 0, 0.0)
    run = figures.delay_of(pods.TRAFFIC["independent"], 8, 0, side, quiet=12, shifted=12)
    assert 1 <= run["delay"] <= run["half"] <= 12
    assert (run["judges"], run["early"]) == ({"together": 1, "alone": 8}[side], 0)


def test_the_table_has_rates_with_intervals_and_delays(part, tmp_path, capsys):
    """From the lines of a file; a delay beyond the simulation is said to be longer than it."""
    figures = part("false_alarms")
    month = {"traffic": "own", "pods": 8, "number": 0, "side": "alone", "windows": 720, "onsets": 3}
    runs = [
        {"traffic": "own", "pods": 8, "number": number, "side": "together", "delay": delay, "half": delay}
        for number, delay in enumerate((2, 4, None))
    ]
    path = tmp_path / "results.jsonl"
    path.write_text("\n".join(map(json.dumps, [month, {**month, "onsets": 1}, *runs])))
    figures.main(["--table", str(path)])
    *_, line = capsys.readouterr().out.splitlines()
    assert line == "| AR(1) 0.9 within each pod | 8 |  | 2.00 (0.54 to 5.12), 2 | 4/>96 |  |  |"
    assert figures.interval(0, 10.0) == pytest.approx((0.0, 0.369), abs=0.001)


def test_the_page_has_the_table_of_the_results(part):
    """Of the file of results, line by line."""
    figures = part("false_alarms")
    page = (FOLDER.parents[1] / "docs" / "detection.md").read_text(encoding="utf-8")
    assert "\n".join(figures.table(figures.stored([FOLDER / "results.jsonl"]))) in page
