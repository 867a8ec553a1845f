"""
Simulate how often canaries are wrong, and how soon they decide: ``python benchmarks/canary/run.py``.

Writes `results.csv` and `candidates.png` beside this file, and the tables of `docs/results/canary.md`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rules
from report import Row, write
from traffic import LOOK_ROWS, Traffic, Truth, simulate

from driftline.canary import CanaryPolicy, Margin

HERE = Path(__file__).parent
ALPHA = 0.05
POLICY = CanaryPolicy()
LOOKS = 500
"""Looks of a run: up to 50,000 rows of the candidate."""


def levels() -> dict[str, float]:
    """Return each criterion's part of alpha in the default policy."""
    margins = {
        "error_rate": POLICY.allowed_error_increase,
        "accuracy": POLICY.allowed_accuracy_drop,
        "latency": POLICY.allowed_latency_delta,
        "predictions": POLICY.allowed_prediction_drift,
    }
    weights = {name: margin.weight for name, margin in margins.items() if isinstance(margin, Margin)}
    return {name: ALPHA * weight / sum(weights.values()) for name, weight in weights.items()}


def whole_policy(traffic: Traffic) -> rules.Looks:
    """
    Return the first rollback by any criterion of the default policy.

    No simulated latency comes near the margin of 50 ms, so latency is tested without a margin, which is stricter.
    """
    level, drift = levels(), POLICY.allowed_prediction_drift
    assert isinstance(drift, Margin)  # noqa: S101 - a policy stores its margins as `Margin`
    known = (traffic.rows[0] - traffic.errors[0], traffic.rows[1] - traffic.errors[1])
    return rules.earliest(
        rules.rate(traffic.errors, traffic.rows, level["error_rate"]),
        rules.rate(traffic.wrong, known, level["accuracy"], offset=0.02),
        rules.latency(traffic, level["latency"]),
        rules.predictions(traffic, level["predictions"], drift.absolute),
    )


def same(base: float, share: float, runs: int, looks: int) -> list[Row]:
    """Simulate equal candidates (A/A): how often does each rule roll back?"""
    traffic = simulate(Truth(base), Truth(base), share, runs, looks, seed=int(1e4 * base) + int(100 * share))
    few = max(20, runs // 4)
    rule_looks: dict[str, Callable[[], rules.Looks]] = {
        "driftline, whole policy": lambda: whole_policy(traffic),
        "driftline, error rate alone": lambda: rules.rate(traffic.errors, traffic.rows, ALPHA),
        "ville, asymptotic sequence": lambda: rules.ville_asymptotic(traffic, share, ALPHA, few, seed=1),
        "z-test at every look": lambda: rules.z_test(traffic.errors, traffic.rows, ALPHA),
        "baseline × 1.2": lambda: rules.threshold(traffic.errors, traffic.rows, 1.2),
    }
    name = f"{base:.1%} and {base:.1%}, {1 - share:.0%}/{share:.0%}"
    return [Row("same", name, rule, *_summarize(function())) for rule, function in rule_looks.items()]


def worse(
    name: str, candidate: Truth, runs: int, looks: int, rule_looks: dict[str, Callable[[Traffic], rules.Looks]]
) -> list[Row]:
    """Simulate a worse candidate at equal shares (A/B): how soon does each rule roll back?"""
    base = Truth(0.02)
    traffic = simulate(base, candidate, 0.5, runs, looks, seed=7)
    return [Row("worse", name, rule, *_summarize(function(traffic))) for rule, function in rule_looks.items()]


def at_the_margin(runs: int) -> list[Row]:
    """Simulate a candidate exactly at the margin: how often is it promoted?"""
    rows = []
    for name, margin, truth in (
        ("error rate 2.0% and 2.7%", Margin(0.005, relative=0.1), Truth(0.027)),
        ("accuracy 88% and 86%", Margin(0.02), Truth(0.02, wrong=0.14)),
        ("p95 latency +5%", Margin(relative=0.05), Truth(0.02, latency=1.05)),
    ):
        traffic = simulate(Truth(0.02), truth, 0.5, runs, LOOKS, seed=11, histograms="latency" in name)
        known = (traffic.rows[0] - traffic.errors[0], traffic.rows[1] - traffic.errors[1])
        edge = {"slope": 1.0 + margin.relative, "offset": margin.absolute}
        if "error" in name:
            promoted = rules.rate(traffic.errors, traffic.rows, ALPHA, side=-1, **edge)
        elif "accuracy" in name:
            promoted = rules.rate(traffic.wrong, known, ALPHA, side=-1, **edge)
        else:
            promoted = rules.latency(traffic, ALPHA, relative=margin.relative, side=-1)
        rows.append(Row("margin", name, "driftline, promoted", *_summarize(promoted)))
    return rows


def promoted(runs: int) -> list[Row]:
    """Simulate an equal candidate: how soon does each criterion of the default policy allow the promotion?"""
    rows = []
    for base in (0.005, 0.02, 0.2):
        traffic = simulate(Truth(base), Truth(base), 0.5, runs, LOOKS, seed=13, histograms=False)
        looks = rules.rate(traffic.errors, traffic.rows, ALPHA, slope=1.1, offset=0.005, side=-1)
        rows.append(Row("promote", f"error rate {base:.1%}, +0.5 points +10% allowed", "driftline", *_summarize(looks)))
    traffic = simulate(Truth(0.02), Truth(0.02), 0.5, runs, LOOKS, seed=13)
    known = (traffic.rows[0] - traffic.errors[0], traffic.rows[1] - traffic.errors[1])
    looks = rules.rate(traffic.wrong, known, ALPHA, offset=0.02, side=-1)
    rows.append(Row("promote", "accuracy 88%, -2 points allowed", "driftline", *_summarize(looks)))
    looks = rules.latency(traffic, ALPHA, relative=0.2, side=-1)
    rows.append(Row("promote", "p95 latency, +20% allowed", "driftline", *_summarize(looks)))
    return rows


def _summarize(looks: rules.Looks) -> tuple[int, int, float]:
    """Return the runs, those with a decision, and the median of the rows per arm; undecided runs are infinite."""
    rows = np.where(looks < 0, np.inf, (looks + 1.0) * LOOK_ROWS)
    return len(looks), int((looks >= 0).sum()), float(np.median(rows))


def _comparison(level: float) -> dict[str, Callable[[Traffic], rules.Looks]]:
    return {
        "driftline, whole policy": whole_policy,
        "driftline, error rate alone": lambda traffic: rules.rate(traffic.errors, traffic.rows, ALPHA),
        "ville, asymptotic sequence": lambda traffic: rules.ville_asymptotic(
            traffic, 0.5, level, max(20, traffic.runs // 4), seed=1
        ),
        "z-test at every look": lambda traffic: rules.z_test(traffic.errors, traffic.rows, level),
        "baseline × 1.2": lambda traffic: rules.threshold(traffic.errors, traffic.rows, 1.2),
    }


def all_rows(runs: int, looks: int) -> list[Row]:
    """Return the rows of every scenario."""
    level = levels()
    rows: list[Row] = []
    for base in (0.005, 0.02, 0.2):
        for share in (0.5, 0.05):
            rows += same(base, share, runs, looks)
            _print(rows[-5:])
    for error in (0.025, 0.03, 0.04, 0.08):
        rows += worse(f"error rate 2% and {error:.1%}", Truth(error), runs, min(looks, 400), _comparison(ALPHA))
        _print(rows[-5:])
    slow: dict[str, Callable[[Traffic], rules.Looks]] = {
        "driftline, no margin, whole alpha": lambda traffic: rules.latency(traffic, ALPHA),
        "driftline, no margin, its part of alpha": lambda traffic: rules.latency(traffic, level["latency"]),
        "driftline, +5% allowed, its part of alpha": lambda traffic: rules.latency(
            traffic, level["latency"], relative=0.05
        ),
    }
    for factor in (1.1, 1.2, 1.5):
        rows += worse(f"p95 latency +{factor - 1:.0%}", Truth(0.02, latency=factor), runs, min(looks, 300), slow)
        _print(rows[-3:])

    def wrong(traffic: Traffic, level: float, offset: float) -> rules.Looks:
        known = (traffic.rows[0] - traffic.errors[0], traffic.rows[1] - traffic.errors[1])
        return rules.rate(traffic.wrong, known, level, offset=offset)

    right: dict[str, Callable[[Traffic], rules.Looks]] = {
        "driftline, no margin, whole alpha": lambda traffic: wrong(traffic, ALPHA, 0.0),
        "driftline, no margin, its part of alpha": lambda traffic: wrong(traffic, level["accuracy"], 0.0),
        "driftline, -1 point allowed, its part of alpha": lambda traffic: wrong(traffic, level["accuracy"], 0.01),
        "driftline, -2 points allowed, its part of alpha": lambda traffic: wrong(traffic, level["accuracy"], 0.02),
        "z-test at every look": lambda traffic: rules.z_test(traffic.wrong, traffic.rows, ALPHA),
    }
    for drop in (0.03, 0.06):
        rows += worse(f"accuracy 88% and {0.88 - drop:.0%}", Truth(0.02, wrong=0.12 + drop), runs, looks, right)
        _print(rows[-5:])
    rows += promoted(max(20, runs // 2))
    rows += at_the_margin(runs)
    _print(rows[-8:])
    return rows


def _print(rows: list[Row]) -> None:
    for row in rows:
        print(f"{row.scenario:<42}{row.rule:<50}{row.decided:>5} of {row.runs:<6}{row.median_rows:>9,.0f}", flush=True)


def main() -> None:
    """Simulate, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000, help="runs of each scenario (default 1000: some minutes)")
    parser.add_argument("--looks", type=int, default=LOOKS, help="looks of a run, one per 100 rows (default 500)")
    parser.add_argument("--dry", action="store_true", help="write no files")
    options = parser.parse_args()
    began = time.monotonic()
    rows = all_rows(options.runs, options.looks)
    print(f"{time.monotonic() - began:.0f} s")
    if not options.dry:
        write(rows, HERE, HERE.parents[1] / "docs/results/canary.md")


if __name__ == "__main__":
    main()
