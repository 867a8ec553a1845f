"""
The whole benchmark of detection, seeded: ``make bench-detection``. It writes tables and plots to ``results/``, the page
``docs/results/detection.md``, and a few figures to the README.

The first run installs the libraries that driftline is compared with in a separate environment outside the repository.
``--no-peers`` skips the parts that need them. The restated rules need only numpy and always run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
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
import lumpy_parts
import power
import real
import timing
from lumpy_report import write_lumpy_page
from readme import write_summary
from report import describe_machine, write_csv, write_page
from streams import SHIFTS

HERE = Path(__file__).parent
README = HERE.parent.parent / "README.md"
PAGE = HERE.parent.parent / "docs" / "results" / "detection.md"
LUMPY_PAGE = PAGE.with_name("detection-lumpy.md")
PARTS = ("false_alarms", "power", "level", "real", "lumpy", "lumpy_power", "words", "public", "timing", "peers")


@dataclass(frozen=True, slots=True)
class Size:
    """The amount of simulation."""

    months: float
    """A share of the months of each case."""
    days: float | None
    """Days of each month. If None, the whole month."""
    training: int | None
    """Largest number of rows of a reference. If None, the number of each case."""
    episodes: int
    tuning: int
    """References that the peers are tuned on. The same number checks the result."""
    tuning_windows: int
    levels: int
    placebo: int
    ticks: int
    lumpy_months: int
    lumpy_runs: int
    alarms: int
    """Alarms of each shape and change, whose reasons are read."""
    quick: bool

    def shared(self, share: float) -> Size:
        """Return a size with a share of the months, episodes and references. Each is as long as before."""
        counts = {name: max(1, round(getattr(self, name) * share)) for name in SHARED}
        return replace(self, months=self.months * share, **counts)


SHARED = ("episodes", "tuning", "levels", "placebo", "lumpy_months", "lumpy_runs", "alarms")
"""Numbers of a size that are at least 1."""

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
    lumpy_months=20,
    lumpy_runs=100,
    alarms=20,
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
    lumpy_months=1,
    lumpy_runs=1,
    alarms=1,
    quick=True,
)

Task = tuple[Callable[..., Any], tuple[Any, ...]]


def perform(task: Task) -> tuple[Any, float]:
    """Run a task in a process of the pool. Return its result and its seconds of CPU."""
    function, arguments = task
    start = time.process_time()
    return function(*arguments), time.process_time() - start


@dataclass(slots=True)
class Workers:
    """The pool of processes, and the seconds of CPU that it has used."""

    pool: ProcessPoolExecutor
    public: Path | None
    """The folder of the public streams."""
    cpu: float = 0.0

    def run(self, tasks: Iterable[Task]) -> list[Any]:
        """Return the results of tasks, in their order."""
        results = list(self.pool.map(perform, tasks))
        self.cpu += sum(seconds for _, seconds in results)
        return [result for result, _ in results]

    def spread(self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Call one function with many arguments, and return the results in their order."""
        return self.run((function, each) for each in arguments)


# --- parts -----------------------------------------------------------------------------------------------------------


def run_false_alarms(workers: Workers, size: Size) -> dict[str, Any]:
    """Count alarms without drift."""
    months = [(index, number, size.days, size.training) for index, number in false_alarms.months_of(size.months)]
    # The longest come first, so that no core is left alone with one of them at the end.
    months.sort(key=lambda month: -_weight(false_alarms.CASES[month[0]]))
    results = workers.spread(false_alarms.month, months)
    return {"false_alarms": false_alarms.rows_of(sorted(results, key=lambda result: result["case"]))}


def _weight(case: false_alarms.Case) -> float:
    return len(case.world.kinds) * (case.rows + 300) * case.windows(case.days)


def run_power(workers: Workers, size: Size) -> dict[str, Any]:
    """Measure power and delay. The rules of the peers are tuned to the budget of driftline."""
    sizes = power.SIZES[:1] if size.quick else power.SIZES
    shifts = list(SHIFTS)[-2:] if size.quick else list(SHIFTS)
    arguments = [(rows, number, size.tuning_windows) for rows in sizes for number in range(2 * size.tuning)]
    drawn = workers.spread(power.tune, arguments)
    for_tuning = [result for result, (_, number, _) in zip(drawn, arguments, strict=True) if number < size.tuning]
    others = [result for result, (_, number, _) in zip(drawn, arguments, strict=True) if number >= size.tuning]
    limits = power.limits_of(for_tuning)
    episodes = workers.spread(
        power.episode,
        [(shift, rows, number, limits[rows]) for shift in shifts for rows in sizes for number in range(size.episodes)],
    )
    return {"tuning": power.held_out(others, limits), "power": power.power_rows(episodes)}


def run_level(workers: Workers, size: Size) -> dict[str, Any]:
    """Test single windows at the level of the prototypes."""
    sizes = power.SIZES[:1] if size.quick else power.SIZES
    parts = workers.spread(
        power.level,
        [(shift, rows, number) for shift in power.LEVEL_SHIFTS for rows in sizes for number in range(size.levels)],
    )
    return {"level": power.level_rows(parts)}


def run_real(workers: Workers, size: Size) -> dict[str, Any]:
    """Run the parts on flights, the placebo, the negligible change and effect sizes."""
    flights = [(window, "1d", effect) for window in ("1d", 1_000) for effect in (None, 0.0)]
    tasks: list[Task] = [
        (real.placebo, (size.placebo, 10 if size.quick else real.MONTH_WINDOWS)),
        *((real.flights_year, each) for each in (flights[:1] if size.quick else flights)),
        (real.harmless, (5_000, 0.05, 2) if size.quick else ()),
        (effects.effects, (20_000,) if size.quick else ()),
        (real.replayed, ()),
        (real.remarkable_days, ()),
    ]
    results: dict[str, list[Any]] = {}
    for (function, _), result in zip(tasks, workers.run(tasks), strict=True):
        results.setdefault(function.__name__, []).append(result)
    return {
        "harmless": results["harmless"][0],
        "effects": results["effects"][0],
        "placebo": [*results["placebo"][0], *results["replayed"][0]],
        "flights": results["flights_year"],
        "remarkable_days": results["remarkable_days"][0],
    }


def run_lumpy(workers: Workers, size: Size) -> dict[str, Any]:
    """Count onsets and time in a false drift on lumpy traffic."""
    return lumpy_parts.budget(workers.spread, size.lumpy_months, quick=size.quick)


def run_lumpy_power(workers: Workers, size: Size) -> dict[str, Any]:
    """Measure power and recovery on lumpy traffic."""
    return lumpy_parts.power(workers.spread, size.lumpy_runs, quick=size.quick)


def run_words(workers: Workers, size: Size) -> dict[str, Any]:
    """Compare what reasons say with the raw rows."""
    return lumpy_parts.words(workers.spread, size.alarms)


def run_public(workers: Workers, size: Size) -> dict[str, Any]:
    """Serve the public streams."""
    del size
    return lumpy_parts.public(workers.spread, workers.public)


def run_timing(workers: Workers, size: Size) -> dict[str, Any]:
    """Measure the time of evaluations and the memory, with nothing else running."""
    del workers
    memory = timing.memory(2) if size.quick else timing.memory()
    return {"timing": timing.evaluations(size.ticks), "memory": [memory]}


RUN = {
    "false_alarms": run_false_alarms,
    "power": run_power,
    "level": run_level,
    "real": run_real,
    "lumpy": run_lumpy,
    "lumpy_power": run_lumpy_power,
    "words": run_words,
    "public": run_public,
    "timing": run_timing,
}


# --- the peers' environment ------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Return the folder outside the repository that keeps what takes long to make."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "driftline"


def public_data(python: Path) -> Path | None:
    """Write the public streams that the peers' environment bundles. Return their folder, or None if that failed."""
    folder = cache_folder() / "detection-public"
    return folder if in_peers(python, "public_data.py", folder).wait() == 0 else None


def peers_python() -> Path:
    """Return the interpreter of the peers' environment. The first call creates the environment."""
    requirements = HERE / "requirements.txt"
    cache = cache_folder()
    name = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"detection-peers-{name}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing the peers in {folder} (once, minutes)", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)  # noqa: S603 - a file of this folder
        (folder / "complete").touch()
    return python


QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "MPLBACKEND": "Agg"}
"""Environment variables that keep the peers from sending usage data."""


def in_peers(python: Path, script: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a script of this folder in the peers' environment."""
    command = [str(python), str(HERE / script), *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, **QUIET}, stdout=subprocess.DEVNULL)  # noqa: S603 - as above


# --- main ------------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts, and write the results."""
    # 200 features exceed the SDK's limit of series. Each monitor would warn about it, which does not matter here.
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="run a smoke test of all parts; writes only with --out")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--share", type=float, default=1.0, help="share of the full simulation to run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-peers", action="store_true", help="skip plots and all that needs the peers' environment")
    parser.add_argument("--peers-python", type=Path, help="an interpreter with requirements.txt installed")
    parser.add_argument("--out", type=Path, help="folder of the results; the page goes there too")
    options = parser.parse_args(arguments)
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only: {sorted(unknown)} unknown, expected some of {', '.join(PARTS)}")
    size = QUICK if options.quick else FULL.shared(options.share)
    out, page = (options.out, options.out / "detection.md") if options.out else (HERE / "results", PAGE)
    write = bool(options.out) or not options.quick
    python = None if options.no_peers else options.peers_python or peers_python()
    raw = out / "raw"
    if write:
        raw.mkdir(parents=True, exist_ok=True)

    began = time.perf_counter()
    public = public_data(python) if python is not None and "public" in parts and write else None
    peers = None
    if python is not None and "peers" in parts and write:
        peers = in_peers(python, "installed.py", raw / "peers.json", *(["--quick"] if options.quick else []))
    simulate([name for name in RUN if name in parts], size, options.jobs, raw if write else None, peers, public)
    if peers is not None:
        if peers.wait() != 0:
            parser.exit(1, "installed.py failed in the peers' environment\n")
        _pool_episodes(raw / "peers.json")
    if write:
        results = _results(raw)
        write_csv(results, out)
        write_page(results, page, out, describe_machine())
        write_lumpy_page(results, page.with_name(LUMPY_PAGE.name), out, describe_machine())
        if not options.out and {"false_alarms", "power"} <= results.keys():
            write_summary(results, README)
        if python is not None and in_peers(python, "plots.py", out).wait() != 0:
            parser.exit(1, "plots.py failed in the peers' environment\n")
    print(f"all: {time.perf_counter() - began:.0f} s", file=sys.stderr)


def simulate(
    parts: Sequence[str],
    size: Size,
    jobs: int,
    raw: Path | None,
    peers: subprocess.Popen[bytes] | None,
    public: Path | None,
) -> None:
    """Run the parts one after the other, each in all processes. Write their tables to the folder *raw*."""
    # With more than two cores, leave one of them to the peers.
    with ProcessPoolExecutor(max(1, jobs - (peers is not None and jobs > 2))) as pool:
        for part in parts:
            if part == "timing" and peers is not None:
                peers.wait()
            start, own = time.perf_counter(), time.process_time()
            workers = Workers(pool, public)
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
    """Return the results of this run, and those of earlier runs for parts that did not run."""
    results: dict[str, Any] = {"seconds": {}}
    for part in PARTS:
        path = raw / f"{part}.json"
        if path.exists():
            tables = json.loads(path.read_text(encoding="utf-8"))
            seconds = tables.pop("seconds", None), tables.pop("cpu", None)
            # Parts that were put together from several runs have no time.
            if None not in seconds:
                results["seconds"][part] = seconds
            results.update(tables)
    return results


if __name__ == "__main__":
    main()
