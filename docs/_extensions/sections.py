"""
The contents of the site, from the lists of links in the pages that introduce its sections.

On GitHub such a list is how readers get about. On the site the same links become the navigation: a new page needs a
line in a list, and nothing else.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

GENERATED = {"reference": ["api/index", "commands"]}
"""Pages that the build writes, by the section that they end."""

SECTIONS = ("index", "how-to", "reference", "explanation", "decisions/README", "notebooks/README")
"""The pages whose lists are the navigation, each below the one before it that links to it."""

COPIES = {"changelog": "CHANGELOG.md"}
"""Pages that show a file of the repository in place of the link to it, by name."""

REST = "how-to"
"""The section that ends with the pages that no list names."""

ENTRY = re.compile(r"^(?:- |\| )\[[^\]]+\]\(([^)#:]+)\.(?:md|ipynb)\)", re.MULTILINE)


def entries(text: str) -> list[str]:
    """Return the pages, without suffix, that the items of lists and the rows of tables begin with."""
    return list(dict.fromkeys(ENTRY.findall(text)))


def unlisted(folder: Path, documents: Iterable[str]) -> list[str]:
    """Return those documents, by path from the folder of the pages, that no section lists."""
    listed = {"index"}
    for section in SECTIONS:
        path = folder / f"{section}.md"
        if path.exists():
            above = posixpath.dirname(section)
            names = [*entries(path.read_text(encoding="utf-8")), *GENERATED.get(section, [])]
            listed |= {posixpath.normpath(posixpath.join(above, name)) for name in names}
    return sorted(document for document in documents if document not in listed and not document.startswith("api/"))


def _read(app: Sphinx, document: str, content: list[str]) -> None:
    if document in COPIES:
        source = Path(app.srcdir).parent / COPIES[document]
        app.env.note_dependency(str(source))
        content[0] = source.read_text(encoding="utf-8")
    if document in SECTIONS:
        lines = [*entries(content[0]), *GENERATED.get(document, [])]
        if document == REST:
            lines += unlisted(Path(app.srcdir), app.env.found_docs)
        content[0] += "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(lines) + "\n```\n"


def _hide_source(_app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    # Generated pages have no source on GitHub to view or to edit.
    if page.startswith("api/") or page in GENERATED["reference"]:
        context["theme_source_repository"] = ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", _read, priority=500)
    app.connect("html-page-context", _hide_source)
    return {"parallel_read_safe": True}
