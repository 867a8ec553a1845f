"""
Time and memory of `driftline fit` and `driftline check` on a large Parquet file.

    python benchmarks/files.py --rows 10000000 --folder /tmp
    python benchmarks/files.py --rows 100000000 --data /tmp/100-million.parquet

Of 20 columns, 18 are numeric, of gamma distributions of all shapes, and 2 categorical, of 30 words each. No value
repeats in a numeric column, so Parquet cannot shorten them: 147 bytes a row. Each command is a separate process, so
that its memory is known. The file is written first. It is deleted at the end, unless `--data` names it; then it is
kept, and used if it is there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMERIC, CATEGORICAL = 18, 2
PART_ROWS = 1_000_000


def write(path: Path, rows: int) -> None:
    """Write random rows in parts."""
    random = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, PART_ROWS):
        size = min(PART_ROWS, rows - start)
        columns = {f"number_{column}": random.gamma(2.0 + column, size=size) for column in range(NUMERIC)}
        words = np.array([f"word {number}" for number in range(30)])
        columns |= {f"word_{column}": words[random.integers(0, 30, size)] for column in range(CATEGORICAL)}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def measure(*command: str) -> str:
    """Run a command of driftline, and return its seconds, its seconds of processor, and its memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "driftline.cli", *command], stdout=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    processor = usage.ru_utime + usage.ru_stime
    seconds = f"{time.perf_counter() - start:.1f} s, {processor:.1f} s of processor"
    return f"{command[0]}: exit code {code}, {seconds}, {usage.ru_maxrss / 1024:.0f} MiB"


def main() -> None:
    """Write the file, run both commands, and print what they take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where the file is written; by default that of temporary files")
    parser.add_argument("--data", type=Path, help="the file, which is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        data, reference = options.data or Path(folder) / "data.parquet", str(Path(folder) / "reference.json")
        if not data.exists():
            start = time.process_time()
            part = data.with_name(f"{data.name}.part")
            write(part, options.rows)
            part.rename(data)
            print(f"written in {time.process_time() - start:.0f} s of processor", flush=True)
        rows = pq.ParquetFile(data).metadata.num_rows
        print(f"{rows:,} rows of {NUMERIC + CATEGORICAL} columns, {data.stat().st_size / 2**20:.0f} MiB", flush=True)
        print(measure("fit", str(data), "-o", reference), flush=True)
        print(measure("check", reference, str(data)))


if __name__ == "__main__":
    main()
