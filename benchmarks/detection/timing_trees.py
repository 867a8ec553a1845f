"""
Time of an evaluation and memory of a monitor with 200 features, of several versions of driftline in turns.

    python benchmarks/detection/timing_trees.py --trees /old/tree/src src

Each version runs in a separate process. They evaluate a window in turns, so that a busy machine slows all of them.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from timing import FEATURES, FILLED, Ticks, memory

__all__ = ["compare", "main"]


def child(windows: int) -> None:
    """Answer each line of the standard input with the milliseconds of one evaluation, after the memory in MiB."""
    measured = memory(windows)
    ticks = Ticks(windows)
    print(json.dumps(measured), flush=True)
    for _ in sys.stdin:
        print(ticks.next(), flush=True)


def compare(trees: Sequence[Path], rounds: int, windows: int = FILLED) -> list[dict[str, Any]]:
    """
    Return a row for each tree.

    Args:
        trees: folders that contain the package.
        rounds: evaluations of each.
        windows: windows before the first measurement.
    """
    command = [sys.executable, __file__, "--child", "--windows", str(windows)]
    children = [
        subprocess.Popen(  # noqa: S603 - this file
            command,
            env={**os.environ, "PYTHONPATH": str(tree.resolve()), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for tree in trees
    ]
    measured = [json.loads(_answer(process.stdout)) for process in children]
    milliseconds: list[list[float]] = [[] for _ in trees]
    for _ in range(rounds):
        for process, values in zip(children, milliseconds, strict=True):
            if process.stdin is not None:
                process.stdin.write("\n")
                process.stdin.flush()
            values.append(float(_answer(process.stdout)))
    for process in children:
        process.communicate()
    return [
        {
            "tree": str(tree),
            "features": FEATURES,
            "evaluations": rounds,
            "median ms": round(statistics.median(values), 2),
            "fastest ms": round(min(values), 2),
            "reference MiB": each["reference MiB"],
            "monitor MiB": each["monitor MiB"],
        }
        for tree, values, each in zip(trees, milliseconds, measured, strict=True)
    ]


def _answer(stream: IO[str] | None) -> str:
    line = stream.readline() if stream is not None else ""
    if not line:
        message = "a process ended before it answered"
        raise RuntimeError(message)
    return line


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each tree."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=Path, nargs="+", default=[Path("src")])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--windows", type=int, default=FILLED, help="windows before the first measurement")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        child(options.windows)
        return
    for row in compare(options.trees, options.rounds, options.windows):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
