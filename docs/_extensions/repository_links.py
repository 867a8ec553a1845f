"""
Links that lead out of the documentation's folder, and addresses of GitHub that lead into it.

The pages are read on GitHub too. There a relative link may lead to any file of the repository. The README and the
changelog, which PyPI shows, have addresses of GitHub. On the site the former become addresses, the latter links.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

REPOSITORY = "https://github.com/driftline/driftline"
INTO_DOCS = re.compile(
    r"(?:https://github\.com/driftline/driftline/blob|https://raw\.githubusercontent\.com/driftline/driftline)/main/docs/"
)
TARGET = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
FENCE = re.compile(r"^(```+)[^\n]*\n.*?^\1", re.DOTALL | re.MULTILINE)
PICTURES = (".png", ".svg")


def rewritten(text: str, document: str, root: Path) -> str:
    """
    Return a page with its links as the site needs them; code is left as it is.

    Args:
        text: the Markdown of the page.
        document: its path below `docs`, without suffix.
        root: the folder of the repository.
    """
    folder = posixpath.dirname(f"docs/{document}")

    def link(match: re.Match[str]) -> str:
        target = match[1]
        inside = INTO_DOCS.match(target)
        if inside:
            return posixpath.relpath(f"docs/{target[inside.end() :]}", folder)
        if re.match(r"[a-z]+:|#", target):
            return target
        path, hash_sign, anchor = target.partition("#")
        full = posixpath.normpath(posixpath.join(folder, path))
        if full.startswith("docs/") or full.endswith(PICTURES):
            return target
        kind = "tree" if (root / full).is_dir() else "blob"
        return f"{REPOSITORY}/{kind}/main/{full}{hash_sign}{anchor}"

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [TARGET.sub(link, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, TARGET.sub(link, text[end:])])


def _read(app: Sphinx, document: str, content: list[str]) -> None:
    if Path(app.env.doc2path(document)).suffix == ".md":
        content[0] = rewritten(content[0], document, Path(app.srcdir).parent)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", _read, priority=600)  # after `sections`, which brings pages of the repository in
    return {"parallel_read_safe": True}
