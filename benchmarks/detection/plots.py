"""Plots the CSV files of a folder: ``python plots.py FOLDER``. Runs in the peers' environment, which has matplotlib."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

INK, DRIFTLINE, QUIET = "#333333", "#0b6e4f", "#b0b0b0"
PEERS = ("#d1495b", "#edae49", "#00798c", "#8d6a9f", "#66a182", "#5c6b73", "#c08497", "#7a5c3e", "#3d5a80")
LOWEST = 0.02
"""Position of a rate of 0 on a logarithmic axis."""

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    """Return the rows of a CSV file; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def false_alarms(folder: Path) -> None:
    """Plot the alarms in thirty days, a line for each case."""
    rows = [row for row in read(folder / "false_alarms.csv") if row["aim applies"] == "True"]
    cases = [row for row in rows if row["rule"] == "least effect 0"]
    if not cases:
        return
    figure, axis = plt.subplots(figsize=(8, 0.26 * len(cases) + 1.2))
    for height, row in enumerate(reversed(cases)):
        high, low = float(row["high"]), max(float(row["low"]), LOWEST)
        rate = max(float(row["alarms in 30 days"]), LOWEST)
        over = float(row["low"]) > 1.0
        axis.plot([low, high], [height, height], color=PEERS[0] if over else DRIFTLINE, linewidth=1.5)
        axis.plot(rate, height, "o", color=PEERS[0] if over else DRIFTLINE, markersize=4)
    axis.axvline(1.0, color=INK, linewidth=0.8)
    labels = [
        f"{row['case']}, {int(row['window rows']):,} of {int(row['reference rows']):,} ({row['training data']})"
        for row in cases
    ]
    axis.set_yticks(range(len(cases)), reversed(labels), fontsize=7)
    axis.set_xscale("log")
    axis.set_xlim(LOWEST * 0.8, None)
    axis.set_xlabel(f"alarms in 30 days, 95 % interval; the budget is 1 (0 is drawn at {LOWEST})")
    _save(figure, folder / "false_alarms.png")


def delay(folder: Path) -> None:
    """Plot the rows until a shift of the mean is found, by its size."""
    rows = read(folder / "power.csv")
    sizes = sorted({int(row["window rows"]) for row in rows})
    if not sizes:
        return
    figure, axes = plt.subplots(1, len(sizes), figsize=(3.6 * len(sizes), 3.6), sharey=True, squeeze=False)
    for axis, size in zip(axes[0], sizes, strict=True):
        shifts = [row for row in rows if int(row["window rows"]) == size and row["shift"].startswith("mean")]
        for number, rule in enumerate(_rules(shifts)):
            points = [
                (float(row["shift"].split()[1]), float(row["median rows until found"]))
                for row in shifts
                if row["rule"] == rule and row["median rows until found"]
            ]
            if points:
                axis.plot(*zip(*sorted(points), strict=True), **_style(rule, number))
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xticks([0.05, 0.1, 0.2, 0.5], ["0.05", "0.1", "0.2", "0.5"])
        axis.minorticks_off()
        axis.set_title(f"windows of {size:,} rows", fontsize=9)
        axis.set_xlabel("shift of the mean, σ", fontsize=8)
    axes[0][0].set_ylabel("median rows until found", fontsize=8)
    handles = {line.get_label(): line for axis in axes[0] for line in axis.get_lines()}
    figure.legend(handles.values(), handles.keys(), fontsize=7, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    _save(figure, folder / "delay.png", tight=False)


def power(folder: Path) -> None:
    """Plot the share of drifts found at the same rate of false alarms, as a table of colours."""
    rows = read(folder / "power.csv")
    sizes = sorted({int(row["window rows"]) for row in rows})
    if not sizes:
        return
    rules, shifts = _rules(rows), list(dict.fromkeys(row["shift"] for row in rows))
    figure, axes = plt.subplots(
        1, len(sizes), figsize=(2.2 + 2.6 * len(sizes), 0.32 * len(shifts) + 2.4), sharey=True, squeeze=False
    )
    for axis, size in zip(axes[0], sizes, strict=True):
        shares = {(row["shift"], row["rule"]): float(row["found"]) for row in rows if int(row["window rows"]) == size}
        table = [[shares.get((shift, rule), float("nan")) for rule in rules] for shift in shifts]
        axis.imshow(table, cmap="Greens", vmin=0, vmax=1.3, aspect="auto")
        for y, line in enumerate(table):
            for x, share in enumerate(line):
                axis.text(x, y, f"{100 * share:.0f}", ha="center", va="center", fontsize=6, color=INK)
        axis.set_xticks(range(len(rules)), [_short(rule) for rule in rules], rotation=60, ha="right", fontsize=6)
        axis.set_yticks(range(len(shifts)), shifts, fontsize=7)
        axis.set_title(f"windows of {size:,} rows", fontsize=9)
    figure.suptitle("% found within the horizon, all rules at one alarm in 720 windows", fontsize=9)
    _save(figure, folder / "power.png")


def _rules(rows: list[Row]) -> list[str]:
    return [
        rule
        for rule in dict.fromkeys(row["rule"] for row in rows)
        if rule.startswith("driftline") or rule.endswith("tuned")
    ]


def _short(rule: str) -> str:
    return rule.removesuffix(", tuned").replace("reference", "ref.").replace(" rows", "")


def _style(rule: str, number: int) -> dict[str, object]:
    if rule.startswith("driftline"):
        return {
            "color": DRIFTLINE,
            "linewidth": 2,
            "marker": "o",
            "markersize": 4,
            "linestyle": "-" if rule.endswith("0") else "--",
            "label": rule,
        }
    return {"color": PEERS[number % len(PEERS)], "linewidth": 1, "marker": ".", "label": _short(rule)}


def _save(figure: plt.Figure, path: Path, *, tight: bool = True) -> None:
    # The file has no time and no version, so that the same figures give the same bytes.
    figure.savefig(path, dpi=110, bbox_inches="tight" if tight else None, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    mpl.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    for draw in (false_alarms, delay, power):
        draw(Path(sys.argv[1]))
