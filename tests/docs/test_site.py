"""The documentation site: it is built without a warning, complete, and needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from driftline.cli import COMMANDS

pytest.importorskip("sphinx", reason="the documentation is built where the group `docs` is installed")
pytest.importorskip("furo")
pytest.importorskip("myst_nb")

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
FETCHING = {"audio", "embed", "iframe", "img", "script", "source", "video"}
"""Elements whose source a browser fetches by itself."""


class Page(HTMLParser):
    """The anchors of a page, the links in it, and the addresses that a browser fetches for it."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.fetched = set(), set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Keep the attributes that matter."""
        values = dict(attrs)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.add(values["href"])
        if tag == "link" and values.get("rel") not in {"canonical", "index", "search", "next", "prev"}:
            self.fetched.add(values["href"])
        if tag in FETCHING and values.get("src"):
            self.fetched.add(values["src"])


@pytest.fixture(scope="session")
def pages(site):
    """Every page of the site by its path."""
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def described(site):
    """The names of Python in the site's inventory."""
    data = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(data).decode().splitlines()
    return {line.split(" ", 1)[0] for line in lines if " py:" in line}


def test_every_public_name_is_described(site):
    """Those of the list that `tests/api` compares with the code, members of classes included."""
    lines = (ROOT / "tests" / "api" / "public_api.txt").read_text(encoding="utf-8").splitlines()
    names = {match[1] for line in lines if (match := re.match(r"(?:class )?(driftline[\w.]*\w)", line))}
    assert len(names) > 800
    modules = {"driftline.mlflow"}  # it is a public name of `driftline` too
    assert names - described(site) - modules == set()


def test_every_command_is_described(site):
    """With the help that it prints, and what the exit codes mean."""
    text = (site / "commands.html").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"usage: driftline {command}" in text
        assert f'id="driftline-{command}"' in text
    assert 'id="exit-codes"' in text


def test_every_link_and_anchor_exists(site, pages):
    """Relative links lead to a file of the site, and to an anchor of its page."""
    broken = []
    for path, page in pages.items():
        for link in page.links | page.fetched:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            exists = target.is_file() and target.is_relative_to(site.resolve())
            known = not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].anchors
            if not (exists and known):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_nothing_is_fetched_from_elsewhere(site, pages):
    """Scripts, styles, fonts and pictures are files of the site."""
    addresses = {address for page in pages.values() for address in page.fetched}
    addresses |= {
        address
        for style in site.rglob("*.css")
        for address in re.findall(r"(?:@import\s+|url\()[\"']?([^\"')]+)", style.read_text(encoding="utf-8"))
    }
    assert {address for address in addresses if re.match(r"(?!data:)[a-z]+:|//", address)} == set()


def test_every_page_is_in_the_navigation(site, pages):
    """From the front page, links of the sidebar lead to all pages."""
    index = pages[site / "index.html"]
    linked = {unquote(urlsplit(link).path) for link in index.links}
    names = {path.relative_to(site).as_posix() for path in pages}
    assert names - linked - {"index.html", "genindex.html", "py-modindex.html", "search.html"} == set()


def test_a_warning_fails_the_build(tmp_path):
    """A link to a missing heading is enough."""
    (tmp_path / "index.md").write_text("# A\n\n[b](#nothing)\n", encoding="utf-8")
    (tmp_path / "conf.py").write_text("extensions = ['myst_parser']\nmyst_heading_anchors = 4\n", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", tmp_path, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "nothing" in done.stderr
