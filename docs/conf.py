"""The documentation site: `make docs` builds it from the pages of this folder, without any network."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER / "_extensions"), str(FOLDER.parent / "tests" / "api")]

from driftline._runtime.version import VERSION  # noqa: E402 - as the extensions, it is imported for this file alone

project = "driftline"
author = "the driftline authors"
project_copyright = author
version = release = VERSION

# `tools/notebooks` runs the notebooks and writes each beside its source. Without it the sources are shown.
NOTEBOOKS = sorted(FOLDER.glob("notebooks/*.ipynb"))

extensions = [
    "myst_nb" if NOTEBOOKS else "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    # Of the folder _extensions.
    "repository_links",
    "sections",
    "api_pages",
    "command_pages",
]
exclude_patterns = ["_build", "_extensions", *(f"notebooks/{path.stem}.md" for path in NOTEBOOKS)]
nb_execution_mode = "off"
root_doc = "index"

# Pages are read on GitHub too, so they use its anchors and no syntax that it would show as text.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = [
    "misc.highlighting_failure",  # the highlighter of PromQL lacks quoted names, which Prometheus 3 has
]

nitpicky = True
nitpick_ignore_regex = [
    (r"py:obj", r".*"),  # the default role: most of what stands between single backticks is code
    # Types in signatures: of Python, numpy and OpenTelemetry, whose inventories need a network, aliases, variables,
    # and types of the implementation, which public functions may return.
    (r"py:class", r".*"),
    (r"py:.*", r"(?!driftline\.).*"),
]
default_role = "py:obj"  # `name` in a docstring: a link where the name is documented, else code
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = True
toc_object_entries = False  # names of members in the navigation of every page take half of the build
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"driftline {version}"
html_static_path = ["_static"]
html_js_files = ["site.js"]
html_copy_source = False
html_theme_options = {
    "source_repository": "https://github.com/driftline/driftline/",
    "source_branch": "main",
    "source_directory": "docs/",
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
