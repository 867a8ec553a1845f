"""The built site, once for all tests of a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 900
"""Seconds that a build may take on a busy machine."""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site, built as `make docs` builds it. The workers of a run share it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    base = tmp_path_factory.getbasetemp().parent / f"site-{run}" if run else tmp_path_factory.mktemp("site")
    folder, log = base / "html", base / "log"
    try:
        base.mkdir(exist_ok=run is None)
    except FileExistsError:  # another worker builds it
        end = time.monotonic() + SECONDS
        while not log.exists() and time.monotonic() < end:
            time.sleep(0.5)
    else:
        log.with_suffix(".part").write_text(build(folder), encoding="utf-8")
        log.with_suffix(".part").rename(log)
    assert log.read_text(encoding="utf-8") == "0\n"
    return folder


def build(folder):
    """Build the site, and return the exit code and what Sphinx complains of, each on a line."""
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", ROOT / "docs", folder],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=SECONDS,
    )
    return f"{done.returncode}\n{done.stderr}"
