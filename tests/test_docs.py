"""The pages of the documentation: their links resolve, their Python code runs and prints what they show."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import driftline as dl
from driftline import distances

ROOT = Path(__file__).parents[1]
REPOSITORY = re.compile(
    r"https://(?:github\.com/driftline/driftline/(?:blob|tree)|raw\.githubusercontent\.com/driftline/driftline)/main/"
)
PAGES = [
    page
    for page in sorted(ROOT.rglob("*.md"))
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts)
]
NOT_RUN = re.compile(r"<!-- not run: .+? -->\n+```python\n.*?```", re.DOTALL)
"""A block that cannot run stands below a comment that gives the reason."""

WALKTHROUGH = "<!-- walkthrough: "
"""A page whose files and commands ``tests/docs/test_walkthroughs.py`` runs in their order."""

SETUP = {
    "outcomes": """import driftline as dl
reference = dl.Reference.fit(X_train, predictions=p_train, outcomes=y_train)
""",
    "fleet": """import driftline as dl
dl.Reference.fit(X_train).save("flights.reference.json")
""",
    "retraining": """import driftline as dl
dl.Reference.fit(X_train).save("flights.reference.json")
def revenue():
    return 2_000.0
""",
    "canary": """import driftline as dl
reference = dl.Reference.fit(X_train, predictions=p_train, outcomes=y_train)
""",
}
"""Code before the first block of pages that continue the README's example, by the first word of their names."""

CHECKS = {
    "outcomes.md": "assert sum(monitor.outcome_counts().results.values()) == 4\nassert monitor.performance()\n",
}
"""Code after the last block of a page."""


def name_of(page):
    """The path of a page in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page, language):
    """The fenced blocks of one language that are not marked as not run, of a page that is no walkthrough."""
    text = NOT_RUN.sub("", page.read_text(encoding="utf-8"))
    if WALKTHROUGH in text:
        return []
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def kind_of(page):
    """The first word of the name of a page: ``canary`` for ``canary-statistics.md``."""
    return re.split(r"[-_.]", page.name)[0]


NOTEBOOKS = ROOT / "docs" / "notebooks"
"""Their cells run in a kernel, in ``tests/test_notebooks.py``."""

WITH_CODE = [page for page in PAGES if blocks(page, "python") and page.name != "README.md" and page.parent != NOTEBOOKS]
ANCHOR = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
@pytest.mark.slow
def test_python_blocks_print_what_follows_them(page, tmp_path, readme_world):
    """All Python blocks of a page run one after the other, in a separate process."""
    setup = SETUP.get(kind_of(page))
    before = "" if setup is None else readme_world + setup
    script = tmp_path / "page.py"
    script.write_text(before + "\n".join(blocks(page, "python")) + "\n" + CHECKS.get(page.name, ""), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUTF8": "1"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if setup is None or done.stdout:
        assert done.stdout == "".join(blocks(page, "text"))


def without_code(text):
    """The page without its fenced blocks, in which a # is a comment."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors that GitHub makes of the headings of a page."""
    seen = {}
    for heading in ANCHOR.findall(without_code(page.read_text(encoding="utf-8"))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        yield slug if count == 0 else f"{slug}-{count}"


def broken_links(page):
    """The links of a page into the repository that lead to no file or no heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        internal = REPOSITORY.match(target)
        if internal is None and re.match(r"[a-z]+:", target):
            continue
        start, rest = (ROOT, target[internal.end() :]) if internal else (page.parent, target)
        path, _, anchor = rest.partition("#")
        file = (start / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    """Every link into the repository is a file or a heading, by relative path or by address."""
    assert list(broken_links(page)) == []


def test_a_broken_link_is_found(tmp_path):
    """To a missing file, a missing heading, and through an address of the repository."""
    page = tmp_path / "page.md"
    address = "https://github.com/driftline/driftline/blob/main/README.md"
    page.write_text(
        f"# A `code` heading\n[a](#a-code-heading) [b](#b) [c](c.md) [d]({address}) [e]({address}#no) [f](https://x.y/z)",
        encoding="utf-8",
    )
    assert list(broken_links(page)) == ["#b", "c.md", f"{address}#no"]


CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def arguments_of(heading):
    """The rows of the tables below a heading of the configuration page: argument and default."""
    section = CONFIGURATION.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([a-z_]+)` \|(?:[^|]*)\| ([^|]+) \|", section, re.MULTILINE))


def default_of(parameter):
    """A default as the page shows it."""
    if parameter.default is inspect.Parameter.empty:
        return "required"
    module = getattr(parameter.default, "__module__", None)
    return f"`{module}.{parameter.default.__name__}`" if module else f"`{parameter.default!r}`"


@pytest.mark.parametrize(
    ("heading", "function"),
    [
        ("Monitor", dl.Monitor.__init__),
        ("instrument", dl.Monitor.instrument),
        ("configure_otlp", dl.configure_otlp),
    ],
)
def test_the_configuration_page_has_every_argument(heading, function):
    """No argument is absent, none is superfluous, and the defaults are those of the signature."""
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not inspect.Parameter.POSITIONAL_ONLY and name != "self"
    }
    assert arguments_of(heading) == {name: default_of(parameter) for name, parameter in parameters.items()}


def test_the_configuration_page_has_every_environment_variable():
    """Those that the package reads or sets, and those of the tests, the benchmarks and the tools."""
    files = [path for folder in ("src", "benchmarks", "tests", "tools") for path in (ROOT / folder).rglob("*")]
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in files if path.is_file() and path.suffix in {".py", "", ".sh"}
    )
    used = set(
        re.findall(r"\bDRIFTLINE_(?:ENABLED|BENCH_DIR|TOOLS_DIR|REQUIRE_[A-Z]+|SOAK_[A-Z]+|FUZZ_[A-Z]+)\b", text)
    )
    package = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    used |= set(re.findall(r"\b(?:DRIFTLINE|OTEL)_[A-Z_]+\b", package))
    assert {name for name in used if f"`{name}`" not in CONFIGURATION} == set()


DECISIONS = sorted(page for page in (ROOT / "docs" / "decisions").glob("*.md") if page.name != "README.md")


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_has_four_parts_on_one_page(page):
    """Context, decision, figures and what would change it, in at most forty lines; the rejected ideas are one table."""
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    if page.name != "rejected.md":
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Figures", "What would change it"]


def test_the_index_lists_every_decision():
    """Each page once."""
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\(([^)/]+\.md)\)", index)) == [page.name for page in DECISIONS]


def test_the_tree_of_contributing_is_the_contract():
    """One row for each package and module, in the order of the layers."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contract = text.split('containers = ["driftline"]')[1].split("]")[0].split("layers = [")[1]
    layers = [name for layer in re.findall(r'"([^"]+)"', contract) for name in layer.split(" | ")]
    tree = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## The tree")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", tree, re.MULTILINE) == layers


def test_the_configuration_page_names_every_distance():
    """In the row of the argument."""
    (row,) = [line for line in CONFIGURATION.splitlines() if line.startswith("| `distances` |")]
    assert set(re.findall(r"`([a-z_]+)`", row.split("Built in:")[1])) == set(distances.BY_NAME)


def test_paths_of_the_script_for_all_pythons_exist():
    """A moved test would be skipped silently under free-threaded Pythons."""
    script = (ROOT / "tools" / "test-pythons").read_text(encoding="utf-8")
    paths = re.findall(r"\btests/[\w/.]+", script)
    assert len(paths) >= 7
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_paths_of_contributing_exist():
    """Those of files that a contributor creates contain capitals."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:src|tests|docs|model|benchmarks|examples)/[\w/.-]*)`", text)
    paths = [path for path in paths if "LIBRARY" not in path]
    assert len(paths) >= 15
    assert [path for path in paths if not (ROOT / path).exists()] == []
