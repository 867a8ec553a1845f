"""The README: its code runs, its links work on PyPI too, and its table of metrics is complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from driftline import semconv

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HEADINGS = [
    "Quickstart",
    "Without code",
    "Metrics",
    "Alerting",
    "Fleets",
    "Reports",
    "Overhead",
    "Configuration",
    "Troubleshooting",
    "Documentation",
]


def section(heading):
    """The lines below a heading, up to the next one of its level."""
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.slow
def test_python_blocks_run_in_their_order(tmp_path, readme_world):
    """All Python blocks, one after the other, in a separate process without a collector."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 3
    check = '\npredict({"dep_delay": 1.0, "carrier": "UA"})\nassert monitor.snapshot().rows == 5_002\n'
    script = tmp_path / "readme.py"
    script.write_text(readme_world + "\n".join(blocks) + check, encoding="utf-8")
    environment = {**os.environ, "OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "carrier stable" in done.stdout or "carrier insufficient_data" in done.stdout


def test_headings_are_those_that_are_scanned_for():
    """In the order of use."""
    assert re.findall(r"^## (.+)$", README, re.MULTILINE) == HEADINGS


def test_installation_comes_before_the_benchmark_table():
    """Readers install first."""
    assert README.index("pip install driftline") < README.index("<!-- what make bench-detection found -->")


def test_the_two_set_up_commands_are_there():
    """A fresh machine needs nothing else."""
    for command in ("make demo", "make test"):
        assert f"$ {command} " in section("Quickstart")


def test_links_and_pictures_are_absolute():
    """PyPI shows the README without the repository around it."""
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []


def test_metrics_of_the_readme_are_those_of_the_registry():
    """The table names every metric of the registry, and no other."""
    rows = [line.split("|")[1] for line in section("Metrics").splitlines() if line.startswith("| `ml.")]
    assert {name for row in rows for name in re.findall(r"`(ml\.[a-z.]+)`", row)} == set(semconv.METRICS)


def test_the_documentation_section_lists_every_page():
    """Pages of decisions and notebooks are listed by their index."""
    listed = set(re.findall(r"/blob/main/(docs/[^)#]+\.md)\)", section("Documentation")))
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md")}
    indexed = {
        page
        for page in pages
        if page.startswith(("docs/decisions/", "docs/notebooks/")) and not page.endswith("README.md")
    }
    assert listed == pages - indexed
