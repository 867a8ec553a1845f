"""
Time and memory of `driftline fit` and `driftline check` on a large Parquet file.

    python benchmarks/files.py --rows 10000000 --folder /tmp
    python benchmarks/files.py --rows 100000000 --data /tmp/100-million

Of 20 columns, 18 are numeric, of exponential distributions, and 2 categorical, of 30 words each. No value repeats in a
numeric column, so Parquet cannot shorten them: 145 bytes a row. Each command is a separate process, so that its memory
is known. The rows are written first, in files of ten million. They are deleted at the end, unless `--data` names their
folder; then they are kept, and files that are there are used.
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
PART_ROWS, FILE_ROWS = 1_000_000, 10_000_000


def write(path: Path, rows: int, seed: int) -> None:
    """Write a file of random rows in parts."""
    random = np.random.default_rng(seed)
    words = pa.array([f"word {number}" for number in range(30)])
    names = [f"word_{column}" for column in range(CATEGORICAL)]
    writer = None
    for start in range(0, rows, PART_ROWS):
        size = min(PART_ROWS, rows - start)
        columns = {f"number_{column}": random.standard_exponential(size) + column for column in range(NUMERIC)}
        columns |= {name: words.take(pa.array(random.integers(0, 30, size))) for name in names}
        table = pa.table(columns)
        # A dictionary of numbers of which none repeats would only take time.
        writer = writer or pq.ParquetWriter(path, table.schema, use_dictionary=names)
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
    parser.add_argument("--data", type=Path, help="the folder of the files, which are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        data, reference = options.data or Path(folder) / "data", str(Path(folder) / "reference.json")
        data.mkdir(exist_ok=True)
        for number, start in enumerate(range(0, options.rows, FILE_ROWS)):
            path = data / f"{number:03}.parquet"
            if not path.exists():
                write(path.with_suffix(".part"), min(FILE_ROWS, options.rows - start), number)
                path.with_suffix(".part").rename(path)
        files = sorted(data.glob("*.parquet"))
        rows = sum(pq.ParquetFile(path).metadata.num_rows for path in files)
        size = sum(path.stat().st_size for path in files) / 2**20
        print(f"{rows:,} rows of {NUMERIC + CATEGORICAL} columns, {size:.0f} MiB", flush=True)
        print(measure("fit", str(data), "-o", reference), flush=True)
        print(measure("check", reference, str(data)))


if __name__ == "__main__":
    main()
