"""Python imports this module when it starts under `driftline run`. It sets driftline up, before the program runs."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys

__all__: list[str] = []


def _run_other(folder: str) -> None:
    """Run the ``sitecustomize`` that this one hides, of a distribution or of another tool."""
    path = [entry for entry in sys.path if os.path.abspath(entry) != folder]  # noqa: PTH100 - as Python reads it
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def _start() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib takes longer to import
    _run_other(folder)
    try:
        from driftline.instrumentors._startup import start  # noqa: PLC0415 - runs in every interpreter
    except ImportError:  # another interpreter, in which driftline is not installed
        return
    start(folder)


if __name__ == "sitecustomize":
    _start()
