"""Replay the corpus, and run Hypothesis on the same targets, on every Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import TARGETS

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FILES = sorted(CORPUS.rglob("*.bin"))
SECONDS = int(os.environ.get("DRIFTLINE_FUZZ_SECONDS", "0"))
"""Seconds that the coverage-guided fuzzer runs on each target; 0 skips it."""

SEED = int(os.environ.get("DRIFTLINE_FUZZ_SEED", "1"))
"""The seed of the fuzzer; 0 is a different one at every run."""


def test_every_target_has_a_corpus():
    """The corpus has no other folders."""
    assert {file.parent.name for file in FILES} == set(TARGETS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
@pytest.mark.filterwarnings("ignore:invalid value|overflow|divide by zero:RuntimeWarning")
def test_the_corpus(file):
    """Each file once gave new coverage or revealed a fault."""
    TARGETS[file.parent.name](file.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.filterwarnings("ignore:invalid value|overflow|divide by zero:RuntimeWarning")
def test_bytes_from_hypothesis(target):
    """Any bytes."""

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.binary(max_size=120))
    def run(data):
        TARGETS[target](data)

    run()


@pytest.mark.slow
@pytest.mark.skipif(not SECONDS, reason="DRIFTLINE_FUZZ_SECONDS is not set: .ci/run sets it")
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_fuzzer_for_a_while(target, tmp_path):
    """The coverage-guided fuzzer finds nothing within DRIFTLINE_FUZZ_SECONDS, starting from the corpus."""
    pytest.importorskip("atheris")
    additions = tmp_path / "additions"
    additions.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            HERE / "targets.py",
            target,
            f"-max_total_time={SECONDS}",
            # The same seed at every run, so that only the change decides. `make fuzz` uses a different seed.
            f"-seed={SEED}",
            f"-artifact_prefix={tmp_path}/",
            "-rss_limit_mb=4096",
            "-timeout=20",
            str(additions),
            str(CORPUS / target),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS * 10 + 120,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert "Done" in done.stderr
