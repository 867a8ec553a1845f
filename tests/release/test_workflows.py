"""The workflow files agree with the project: versions of Python, commands of the Makefile, pinned actions."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
USES = re.compile(r"^\s*(?:- )?uses: *(\S+)(.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def jobs(name):
    """The jobs of a workflow."""
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))["jobs"]


def test_each_python_of_the_classifiers_is_tested_and_no_other():
    """The oldest is that of requires-python, and has a run with the lowest versions of the requirements."""
    classified = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PROJECT)
    matrix = jobs("ci.yml")["unit"]["strategy"]["matrix"]
    assert matrix["python"] == classified
    assert {entry["python"] for entry in matrix["include"]} <= set(classified)
    assert re.search(r'^requires-python = ">=(.+)"$', PROJECT, re.MULTILINE)[1] == classified[0]
    versions = [step.get("with", {}).get("python-version") for step in jobs("ci.yml")["lowest"]["steps"]]
    assert [version for version in versions if version] == classified[:1]


def test_the_last_job_needs_all_others():
    """It is the only one that a branch has to require."""
    others = jobs("ci.yml")
    assert sorted(others.pop("passed")["needs"]) == sorted(others)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version(path):
    """A tag can be moved. The same action is pinned once."""
    uses = USES.findall(path.read_text(encoding="utf-8"))
    assert uses
    assert [action for action, _ in uses if not PINNED.fullmatch(action)] == []
    assert [action for action, comment in uses if not re.fullmatch(r" # v\d+(\.\d+)*", comment)] == []
    every = {action for each in WORKFLOWS for action, _ in USES.findall(each.read_text(encoding="utf-8"))}
    assert len({action.partition("@")[0] for action in every}) == len(every)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_commands_of_the_workflows_exist(path):
    """Targets of the Makefile, and programs in `tools`."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"run: make ([\w-]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for program in re.findall(r"run: (?:python )?(tools/[\w-]+)", text):
        assert (ROOT / program).is_file(), program


def test_only_the_jobs_that_publish_may_write():
    """And each job has a limit of time and a list of permissions."""
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {}
        for name, job in workflow["jobs"].items():
            assert job["timeout-minutes"] <= 90
            writes = {scope for scope, access in job["permissions"].items() if access == "write"}
            expected = {"attest": {"attestations", "id-token"}, "pypi": {"id-token"}, "github": {"contents"}}
            assert writes == (expected.get(name, set()) if path.name == "release.yml" else set())


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="needs a checkout")
def test_dependabot_knows_each_folder_of_go_modules():
    tracked = subprocess.run(["git", "ls-files", "*go.mod"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert tracked.stdout.split()
    assert all(re.fullmatch(r"tools/[^/]+/go\.mod", path) for path in tracked.stdout.split())
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"github-actions", "pip", "gomod"}
    assert [update["directories"] for update in updates if "directories" in update] == [["/tools/*"]]


@pytest.fixture(scope="module")
def check_release():
    """The program ``tools/check-release`` as a module."""
    loader = importlib.machinery.SourceFileLoader("check_release", str(ROOT / "tools" / "check-release"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_release", loader))
    loader.exec_module(module)
    return module


READY = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2027-01-31\n\n- New.\n\n## [0.1.0]\n"


@pytest.mark.parametrize(
    ("tag", "changelog", "fallback", "expected"),
    [
        ("v0.2.0", READY, "0.2.0", []),
        ("v0.2.0rc1", READY.replace("0.2.0", "0.2.0rc1"), "0.2.0rc1", []),
        ("0.2.0", READY, "0.2.0", ["expected v1.2.3"]),
        ("v0.2.0; id", READY, "0.2.0", ["expected v1.2.3"]),
        ("v0.3.0", READY, "0.3.0", ["the latest section is [0.2.0]"]),
        ("v0.2.0", READY.replace("d]\n", "d]\n\n- More.\n"), "0.2.0", ["[Unreleased] has entries"]),
        ("v0.2.0", READY, "0.1.0", ["expected fallback-version '0.2.0'"]),
        ("v0.2.0", "", "", ["the latest section is [None]", "expected fallback-version"]),
    ],
)
def test_a_tag_is_released_only_if_all_files_name_it(check_release, tag, changelog, fallback, expected):
    problems = check_release.problems(tag, changelog, f'fallback-version = "{fallback}"\n')
    assert len(problems) == len(expected)
    for problem, words in zip(problems, expected, strict=True):
        assert words in problem
