"""What is built from a tag, an sdist, an archive and a shallow clone has the right version, and says it everywhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="builds")
pytest.importorskip("hatch_vcs", reason="builds")

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitattributes", ".git_archival.txt")
FOLDERS = ("src", "tools")
PROGRAM = """
import driftline as dl
from driftline.cli import main
from driftline.semconv import ML_MONITOR_LIBRARY_VERSION
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

reader = InMemoryMetricReader()
provider = MeterProvider([reader])
monitor = dl.Monitor("m", reference=dl.Reference.fit({"x": [1.0, 2.0]}), meter_provider=provider)
monitor.observe({"x": [1.0]})
monitor.flush()
[resource] = reader.get_metrics_data().resource_metrics
[scope] = resource.scope_metrics
[info] = [metric for metric in scope.metrics if metric.name == "ml.monitor.info"]
[point] = info.data.data_points
monitor.shutdown()
print(dl.__version__, scope.scope.version, point.attributes[ML_MONITOR_LIBRARY_VERSION])
main(["--version"])
"""


def git(folder, *arguments):
    """Run git in a folder, with an author, and without the configuration of the machine."""
    names = {f"GIT_{who}_{what}": "a@b.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, check=True)


def hatchling(folder, *arguments, path=None):
    """Run hatchling in a folder, and return what it prints."""
    environment = os.environ if path is None else {**os.environ, "PATH": path}
    command = [sys.executable, "-m", "hatchling", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """A checkout of the tag ``v9.8.7``."""
    folder = tmp_path_factory.mktemp("tagged")
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Release")
    git(folder, "tag", "v9.8.7")
    return folder


@pytest.mark.slow
def test_the_wheel_of_the_sdist_of_a_tag_says_one_version(tagged, tmp_path):
    """Also where its metadata are absent, as in slim serverless packages."""
    hatchling(tagged, "build", "--target", "sdist", "--directory", str(tmp_path))
    with tarfile.open(tmp_path / "driftline-9.8.7.tar.gz") as sdist:
        sdist.extractall(tmp_path, filter="data")
    hatchling(tmp_path / "driftline-9.8.7", "build", "--target", "wheel", "--directory", str(tmp_path), path="/none")
    with zipfile.ZipFile(tmp_path / "driftline-9.8.7-py3-none-any.whl") as wheel:
        wheel.extractall(tmp_path / "wheel")  # noqa: S202 - our wheel
    metadata = tmp_path / "wheel" / "driftline-9.8.7.dist-info"
    assert "\nVersion: 9.8.7\n" in (metadata / "METADATA").read_text(encoding="utf-8")
    shutil.rmtree(metadata)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "wheel")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["9.8.7", "9.8.7", "9.8.7", "driftline", "9.8.7"], done.stderr


def test_an_archive_without_git_has_the_version_of_its_tag(tagged, tmp_path):
    """GitHub makes such archives of each tag."""
    git(tagged, "archive", "--output", str(tmp_path / "archive.tar"), "v9.8.7")
    with tarfile.open(tmp_path / "archive.tar") as archive:
        archive.extractall(tmp_path / "archive", filter="data")
    assert hatchling(tmp_path / "archive", "version", path="/none") == "9.8.7"


@pytest.mark.slow
def test_without_a_tag_the_version_counts_from_the_latest_release(tagged, tmp_path):
    """A shallow clone has no tags, a copied folder no history."""
    latest = re.search(r'^fallback-version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    release = re.search(r"^## \[(\d.*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert latest == release
    (tagged / "more").write_text("after the tag")
    git(tagged, "add", "more")
    git(tagged, "commit", "--quiet", "--message=More")
    git(tmp_path, "clone", "--quiet", "--depth=1", tagged.as_uri(), "shallow")
    assert re.fullmatch(r"\d+\.\d+\.\d+\.dev1\+g[0-9a-f]+", hatchling(tmp_path / "shallow", "version"))
    assert re.fullmatch(r"9\.8\.8\.dev1\+g[0-9a-f]+", hatchling(tagged, "version"))
    shutil.rmtree(tmp_path / "shallow" / ".git")
    assert hatchling(tmp_path / "shallow", "version", path="/none") == latest
