"""The blocks of all pages that no other test runs: their commands exist and parse, their files are well-formed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from driftline import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)

LANGUAGES = {
    "python": "run by tests/test_docs.py, test_readme.py, test_notebooks.py and docs/test_walkthroughs.py",
    "text": "compared with what the block above prints",
    "console": "parsed here; those of a walkthrough are run by tests/docs/test_walkthroughs.py",
    "yaml": "read here; servers read such files in tests/end_to_end",
    "json": "read here",
    "bash": "shell functions that `driftline` prints, which tests of the command run",
    "sql": "run by ClickHouse's engine in tests/backends",
    "": "figures of a benchmark, as it prints them",
    "promql": "run against the real server by tests/end_to_end/test_alarms_page.py",
}
"""What happens to the blocks of each language. A block of another one fails."""


def blocks(*languages):
    """The page, and the text without its indent, of every block of some languages."""
    for page in PAGES:
        for indent, language, text in FENCE.findall(page.read_text(encoding="utf-8")):
            if language in languages:
                yield page.relative_to(ROOT).as_posix(), text.replace(f"\n{indent}", "\n").removeprefix(indent)


def commands():
    """The page and the words of every command after a prompt."""
    for page, text in blocks("console"):
        for line in re.findall(r"^\$ (.+)$", text.replace("\\\n", " "), re.MULTILINE):
            words = shlex.split(line, comments=True)
            yield page, [word for word in words if word != "&"]


def test_every_language_is_one_that_a_test_reads():
    """A block without a language, or of a new one, would be checked by nothing."""
    used = {
        (page.relative_to(ROOT).as_posix(), language)
        for page in PAGES
        for _, language, _ in FENCE.findall(page.read_text(encoding="utf-8"))
        if language not in LANGUAGES
    }
    assert used == set()


DRIFTLINE = [(page, words[1:]) for page, words in commands() if words[0] == "driftline"]


@pytest.mark.parametrize(("page", "words"), DRIFTLINE, ids=lambda value: value if isinstance(value, str) else value[0])
def test_arguments_of_driftline_parse(page, words, monkeypatch, capsys):
    """The command exists and accepts the arguments; it is not run."""
    end = next((index for index, word in enumerate(words) if word in {">", "|", "&&", ";"}), len(words))
    words = words[:end]
    if words[0] in cli.COMMANDS:
        module = pytest.importorskip(f"driftline.commands._{words[0]}")  # some need extras
        monkeypatch.setattr(module, "run", lambda _options: 0)
    try:
        code = cli.main(words)
    except SystemExit as stop:
        code = stop.code
    assert code == 0, f"{page}: driftline {shlex.join(words)}\n{capsys.readouterr().err}"


def test_targets_of_make_exist():
    """Those that pages name."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {(page, words[1]) for page, words in commands() if words[0] == "make"}
    assert named
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_files_of_yaml_and_json_are_well_formed():
    """JSON is YAML too."""
    seen = list(blocks("yaml", "json"))
    assert seen
    for page, text in seen:
        assert list(yaml.safe_load_all(text)), page
