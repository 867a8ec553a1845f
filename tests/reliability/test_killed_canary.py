"""A process that is killed loses at most a second of the calls of its canary."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing

import pytest

from driftline.canary import CanaryEvidence

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]

SERVICE = """
    import sys, time
    import driftline as dl
    reference = dl.Reference.fit({f"x{n}": [float(value) for value in range(100)] for n in range(20)})
    monitors = [dl.Monitor("m", version=version, reference=reference) for version in ("1", "2")]
    canary = dl.Canary(*monitors, share=0.5, path=sys.argv[1])
    row = {f"x{n}": 1.0 for n in range(20)}
    functions = [monitor.instrument(lambda features: 0.5) for monitor in monitors]
    number = 0
    predict = canary.split(*functions, key=lambda features: number)
    while True:
        predict(row)
        number += 1
        # The time of each call: the file has it when this process is killed.
        sys.stdout.write(f"{time.monotonic()} {number}\\n")
        sys.stdout.flush()
        time.sleep(0.001)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2.3, 3.9])
def test_a_killed_process_loses_at_most_a_second_of_calls(tmp_path, seconds):
    path = tmp_path / "canary.db"
    with (tmp_path / "calls").open("w", encoding="ascii") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SERVICE), str(path)],
            stdout=output,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )
        try:
            while not (tmp_path / "calls").stat().st_size:
                time.sleep(0.01)
            time.sleep(seconds)
        finally:
            process.kill()
            killed = time.monotonic()
            process.wait()
    lines = (tmp_path / "calls").read_text(encoding="ascii").splitlines()[:-1]
    calls = [float(line.split()[0]) for line in lines]
    with closing(sqlite3.connect(path)) as connection:
        ((body,),) = connection.execute("SELECT body FROM evidence").fetchall()
    baseline, candidate = CanaryEvidence.from_json(body).pooled()
    saved = baseline.calls + candidate.calls
    assert baseline.call_tables.calls.total()[0] + candidate.call_tables.calls.total()[0] == saved
    assert baseline.call_tables.keys[:, 0].sum() + candidate.call_tables.keys[:, 0].sum() == saved
    assert len(calls) > 500
    assert saved >= sum(end < killed - 1.0 for end in calls)
