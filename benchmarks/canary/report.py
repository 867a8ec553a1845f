"""Writes the results as a CSV file, a picture, and the tables of docs/results/canary.md."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

Z = 1.96
BEGIN, END = "<!-- figures: benchmarks/canary/run.py writes from here -->", "<!-- to here -->"
HEADINGS = {
    "same": ("Equal candidates that are rolled back", "rates, split"),
    "worse": ("Worse candidates that are rolled back", "baseline and candidate"),
    "promote": ("Equal candidates that are promoted", "criterion"),
    "margin": ("Candidates at the margin that are promoted", "baseline and candidate"),
}
"""Heading and first column of each table."""


@dataclass(frozen=True)
class Row:
    """The decisions of one rule in one scenario."""

    table: str
    scenario: str
    rule: str
    runs: int
    decided: int
    median_rows: float

    @property
    def share(self) -> float:
        """Share of the runs with a decision."""
        return self.decided / self.runs

    @property
    def highest(self) -> float:
        """The upper end of the 95 % interval of the share (Wilson 1927)."""
        n, p = self.runs, self.share
        return (p + Z**2 / (2 * n) + Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))) / (1 + Z**2 / n)


def write(rows: Sequence[Row], folder: Path, document: Path) -> None:
    """Write the CSV file, the picture, and the tables between the two marks of the document."""
    with (folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([field.name for field in fields(Row)])
        table.writerows(astuple(row) for row in rows)
    text = document.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    document.write_text(f"{head}{BEGIN}\n\n" + "\n".join(_tables(rows)) + f"\n{END}{tail}", encoding="utf-8")
    _picture(rows, folder / "candidates.png")


def _tables(rows: Sequence[Row]) -> Iterable[str]:
    for name, (heading, first) in HEADINGS.items():
        part = [row for row in rows if row.table == name]
        yield f"## {heading}\n"
        yield f"| {first} | rule | decided | 95 % at most | median rows per arm |"
        yield "|---|---|---|---|---|"
        for row in part:
            rows_needed = f"{row.median_rows:,.0f}" if math.isfinite(row.median_rows) else "–"
            yield (
                f"| {row.scenario} | {row.rule} | {row.share:.1%} of {row.runs:,} | {row.highest:.1%} | {rows_needed} |"
            )
        yield ""


def _picture(rows: Sequence[Row], path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - only the picture needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is set

    same = [row for row in rows if row.table == "same"]
    rules = list(dict.fromkeys(row.rule for row in same))
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    scenarios = list(dict.fromkeys(row.scenario for row in same))
    for number, rule in enumerate(rules):
        shares = {row.scenario: row.share for row in same if row.rule == rule}
        positions = [index + 0.16 * (number - 2) for index in range(len(scenarios))]
        left.bar(positions, [100 * shares[scenario] for scenario in scenarios], width=0.15, label=rule)
    left.axhline(5.0, color="black", linewidth=0.8, linestyle="--")
    left.set_xticks(
        range(len(scenarios)),
        [scenario.replace(", ", "\n").replace(" and ", "\n") for scenario in scenarios],
        fontsize=6,
    )
    left.set_ylabel("equal candidates rolled back, %")
    left.legend(fontsize=6)
    errors = [row for row in rows if row.table == "worse" and row.scenario.startswith("error")]
    names = list(dict.fromkeys(row.scenario for row in errors))
    for rule in rules:
        medians = [row.median_rows for row in errors if row.rule == rule]
        right.plot(range(len(names)), medians, marker="o", markersize=3, label=rule)
    right.set_yscale("log")
    right.set_xticks(range(len(names)), [name.removeprefix("error rate ") for name in names], fontsize=7)
    right.set_ylabel("median rows per arm until rollback")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
