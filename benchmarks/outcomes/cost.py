"""
What it costs to remember a prediction, on the caller's way, and to join it with its outcome, off it.

Each figure is the median of five rounds of 20,000 ids, in one process, with so many other predictions waiting; beside
it a dict that grows for ever, and an SQLite table with a transaction per row, which is what one writes without this.

Run: ``python benchmarks/outcomes/cost.py``.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from driftline.outcomes import OutcomePolicy, Outcomes
from driftline.outcomes._ledger import Ledger

ROUNDS, IDS = 5, 20_000
WAITING = (0, 1_000_000)


def nothing(*_: object) -> None:
    """Whoever is told of changes and errors."""


def outcomes_in(path: Path | None) -> Outcomes:
    """The outcomes of a monitor that judges probabilities."""
    policy = OutcomePolicy(path=path, capacity=3_000_000, kind="probability", max_drop=None)
    ledger = Ledger(policy, None, nothing, nothing)
    made = Outcomes(policy, ("m", None, None), ledger, time.monotonic, lambda _: ledger, nothing)
    made.wake = lambda: None
    return made


def per_id(work: Callable[[str], object], ids: list[str]) -> float:
    """Microseconds."""
    start = time.perf_counter()
    for one in ids:
        work(one)
    return (time.perf_counter() - start) / len(ids) * 1e6


def rounds() -> Iterator[list[str]]:
    """Ids in no order."""
    random = np.random.default_rng(1)
    for place in range(ROUNDS):
        yield [f"{place}-{one:x}" for one in random.integers(0, 2**62, IDS).tolist()]


def measure(path: Path | None, waiting: int) -> tuple[float, float, float]:
    """Remembering on the caller's way, storing off it, joining off it."""
    made = outcomes_in(path)
    random = np.random.default_rng(2)
    for start in range(0, waiting, 8_000):
        for one in random.integers(0, 2**62, min(8_000, waiting - start)).tolist():
            made.remember(f"w-{one:x}", 0.5)
        made.settle()
    appended, stored, joined = [], [], []
    for ids in rounds():
        for part in range(0, IDS, 4_000):
            some = ids[part : part + 4_000]
            appended.append(per_id(lambda one: made.remember(one, 0.7), some))
            start = time.perf_counter()
            made.settle()
            stored.append((time.perf_counter() - start) / len(some) * 1e6)
        for part in range(0, IDS, 4_000):
            some = ids[part : part + 4_000]
            for one in some:
                made.add_outcome(one, actual=True)
            start = time.perf_counter()
            made.settle()
            joined.append((time.perf_counter() - start) / len(some) * 1e6)
    if made.ledger.tally().results.get("correct") != ROUNDS * IDS:
        msg = f"not all were joined: {made.ledger.tally().results}"
        raise RuntimeError(msg)
    return statistics.median(appended), statistics.median(stored), statistics.median(joined)


def plain_dict() -> float:
    """Keeping outputs in a dict for ever."""
    kept: dict[str, float] = {}
    return statistics.median(per_id(lambda one: kept.__setitem__(one, 0.7), ids) for ids in rounds())


def plain_table(path: Path) -> float:
    """A transaction per prediction, as WAL with synchronous=NORMAL."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE kept (id TEXT PRIMARY KEY, output REAL)")
    query = "INSERT INTO kept VALUES (?, ?)"
    found = statistics.median(per_id(lambda one: connection.execute(query, (one, 0.7)), ids) for ids in rounds())
    connection.close()
    return found


def main() -> None:
    """Print a table."""
    print("| store | waiting | remember, caller (µs) | store, drain (µs) | join and judge, drain (µs) |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, path in (("memory", None), ("file", Path(folder) / "outcomes.sqlite")):
            for waiting in WAITING:
                here = path and path.with_suffix(f".{waiting}")
                append, store, join = measure(here, waiting)
                print(f"| {name} | {waiting:,} | {append:.2f} | {store:.1f} | {join:.1f} |")
        print(f"| a dict that grows for ever | 0 | {plain_dict():.2f} | – | – |")
        print(f"| a transaction per row | 0 | {plain_table(Path(folder) / 'plain.sqlite'):.1f} | – | – |")


if __name__ == "__main__":
    main()
