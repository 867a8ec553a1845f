"""
Executes the notebooks of ``docs/notebooks`` and writes them with their outputs.

Each ``NAME.md`` (Jupytext Markdown, without outputs) becomes ``NAME.ipynb`` beside it, which Git ignores. A notebook
that is up to date is not executed again: its file holds a hash of its source and of driftline's code. The tests and the
documentation site call this program, so whichever comes first executes, and the other one uses the files.

``python tools/notebooks.py`` executes all, ``python tools/notebooks.py lesson`` only that one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

try:
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    VERSIONS = [sys.version, *(version(name) for name in ("numpy", "matplotlib", "ipykernel"))]
except ModuleNotFoundError as error:
    sys.exit(f"the notebooks need {error.name}: make notebook, or pip install --group notebooks -e .")

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"

TIMEOUT = 120
"""Seconds that a cell may take. All cells of a notebook take less than 15 on two cores; CI is slower."""

COLOUR = "\x1b\\[[0-9;]*m"
"""A change of colour in a traceback."""


def sources() -> dict[str, Path]:
    """Return the Markdown files by the names of the notebooks."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.md")) if path.stem != "README"}


def digest(path: Path) -> str:
    """Return a hash of everything that the outputs depend on: the source, driftline's code, libraries, this program."""
    total = hashlib.sha256(" ".join(VERSIONS).encode())
    for file in (path, Path(__file__), *sorted((ROOT / "src").rglob("*.py"))):
        total.update(file.read_bytes())
    return total.hexdigest()


def is_current(target: Path, expected: str) -> bool:
    """Return whether the file exists with these outputs."""
    try:
        notebook = nbformat.read(target, as_version=4)
    except (OSError, ValueError):
        return False
    return notebook.metadata.get("driftline_digest") == expected


def execute(name: str, source: Path) -> bool:
    """Execute a notebook and write it with its outputs; return False if it was up to date."""
    target, expected = source.with_suffix(".ipynb"), digest(source)
    if is_current(target, expected):
        return False
    notebook = jupytext.read(source)
    names = "|".join(sources())
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name}-{number}"
        if cell.cell_type == "markdown":  # links between the notebooks lead to the executed ones
            cell.source = re.sub(rf"\]\(({names})\.md", r"](\1.ipynb", cell.source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": FOLDER}})
        kernel = client.create_kernel_manager()
        if os.name == "posix":  # sockets in a private folder: no other user of the machine can connect to them
            kernel.transport, kernel.ip, kernel.connection_file = "ipc", f"{folder}/socket", f"{folder}/kernel.json"
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, which differ each time
    notebook.metadata["driftline_digest"] = expected
    nbformat.write(notebook, target)
    return True


def main(arguments: list[str] | None = None) -> int:
    """Execute the notebooks that are named, or all; return 0, or 1 if a cell raised."""
    parser = argparse.ArgumentParser(description="Execute the notebooks of docs/notebooks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(sources())}; default: all")
    parser.add_argument("--force", action="store_true", help="also those that are up to date")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - sources().keys())
    if unknown:
        parser.error(f"no notebook {unknown[0]!r}: expected one of {', '.join(sources())}")
    for name in options.names or sources():
        source = sources()[name]
        if options.force:
            source.with_suffix(".ipynb").unlink(missing_ok=True)
        started, before = time.perf_counter(), os.times()
        try:
            executed = execute(name, source)
        except CellExecutionError as error:
            print(f"{source.relative_to(ROOT)}: {re.sub(COLOUR, '', str(error))}", file=sys.stderr)
            return 1
        after = os.times()
        cpu = sum(getattr(after, name) - getattr(before, name) for name in ("children_user", "children_system"))
        seconds = f"{time.perf_counter() - started:.1f} s, {cpu:.1f} s of CPU" if executed else "up to date"
        print(f"{source.with_suffix('.ipynb').relative_to(ROOT)}: {seconds}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
