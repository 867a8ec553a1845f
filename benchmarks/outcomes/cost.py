"""
The cost of remembering a prediction in the caller's thread, and of storing and joining it in the worker thread.

Each figure is the median of five rounds of 20,000 ids in one process, without and with a million other pending
predictions. For comparison: a dict that grows forever, and an SQLite table with one transaction per row.

A second table has the bytes of an id, with its prediction, and with its outcome too once it is joined.

Run: ``python benchmarks/outcomes/cost.py``.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from driftline.outcomes import OutcomePolicy, Outcomes
from driftline.outcomes._ledger import Ledger

ROUNDS, IDS = 5, 20_000
PENDING = (0, 1_000_000)


def nothing(*_: object) -> None:
    """Ignore state changes, errors and wake-ups."""


def outcomes_in(path: Path | None) -> Outcomes:
    """Return the outcomes of a monitor of probabilities."""
    policy = OutcomePolicy(path=path, capacity=3_000_000, kind="probability", max_drop=None)
    ledger = Ledger(policy, None, nothing, nothing)
    return Outcomes(policy, ("m", None, None), ledger, time.monotonic, lambda _: ledger, nothing, nothing)


def per_id(work: Callable[[str], object], ids: list[str]) -> float:
    """Return microseconds per id."""
    start = time.perf_counter()
    for prediction_id in ids:
        work(prediction_id)
    return (time.perf_counter() - start) / len(ids) * 1e6


def rounds() -> Iterator[list[str]]:
    """Yield rounds of random ids."""
    random = np.random.default_rng(1)
    for index in range(ROUNDS):
        yield [f"{index}-{number:x}" for number in random.integers(0, 2**62, IDS).tolist()]


def measure(path: Path | None, pending: int) -> tuple[float, float, float]:
    """Return microseconds per prediction: remember, store, and join."""
    outcomes = outcomes_in(path)
    random = np.random.default_rng(2)
    for start in range(0, pending, 8_000):
        for number in random.integers(0, 2**62, min(8_000, pending - start)).tolist():
            outcomes.remember(f"w-{number:x}", 0.5)
        outcomes.settle()
    appended, stored, joined = [], [], []
    for ids in rounds():
        for part in range(0, IDS, 4_000):
            chunk = ids[part : part + 4_000]
            appended.append(per_id(lambda prediction_id: outcomes.remember(prediction_id, 0.7), chunk))
            start = time.perf_counter()
            outcomes.settle()
            stored.append((time.perf_counter() - start) / len(chunk) * 1e6)
        for part in range(0, IDS, 4_000):
            chunk = ids[part : part + 4_000]
            for prediction_id in chunk:
                outcomes.add_outcome(prediction_id, actual=True)
            start = time.perf_counter()
            outcomes.settle()
            joined.append((time.perf_counter() - start) / len(chunk) * 1e6)
    if outcomes.ledger.tally().results.get("correct") != ROUNDS * IDS:
        msg = f"not all were joined: {outcomes.ledger.tally().results}"
        raise RuntimeError(msg)
    return statistics.median(appended), statistics.median(stored), statistics.median(joined)


def size_of_ids(path: Path | None) -> tuple[float, float]:
    """Return bytes per pending id and per joined id, in memory or in the file."""
    outcomes = outcomes_in(path)
    ids = next(rounds())
    tracemalloc.start()
    before, sizes = tracemalloc.get_traced_memory()[0], []
    for add, value in ((outcomes.remember, 0.7), (outcomes.add_outcome, True)):
        for prediction_id in ids:
            add(prediction_id, value * 1)  # another object each time, as outputs are
        outcomes.settle()
        sizes.append((tracemalloc.get_traced_memory()[0] - before if path is None else pages(path)) / len(ids))
    tracemalloc.stop()
    return sizes[0], sizes[1]


def pages(path: Path) -> int:
    """Return the bytes of a file once its write-ahead log is in it."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.stat().st_size


def plain_dict() -> float:
    """Return microseconds per entry of a dict that grows forever."""
    outputs: dict[str, float] = {}
    return statistics.median(
        per_id(lambda prediction_id: outputs.__setitem__(prediction_id, 0.7), ids) for ids in rounds()
    )


def plain_table(path: Path) -> float:
    """Return microseconds per row with one transaction each, in WAL mode with synchronous=NORMAL."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE output (id TEXT PRIMARY KEY, value REAL)")
    query = "INSERT INTO output VALUES (?, ?)"
    microseconds = statistics.median(
        per_id(lambda prediction_id: connection.execute(query, (prediction_id, 0.7)), ids) for ids in rounds()
    )
    connection.close()
    return microseconds


def main() -> None:
    """Print the table."""
    print("| store | pending | remember, caller (µs) | store, worker (µs) | join and grade, worker (µs) |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, path in (("memory", None), ("file", Path(folder) / "outcomes.sqlite")):
            for pending in PENDING:
                file = path and path.with_suffix(f".{pending}")
                append, store, join = measure(file, pending)
                print(f"| {name} | {pending:,} | {append:.2f} | {store:.1f} | {join:.1f} |")
        sizes = [size_of_ids(path) for path in (None, Path(folder) / "sizes.sqlite")]
        print(f"| a dict that grows forever | 0 | {plain_dict():.2f} | – | – |")
        print(f"| a transaction per row | 0 | {plain_table(Path(folder) / 'plain.sqlite'):.1f} | – | – |")
    print("\n| store | pending id (bytes) | joined id (bytes) |\n|---|---|---|")
    for name, (pending_bytes, joined_bytes) in zip(("memory", "file"), sizes, strict=True):
        print(f"| {name} | {pending_bytes:.0f} | {joined_bytes:.0f} |")


if __name__ == "__main__":
    main()
