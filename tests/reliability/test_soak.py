"""The soak, for DRIFTLINE_SOAK_MINUTES."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MINUTES = float(os.environ.get("DRIFTLINE_SOAK_MINUTES", "0"))


@pytest.mark.slow
@pytest.mark.skipif(not MINUTES, reason="DRIFTLINE_SOAK_MINUTES is not set: .ci/run sets it")
def test_a_service_in_trouble_counts_exactly_in_flat_memory():
    """Faults are random, from a printed seed."""
    command = [sys.executable, Path(__file__).parent / "soak.py", f"--minutes={MINUTES}"]
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=MINUTES * 60 + 300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("soak: exact and flat"), done.stdout
