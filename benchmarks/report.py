"""The rounds of a run to tables: medians, quartiles, ratios within a round; put between the marks of the document."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PAIR = "Counter.add + Histogram.record"
PROMETHEUS = "prometheus_client pair"
QUANTILES = ("p50", "p99", "p99.9", "cpu")

Values = Sequence[float]


def median(values: Values) -> float:
    """The middle value; nan without any."""
    return statistics.median(values) if values else float("nan")


def spread(values: Values) -> str:
    """The quartiles."""
    if len(values) < 2:
        return "-"
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{low:.3g} – {high:.3g}"


def ratios(values: Values, others: Values) -> list[float]:
    """Round by round."""
    return [value / other for value, other in zip(values, others, strict=False)]


class Results:
    """What was measured, by part."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self._results = results

    def part(self, name: str) -> dict[tuple[str, ...], list[Any]]:
        """The values of the rounds by their keys."""
        return {tuple(key.split(" | ")): values for key, values in self._results[name].items()}

    def added(self, width: str, name: str, key: str) -> list[float]:
        """Microseconds that each round's call had more than the bare one of the same round."""
        calls = self.part("calls")
        found, bare = calls.get((width, name), []), calls.get((width, "bare"), [])
        return [(one[key] - floor[key]) / 1e3 for one, floor in zip(found, bare, strict=False)]

    def to_pair(self, width: str, name: str, key: str, pair: str = PAIR) -> list[float]:
        """What is added, as a share of what the pair adds in the same round."""
        return ratios(self.added(width, name, key), self.added(width, pair, key))

    @property
    def machine(self) -> Mapping[str, Any]:
        """Where it was measured."""
        return self._results["machine"]  # type: ignore[no-any-return]

    @property
    def peers(self) -> Mapping[str, str | None]:
        """Why a peer was not measured; None where it was."""
        return self._results["peers"]  # type: ignore[no-any-return]


def machine(results: Results) -> list[str]:
    """Where the figures come from."""
    return [
        "{cpus} cores ({machine}), Python {python}, opentelemetry-sdk {sdk}, numpy {numpy}; {rounds} rounds; medians, "
        "quartiles in parentheses.".format(**results.machine)
    ]


def calls(results: Results) -> list[str]:
    """Latency and CPU of a call."""
    lines = [
        "| features | what watches the call | added p50, µs | p99 | p99.9 | CPU, µs | p50 / pair's | CPU / pair's |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for width, name in results.part("calls"):
        if name == "bare":
            continue
        p50, p99, p999, cpu = (results.added(width, name, key) for key in QUANTILES)
        share, work = (median(results.to_pair(width, name, key)) for key in ("p50", "cpu"))
        lines.append(
            f"| {width} | {name} | {median(p50):.2f} ({spread(p50)}) | {median(p99):.1f} | {median(p999):.0f} "
            f"| {median(cpu):.2f} ({spread(cpu)}) | {share:.3f} | {work:.3f} |"
        )
    missing = [f"{name}: {reason}" for name, reason in results.peers.items() if reason]
    return [*lines, *(["", "Not measured: " + "; ".join(missing) + "."] if missing else [])]


def kinds(results: Results) -> list[str]:
    """What the kind of the features changes."""
    part = results.part("kinds")
    lines = ["| 20 features as | added p50, µs | CPU, µs |", "|---|---:|---:|"]
    for (name,), values in part.items():
        if name != "bare":
            more = {
                key: median([one[key] for one in values]) - median([one[key] for one in part["bare",]])
                for key in ("p50", "cpu")
            }
            lines.append(f"| {name} | {more['p50'] / 1e3:.2f} | {more['cpu'] / 1e3:.2f} |")
    return lines


def drainers(results: Results) -> list[str]:
    """Who drains."""
    lines = [
        "| traffic | who drains | p50, µs | p99 | p99.9 | longest | CPU, µs | thousand calls/s |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (traffic, who), values in results.part("drainers").items():
        found = {key: median([one[key] for one in values]) for key in values[0]}
        lines.append(
            f"| {traffic} | {who} | {found['p50'] / 1e3:.1f} | {found['p99'] / 1e3:.0f} | {found['p99.9'] / 1e3:.0f} "
            f"| {found['max'] / 1e3:.0f} | {found['cpu'] / 1e3:.1f} | {found['rate'] / 1e3:.1f} |"
        )
    return lines


def batches(results: Results) -> list[str]:
    """Rows per second of CPU."""
    part = results.part("batches")
    lines = [
        "| rows in a batch | `observe`, Mrows/s | counting | searchsorted + bincount | observe / it | counting / it |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for batch in dict.fromkeys(batch for batch, _ in part):
        observe, count, floor = (part[batch, name] for name in ("observe", "count", "floor"))
        lines.append(
            f"| {batch} | {median(observe) / 1e6:.2f} | {median(count) / 1e6:.2f} | {median(floor) / 1e6:.2f} "
            f"| {median(ratios(observe, floor)):.2f} | {median(ratios(count, floor)):.2f} |"
        )
    lines += ["", "| 20 columns of a batch of 10,000 rows as | million rows/s |", "|---|---:|"]
    lines += [f"| {kind} | {median(values) / 1e6:.2f} |" for (kind,), values in results.part("columns").items()]
    for (_, name), values in part.items():
        if name not in {"observe", "count", "floor"}:
            lines.append(f"| pandas float64, in {name} | {median(values) / 1e6:.4f} |")
    return lines


def kernels(results: Results) -> list[str]:
    """Ways to count."""
    part = results.part("kernels")
    heads = list(dict.fromkeys((simd, rows) for _, simd, rows in part))
    lines = [
        "| ns per value | " + " | ".join(f"{simd}, {rows} rows" for simd, rows in heads) + " |",
        "|---|" + "---:|" * len(heads),
    ]
    for name in dict.fromkeys(name for name, _, _ in part):
        cells = [f"{median(part.get((name, *head), [])):.1f}" for head in heads]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def start(results: Results) -> list[str]:
    """Import and size."""
    sizes = {name: values[0] for (name,), values in results.part("sizes").items()}
    lines = ["| a fresh interpreter that imports | CPU, ms | installed, MB |", "|---|---:|---:|"]
    for (name,), values in results.part("imports").items():
        size = f"{sizes[name] / 1e6:.0f}" if name in sizes else ""
        milliseconds = [1e3 * one for one in values]
        lines.append(f"| {name} | {median(milliseconds):.0f} ({spread(milliseconds)}) | {size} |")
    return lines


def memory(results: Results) -> list[str]:
    """What a long life costs."""
    (found,) = results.part("memory")["driftline",]
    base = found["0"]
    return [
        "| calls | resident beyond what the process had, MiB |",
        "|---:|---:|",
        *(f"| {int(mark):,} | {(value - base) / 2**20:.1f} |" for mark, value in found.items() if mark != "0"),
    ]


def aims(results: Results) -> list[str]:
    """What was aimed at, and what was reached."""
    ours, quiet = "driftline", "driftline, no duration histogram"
    imports, part = results.part("imports"), results.part("batches")
    (found,) = results.part("memory")["driftline",]
    marks = [mark for mark in found if mark != "0"]
    floor = part["10000", "floor"]
    peers = [values for (batch, name), values in part.items() if name not in {"observe", "count", "floor"}]
    rows: list[tuple[str, str, Values]] = [
        ("20 features, p50 / the pair's", "≤ 0.05", results.to_pair("20", ours, "p50")),
        ("20 features, p50 / prometheus_client's", "≤ 0.5", results.to_pair("20", ours, "p50", PROMETHEUS)),
        ("200 features, p50 / the pair's", "≤ 0.3", results.to_pair("200", ours, "p50")),
        ("20 features, p99.9 / the pair's", "≤ 1", results.to_pair("20", ours, "p99.9")),
        ("20 features, CPU / the pair's", "≤ 0.8", results.to_pair("20", ours, "cpu")),
        ("the same without the duration histogram", "≤ 0.15", results.to_pair("20", quiet, "cpu")),
        ("batches of 10,000, counting / searchsorted + bincount", "≥ 3", ratios(part["10000", "count"], floor)),
        ("the same through `observe`, judging included", "≥ 3", ratios(part["10000", "observe"], floor)),
        (
            "pandas batches / the fastest peer",
            "≥ 10",
            ratios(results.part("columns")["pandas float64",], max(peers, key=median)) if peers else [],
        ),
        (
            f"memory after {int(marks[-1]):,} calls / after {int(marks[0]):,}",
            "= 1",
            [found[marks[-1]] / found[marks[0]]],
        ),
        ("disabled, added µs", "≤ 0.2", results.added("20", "driftline, disabled", "p50")),
        ("no SDK, added µs", "≤ 0.2", results.added("20", "driftline, no SDK", "p50")),
        (
            "import / numpy and the OpenTelemetry API",
            "≤ 1.15",
            ratios(imports["driftline",], imports["numpy and the OpenTelemetry API",]),
        ),
    ]
    return [
        "| aim | wanted | reached |",
        "|---|---:|---:|",
        *(f"| {what} | {wanted} | {median(values):.3g} ({spread(values)}) |" for what, wanted, values in rows),
    ]


PARTS: dict[str, Callable[[Results], list[str]]] = {
    "machine": machine,
    "aims": aims,
    "calls": calls,
    "kinds": kinds,
    "drainers": drainers,
    "batches": batches,
    "kernels": kernels,
    "start": start,
    "memory": memory,
}


def write(raw: Mapping[str, Any], document: Path | None) -> str:
    """The tables, put between their marks in the document unless there is none."""
    results = Results(raw)
    tables = {name: "\n".join(make(results)) for name, make in PARTS.items()}
    if document is not None:
        text = document.read_text(encoding="utf-8")
        for name, table in tables.items():
            pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
            text = pattern.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)  # type: ignore[misc]
        document.write_text(text, encoding="utf-8")
    return "\n\n".join(tables.values())
