"""The reference of the command line: what ``driftline COMMAND --help`` prints, for every command."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any
from unittest import mock

from sphinx.application import Sphinx

from driftline.cli import COMMANDS, main

NAME = "commands"
COLUMNS = "100"
"""Characters of a line of help."""

INTRO = """Command line
============

Each command prints this with ``--help``. ``python -m driftline.cli`` is the same as ``driftline``.

Exit codes
----------

==== ==================================================================================================
code meaning
==== ==================================================================================================
0    no drift, or a verdict to promote; for commands that only write or print: done
1    drift, or a verdict to roll back; of ``driftline diff``: a difference
2    undecided: too few rows, or rows from which nothing follows
3    an error: wrong arguments, a file or a server that cannot be read, or anything unexpected
130  interrupted by Ctrl-C
==== ==================================================================================================

"""


def page() -> str:
    """Return the page as reStructuredText."""
    parts = [INTRO, section("driftline", help_of([]))]
    parts += [section(f"driftline {name}", help_of([name])) for name in COMMANDS]
    return "".join(parts)


def help_of(words: list[str]) -> str:
    """Return what a command prints with ``--help``."""
    text = io.StringIO()
    plain = {"COLUMNS": COLUMNS, "NO_COLOR": "1", "PYTHON_COLORS": "0"}
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return text.getvalue()


def section(heading: str, text: str) -> str:
    """Return a section with a text as it is printed."""
    lines = "\n".join(f"   {line}".rstrip() for line in text.splitlines())
    return f"{heading}\n{'-' * len(heading)}\n\n.. code-block:: text\n\n{lines}\n\n"


def _generate(app: Sphinx) -> None:
    path = Path(app.srcdir) / f"{NAME}.rst"
    text = page()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("builder-inited", _generate)
    return {"parallel_read_safe": True}
