"""`driftline dashboards`: files that Grafana's schema describes, whose parts fit together."""

from __future__ import annotations

import itertools
import json
import re
import sys

import pytest

from driftline._backends.names import NAME_STYLES
from driftline.cli import main

BUILT_IN = {"datasource"}


@pytest.fixture
def written(tmp_path):
    """Return a function that returns the dashboards of a command line, by the names of their files."""
    pytest.importorskip("grafana_foundation_sdk", reason="Grafana's SDK needs Python 3.11")

    def write(*arguments):
        assert main(["dashboards", str(tmp_path), *arguments]) == 0
        return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()}

    return write


@pytest.mark.parametrize("names", NAME_STYLES)
def test_each_variable_is_defined(written, names):
    """In expressions, titles and other variables; and none is superfluous."""
    for name, dashboard in written("--names", names).items():
        defined = {variable["name"] for variable in dashboard["templating"]["list"]}
        used = set(re.findall(r"\$(\w+)", json.dumps(dashboard["panels"])))
        used |= set(re.findall(r"\$(\w+)", json.dumps(dashboard["templating"])))
        assert used - {"__all"} == defined, name


def test_panels_do_not_overlap(written):
    """Each has a place, a title, a description and a source."""
    for dashboard in written().values():
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        for panel in panels:
            assert panel["title"]
            assert panel["description"].endswith(".")
            assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
            assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH")[: len(panel["targets"])]
        for first, second in itertools.combinations([panel["gridPos"] for panel in dashboard["panels"]], 2):
            beside = first["x"] + first["w"] <= second["x"] or second["x"] + second["w"] <= first["x"]
            above = first["y"] + first["h"] <= second["y"] or second["y"] + second["h"] <= first["y"]
            assert beside or above, (first, second)


def test_the_files_are_the_same_each_time(written, tmp_path, capsys):
    """And their names are printed."""
    first = written()
    assert written() == first
    assert set(first) == {"driftline-models.json", "driftline-model.json"}
    assert capsys.readouterr().out.splitlines()[:2] == [
        str(tmp_path / f"driftline-{name}.json") for name in ("models", "model")
    ]
    assert {name: dashboard["uid"] for name, dashboard in first.items()} == {
        "driftline-models.json": "driftline-models",
        "driftline-model.json": "driftline-model",
    }


def test_a_missing_package_is_named(monkeypatch, tmp_path, capsys):
    """With the extra that has it."""
    for name in [name for name in sys.modules if name.startswith("driftline.fleet._dashboards.grafana")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grafana_foundation_sdk", None)
    monkeypatch.setitem(sys.modules, "grafana_foundation_sdk.builders", None)
    assert main(["dashboards", str(tmp_path)]) == 3
    assert "driftline[dashboards]" in capsys.readouterr().err


def test_a_folder_must_exist(tmp_path, capsys):
    """A file is none."""
    assert main(["dashboards", str(tmp_path / "absent")]) == 3
    assert "absent: expected a folder" in capsys.readouterr().err
