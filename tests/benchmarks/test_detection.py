"""The benchmark of detection runs on very little data, and its simple parts compute the right values."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

FOLDER = Path(__file__).parents[2] / "benchmarks" / "detection"


def test_the_readme_gets_its_figures_between_the_marks(part, tmp_path):
    """The rows of driftline come first, then those of the peers. Text around the marks stays the same."""
    readme = part("readme")
    row = {"training data": "time", "features": 20, "window rows": 1_000}
    results = {
        "false_alarms": [
            {**row, "case": case, "rule": rule, "alarms in 30 days": rate}
            for rule, rate in (("least effect 0", 0.6), ("default least effect", 0.1), ("nannyml", 2_000.0))
            for case, _ in readme.CASES
        ],
        "power": [
            {"window rows": 1_000, "shift": shift, "rule": rule, "found": 0.9, "median rows until found": rows}
            for rule, rows in (("driftline, default", 3_000), ("nannyml, tuned", 9_000))
            for shift in readme.SHIFTS
        ],
    }
    page = tmp_path / "README.md"
    page.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n", encoding="utf-8")
    readme.write_summary(results, page)
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["before", readme.BEGIN]
    assert lines[-2:] == [readme.END, "after"]
    rows = [line for line in lines if line.startswith("|")][2:]
    assert rows[0].startswith("| **driftline, default** | 0.1 | 0.1 | 0.1 | 90%, 3,000 |")
    assert rows[2].startswith("| nannyml | 2,000.0 | 2,000.0 | 2,000.0 | 90%, 9,000 |")
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="what make bench-detection found"):
        readme.write_summary(results, page)


SUMMARY = "<!-- summary -->\nby hand\n<!-- /summary -->"


@pytest.mark.slow
def test_a_quick_run_writes_all_tables_and_the_page(tmp_path):
    """All parts that need no other library run. The summary of the page stays the same."""
    (tmp_path / "detection.md").write_text(f"old\n{SUMMARY}\nold", encoding="utf-8")
    command = [sys.executable, FOLDER / "run.py", "--quick", "--no-peers", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    tables = {path.stem for path in tmp_path.glob("*.csv")}
    assert tables == {
        "effects",
        "false_alarms",
        "power",
        "tuning",
        "level",
        "harmless",
        "timing",
        "memory",
        "flights",
        "placebo",
        "remarkable_days",
        "lumpy",
        "lumpy_power",
        "words",
        "temperatures",
    }
    page = (tmp_path / "detection.md").read_text(encoding="utf-8")
    assert SUMMARY in page
    for heading in (
        "Without drift",
        "Power and delay",
        "A single window",
        "Real flights",
        "A negligible change",
        "Effect sizes",
        "Cost of an evaluation",
    ):
        assert f"## {heading}" in page
    lumpy = (tmp_path / "detection-lumpy.md").read_text(encoding="utf-8")
    assert "## Nothing drifts" in lumpy
    assert "## One of ten features drifts" in lumpy
    assert "## What reasons say" in lumpy
    with (tmp_path / "false_alarms.csv").open(encoding="utf-8", newline="") as file:
        rules = {row["rule"] for row in csv.DictReader(file)}
    assert {"least effect 0", "default least effect", "nannyml", "PSI > 0.2"} <= rules


def test_streams_have_the_autocorrelation_of_their_world(part):
    """Neighbouring rows of an AR(1) world correlate, also between two calls of `take`."""
    streams = part("streams")
    source = streams.Source(streams.World(("normal",), autocorrelation=0.9), np.random.default_rng(0))
    values = np.concatenate([source.take(20_000)["f0"] for _ in range(5)])
    assert values.std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(values[:-1], values[1:])[0, 1] == pytest.approx(0.9, abs=0.01)
    seams = np.array(
        [
            [stream.take(50)["f0"][-1], stream.take(50)["f0"][0]]
            for stream in (streams.Source(source.world, np.random.default_rng(seed)) for seed in range(2_000))
        ]
    )
    assert np.corrcoef(seams.T)[0, 1] == pytest.approx(0.9, abs=0.03)


def test_shifts_have_the_size_of_their_name(part):
    """They change only their feature."""
    streams = part("streams")
    before = streams.Source(streams.World(), np.random.default_rng(0)).take(200_000)
    after = {
        name: shift.change(dict(before), np.random.default_rng(1))
        for name, shift in streams.SHIFTS.items()
        if not shift.world.pair
    }
    assert (after["mean +0.2 σ"]["f0"] - before["f0"]).mean() == pytest.approx(0.2)
    assert after["variance ×1.2"]["f0"].var() / before["f0"].var() == pytest.approx(1.2)
    assert np.isnan(after["missing 0 to 2 %"]["f0"]).mean() == pytest.approx(0.02, abs=0.001)
    code = streams.CATEGORY
    assert (after["unseen category 0.5 %"][code] == 5).mean() == pytest.approx(0.005, abs=0.0005)
    moved = (before[code] == 0).mean() - (after["category mix 5 points"][code] == 0).mean()
    assert moved == pytest.approx(0.05, abs=0.002)
    assert all(np.array_equal(columns["f1"], before["f1"]) for columns in after.values())


@pytest.mark.parametrize("seed", range(4))
def test_restated_distances_agree_with_scipy(part, seed):
    """Kolmogorov-Smirnov with and without ties, and Wasserstein with the scale of evidently."""
    peers = part("rules_peers")
    random = np.random.default_rng(seed)
    reference, sample = random.normal(size=3_000), random.normal(0.1, 1.0, size=500)
    for first, second in ((reference, sample), (np.round(reference, 1), np.round(sample, 1))):
        oracle = ks_2samp(first, second, method="asymp")
        assert peers.ks_distance(np.sort(first), np.sort(second)) == pytest.approx(oracle.statistic)
        assert peers.ks_p_value(oracle.statistic, 3_000, 500) == pytest.approx(oracle.pvalue, rel=0.2)
    ratio = peers.evidently(reference, categorical=False, features=1, rows=500)(sample)
    assert ratio == pytest.approx(wasserstein_distance(reference, sample) / reference.std() / 0.1)


def test_the_interval_of_a_rate_is_exact(part):
    """Garwood's interval for three events and for none."""
    low, high = part("false_alarms").poisson_interval(3, 2.0)
    assert (low, high) == pytest.approx((0.6187 / 2, 8.7673 / 2), rel=1e-3)
    assert part("false_alarms").poisson_interval(0, 1.0) == pytest.approx((0.0, 3.6889), rel=1e-3)


def test_tuned_limits_keep_the_budget(part):
    """On windows that were not used for tuning, a tuned rule flags about one window in 720."""
    power = part("power")
    random = np.random.default_rng(0)
    drawn = [
        {"rows": 200, "ratios": {rule: random.exponential(size=(20_000, 20)) for rule in power.RULES}} for _ in range(2)
    ]
    for row in power.held_out(drawn[1:], power.limits_of(drawn[:1])):
        if row["rule"].endswith("tuned"):
            assert row["windows flagged in 30 days"] == pytest.approx(1.0, abs=0.5)


def test_page_hinkley_finds_a_jump(part):
    """With a high threshold it alarms soon after the jump, and only in that series."""
    streaming = part("streaming")
    values = np.random.default_rng(0).normal(size=(3, 4_000))
    values[1, 2_000:] += 1.0
    alarms = streaming.page_hinkley(values, 200.0)
    assert set(alarms[:, 0]) == {1}
    assert 2_000 < alarms[0, 1] < 2_600


def test_categories_alarm_with_drift_and_not_without(part, monkeypatch):
    categories = part("categories")
    monkeypatch.setattr(categories, "REFERENCES", 3)
    monkeypatch.setattr(categories, "WINDOWS", 3)
    case = categories.Case("Zipf", 200, 2_000, seed=1)
    assert case.alarms(1_000, 1)["default"] == 0.0
    assert case.alarms(1_000, 1, "new 20 %")["default"] == 1.0
    assert (case.psi(1_000) < 0.2).all()
    identifiers = categories.Case("id", 1_000, 1_000, seed=1)
    assert identifiers.alarms(1_000, 1)["any effect"] == 0.0


@pytest.mark.slow
def test_trees_are_timed_in_turns(part, monkeypatch):
    """Each tree has a row with its time and its memory."""
    trees = part("timing_trees")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    source = Path(__file__).parents[2] / "src"
    rows = trees.compare([source, source], 2, windows=2)
    assert [row["evaluations"] for row in rows] == [2, 2]
    assert all(row["median ms"] > 0 and 0.1 < row["monitor MiB"] < 100 for row in rows)


@pytest.mark.slow
def test_power_of_trees_is_measured_on_the_same_streams(part, capsys):
    """Two equal trees have equal rows."""
    source = str(Path(__file__).parents[2] / "src")
    part("power_trees").main(
        ["--trees", source, source, "--episodes", "1", "--shifts", "mean +0.5 σ", "--sizes", "1000"]
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("100%   1000 | 100%   1000" in line for line in lines)
