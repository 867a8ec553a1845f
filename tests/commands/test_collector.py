"""`driftline collector`: the shipped files are its output, and bad arguments are named."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import yaml

from driftline.cli import main
from driftline.fleet._collector.backends import BACKENDS

CONFIG = Path(__file__).parents[2] / "collector-config"
WRITTEN = runpy.run_path(str(CONFIG / "write.py"))


@pytest.fixture
def printed(capsys):
    """Return a function that returns what the command prints."""

    def run(*arguments):
        assert main(["collector", *arguments]) == 0
        return capsys.readouterr().out

    return run


def test_the_shipped_files_are_the_output_of_the_command():
    """`python collector-config/write.py` writes them again."""
    assert WRITTEN["write"](check=True) == []


@pytest.mark.parametrize("name", BACKENDS)
def test_secrets_come_from_the_environment(printed, name):
    """Each variable of the table is read, no other one is, and no secret has a default but the empty one."""
    text = printed("--backend", name)
    backend = BACKENDS[name]
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    read = set(re.findall(r"\$\{env:([A-Z_]+)", body))
    listed = set(re.findall(r"^#   ([A-Z_]+) ", text, re.MULTILINE))
    assert read == listed
    assert {variable.name for variable in (backend.endpoint, *backend.variables)} <= read
    assert all(not variable.default for variable in backend.variables if variable.secret)


@pytest.mark.parametrize("gateway", [False, True])
@pytest.mark.parametrize("bins", ["keep", "drop", "judge"])
def test_each_component_is_defined_and_used(printed, gateway, bins):
    """A pipeline names what the file defines."""
    extra = ["--gateway"] if gateway else []
    document = yaml.safe_load(printed("--backend", "prometheus", "--bins", bins, *extra))
    for part in ("receivers", "processors", "exporters"):
        used = {name for pipeline in document["service"]["pipelines"].values() for name in pipeline[part]}
        assert used == set(document[part])
    assert set(document["service"]["extensions"]) == set(document["extensions"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "datadog", "--temporality", "cumulative"], "Datadog"),
        (["--backend", "local", "--gateway"], "queue"),
        (["--backend", "amp", "--gateway"], "queue"),
    ],
)
def test_what_a_backend_cannot_do_is_refused(capsys, arguments, message):
    """With exit code 3, and the reason."""
    assert main(["collector", *arguments]) == 3
    assert message in capsys.readouterr().err


def test_an_unknown_backend_is_refused(capsys):
    """And the known ones are named."""
    with pytest.raises(SystemExit) as error:
        main(["collector", "--backend", "nagios"])
    assert error.value.code == 3
    assert "victoriametrics" in capsys.readouterr().err


def test_the_command_writes_a_file(tmp_path, printed):
    """The same as the standard output."""
    path = tmp_path / "collector.yaml"
    assert main(["collector", "--backend", "mimir", "--output", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == printed("--backend", "mimir")
