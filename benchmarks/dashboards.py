"""Draw the dashboards of `driftline dashboards` from what the real Prometheus answers to their queries.

Grafana does not run here. So matplotlib draws each panel of the written files, at its place in the grid and with the
data of its queries. The service is that of the tests: a drift after a third of the time, and a failing candidate.

    .venv/bin/python benchmarks/dashboards.py --seconds 120 --output docs

It needs `make tools` and the requirements of the benchmarks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))

from shown import CHOICES, filled, read, serving

from driftline.cli import main as driftline

UNIT_INCHES = (0.62, 0.36)
"""Width and height of a unit of the grid."""

POINTS = 240
"""Points of a query over time."""

WINDOW = "15s"
"""The window of the counters: short, because the run is."""

MOST_ROWS = 8
"""Most rows of a table that are drawn."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Server:
    """
    A running Prometheus.

    Args:
        folder: a folder for its configuration, its data and its log.
        rules: the file of rules.

    Attributes:
        url: its address.
        choices: the value of each variable in queries.
    """

    def __init__(self, folder: Path, rules: Path) -> None:
        where = subprocess.run(
            ["bash", ROOT / "tools" / "build", "--where"], capture_output=True, text=True, check=True
        )
        shipped = (ROOT / "collector-config" / "prometheus-server.yaml").read_text(encoding="utf-8")
        config = folder / "prometheus.yaml"
        shipped = shipped.replace("\nglobal:\n", "\nglobal:\n  evaluation_interval: 1s\n")
        config.write_text(f"{shipped}\nrule_files: [{rules}]\n", encoding="utf-8")
        self.url = "http://127.0.0.1:19090"
        self.choices = {**CHOICES, "window": WINDOW}
        command = [
            Path(where.stdout.strip()) / "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:19090",
            "--web.enable-otlp-receiver",
            "--log.level=error",
        ]
        self._process = subprocess.Popen(command)
        while not self._is_ready():
            time.sleep(0.2)

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            msg = "Prometheus has ended; is its port in use?"
            raise RuntimeError(msg)
        try:
            _direct.open(f"{self.url}/-/ready", timeout=5).close()
        except OSError:
            return False
        return True

    def ask(self, endpoint: str, **parameters: object) -> list[dict[str, Any]]:
        """Return the series of a query."""
        url = f"{self.url}/api/v1/{endpoint}?{urllib.parse.urlencode(parameters)}"
        with _direct.open(url, timeout=30) as response:
            series: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return series

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()


def legend(template: str, labels: dict[str, str]) -> str:
    """Return the name of a series."""
    for name, value in labels.items():
        template = template.replace(f"{{{{{name}}}}}", value)
    return " ".join(part for part in template.split() if not part.startswith("{{"))


def over_time(server: Server, panel: dict[str, Any], span: tuple[float, float]) -> list[tuple[str, Any, Any]]:
    """Return the name, the minutes and the values of each series of a panel."""
    start, end = span
    drawn = []
    for target in panel["targets"]:
        step = (end - start) / POINTS
        expression = filled(target["expr"], server.choices)
        for series in server.ask("query_range", query=expression, start=start, end=end, step=f"{step:.3f}"):
            values = np.full(POINTS + 1, np.nan)
            for at, value in series["values"]:
                values[round((float(at) - start) / step)] = float(value)
            times = np.arange(POINTS + 1) * step / 60
            drawn.append((legend(target["legendFormat"], series["metric"]), times, values))
    return sorted(drawn, key=lambda each: each[0])


def now(server: Server, panel: dict[str, Any], at: float) -> list[tuple[str, list[tuple[dict[str, str], float]]]]:
    """Return the legend of each query of a panel, with its labels and values."""
    return [
        (
            target.get("legendFormat", ""),
            [
                (series["metric"], float(series["value"][1]))
                for series in server.ask("query", query=filled(target["expr"], server.choices), time=f"{at:.3f}")
            ],
        )
        for target in panel["targets"]
    ]


def draw_lines(axes: Any, server: Server, panel: dict[str, Any], span: tuple[float, float]) -> None:
    """Draw lines over time."""
    scale = {"percentunit": 100.0, "s": 1_000.0}.get(panel["fieldConfig"]["defaults"].get("unit", ""), 1.0)
    top = 0.0
    for name, times, values in over_time(server, panel, span):
        axes.plot(times, values * scale, label=name, linewidth=1.2)
        top = max(top, np.nanmax(values) * scale)
    axes.set_ylabel({100.0: "%", 1_000.0: "ms"}.get(scale, ""), fontsize=7)
    axes.set_ylim(0, 1.3 * top or 1)  # below the legend
    axes.set_xlim(0, (span[1] - span[0]) / 60)
    axes.legend(fontsize=6, loc="upper left", ncols=2, framealpha=0.6)
    axes.grid(alpha=0.3)


def draw_states(axes: Any, server: Server, panel: dict[str, Any], span: tuple[float, float]) -> None:
    """Draw coloured bands over time."""
    defaults = panel["fieldConfig"]["defaults"]
    mappings = defaults.get("mappings", [])
    words = {float(value): result for value, result in mappings[0]["options"].items()} if mappings else {}
    steps = [] if words else defaults["thresholds"]["steps"]

    def colour(value: float) -> str:
        if words:
            return str(words[value]["color"])
        return str([step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1])

    bands = over_time(server, panel, span)
    width = (span[1] - span[0]) / 60 / POINTS
    for row, (_, times, values) in enumerate(bands):
        known = ~np.isnan(values)
        colours = [colour(value) for value in values[known]]
        axes.barh(row, width, left=times[known], height=0.8, color=colours, alpha=0.75)
    axes.set_yticks(range(len(bands)), [name for name, _, _ in bands])
    axes.set_ylim(len(bands) - 0.4, -0.6)
    axes.set_xlim(0, (span[1] - span[0]) / 60)
    for result in words.values():
        axes.bar(0, 0, color=result["color"], alpha=0.75, label=result["text"])
    if words:
        axes.legend(fontsize=6, loc="lower left", ncols=3, framealpha=0.8)


def draw_stat(axes: Any, server: Server, panel: dict[str, Any], span: tuple[float, float]) -> None:
    """Draw a number."""
    (_, series), *_ = now(server, panel, span[1])
    axes.axis("off")
    axes.text(0.5, 0.45, f"{series[0][1]:.0f}" if series else "No data", fontsize=22, ha="center", va="center")


def draw_table(axes: Any, server: Server, panel: dict[str, Any], span: tuple[float, float]) -> None:
    """Draw a table."""
    queries = now(server, panel, span[1])
    labels = sorted({name for _, series in queries for each, _ in series for name in each})
    rows: dict[tuple[str, ...], list[str]] = {}
    for column, (_, series) in enumerate(queries):
        for each, value in series:
            cells = rows.setdefault(tuple(each.get(name, "") for name in labels), [""] * len(queries))
            cells[column] = f"{value:.{panel['fieldConfig']['defaults'].get('decimals', 0)}f}"
    axes.axis("off")
    text = [[*key, *cells] for key, cells in sorted(rows.items())][:MOST_ROWS]
    drawn = axes.table(text, colLabels=[*labels, *(name for name, _ in queries)], loc="upper center")
    drawn.auto_set_font_size(False)  # noqa: FBT003 - matplotlib's name
    drawn.set_fontsize(7)
    drawn.scale(1, 1.25)


def draw_bars(axes: Any, server: Server, panel: dict[str, Any], span: tuple[float, float]) -> None:
    """Draw a bar of each query for each bin."""
    queries = now(server, panel, span[1])
    bins = sorted({int(each["ml_feature_bin"]) for _, series in queries for each, _ in series})
    width = 0.8 / len(queries)
    for index, (name, series) in enumerate(queries):
        shares = {int(each["ml_feature_bin"]): 100 * value for each, value in series}
        axes.bar(
            [each + (index - 0.5) * width for each in bins], [shares.get(each, 0) for each in bins], width, label=name
        )
    axes.set_ylabel("% of the rows", fontsize=7)
    axes.set_xlabel("bin", fontsize=7)
    axes.legend(fontsize=6)


DRAW = {
    "timeseries": draw_lines,
    "state-timeline": draw_states,
    "stat": draw_stat,
    "table": draw_table,
    "barchart": draw_bars,
}


def draw(server: Server, source: Path, span: tuple[float, float], target: Path) -> None:
    """Draw a dashboard into a file."""
    dashboard, panels = read(source)
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) + 2
    across, down = UNIT_INCHES
    figure = plt.figure(figsize=(24 * across, height * down))
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        left, top = grid["x"] / 24, 1 - (grid["y"] + 2) / height
        title = filled(panel["title"], server.choices)
        if panel["type"] == "row":
            figure.text(0.01, top - 0.7 / height, title, fontsize=11, weight="bold", va="center")
            continue
        box = [left + 0.055, top - (grid["h"] - 1.2) / height, grid["w"] / 24 - 0.07, (grid["h"] - 2.6) / height]
        axes = figure.add_axes(box)
        axes.set_title(title, fontsize=8, loc="left")
        axes.tick_params(labelsize=6)
        DRAW[panel["type"]](axes, server, panel, span)
    note = (
        "Drawn by matplotlib from the answers of Prometheus to the queries of the dashboard. "
        "Minutes of a run of the service of the tests."
    )
    figure.text(0.01, 1 - 0.8 / height, dashboard["title"], fontsize=14, weight="bold", va="center")
    figure.text(0.99, 1 - 0.8 / height, textwrap.fill(note, 70), fontsize=7, ha="right", va="center")
    figure.savefig(target, dpi=72)
    plt.close(figure)


def main() -> None:
    """Run the service, and draw both dashboards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="seconds that the service serves")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder of the pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        import watched  # noqa: PLC0415 - the service of the tests, which is a program

        reference, rules = folder / "reference.json", folder / "rules.yaml"
        watched.fit().save(reference)
        driftline(["rules", "--reference", f"flight-delay={reference}", "--output", str(rules)])
        (folder / "dashboards").mkdir()
        driftline(["dashboards", str(folder / "dashboards")])
        server = Server(folder, rules)
        try:
            start = time.time()
            with serving(server.url, reference, options.seconds, {}):
                span = start + 2.0, time.time()
                for file in sorted((folder / "dashboards").iterdir()):
                    server.choices["model"] = ".*" if file.stem.endswith("models") else CHOICES["model"]
                    draw(server, file, span, options.output / f"{file.stem}.png")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
