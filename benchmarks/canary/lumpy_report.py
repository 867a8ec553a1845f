"""Results of simulated cells, as a CSV file and as the tables of docs/results/canary-lumpy.md."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lumpy_rates import Decisions
from numpy.typing import NDArray

BEGIN, END = "<!-- figures: benchmarks/canary/lumpy.py writes from here -->", "<!-- to here -->"
COLUMNS = ("topic", "kind", "cell", "runs", "decided", "low", "high", "median", "eighty", "fixed")
HEADINGS = {
    ("errors", "rollback"): "Errors: equal candidates that are rolled back",
    ("errors", "promote"): "Errors: candidates at the margin that are promoted",
    ("errors", "power"): "Errors: worse candidates that are rolled back",
    ("latency", "rollback"): "Latency: equal candidates that are rolled back",
    ("latency", "promote"): "Latency: candidates at the margin that are promoted",
    ("latency", "power"): "Latency: slower candidates that are rolled back",
    ("outcomes", "rollback"): "Late outcomes: equal candidates that are rolled back",
    ("outcomes", "promote"): "Late outcomes: candidates at the margin that are promoted",
    ("outcomes", "power"): "Late outcomes: worse candidates that are rolled back",
    ("errors", "limit"): "Beyond the limits: equal candidates that are rolled back, by errors",
    ("latency", "limit"): "Beyond the limits: equal candidates that are rolled back, by latency",
}
"""Heading of each table."""


@dataclass(frozen=True)
class Result:
    """
    What the runs of a cell decided.

    Attributes:
        topic: as of the cell.
        kind: as of the cell.
        name: as of the cell.
        runs: number of runs.
        decided: runs that decided.
        median: candidate's calls at which half of the runs had decided; infinite if fewer did. It and the next two
            are only for cells about power, otherwise infinite.
        eighty: candidate's calls at which 80 % of the runs had decided; infinite if fewer did.
        fixed: candidate's calls at which a cluster-robust test of fixed size has a power of 80 %; infinite as above.
    """

    topic: str
    kind: str
    name: str
    runs: int
    decided: int
    median: float
    eighty: float
    fixed: float

    @classmethod
    def of(cls, topic: str, kind: str, name: str, reached: Decisions) -> Result:
        """Return the result of decisions at each look of all runs."""
        ever = np.logical_or.accumulate(reached.decided, axis=1)
        rows = math.inf, math.inf, math.inf
        if kind == "power":
            rows = (
                calls_until(ever, reached.calls, 0.5),
                calls_until(ever, reached.calls, 0.8),
                calls_until(reached.fixed, reached.calls, 0.8),
            )
        return cls(topic, kind, name, len(ever), int(ever[:, -1].sum()), *rows)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share of runs that decided (Clopper & Pearson 1934)."""
        from scipy.stats import beta  # noqa: PLC0415 - half a second of import that `--help` does not need

        k, n = self.decided, self.runs
        low = 0.0 if not k else float(beta.ppf(0.025, k, n - k + 1))
        high = 1.0 if k == n else float(beta.ppf(0.975, k + 1, n - k))
        return low, high

    def line(self) -> str:
        """Return the result as a line of a terminal."""
        low, high = self.interval
        return (
            f"{self.topic} {self.kind} {self.name}: {self.decided} of {self.runs} [{low:.1%}, {high:.1%}], "
            f"median {self.median:,.0f}, 80 % {self.eighty:,.0f}, fixed {self.fixed:,.0f}"
        )


def calls_until(hit: NDArray[np.bool_], calls: NDArray[np.int64], share: float) -> float:
    """Return the candidate's calls from which on at least this share of runs has hit, or infinity."""
    below = np.flatnonzero(hit.mean(axis=0) < share)
    look = int(below[-1]) + 1 if len(below) else 0
    if look == hit.shape[1]:
        return math.inf
    after, before = hit[:, look].mean(), hit[:, look - 1].mean() if look else 0.0
    weight = 1.0 if after == before else (share - before) / (after - before)
    middle = calls.mean(axis=0)
    low = middle[look - 1] if look else 0.0
    return float(low + weight * (middle[look] - low))


def write(path: Path, results: Iterable[Result]) -> None:
    """Write results to a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for result in results:
            numbers = [*result.interval, result.median, result.eighty, result.fixed]
            words = [result.topic, result.kind, result.name, result.runs, result.decided]
            writer.writerow([*words, *(f"{number:.6g}" for number in numbers)])


def read(path: Path) -> dict[tuple[str, str, str], Result]:
    """Return the results of a CSV file by topic, kind and name; nothing if there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        (row["topic"], row["kind"], row["cell"]): Result(
            row["topic"],
            row["kind"],
            row["cell"],
            int(row["runs"]),
            int(row["decided"]),
            *(float(row[name]) for name in ("median", "eighty", "fixed")),
        )
        for row in rows
    }


def write_page(path: Path, results: Sequence[Result]) -> None:
    """Write the tables between the two marks of the page."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    path.write_text(f"{head}{BEGIN}\n\n" + "\n".join(_tables(results)) + f"\n{END}{tail}", encoding="utf-8")


def _tables(results: Sequence[Result]) -> Iterator[str]:
    for (topic, kind), heading in HEADINGS.items():
        part = [result for result in results if (result.topic, result.kind) == (topic, kind)]
        if part:
            yield f"## {heading}\n"
            yield from _power_table(part) if kind == "power" else _wrong_table(part)
            yield ""


def _share(result: Result) -> str:
    low, high = result.interval
    return f"{result.decided:,} of {result.runs:,} | {result.decided / result.runs:.1%} [{low:.1%}, {high:.1%}]"


def _wrong_table(results: Sequence[Result]) -> Iterator[str]:
    yield "| situation | decided | share [95 % interval] |"
    yield "|---|---|---|"
    for result in results:
        yield f"| {result.name} | {_share(result)} |"


def _power_table(results: Sequence[Result]) -> Iterator[str]:
    yield "| situation | decided | share [95 % interval] | median rows | rows of 80 % | fixed test | median ÷ fixed |"
    yield "|---|---|---|---|---|---|---|"
    for result in results:
        rows = " | ".join(_rows(number) for number in (result.median, result.eighty, result.fixed))
        known = math.isfinite(result.median) and math.isfinite(result.fixed)
        ratio = f"{result.median / result.fixed:.2f}" if known else "–"
        yield f"| {result.name} | {_share(result)} | {rows} | {ratio} |"


def _rows(number: float) -> str:
    return f"{number:,.0f}" if math.isfinite(number) else "–"
