"""The prose of the project is plain: phrases and identifiers that CONTRIBUTING bans do not appear."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

PHRASES = {
    r"functions? of the user's": "user function",
    r"\b(?:take[ns]?|taking|took|puts?|putting) (?:it |them |this )?down\b": "record",
    r"\b(?:whoever|somebody|nobody|anybody)\b": "name the subject",
    r"\btold\b": "report, pass, or a callback on_x",
    r"\bwhat waits\b": "pending, backlog",
    r"\b(?:have|has|had) to say\b": "report, return",
    r"\banew\b": "reset, again",
    r"\b(?:leave|leaves|leaving|left) out\b": "drop, skip",
    r"\bso many\b": "at most n, too many",
    r"judg(?:e|ing)": "evaluate (a window), decide (a canary)",
    r"scatter": "variance inflation (design effect)",
    r"\bin vain\b": "without success",
    r"\bat once\b": "together, immediately, in one step",
    r"\bwhere (?:it|they) lies?\b": "without a copy",
    r"\b(?:come|comes|came|coming) to (?:its|an|the|their) end\b": "return, finish, end",
    r"\bof its own\b": "separate, own",
    r"\b(?:say|says|said) in words\b": "explain, describe",
    r"\b(?:are|is|be|were|was|as) worth\b": "variance inflation (design effect), effective rows",
    r"\brests\b": "pauses",
    r"\b(?:theirs|ours)\b": "name the owner",
    r"lookout": "on_missing, or another noun",
    r"\bhears\b": "a callback on_x",
}
"""Regular expressions, case ignored, and the words to use instead. This is the only list of them."""

PUBLIC = re.compile(
    r"judge_(?:canary|thresholds)|\bJudge\b|driftline judge|[Ff]leet[ _]?[Jj]udge|\._judge\b|[\"'`]judge[\"'`]"
    r"|judges?\b|judges?_"  # the noun: what evaluates a fleet
    r"|([\"'`])judging\1"  # a value of ml.monitor.place
    r"|[\"'`]told[\"'`]"  # a key of driftline.outcomes.read_totals, and of its file
    r"|scatter matri|\.scatter\("
)
"""Names that users know, established terms, and matplotlib's method."""

IDENTIFIERS = frozenset({"one", "found", "made", "given", "place", "told", "ours", "theirs"})
"""Allowed in comprehensions and lambdas of one line only."""

PUBLIC_PARAMETERS = {("caught", "place")}
"""Function and parameter of public signatures."""

FOLDERS = (
    *("src", "tests", "docs", "benchmarks", "examples", "model", "collector-config", "tools"),
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "Makefile", "pyproject.toml", ".ci"),
)
KINDS = {".py", ".md", ".yaml", ".toml", ".json", ""}
EXEMPT = {"tests/test_prose.py"}  # the list itself


class Finding(NamedTuple):
    """An occurrence of a banned phrase or identifier."""

    path: str
    line: int
    words: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.words!r}, say: {self.instead}"


def files(folder: str) -> Iterator[Path]:
    """The committed text files of a folder, or the file of that name."""
    top = ROOT / folder
    candidates = [top] if top.is_file() else sorted(top.rglob("*"))
    for path in candidates:
        relative = path.relative_to(ROOT)
        hidden = any(part.startswith((".", "__pycache__")) and part != ".ci" for part in relative.parts)
        if path.is_file() and path.suffix in KINDS and not hidden and not skipped(relative.as_posix()):
            yield path


def skipped(name: str) -> bool:
    """Whether a file is exempt, or holds results or a corpus and no prose."""
    return name in EXEMPT or "/corpus/" in name or (name.startswith("benchmarks/") and "/raw/" in name)


def phrases(path: Path) -> Iterator[Finding]:
    """The banned phrases of a file; a phrase may be broken over two lines."""
    text = path.read_text(encoding="utf-8", errors="replace")
    text = PUBLIC.sub(lambda match: "*" * len(match[0]), text)
    flat = re.sub(r"[ \t]*\n[ \t]*(?:#:? ?)?", lambda match: "\n" + " " * (len(match[0]) - 1), text)
    for pattern, instead in PHRASES.items():
        spaced = pattern.replace(" ", r"\s+")
        for match in re.finditer(spaced, flat, re.IGNORECASE):
            line = flat.count("\n", 0, match.start()) + 1
            yield Finding(path.relative_to(ROOT).as_posix(), line, " ".join(match[0].split()), instead)


def identifiers(path: Path) -> Iterator[Finding]:
    """The banned names that a Python file binds outside of comprehensions and lambdas of one line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    short = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp, ast.Lambda)
    lines = [node for node in ast.walk(tree) if isinstance(node, short) and node.lineno == node.end_lineno]
    allowed = {id(inner) for node in lines for inner in ast.walk(node)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    allowed |= {id(arg) for node in functions for arg in node.args.args if (node.name, arg.arg) in PUBLIC_PARAMETERS}
    for node in ast.walk(tree):
        if id(node) in allowed:
            continue
        name = None
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr.removeprefix("_")
        if name in IDENTIFIERS:
            yield Finding(path.relative_to(ROOT).as_posix(), node.lineno, name, "the name of the thing")


@pytest.mark.parametrize("folder", FOLDERS)
def test_banned_phrases_do_not_appear(folder):
    """Each has a plain word, which the finding names."""
    findings = [finding for path in files(folder) for finding in phrases(path)]
    assert findings == [], "\n" + "\n".join(map(str, findings))


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "examples", "model"])
def test_identifiers_name_things(folder):
    """A variable says what it holds."""
    paths = [path for path in files(folder) if path.suffix == ".py"]
    findings = [finding for path in paths for finding in identifiers(path)]
    assert findings == [], "\n" + "\n".join(map(str, findings))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Rows are taken\n    down.", ["taken down"]),
        ("# It is left\n    # out.", ["left out"]),
        ("def _scatter_of(): ...", ["scatter"]),
        ("the scatter matrix, axes.scatter(x, y)", []),
        ("`judge_canary`, `driftline judge`, `judging`", []),
        ("a window is judged", ["judge"]),
        ("our own thread", []),
    ],
)
def test_the_search_finds_phrases_across_lines(tmp_path, monkeypatch, text, words):
    """A line break, an indent or a comment sign between the words changes nothing."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "page.py").write_text(text, encoding="utf-8")
    assert [finding.words for finding in phrases(tmp_path / "page.py")] == words


def test_the_search_finds_identifiers_outside_comprehensions(tmp_path, monkeypatch):
    """A loop, a parameter and an attribute count, a comprehension does not."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    source = "def f(given):\n    for one in given:\n        self._found = [made for made in one]\n"
    (tmp_path / "code.py").write_text(source, encoding="utf-8")
    assert sorted(finding.words for finding in identifiers(tmp_path / "code.py")) == ["found", "given", "one"]
