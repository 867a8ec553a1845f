"""Tables of the rounds of a run: medians, quartiles, ratios within a round; and the page that holds them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAIR = "Counter.add + Histogram.record"
PROMETHEUS = "prometheus_client pair"
QUANTILES = ("p50", "p99", "p99.9", "cpu")

Values = Sequence[float]


def median(values: Values) -> float:
    """Return the median, or nan without values."""
    return statistics.median(values) if values else float("nan")


def spread(values: Values) -> str:
    """Return the quartiles as a string."""
    if len(values) < 2:
        return "-"
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{low:.3g} – {high:.3g}"


def ratios(values: Values, others: Values) -> list[float]:
    """Return the quotients, round by round."""
    return [value / other for value, other in zip(values, others, strict=False)]


class Results:
    """The measured values of a run, by part."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self._results = results

    def part(self, name: str) -> dict[tuple[str, ...], list[Any]]:
        """Return the values of the rounds by their keys."""
        return {tuple(key.split(" | ")): values for key, values in self._results[name].items()}

    def added(self, width: str, name: str, key: str) -> list[float]:
        """Return the microseconds that a call takes longer than the bare one of the same round, for each round."""
        calls = self.part("calls")
        watched, bare = calls.get((width, name), []), calls.get((width, "bare"), [])
        return [(call[key] - floor[key]) / 1e3 for call, floor in zip(watched, bare, strict=False)]

    def to_pair(self, width: str, name: str, key: str, pair: str = PAIR) -> list[float]:
        """Return the added time as a share of the pair's in the same round."""
        return ratios(self.added(width, name, key), self.added(width, pair, key))

    @property
    def machine(self) -> Mapping[str, Any]:
        """The machine and the versions."""
        return self._results["machine"]  # type: ignore[no-any-return]

    @property
    def peers(self) -> Mapping[str, str | None]:
        """The reason why a peer was not measured, or None."""
        return self._results["peers"]  # type: ignore[no-any-return]


def machine(results: Results) -> list[str]:
    """Return the origin of the figures."""
    return [
        "{cpus} cores ({machine}), Python {python}, opentelemetry-sdk {sdk}, numpy {numpy}; {rounds} rounds; medians, "
        "quartiles in parentheses.".format(**results.machine)
    ]


def calls(results: Results) -> list[str]:
    """Return the table of latency and CPU of a call."""
    lines = [
        "| features | instrumentation | added p50, µs | p99 | p99.9 | CPU, µs | p50 / pair's | CPU / pair's |",
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
    """Return the table of kinds of features."""
    part = results.part("kinds")
    lines = ["| 20 features as | added p50, µs | CPU, µs |", "|---|---:|---:|"]
    for (name,), values in part.items():
        if name != "bare":
            more = {
                key: median([call[key] for call in values]) - median([call[key] for call in part["bare",]])
                for key in ("p50", "cpu")
            }
            lines.append(f"| {name} | {more['p50'] / 1e3:.2f} | {more['cpu'] / 1e3:.2f} |")
    return lines


def drainers(results: Results) -> list[str]:
    """Return the table of drainers."""
    lines = [
        "| traffic | drained by | p50, µs | p99 | p99.9 | longest | CPU, µs | thousand calls/s |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (traffic, drainer), values in results.part("drainers").items():
        figures = {key: median([value[key] for value in values]) for key in values[0]}
        lines.append(
            f"| {traffic} | {drainer} | {figures['p50'] / 1e3:.1f} | {figures['p99'] / 1e3:.0f} "
            f"| {figures['p99.9'] / 1e3:.0f} | {figures['max'] / 1e3:.0f} | {figures['cpu'] / 1e3:.1f} "
            f"| {figures['rate'] / 1e3:.1f} |"
        )
    return lines


def batches(results: Results) -> list[str]:
    """Return the tables of rows per second of CPU."""
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
    """Return the table of ways to count."""
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
    """Return the table of imports and sizes."""
    sizes = {name: values[0] for (name,), values in results.part("sizes").items()}
    lines = ["| a fresh interpreter that imports | CPU, ms | installed, MB |", "|---|---:|---:|"]
    for (name,), values in results.part("imports").items():
        size = f"{sizes[name] / 1e6:.0f}" if name in sizes else ""
        milliseconds = [1e3 * seconds for seconds in values]
        lines.append(f"| {name} | {median(milliseconds):.0f} ({spread(milliseconds)}) | {size} |")
    return lines


def memory(results: Results) -> list[str]:
    """Return the table of resident memory."""
    (sizes,) = results.part("memory")["driftline",]
    base = sizes["0"]
    return [
        "| calls | resident beyond what the process had, MiB |",
        "|---:|---:|",
        *(f"| {int(mark):,} | {(value - base) / 2**20:.1f} |" for mark, value in sizes.items() if mark != "0"),
    ]


def aims(results: Results) -> list[str]:
    """Return the table of aims."""
    usual, quiet = "driftline", "driftline, no duration histogram"
    imports, part = results.part("imports"), results.part("batches")
    (sizes,) = results.part("memory")["driftline",]
    marks = [mark for mark in sizes if mark != "0"]
    floor = part["10000", "floor"]
    peers = [values for (batch, name), values in part.items() if name not in {"observe", "count", "floor"}]
    rows: list[tuple[str, str, Values]] = [
        ("20 features, p50 / the pair's", "≤ 0.05", results.to_pair("20", usual, "p50")),
        ("20 features, p50 / prometheus_client's", "≤ 0.5", results.to_pair("20", usual, "p50", PROMETHEUS)),
        ("200 features, p50 / the pair's", "≤ 0.3", results.to_pair("200", usual, "p50")),
        ("20 features, p99.9 / the pair's", "≤ 1", results.to_pair("20", usual, "p99.9")),
        ("20 features, CPU / the pair's", "≤ 0.8", results.to_pair("20", usual, "cpu")),
        ("the same without the duration histogram", "≤ 0.15", results.to_pair("20", quiet, "cpu")),
        ("batches of 10,000, counting / searchsorted + bincount", "≥ 3", ratios(part["10000", "count"], floor)),
        ("the same through `observe`, evaluation included", "≥ 3", ratios(part["10000", "observe"], floor)),
        (
            "pandas batches / the fastest peer",
            "≥ 10",
            ratios(results.part("columns")["pandas float64",], max(peers, key=median)) if peers else [],
        ),
        (
            f"memory after {int(marks[-1]):,} calls / after {int(marks[0]):,}",
            "= 1",
            [sizes[marks[-1]] / sizes[marks[0]]],
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
        *(f"| {aim} | {wanted} | {median(values):.3g} ({spread(values)}) |" for aim, wanted, values in rows),
    ]


@dataclass(frozen=True)
class Section:
    """A heading of the page, what its table shows, and the function that returns the table's lines."""

    heading: str
    text: str
    table: Callable[[Results], list[str]]


SECTIONS = (
    Section("Aims", "Each aim with the value that was reached; quartiles in parentheses.", aims),
    Section(
        "Calls",
        "A function that does nothing, called in a tight loop with a dict of floats. The table shows the difference to "
        "the same function alone. CPU is that of the whole process: binning, evaluation, aggregation and a collection "
        "of metrics are included. *The pair* is the SDK's `Counter.add` and `Histogram.record`, three attributes each.",
        calls,
    ),
    Section("Kinds of features", "The same with features of different types.", kinds),
    Section(
        "Drainers",
        "Three ways to empty the buffer: a worker thread, the callers alone (`synchronous=True`), and the collection "
        "of metrics alone. *Bare* is the function without driftline. Callers wait a millisecond between two calls, "
        "or not at all (*saturated*).",
        drainers,
    ),
    Section(
        "Batches",
        "Rows per second of CPU. *Counting* is the binning alone. `observe` also aligns columns, cuts the batch at the "
        "ends of windows, and evaluates every 5,000 rows.",
        batches,
    ),
    Section(
        "Kernels", "Ways to count 20 columns of floats into bins, with and without numpy's wide registers.", kernels
    ),
    Section("Start", "CPU time of an import, and the size of the installed package.", start),
    Section("Memory", "Resident memory of a process that calls a model of 20 features.", memory),
)
"""The sections of the page, in their order."""

SUMMARY = "<!-- summary -->", "<!-- /summary -->"
"""The marks around the first section of the page, which is written by hand."""


def page(machine_lines: Sequence[str], tables: Mapping[str, str], summary: str) -> str:
    """
    Return the page of results.

    Args:
        machine_lines: where the figures come from.
        tables: the table of each heading.
        summary: the text between the marks, kept as it is.
    """
    lines = [
        "# Performance: results",
        "",
        f"{SUMMARY[0]}\n{summary.strip()}\n{SUMMARY[1]}",
        "",
        "Written by `make bench`, but for the summary. " + " ".join(machine_lines),
    ]
    for section in SECTIONS:
        lines += ["", f"## {section.heading}", "", section.text, "", tables[section.heading]]
    return "\n".join(lines) + "\n"


def write(raw: Mapping[str, Any], document: Path | None) -> str:
    """Return the tables, and write the page around them unless *document* is None."""
    results = Results(raw)
    tables = {section.heading: "\n".join(section.table(results)) for section in SECTIONS}
    if document is not None:
        _, _, rest = document.read_text(encoding="utf-8").partition(SUMMARY[0])
        summary = rest.partition(SUMMARY[1])[0]
        document.write_text(page(machine(results), tables, summary), encoding="utf-8")
    return "\n\n".join(tables.values())
