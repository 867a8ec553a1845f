"""The notebooks of the documentation: they run, their sources have no outputs, and their prose has no typed figures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")


def run(*arguments, python=sys.executable):
    """Run the program that executes notebooks."""
    return subprocess.run(
        [python, ROOT / "tools" / "notebooks.py", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1"},
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs(name):
    """In a real kernel, with pictures or tables as outputs, and without warnings."""
    done = run(name)
    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds, "no figure of matplotlib, or none of driftline"
    assert [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
    assert run(name).stdout.strip() == f"docs/notebooks/{name}.ipynb: up to date"


@pytest.mark.system
def test_an_unknown_notebook_is_named():
    """With those that exist."""
    done = run("nope")
    assert done.returncode == 2
    assert "no notebook 'nope': expected one of" in done.stderr
    assert all(name in done.stderr for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_prose_has_no_typed_figures(name):
    """A figure is printed by a cell, so that it is always that of the data. Code in the prose may have digits."""
    for cell in jupytext.read(FOLDER / f"{name}.md").cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"`[^`]*`|\]\([^)]*\)", "", cell.source)
            assert re.findall(r"\d+", prose) == [], cell.source


@pytest.mark.parametrize("name", NAMES)
def test_what_is_learned_comes_first(name):
    """The first cell has the title and the list, and cells of code are short."""
    cells = jupytext.read(FOLDER / f"{name}.md").cells
    assert cells[0].source.startswith("# ")
    assert "You learn here" in cells[0].source
    assert [cell.source for cell in cells if cell.cell_type == "code" and cell.source.count("\n") >= 30] == []


@pytest.mark.parametrize("name", NAMES)
def test_cells_pass_the_linter(name, tmp_path):
    """With the rules of scripts: a cell ends in an expression, and its helpers need no types."""
    notebook = tmp_path / f"{name}.ipynb"
    jupytext.write(jupytext.read(FOLDER / f"{name}.md"), notebook)
    ignored = "ANN,TID251,S311,T201,INP001,PLR2004,E402,D100,TRY301"
    command = ["-m", "ruff", "check", "--no-cache", "--config", ROOT / "pyproject.toml", "--extend-ignore", ignored]
    done = subprocess.run([sys.executable, *command, notebook], capture_output=True, text=True, timeout=60, check=False)
    if "No module named ruff" in done.stderr:
        pytest.skip("no linter is installed")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_index_lists_every_notebook():
    """With what is learned in it."""
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| \[[^\]]+\]\(([a-z-]+)\.md\)", index, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.md")), ids=lambda path: path.name)
def test_sources_hold_no_outputs(path):
    """Outputs are made by executing."""
    assert "data:image" not in path.read_text(encoding="utf-8")
