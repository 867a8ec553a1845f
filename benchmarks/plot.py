"""The table of calls as a picture: the time that instrumentation adds to a call of 20 features, on a log scale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from report import Results, median

COLOURS = {True: "#1f6f8b", False: "#b8b8b8"}


def draw(raw: Mapping[str, Any], path: Path) -> None:
    """Draw the results of a run into *path*."""
    import matplotlib as mpl  # noqa: PLC0415 - not for a rough look

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of the backend

    results = Results(raw)
    names = [
        name for width, name in results.part("calls") if width == "20" and name not in {"bare", "driftline, disabled"}
    ]
    added = {name: {key: max(0.01, median(results.added("20", name, key))) for key in ("p50", "cpu")} for name in names}
    names.sort(key=lambda name: added[name]["p50"])
    figure, axes = plt.subplots(figsize=(7.2, 4.4), dpi=110)
    rows = range(len(names))
    axes.barh(
        list(rows),
        [added[name]["p50"] for name in names],
        color=[COLOURS[name.startswith("driftline")] for name in names],
        height=0.6,
    )
    axes.plot([added[name]["cpu"] for name in names], list(rows), "k|", markersize=11, label="CPU of the process")
    axes.set_xscale("log")
    axes.set_yticks(list(rows), names)
    axes.invert_yaxis()
    axes.set_xlabel("added to a call with 20 features, µs (p50)")
    axes.legend(loc="upper right", frameon=False)
    axes.set_xlim(left=0.1)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
