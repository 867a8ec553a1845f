"""
Measure the CPU of a verdict: `judge_canary` on evidence with 20 features and the default policy.

``--old CHECKOUT`` compares with another checkout of driftline. Both take turns, each in a separate process, so that a
machine that becomes slower affects both alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CALLS, FEATURES, BINS = 5_000, 20, 18
"""Calls of each variant, features, and bins of a feature."""

SECONDS, FIRST = 960, 1_700_000_000
"""Length of the canary and its start as Unix time: 60 blocks of 16 s for calls, 15 blocks of 64 s for features."""

KEY_CALLS = 25
"""Calls of a key."""

VERDICTS = 60
"""Verdicts of one measurement, of which the median counts."""


def blocks(random: np.random.Generator, total: int, number: int) -> np.ndarray:
    """Spread calls over blocks of time."""
    spread: np.ndarray = random.multinomial(total, np.full(number, 1.0 / number))
    return spread


def variant(random: np.random.Generator, *, tables: bool) -> Any:
    """Return evidence of one variant: 2 % errors, a tenth of wrong outcomes, lognormal durations around 18 ms."""
    from driftline._windows.totals import DURATION_EDGES  # noqa: PLC0415 - `--old` imports another checkout
    from driftline.canary import VariantEvidence  # noqa: PLC0415 - as above

    calls = blocks(random, CALLS, 60)
    raised = random.binomial(calls, 0.02)
    served = calls - raised
    size = len(DURATION_EDGES) + 1
    durations = np.stack(
        [
            np.bincount(np.searchsorted(DURATION_EDGES, random.lognormal(-4, 0.5, rows), "right"), minlength=size)
            for rows in served.tolist()
        ]
    )
    rows = served.reshape(15, 4).sum(axis=1)
    names = ["prediction", *(f"feature {number}" for number in range(FEATURES))]
    bins = {name: np.stack([blocks(random, count, BINS) for count in rows.tolist()]) for name in names}
    more = {}
    if tables:
        more = {
            "call_tables": call_tables(random, calls, raised, durations, bins),
            "outcome_tables": outcome_tables(random, calls),
        }
    return VariantEvidence(
        int(served.sum()),
        int(raised.sum()),
        durations.sum(axis=0),
        tuple(DURATION_EDGES.tolist()),
        CALLS,
        int(0.9 * CALLS),
        bins["prediction"].sum(axis=0),
        int(raised.sum()),
        features={name: counts.sum(axis=0) for name, counts in bins.items() if name != "prediction"},
        **more,
    )


def call_tables(
    random: np.random.Generator,
    calls: np.ndarray,
    raised: np.ndarray,
    durations: np.ndarray,
    bins: dict[str, np.ndarray],
) -> Any:
    """Return the same calls by time and key."""
    from driftline._windows.blocks import BlockCounts  # noqa: PLC0415 - only in checkouts that have tables
    from driftline._windows.call_tables import CallTables  # noqa: PLC0415 - as above

    none = CallTables.none()
    keys = none.keys.copy()
    np.add.at(keys[:, 0], random.integers(0, len(keys), CALLS // KEY_CALLS), KEY_CALLS)
    keys[:, 1] = random.multinomial(int(raised.sum()), keys[:, 0] / keys[:, 0].sum())
    return CallTables(
        BlockCounts(4, FIRST >> 4, np.stack([calls, raised], axis=1)),
        BlockCounts(4, FIRST >> 4, durations),
        none.warm_up,
        keys,
        {name: BlockCounts(6, FIRST >> 6, counts) for name, counts in bins.items()},
    )


def outcome_tables(random: np.random.Generator, calls: np.ndarray) -> Any:
    """Return an outcome of each call, after less than a second."""
    from driftline._windows.blocks import BlockCounts  # noqa: PLC0415 - only in checkouts that have tables
    from driftline._windows.outcome_tables import OutcomeTables  # noqa: PLC0415 - as above

    none = OutcomeTables.none()
    wrong = random.binomial(calls, 0.1)
    delays = np.zeros((len(calls), none.delays.counts.shape[1]), dtype=np.int64)
    delays[:, 0] = calls
    return OutcomeTables(
        BlockCounts(4, FIRST >> 4, np.stack([calls, wrong, calls - wrong], axis=1)),
        none.keys,
        BlockCounts(4, FIRST >> 4, delays),
    )


def milliseconds(verdict: Callable[[], object]) -> float:
    """Return the median CPU of a verdict in milliseconds."""
    seconds = []
    for _ in range(VERDICTS):
        start = time.process_time()
        verdict()
        seconds.append(time.process_time() - start)
    return 1e3 * statistics.median(seconds)


def measure() -> dict[str, float]:
    """Return the CPU of a verdict on evidence with and without tables, in milliseconds."""
    from driftline.canary import CanaryEvidence, CanaryPolicy, Stratum, judge_canary  # noqa: PLC0415 - as above

    figures, policy = {}, CanaryPolicy()
    kinds = {"totals": False}
    if importlib.util.find_spec("driftline._windows.call_tables") is not None:
        kinds["tables by time and key"] = True
    for name, tables in kinds.items():
        random = np.random.default_rng(1)
        stratum = Stratum(0.5, tables, variant(random, tables=tables), variant(random, tables=tables))
        evidence = CanaryEvidence((stratum,), seconds=float(SECONDS))
        judge_canary(evidence, policy)
        figures[name] = milliseconds(lambda evidence=evidence: judge_canary(evidence, policy))  # type: ignore[misc]
    return figures


def measure_checkout(checkout: Path) -> dict[str, float]:
    """Measure in a separate process with the sources of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout  # noqa: S603
    figures: dict[str, float] = json.loads(output)
    return figures


def compare(old: Path, rounds: int) -> None:
    """Print the medians of both checkouts, and the median of the ratios old / new."""
    new = Path(__file__).resolve().parents[2]
    pairs = []
    for turn in range(rounds):
        order = (old, new) if turn % 2 == 0 else (new, old)
        figures = {checkout: measure_checkout(checkout) for checkout in order}
        pairs.append((figures[old], figures[new]))
    print("| evidence | old, ms | new, ms | old / new |\n|---|---:|---:|---:|")
    for name in pairs[0][1]:
        # A checkout without tables evaluates totals.
        olds, news = [before.get(name, before["totals"]) for before, _ in pairs], [now[name] for _, now in pairs]
        ratio = statistics.median(a / b for a, b in zip(olds, news, strict=True))
        print(f"| {name} | {statistics.median(olds):.1f} | {statistics.median(news):.1f} | {ratio:.1f} |")


def main() -> None:
    """Print the figures of this checkout as JSON, or a comparison with another one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path, help="a checkout to compare with")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each checkout (default 5)")
    options = parser.parse_args()
    if options.old is None:
        print(json.dumps(measure()))
    else:
        compare(options.old.resolve(), options.rounds)


if __name__ == "__main__":
    main()
