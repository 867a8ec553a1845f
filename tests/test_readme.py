"""The code in the README runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

WORLD = """
import numpy as np

random = np.random.default_rng(0)
delay = random.normal(10.0, 30.0, 5_000)
X_train = {"dep_delay": delay, "carrier": random.choice(["UA", "AA", "DL"], 5_000).tolist()}
p_train = 1.0 / (1.0 + np.exp(-delay / 30.0))
y_train = random.random(5_000) < p_train
frame, outputs = X_train, p_train


class model:
    @staticmethod
    def predict(features):
        return 0.7

"""
"""What the README takes for granted: training data, a frame, a model."""


def test_python_blocks_run_in_their_order(tmp_path):
    """All Python blocks, one after the other, in a process of their own without a collector."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    check = '\npredict({"dep_delay": 1.0, "carrier": "UA"})\nassert monitor.snapshot().rows == 5_002\n'
    script = tmp_path / "readme.py"
    script.write_text(WORLD + "\n".join(blocks) + check, encoding="utf-8")
    environment = {**os.environ, "OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "carrier stable" in done.stdout or "carrier insufficient_data" in done.stdout


def test_the_page_on_outcomes_runs(tmp_path):
    """As it stands, with a reference at hand."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "outcomes.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    given = "import driftline as dl\nreference = dl.Reference.fit(X_train, predictions=p_train, outcomes=y_train)\n"
    check = "assert sum(monitor.outcome_counts().results.values()) == 4\nassert monitor.performance()\n"
    script = tmp_path / "outcomes.py"
    script.write_text(WORLD + given + "\n".join(blocks) + check, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outcomes.sqlite").exists()


def test_links_lead_somewhere():
    """Every relative link of the README and its companions is a file of the repository."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_metrics_of_the_readme_are_those_of_the_registry():
    """The table names every metric that there is, and no other."""
    from driftline import semconv  # noqa: PLC0415 - after the checks of the text alone

    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## What comes out")[1].split("## See it")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `ml.")]
    named = {name for row in rows for name in re.findall(r"`(ml\.[a-z.]+)`", row)}
    assert named == set(semconv.METRICS)
