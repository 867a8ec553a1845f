"""Millions of rows in a file, which the commands read in batches: all are counted, in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("resource", reason="memory of processes")

pytestmark = [pytest.mark.system, pytest.mark.alone]

NUMERIC, CATEGORICAL = 18, 2
ROWS, PART_ROWS = 10_000_000, 500_000
"""The file has 1.4 GiB. `make bench-files ROWS=100000000` measures ten times as many."""

MAX_FIT_MIB, MAX_CHECK_MIB = 1_600, 1_000
"""In memory, the numbers alone would take 1,370 MiB, and twice as much while they are read."""


def write(path, rows):
    """Write a file in groups of rows."""
    random = np.random.default_rng(0)
    words = pa.array([f"word {number}" for number in range(30)])
    writer = None
    for _ in range(rows // PART_ROWS):
        columns = {f"number_{column}": random.standard_exponential(PART_ROWS) for column in range(NUMERIC)}
        columns |= {
            f"word_{column}": words.take(pa.array(random.integers(0, 30, PART_ROWS))) for column in range(CATEGORICAL)
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, use_dictionary=["word_0", "word_1"])
        writer.write_table(table)
    writer.close()


def run(*command):
    """Run a command, and return its output and the MiB of its largest memory."""
    with subprocess.Popen(
        [sys.executable, "-m", "driftline.cli", *map(str, command)], stdout=subprocess.PIPE, text=True
    ) as process:
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, text
    return text, usage.ru_maxrss / (1024 if sys.platform == "linux" else 2**20)


@pytest.mark.slow
def test_all_rows_of_a_large_file_are_counted_in_little_memory(tmp_path):
    data, reference = tmp_path / "data.parquet", tmp_path / "reference.json"
    write(data, ROWS)
    _, fitting = run("fit", data, "-o", reference)
    text, checking = run("check", reference, data, "--json")
    checked = json.loads(text)
    assert checked["rows"] == ROWS
    assert {feature["state"] for feature in checked["features"]} == {"stable"}
    shown = json.loads(run("show", reference, "--json")[0])
    assert shown["rows"] == ROWS
    assert {sum(each["rows"] for each in feature["bins"]) for feature in shown["features"]} == {ROWS}
    assert fitting < MAX_FIT_MIB
    assert checking < MAX_CHECK_MIB
    data.unlink()  # pytest keeps the folders of three runs
