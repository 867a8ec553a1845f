"""Run all benchmarks, their scenarios in turn, round after round: ``make bench``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from batches import KINDS as COLUMN_KINDS
from calls import KINDS, SCENARIOS
from drainers import TRAFFIC, WAYS
from peers.environments import IMPORTS, environments, size
from peers.scenario import BATCHES as PEER_BATCHES
from peers.scenario import CALLS as PEER_CALLS
from plot import draw
from report import write

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "results" / "performance.md"
PLOT = HERE.parent / "docs" / "performance.png"
RESULTS = HERE / "results" / "latest.json"

WIDTHS = (1, 20, 200)
SOME = ("bare", "driftline", "driftline, no duration histogram", "Counter.add + Histogram.record")
"""Scenarios that are measured at 1 and 200 features too."""

BATCHES = (100, 1_000, 10_000, 100_000)
KERNEL_ROWS = (256, 1_000, 10_000)
MARKS = {False: ("10000", "1000000", "10000000"), True: ("10000", "100000")}
LONGEST = 120
"""Seconds after which a scenario is stopped."""

WITHOUT_SIMD = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512CD AVX512_SKX"}
"""Features that this numpy does not know are ignored with a warning."""

CORE_IMPORTS = {
    "nothing": "pass",
    "numpy and the OpenTelemetry API": "import numpy, opentelemetry.metrics, opentelemetry.trace, opentelemetry._logs",
    "driftline": "import driftline",
    "driftline, with what a monitor needs": "import driftline; driftline.Monitor",
    "the OpenTelemetry SDK": "import opentelemetry.sdk.metrics, opentelemetry.sdk.trace, opentelemetry.sdk._logs",
}


def child(python: Path | str, script: str, *arguments: str, **environment: str) -> Any:
    """Return the output of a scenario, or None when it fails, with the reason on stderr."""
    try:
        done = subprocess.run(  # noqa: S603 - this folder's own scripts
            [python, HERE / script, *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**_clean(), **environment},
            timeout=LONGEST,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"{script} {arguments}: {error}\n{str(error.stderr)[-2_000:]}", file=sys.stderr, flush=True)
        return None
    return json.loads(done.stdout)


def _clean() -> dict[str, str]:
    """Return the environment without variables that slow numpy down or turn driftline or the SDK off."""
    # Modules are compiled once on any machine that runs a program more than once.
    unwanted = ("NPY_", "OPENBLAS_", "OMP_", "OTEL_", "DRIFTLINE_ENABLED", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def fresh(python: Path, code: str) -> float:
    """Return the seconds of CPU of a fresh interpreter."""
    before = os.times()
    subprocess.run([python, "-c", code], check=True, capture_output=True, env=_clean())  # noqa: S603 - as above
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


class Run:
    """The values measured so far."""

    def __init__(self, *, quick: bool, peers: dict[str, Path | str]) -> None:
        self.quick = quick
        self.peers = peers
        self.results: dict[str, Any] = {
            part: {}
            for part in ("calls", "kinds", "drainers", "batches", "columns", "kernels", "imports", "sizes", "memory")
        }
        self.results["peers"] = {name: None if isinstance(peer, Path) else peer for name, peer in peers.items()}

    def add(self, part: str, key: tuple[str, ...], value: Any) -> None:
        """Add a value of this round."""
        if value is not None:
            self.results[part].setdefault(" | ".join(key), []).append(value)

    def calls(self) -> None:
        """Measure latency and CPU of single calls."""
        count = "4000" if self.quick else "20000"
        for width in WIDTHS:
            for name in SCENARIOS if width == 20 else SOME:
                value = child(sys.executable, "calls.py", name, "--width", str(width), "--calls", count)
                self.add("calls", (str(width), name), value)
        for name, (peer, _, _) in PEER_CALLS.items():
            python = self.peers[peer]
            if isinstance(python, Path):
                self.add("calls", ("20", name), child(python, "peers/scenario.py", "calls", name))

    def kinds(self) -> None:
        """Measure calls with each kind of features."""
        for kind in ("bare", *KINDS):
            value = child(sys.executable, "calls.py", kind, "--width", "20", "--calls", "5000")
            self.add("kinds", (kind,), value)

    def drainers(self) -> None:
        """Measure the ways to drain the buffer."""
        seconds = "0.4" if self.quick else "1.0"
        for traffic in TRAFFIC:
            for drainer in WAYS:
                value = child(sys.executable, "drainers.py", drainer, traffic, "--seconds", seconds)
                self.add("drainers", (traffic, drainer), value)

    def batches(self) -> None:
        """Measure rows per second of batches."""
        for batch in BATCHES:
            for scenario in ("floor", "count", "observe"):
                value = child(sys.executable, "batches.py", scenario, "--batch", str(batch))
                self.add("batches", (str(batch), scenario), value and value["rows"])
        for kind in COLUMN_KINDS:
            value = child(sys.executable, "batches.py", "observe", "--kind", kind)
            self.add("columns", (kind,), value and value["rows"])
        for name, (peer, _) in PEER_BATCHES.items():
            python = self.peers[peer]
            if isinstance(python, Path):
                value = child(python, "peers/scenario.py", "batches", name)
                self.add("batches", ("10000", name), value and value["rows"])

    def kernels(self) -> None:
        """Measure the ways to count, with and without numpy's wide registers."""
        for simd, environment in (("SIMD", {}), ("no SIMD", WITHOUT_SIMD)):
            for rows in KERNEL_ROWS:
                times = child(sys.executable, "kernels.py", str(rows), **environment)
                for name, value in (times or {}).items():
                    self.add("kernels", (name, simd, str(rows)), value)

    def imports(self) -> None:
        """Measure CPU of a fresh interpreter, whose modules an earlier one has compiled."""
        pythons = {**dict.fromkeys(CORE_IMPORTS, Path(sys.executable)), **self.peers}
        for name, code in {**CORE_IMPORTS, **IMPORTS}.items():
            python = pythons[name]
            if isinstance(python, Path):
                if name not in self.results["imports"]:
                    fresh(python, code)
                self.add("imports", (name,), fresh(python, code))

    def once(self) -> None:
        """Measure memory and sizes, which do not change from round to round."""
        self.add("memory", ("driftline",), child(sys.executable, "footprint.py", *MARKS[self.quick]))
        for name, python in self.peers.items():
            if isinstance(python, Path):
                self.add("sizes", (name,), size(python))


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough look; nothing is written")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--no-peers", action="store_true", help="skip the peers, which must be installed first")
    parser.add_argument("--report", action="store_true", help="write the document from the last results")
    asked = parser.parse_args()
    if asked.report:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    else:
        rounds = asked.rounds or (1 if asked.quick else 3)
        results = measured(rounds, quick=asked.quick, peers={} if asked.no_peers else environments())
    print(write(results, None if asked.quick else DOCUMENT))
    if not asked.quick:
        draw(results, PLOT)


def measured(rounds: int, *, quick: bool, peers: dict[str, Path | str]) -> dict[str, Any]:
    """Return all results, and write them to a file unless *quick*."""
    skipped = dict.fromkeys(IMPORTS, "skipped")
    run = Run(quick=quick, peers={**skipped, **peers})
    began = time.perf_counter()
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        run.calls()
        run.batches()
        run.imports()
        if number < 2:
            run.kinds()
            run.kernels()
            run.drainers()
    run.once()
    run.results["machine"] = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "sdk": version("opentelemetry-sdk"),
        "numpy": version("numpy"),
        "rounds": rounds,
    }
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(run.results, indent=1) + "\n", encoding="utf-8")
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    return run.results


if __name__ == "__main__":
    main()
