"""Memory after many calls, in this process. Prints JSON."""

from __future__ import annotations

import argparse
import gc
import json
import os
from pathlib import Path

from calls import DIFFERENT, monitor_of, predict, rows_of

WIDTH = 20


def memory(marks: list[int]) -> dict[str, float]:
    """Return resident bytes of this process: before a monitor is made (0), and after each number of calls."""
    rows = rows_of(WIDTH)
    seen = {"0": _resident()}
    monitor = monitor_of(WIDTH, export_duration=False)
    function = monitor.instrument(predict)
    done = 0
    for mark in marks:
        while done < mark:
            for row in rows:
                function(row)
            done += DIFFERENT
        monitor.flush()
        gc.collect()
        seen[str(mark)] = _resident()
    return seen


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("marks", nargs="+", type=int)
    print(json.dumps(memory(parser.parse_args().marks)))
