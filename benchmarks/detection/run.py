"""
The whole evaluation, seeded: ``make bench-detection``. Writes tables and plots to ``results/``, the page, and a
few figures into the README.

The libraries that driftline is compared with are installed in an environment of their own, outside the repository, at
the first run; ``--no-peers`` leaves out what needs them (the restated rules need numpy alone and always run).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import platform
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Before numpy is imported: one thread per process, as there is a process per core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import effects
import false_alarms
import numpy as np
import power
import real
import timing
from readme import write_summary
from report import write_csv, write_page
from streams import SHIFTS

HERE = Path(__file__).parent
README = HERE.parent.parent / "README.md"
DOCS = HERE.parent.parent / "docs" / "detection.md"
PARTS = ("false_alarms", "power", "level", "real", "timing", "peers")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated."""

    months: float
    """As a share of what each case asks for."""
    days: float | None
    """Of a month; None: all of it."""
    training: int | None
    """Rows of a reference at most; None: what each case asks for."""
    episodes: int
    tuning: int
    """References that the peers are tuned on, and as many again to check it."""
    tuning_windows: int
    levels: int
    placebo: int
    ticks: int
    quick: bool

    def shared(self, share: float) -> Size:
        """So much of it: fewer months, episodes and references, each as long as before."""
        counts = {name: max(1, round(getattr(self, name) * share)) for name in ("episodes", "tuning", "levels")}
        return replace(self, months=self.months * share, placebo=max(1, round(self.placebo * share)), **counts)


FULL = Size(
    months=1.0,
    days=None,
    training=None,
    episodes=50,
    tuning=10,
    tuning_windows=360,
    levels=30,
    placebo=3,
    ticks=200,
    quick=False,
)
QUICK = Size(
    months=0.0,
    days=0.02,
    training=3_000,
    episodes=1,
    tuning=1,
    tuning_windows=40,
    levels=1,
    placebo=1,
    ticks=5,
    quick=True,
)

Task = tuple[Callable[..., Any], tuple[Any, ...]]


def perform(task: Task) -> tuple[Any, float]:
    """Run a task in a process of the pool; its result, and seconds of CPU."""
    function, arguments = task
    start = time.process_time()
    return function(*arguments), time.process_time() - start


@dataclass(slots=True)
class Workers:
    """The pool, and the seconds of CPU that it has used."""

    pool: ProcessPoolExecutor
    cpu: float = 0.0

    def run(self, tasks: Iterable[Task]) -> list[Any]:
        """The results of tasks, in their order."""
        done = list(self.pool.map(perform, tasks))
        self.cpu += sum(seconds for _, seconds in done)
        return [result for result, _ in done]

    def spread(self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Call one function with many arguments."""
        return self.run((function, one) for one in arguments)


# --- parts -----------------------------------------------------------------------------------------------------------


def run_false_alarms(workers: Workers, size: Size) -> dict[str, Any]:
    """Alarms without drift."""
    months = [(place, number, size.days, size.training) for place, number in false_alarms.months_of(size.months)]
    # The longest first, so that no core ends up alone with one of them.
    months.sort(key=lambda one: -_weight(false_alarms.CASES[one[0]]))
    found = workers.spread(false_alarms.month, months)
    return {"false_alarms": false_alarms.rows_of(sorted(found, key=lambda one: one["case"]))}


def _weight(case: false_alarms.Case) -> float:
    return len(case.world.kinds) * (case.rows + 300) * case.windows(case.days)


def run_power(workers: Workers, size: Size) -> dict[str, Any]:
    """Power and delay, ours at the budget and the peers' tuned to it."""
    sizes = power.SIZES[:1] if size.quick else power.SIZES
    shifts = list(SHIFTS)[-2:] if size.quick else list(SHIFTS)
    arguments = [(rows, number, size.tuning_windows) for rows in sizes for number in range(2 * size.tuning)]
    drawn = workers.spread(power.tune, arguments)
    for_tuning = [one for one, (_, number, _) in zip(drawn, arguments, strict=True) if number < size.tuning]
    others = [one for one, (_, number, _) in zip(drawn, arguments, strict=True) if number >= size.tuning]
    limits = power.limits_of(for_tuning)
    episodes = workers.spread(
        power.episode,
        [(shift, rows, number, limits[rows]) for shift in shifts for rows in sizes for number in range(size.episodes)],
    )
    return {"tuning": power.held_out(others, limits), "power": power.power_rows(episodes)}


def run_level(workers: Workers, size: Size) -> dict[str, Any]:
    """Single windows at the level of the prototypes."""
    sizes = power.SIZES[:1] if size.quick else power.SIZES
    parts = workers.spread(
        power.level,
        [(shift, rows, number) for shift in power.LEVEL_SHIFTS for rows in sizes for number in range(size.levels)],
    )
    return {"level": power.level_rows(parts)}


def run_real(workers: Workers, size: Size) -> dict[str, Any]:
    """Flights, placebo, harmless change, what effects mean."""
    flights = [(window, "1d", effect) for window in ("1d", 1_000) for effect in (None, 0.0)]
    asked: list[Task] = [
        (real.placebo, (size.placebo, 10 if size.quick else real.MONTH_WINDOWS)),
        *((real.flights_year, one) for one in (flights[:1] if size.quick else flights)),
        (real.harmless, (5_000, 0.05, 2) if size.quick else ()),
        (effects.effects, (20_000,) if size.quick else ()),
        (real.replayed, ()),
        (real.remarkable_days, ()),
    ]
    found: dict[str, list[Any]] = {}
    for (function, _), result in zip(asked, workers.run(asked), strict=True):
        found.setdefault(function.__name__, []).append(result)
    return {
        "harmless": found["harmless"][0],
        "effects": found["effects"][0],
        "placebo": [*found["placebo"][0], *found["replayed"][0]],
        "flights": found["flights_year"],
        "remarkable_days": found["remarkable_days"][0],
    }


def run_timing(workers: Workers, size: Size) -> dict[str, Any]:
    """Ticks, with nothing else running here."""
    del workers
    return {"timing": timing.ticks(size.ticks)}


RUN = {
    "false_alarms": run_false_alarms,
    "power": run_power,
    "level": run_level,
    "real": run_real,
    "timing": run_timing,
}


# --- the peers' environment ------------------------------------------------------------------------------------------


def peers_python() -> Path:
    """The interpreter of the peers' environment, made at the first call; its name comes from all that is asked for."""
    asked = HERE / "requirements.txt"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "driftline"
    name = hashlib.sha256(asked.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"detection-peers-{name}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing the peers in {folder} (once, minutes)", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", asked], check=True)  # noqa: S603 - this folder's own list
        (folder / "complete").touch()
    return python


QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "MPLBACKEND": "Agg"}
"""The peers are asked to send nothing home."""


def in_peers(python: Path, script: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a script of this folder in the peers' environment."""
    command = [str(python), str(HERE / script), *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, **QUIET}, stdout=subprocess.DEVNULL)  # noqa: S603 - as above


# --- all of it -------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, write."""
    # 200 features are more than the SDK's limit of series: said once a monitor, and no concern here.
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke test of all parts; writes only with --out")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--share", type=float, default=1.0, help="simulate so much of what the page asks for")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-peers", action="store_true", help="nothing that needs the peers' environment: no plots")
    parser.add_argument("--peers-python", type=Path, help="an interpreter that has requirements.txt installed")
    parser.add_argument("--out", type=Path, help="folder of the results; the page goes there too")
    asked = parser.parse_args(arguments)
    parts = asked.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only: {sorted(unknown)} unknown, expected some of {', '.join(PARTS)}")
    size = QUICK if asked.quick else FULL.shared(asked.share)
    out, page = (asked.out, asked.out / "detection.md") if asked.out else (HERE / "results", DOCS)
    write = bool(asked.out) or not asked.quick
    python = None if asked.no_peers else asked.peers_python or peers_python()
    raw = out / "raw"
    if write:
        raw.mkdir(parents=True, exist_ok=True)

    began = time.perf_counter()
    peers = None
    if python is not None and "peers" in parts and write:
        peers = in_peers(python, "installed.py", raw / "peers.json", *(["--quick"] if asked.quick else []))
    simulate([name for name in RUN if name in parts], size, asked.jobs, raw if write else None, peers)
    if peers is not None:
        if peers.wait() != 0:
            parser.exit(1, "installed.py failed in the peers' environment\n")
        _pool_episodes(raw / "peers.json")
    if write:
        results = _results(raw)
        write_csv(results, out)
        write_page(results, page, out, _machine())
        if not asked.out and {"false_alarms", "power"} <= results.keys():
            write_summary(results, README)
        if python is not None and in_peers(python, "plots.py", out).wait() != 0:
            parser.exit(1, "plots.py failed in the peers' environment\n")
    print(f"all: {time.perf_counter() - began:.0f} s", file=sys.stderr)


def simulate(
    parts: Sequence[str], size: Size, jobs: int, raw: Path | None, peers: subprocess.Popen[bytes] | None
) -> None:
    """Run the parts one after the other, each in all processes; their tables go to the folder *raw*."""
    # Where there are many cores, one of them is left to the peers.
    with ProcessPoolExecutor(max(1, jobs - (peers is not None and jobs > 2))) as pool:
        for part in parts:
            if part == "timing" and peers is not None:
                peers.wait()
            start, own = time.perf_counter(), time.process_time()
            workers = Workers(pool)
            tables = RUN[part](workers, size)
            seconds = round(time.perf_counter() - start, 1)
            cpu = round(workers.cpu + time.process_time() - own, 1)
            print(f"{part}: {seconds:.0f} s, {cpu:.0f} s of CPU", file=sys.stderr, flush=True)
            if raw is not None:
                _keep(raw / f"{part}.json", {**tables, "seconds": seconds, "cpu": cpu})


def _pool_episodes(path: Path) -> None:
    tables = json.loads(path.read_text(encoding="utf-8"))
    rows = power.power_rows(tables.pop("episodes"))
    _keep(path, {**tables, "streaming power": rows})


def _keep(path: Path, tables: dict[str, Any]) -> None:
    path.write_text(json.dumps(tables, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _results(raw: Path) -> dict[str, Any]:
    """What this run and earlier ones of other parts have left."""
    results: dict[str, Any] = {"seconds": {}}
    for part in PARTS:
        path = raw / f"{part}.json"
        if path.exists():
            tables = json.loads(path.read_text(encoding="utf-8"))
            results["seconds"][part] = (tables.pop("seconds"), tables.pop("cpu"))
            results.update(tables)
    return results


def _machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, numpy {np.__version__}"


if __name__ == "__main__":
    main()
