"""
Power on independent rows of several versions of driftline, on the same streams.

    python benchmarks/detection/power_trees.py --trees /old/tree/src src --episodes 20

One of twenty features drifts, as in `power.py`. Each version runs in a separate process.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from power import HORIZON, REFERENCE, SIZES, WARM_UP, finds, power_rows
from rules_driftline import RULES, Watch, fit
from streams import SHIFTS, Source, generator, reference_of

__all__ = ["episode", "main"]


def episode(shift: str, rows: int, number: int) -> dict[str, Any]:
    """Serve windows without drift and then the drift. Return for each rule the rows until it finds it, or None."""
    drift = SHIFTS[shift]
    source = Source(drift.world, generator("power", rows, number))
    noise = generator("drift", rows, number)
    reference = fit(reference_of(source, REFERENCE, "time"), drift.world.categorical, joint=bool(drift.world.pair))
    watches = {f"driftline, {rule}": Watch(reference, rows, effect) for rule, effect in RULES.items()}
    for _ in range(WARM_UP):
        window = source.take(rows)
        for watch in watches.values():
            watch.feed(window)
    rows_until: dict[str, int | None] = dict.fromkeys(watches)
    for served in range(rows, HORIZON[rows] + 1, rows):
        window = drift.change(source.take(rows), noise)
        for rule, watch in watches.items():
            if rows_until[rule] is None and finds(watch.feed(window), drift):
                rows_until[rule] = served
        if None not in rows_until.values():
            break
    for watch in watches.values():
        watch.close()
    return {"shift": shift, "rows": rows, "rows until": rows_until}


def _line(tables: Sequence[dict[str, Any]]) -> str:
    """Return the rows of all trees for one shift, window and rule as a line. It says if the last is worse."""
    first, last = tables[0], tables[-1]
    texts = [f"{row['found']:4.0%} {row['median rows until found'] or '-':>6}" for row in tables]
    worse = last["found"] < first["found"] or (last["median rows until found"] or 1e9) > (
        first["median rows until found"] or 1e9
    )
    return f"{first['shift']:26} {first['window rows']:5} {first['rule']:33} {' | '.join(texts)}{'  worse' * worse}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each shift, window size and rule."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=Path, nargs="+", default=[Path("src")])
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=[1_000])
    parser.add_argument("--shifts", nargs="+", choices=list(SHIFTS), default=list(SHIFTS))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        combinations = [(shift, rows) for shift in options.shifts for rows in options.sizes]
        episodes = [episode(shift, rows, number) for shift, rows in combinations for number in range(options.episodes)]
        print(json.dumps(power_rows(episodes)))
        return
    command = [sys.executable, __file__, "--child", "--episodes", str(options.episodes)]
    command += ["--sizes", *map(str, options.sizes), "--shifts", *options.shifts]
    children = [
        subprocess.Popen(  # noqa: S603 - this file
            command, env={**os.environ, "PYTHONPATH": str(tree.resolve())}, stdout=subprocess.PIPE, text=True
        )
        for tree in options.trees
    ]
    tables = [json.loads(child.communicate()[0]) for child in children]
    for rows in zip(*tables, strict=True):
        print(_line(rows))


if __name__ == "__main__":
    main()
