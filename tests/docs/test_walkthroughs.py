"""The pages that are walked through from the first line: their files are written, and their commands run."""

from __future__ import annotations

import re

import pytest
from walkthroughs import PAGES, TUTORIAL, Command, agrees, steps, until, walk

pytestmark = pytest.mark.system


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "tutorial.md"], ids=lambda page: page.stem)
def test_commands_print_what_the_page_shows(page, tmp_path):
    """Every file of the page is written, and every command runs, in their order."""
    ran = 0
    with walk(tmp_path) as walking:
        for step in steps(page):
            if not isinstance(step, Command):
                (tmp_path / step[0]).write_text(step[1], encoding="utf-8")
                continue
            printed = walking.run(step)
            assert agrees(step.shown, printed), f"$ {step.line}\n{printed}"
            ran += 1
    assert ran


@pytest.mark.slow
def test_the_tutorial_drifts_without_a_prometheus(tmp_path):
    """Everything but the server and the alert: the service prints the states that the page shows."""
    with walk(tmp_path) as walking:
        for step in steps(TUTORIAL):
            if not isinstance(step, Command):
                (tmp_path / step[0]).write_text(step[1], encoding="utf-8")
            elif not step.line.startswith(("prometheus", "curl")):
                walking.environment["OTEL_METRICS_EXPORTER"] = "none"
                walking.run(step)
                if "serve.py" in step.line:
                    assert until(lambda: " drifting" in walking.log())
                    states = re.findall(r"^\d+ (\w+)$", walking.log(), re.MULTILINE)
                    assert states[0] == "insufficient_data"
                    assert "drifting" not in states[:10]
                    assert states[9] == "stable"
        assert (tmp_path / "driftline.rules.yaml").exists()


def test_the_tutorial_has_thirty_lines_of_python():
    """Without blank ones, it says."""
    files = [step for step in steps(TUTORIAL) if not isinstance(step, Command)]
    lines = [line for name, text in files if name.endswith(".py") for line in text.splitlines() if line.strip()]
    assert 20 <= len(lines) <= 32
