"""What the fuzzer has found is replayed, and what Hypothesis makes of the same targets is tried: on every Python."""

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
"""How long the coverage-guided fuzzer runs on each target; 0: not at all."""

SEED = int(os.environ.get("DRIFTLINE_FUZZ_SEED", "1"))
"""Where its walk begins; 0: somewhere else at every run."""


def test_there_is_a_corpus_for_every_target():
    """And for nothing else."""
    assert {file.parent.name for file in FILES} == set(TARGETS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
@pytest.mark.filterwarnings("ignore:invalid value|overflow|divide by zero:RuntimeWarning")
def test_the_corpus(file):
    """Each file was once worth keeping: new coverage, or a fault that is mended."""
    TARGETS[file.parent.name](file.read_bytes())


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.filterwarnings("ignore:invalid value|overflow|divide by zero:RuntimeWarning")
def test_what_hypothesis_makes(target):
    """Bytes of any kind."""

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.binary(max_size=120))
    def run(data):
        TARGETS[target](data)

    run()


@pytest.mark.skipif(not SECONDS, reason="DRIFTLINE_FUZZ_SECONDS is not set: .ci/run sets it")
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_fuzzer_for_a_while(target, tmp_path):
    """Coverage-guided, from the corpus on, for so many seconds."""
    pytest.importorskip("atheris")
    found = tmp_path / "found"
    found.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            HERE / "targets.py",
            target,
            f"-max_total_time={SECONDS}",
            # The same walk at every run: a change lands or does not by what it does. `make fuzz` walks elsewhere.
            f"-seed={SEED}",
            f"-artifact_prefix={tmp_path}/",
            "-rss_limit_mb=4096",
            "-timeout=20",
            str(found),
            str(CORPUS / target),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS * 10 + 120,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert "Done" in done.stderr
