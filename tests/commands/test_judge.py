"""`driftline judge`: what it prints, its exit codes, and what it refuses."""

from __future__ import annotations

import io
import json
import time

import numpy as np
import pytest
from fleet_store import Pod, Store

import driftline as dl
from driftline import fleet
from driftline.cli import main
from driftline.commands import _fleet_table, _judge
from driftline.results import FeatureStatus

STEP = 450.0
KIND = ["ocean blue", "sea green", "sky"]


@pytest.fixture
def store():
    return Store()


@pytest.fixture(name="pod")
def _pod(store):
    return lambda reference, name, **options: Pod(store, reference, name, **options)


@pytest.fixture
def world(tmp_path, store, monkeypatch):
    """A reference in a file, and a function that lets pods serve hours until now and returns the arguments."""
    random = np.random.default_rng(0)

    def columns(rows, shift=0.0, weights=(0.5, 0.3, 0.2)):
        return {"amount": random.normal(10.0 + shift, 2.0, rows), "kind": random.choice(KIND, rows, p=weights)}

    reference = dl.Reference.fit(columns(20_000))
    path = tmp_path / "reference.json"
    reference.save(path)
    now = time.time() // 3_600.0 * 3_600.0 + 70.0  # an export interval after the end of a window
    monkeypatch.setattr("time.time", lambda: now)
    monkeypatch.setattr(_judge, "prometheus_source", lambda options, **_: store)

    def serve(pods, hours, rows=500, ago=0, **options):
        start = now // STEP * STEP - 3_600.0 * (hours + ago)
        for block in range(round(8 * hours)):
            for each in pods:
                each.serve(columns(rows, **options))
                each.export(start + STEP * (block + 1))
        return ["judge", "--reference", str(path), "--prometheus", "http://localhost:9090"]

    serve.reference = reference
    return serve


def test_no_drift_is_0(world, pod, capsys):
    arguments = world([pod(world.reference, "a"), pod(world.reference, "b")], 4)
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("m, version 1: stable, 8000 rows of 2 processes in the 1h until 20")
    assert lines[0].endswith("Z, after 4 windows")
    assert lines[1].split() == ["feature", "state", "effect", "p", "rows", "reason"]
    assert {line.split()[0] for line in lines[2:]} == {"amount", "kind"}
    assert err == ""


def test_drift_is_1_and_comes_first(world, pod, capsys):
    pods = [pod(world.reference, "a"), pod(world.reference, "b")]
    world(pods, 4, ago=1)
    arguments = world(pods, 1, shift=2.0)
    assert main(arguments) == 1
    lines = capsys.readouterr().out.splitlines()
    assert ": drifting (1 of 2 features), " in lines[0]
    name, state, effect, _, rows, *reason = lines[2].split()
    assert (name, state, rows) == ("amount", "drifting", "8000")
    assert float(effect) > 0.5
    assert "location" in reason


def test_the_same_windows_are_evaluated_until_the_next_one_ends(world, pod, capsys, monkeypatch):
    """However often the command runs, so that a budget of false alarms holds."""
    arguments = world([pod(world.reference, "a")], 3)
    assert main(arguments) == 0
    first = capsys.readouterr().out
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3_500.0)
    assert main(arguments) == 0
    assert capsys.readouterr().out == first


def test_too_few_rows_are_2(world, pod, capsys):
    assert main(world([pod(world.reference, "a")], 1, rows=20)) == 2
    assert "insufficient_data (2 of 2 features), 160 rows" in capsys.readouterr().out


@pytest.mark.parametrize("labels", [False, True])
def test_categories_are_named_on_request_only(world, pod, capsys, labels):
    arguments = world([pod(world.reference, "a")], 3, weights=(0.2, 0.3, 0.5))
    assert main([*arguments, *(["--labels"] if labels else [])]) == 1
    out = capsys.readouterr().out
    assert any(kind in out for kind in KIND) is labels
    assert "n = 4000" in out


def test_json_has_the_same_content(world, pod, capsys):
    first = pod(world.reference, "a")
    other = pod(world.reference, "b", fingerprint="another")
    arguments = world([first, other], 3, shift=1.0)
    assert main([*arguments, "--json"]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["model"] == "m"
    assert document["version"] == "1"
    assert document["variant"] is None
    assert document["state"] == "drifting"
    assert document["window"]["length"] == "1h"
    assert document["rows"] == 4_000
    assert document["processes"] == 1
    assert [feature["name"] for feature in document["features"]] == ["amount", "kind"]
    assert document["features"][0]["p_value"] < 1e-6
    assert {score["distance"] for score in document["scores"]} == {"psi", "js", "wasserstein", "mean"}
    note = "1 processes of m, version 1 are not counted: they have another reference, of fingerprint another"
    assert document["notes"] == [note]
    assert err == note + "\n"


def test_a_shorter_time_and_window(world, pod, capsys):
    arguments = world([pod(world.reference, "a")], 4)
    assert main([*arguments, "--window", "30min", "--since", "2h", "--export-interval", "30s"]) in {0, 2}
    assert "rows of 1 processes in the 30min until" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--window", "10min"], "--window 10min: expected at least 960 s, with an --export-interval of 60 s"),
        (["--window", "x"], "--window"),
        (["--since", "30min"], "--since 30min: expected at least a window of 1h"),
        (["--budget", "1"], "--budget 1: expected false alarms per time, such as 1/30d"),
        (["--budget", "0/30d"], "--budget 0/30d: expected"),
        (["--budget", "1.1.1/30d"], "--budget 1.1.1/30d: expected"),
        (["--budget", "1/soon"], "--budget='soon'"),
        (["--min-effect", "-1"], "--min-effect"),
        (["--min-rows", "0"], "--min-rows"),
        (["--model", "n"], "no process of --model n exports ml.monitor.info"),
        (["--version", "7"], "no process of --version 7 exports ml.monitor.info"),
        (["--reference", "absent.json"], "absent.json"),
    ],
)
def test_wrong_arguments_are_3(world, pod, capsys, arguments, expected):
    assert main([*world([pod(world.reference, "a")], 1), *arguments]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("driftline judge: ")
    assert expected in err


def test_another_reference_is_refused(world, pod, capsys):
    assert main(world([pod(world.reference, "a", fingerprint="another")], 1)) == 3
    assert "expected one of another" in capsys.readouterr().err


def test_several_models_need_a_name(world, pod, capsys):
    arguments = world([pod(world.reference, "a"), pod(world.reference, "b", model="n")], 2)
    assert main(arguments) == 3
    assert "--model: expected one of m, n" in capsys.readouterr().err
    assert main([*arguments, "--model", "n"]) == 0
    assert capsys.readouterr().out.startswith("n, version 1: stable")


def test_a_fleet_that_has_ended_is_2(world, pod, store, capsys):
    first = pod(world.reference, "a")
    first.skew = -3 * 3_600.0
    assert main(world([first], 2)) == 2
    assert "no process has exported for 1h" in capsys.readouterr().out


def test_a_terminal_gets_colours(monkeypatch):
    """With rich, and plain text without it. What a name holds is escaped in both."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    result = fleet.FleetResult("stable", {}, (), 0, 0, 0.0, 3_600.0, 1)
    states = {"\x1b[31mred": FeatureStatus("stable", 0.5, 0.001, 300, "as the reference")}
    for rich in (True, False):
        terminal = Terminal()
        monkeypatch.setattr("sys.stdout", terminal)
        if not rich:
            monkeypatch.setitem(__import__("sys").modules, "rich.console", None)
        _fleet_table.print_table(fleet.FleetModel("m"), result, states, "1h")
        assert ("\x1b[32mstable" in terminal.getvalue()) is rich
        assert "\\x1b[31mred" in terminal.getvalue()


def test_columns_stay_columns_whatever_the_names_are(capsys):
    """Names are escaped before they are measured, and a very long one does not move the others."""
    status = FeatureStatus("stable", 0.5, 0.001, 900, "as the reference")
    names = ["amount", "a\n\u202eb", "n" * 10_000]
    states = dict.fromkeys(names, status)
    result = fleet.FleetResult("stable", states, (), 900, 2, 0.0, 3_600.0, 3)
    _fleet_table.print_table(fleet.FleetModel("m"), result, states, "1h")
    _, head, *rows = capsys.readouterr().out.splitlines()
    assert [row.index("stable") for row in rows] == [head.index("state")] * 2 + [10_002]
    assert max(len(line) for line in (head, *rows[:2])) < 150


def test_a_later_command_reads_what_is_new(world, pod, store, tmp_path, capsys, monkeypatch):
    """With --state, the windows before are known, so that the same states cost a window of reading."""
    pods = [pod(world.reference, "a"), pod(world.reference, "b")]
    arguments = world(pods, 6)
    state = ["--state", str(tmp_path / "state")]
    assert main([*arguments, *state]) == 0
    points = sum(grid.points for _, grid in store.queries)
    first = capsys.readouterr().out
    assert main([*arguments, *state]) == 0
    assert capsys.readouterr().out == first
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3_600.0)
    for block in range(8):
        pods[0].serve({"amount": np.random.default_rng(block).normal(13.0, 2.0, 500), "kind": KIND[:2] * 250})
        pods[0].export(now // STEP * STEP + STEP * (block + 1))
    store.queries.clear()
    assert main([*arguments, *state]) == 1
    out = capsys.readouterr().out
    assert "4000 rows of 1 processes" in out.splitlines()[0]
    assert sum(grid.points for _, grid in store.queries) < points / 10
    assert main(arguments) == 1
    assert capsys.readouterr().out.splitlines()[2:] == out.splitlines()[2:]
    (tmp_path / "state").write_bytes(b"something else")
    assert main([*arguments, *state]) == 3
    assert "--state" in capsys.readouterr().err
