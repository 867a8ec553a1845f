"""The demo's incident: broken data ask for a fix, a changed relation asks for retraining, and the loop closes."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from driftline.demo.incident import Accuracy, result_of

SECONDS = 1_200.0
"""Seconds until a run counts as stuck. A run takes about twenty on a quiet machine."""


def run(*arguments):
    command = [sys.executable, "-m", "driftline.demo.incident", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.slow
@pytest.mark.system
def test_the_incident_as_users_run_it():
    """The order of the requests, what the command line reports, and the accuracy from outcomes."""
    process = run()
    assert (process.returncode, process.stderr) == (0, "")
    lines = process.stdout.splitlines()

    def first(pattern):
        return next((number for number, line in enumerate(lines) if re.search(pattern, line)), None)

    incident, repaired = first("INCIDENT"), first("is repaired")
    assert incident < first("request to FIX THE PIPELINE, and none to retrain: visib") < repaired
    change, requested = first("CHANGE"), first("request to RETRAIN: accuracy 8.* at least .* allowed")
    assert repaired < change < requested
    assert requested < first("retrain-.* is acknowledged") < first("retrain-.* is running")
    done = first(r'"better: accuracy 8[0-4]\..* before, 9\d\.\d% after .* outcomes"')
    assert done < first("retrain-.* is succeeded") < first("version 2 serves with its reference")
    assert "dep_delay" in lines[first("  stable: ")]
    assert first("retrain: retrain-.* succeeded, better: ") == len(lines) - 1
    assert len([line for line in lines if "request to RETRAIN" in line]) == 1


def test_a_result_within_the_interval_is_no_better():
    """A difference counts only beyond its interval."""
    assert result_of(Accuracy(1_000, 0.80, 0.83, 0.02)).startswith("better: accuracy 80.0% before, 83.0% after")
    for after, error in ((0.81, 0.02), (0.79, 0.001), (0.80, 0.0)):
        assert result_of(Accuracy(1_000, 0.80, after, error)).startswith("no better: ")


@pytest.mark.slow
def test_wrong_arguments_are_refused():
    """With the usage and the exit code of argparse."""
    process = run("--fast")
    assert process.returncode == 2
    assert "usage: python -m driftline.demo.incident [--hasty]" in process.stderr
