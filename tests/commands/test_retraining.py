"""Tests of `driftline retraining`: what it prints, what it reports, and its exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import driftline as dl
from driftline.cli import main
from driftline.fleet._past import read_snapshots, write_snapshot
from driftline.retraining import RetrainingEvidence, RetrainingQueue, RetrainingRequest


@pytest.fixture
def path(tmp_path):
    """The file of a queue with a request of each kind."""
    path = tmp_path / "queue.sqlite"
    queue = RetrainingQueue(path)
    for kind, reason in (("retrain", "drift"), ("fix_pipeline", "broken_data")):
        words = "age: median 40 to 50" if kind == "retrain" else "fare: 80% are missing, 0% in the reference"
        evidence = (RetrainingEvidence(reason=reason, words=words, name="age"),)
        request = RetrainingRequest(
            "", "m", "3", reason, words, ("age",), 1.5e9, kind, ordinal=0, evidence=evidence, data_from=1.4e9
        )
        queue.submit(request)
    queue.close()
    return path


def run(capsys, *arguments):
    """The exit code, standard output and standard error of a command."""
    code = main(["retraining", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_list_shows_what_is_open(path, capsys):
    """Its code is 1 as long as something is."""
    code, out, _ = run(capsys, "list", "--queue", path)
    heading, retrain, fix = out.splitlines()
    assert code == 1
    assert heading.split() == ["id", "kind", "model", "version", "state", "seen", "times", "why"]
    assert retrain.split()[1:5] == ["retrain", "m", "3", "requested"]
    assert retrain.endswith("d ago  1      age: median 40 to 50")
    assert "fix pipeline" in fix
    code, out, _ = run(capsys, "list", "--queue", path, "--json")
    assert [each["kind"] for each in json.loads(out)["requests"]] == ["retrain", "fix_pipeline"]
    assert run(capsys, "list", "--queue", path, "--model", "other")[:2] == (0, "no open request\n")
    for start in ("retrain-", "fix-"):
        assert run(capsys, "reject", start, "--queue", path, "--who", "anna")[0] == 0
    assert run(capsys, "list", "--queue", path)[:2] == (0, "no open request\n")
    code, out, _ = run(capsys, "list", "--queue", path, "--all")
    assert (code, out.count("rejected")) == (0, 2)


def test_a_request_is_followed_to_its_end(path, capsys):
    """By the start of its id. A state may be reported again, and none goes back."""
    assert run(capsys, "ack", "retrain", "--queue", path, "--who", "anna", "--comment", "on it")[0] == 0
    assert run(capsys, "ack", "retrain", "--queue", path, "--who", "ben")[0] == 0
    assert run(capsys, "start", "retrain", "--queue", path)[1].endswith("is running\n")
    code, _, error = run(capsys, "ack", "retrain", "--queue", path)
    assert (code, "is running, expected a later state" in error) == (3, True)
    code, out, _ = run(capsys, "done", "retrain", "--queue", path, "--comment", "no better", "--json")
    document = json.loads(out)
    assert (code, document["state"]) == (0, "succeeded")
    assert [(each["state"], each["comment"]) for each in document["history"]] == [
        ("requested", ""),
        ("acknowledged", "on it"),
        ("running", ""),
        ("succeeded", "no better"),
    ]
    assert document["history"][1]["who"] == "anna"
    assert run(capsys, "done", "fix", "--queue", path, "--failed")[1].endswith("is failed\n")


def test_show_prints_evidence_and_history(path, capsys):
    run(capsys, "ack", "fix", "--queue", path, "--who", "anna", "--comment", "a join is wrong\x1b[31m")
    code, out, _ = run(capsys, "show", "fix", "--queue", path)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].endswith(": fix pipeline of m, version 3, acknowledged")
    assert lines[1] == "  broken data: fare: 80% are missing, 0% in the reference"
    assert "  data from   2014-05-13 16:53:20 UTC" in lines
    assert lines[-1].endswith("UTC  acknowledged by anna: a join is wrong\\x1b[31m")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "unknown"], "'unknown': 0 requests, expected the id of a request in the queue"),
        (["show", ""], "'': 2 requests, expected the start of one id only"),
        (["ack", "r" * 500], "0 requests"),
    ],
)
def test_unknown_ids_are_refused(path, capsys, arguments, message):
    code, _, error = run(capsys, *arguments, "--queue", path)
    assert code == 3
    assert message in error


def test_no_queue_is_made(tmp_path, capsys):
    """A wrong path is an error, as is a file that is no queue."""
    code, _, error = run(capsys, "list", "--queue", tmp_path / "absent")
    assert (code, "expected the file of a RetrainingQueue" in error) == (3, True)
    assert not (tmp_path / "absent").exists()
    (tmp_path / "text").write_text("no queue")
    assert run(capsys, "list", "--queue", tmp_path / "text")[0] == 3


@pytest.fixture
def past(tmp_path):
    """A reference, and the snapshots of a week of windows with a drift on the third day."""
    random = np.random.default_rng(0)
    reference = dl.Reference.fit({"age": random.normal(40.0, 10.0, 10_000)})
    reference.save(tmp_path / "reference.json")
    monitor = dl.Monitor("m", reference=reference, synchronous=True, enabled=True, window=dl.Window(rows=2_000))
    with (tmp_path / "snapshots").open("w") as file:
        for day in range(7):
            for hour in range(0, 24, 6):
                monitor.observe({"age": random.normal(40.0 + 8.0 * (day >= 3), 10.0, 1_000)})
                snapshot = monitor.snapshot()
                assert snapshot is not None
                write_snapshot(file, 1.6e9 + day * 86_400 + hour * 3_600, snapshot)
                monitor.replace_reference(reference)
    monitor.shutdown()
    return tmp_path


def test_replay_shows_when_the_policy_would_have_asked(past, capsys):
    arguments = ["replay", "--snapshots", past / "snapshots", "--reference", past / "reference.json", "--window", "6h"]
    code, out, _ = run(capsys, *arguments)
    assert code == 1
    assert out.splitlines()[0] == "28 windows, 1 requests"
    assert out.splitlines()[1].startswith("2020-09-16 18:26  retrain: age: ")
    code, out, _ = run(capsys, *arguments, "--json", "--persistence", "1/1", "--cooldown", "1d")
    document = json.loads(out)
    assert (code, document["windows"], len(document["requests"])) == (1, 28, 2)
    assert run(capsys, *arguments, "--min-drifting", "2")[0] == 0


def test_replay_refuses_what_is_no_past(past, capsys, tmp_path):
    reference = ["--reference", past / "reference.json"]
    (tmp_path / "empty").write_text("\n")
    assert run(capsys, "replay", "--snapshots", tmp_path / "empty", *reference)[0] == 2
    for text, message in (
        ("{}", "line 1: at is absent"),
        ('{"at": 1, "rows": 5, "fingerprint": "x", "counts": [5]}', "has the bins x, expected those of"),
        ('{"at": 1, "rows": 5, "fingerprint": "x", "counts": [-5]}', "counts[0] is -5"),
    ):
        (tmp_path / "bad").write_text(text)
        code, _, error = run(capsys, "replay", "--snapshots", tmp_path / "bad", *reference)
        assert (code, message in error) == (3, True), error
    lines = (past / "snapshots").read_text().splitlines()
    (tmp_path / "bad").write_text(f"{lines[1]}\n{lines[0]}\n")
    with pytest.raises(dl.ConfigurationError, match=r"line 2: at is 1600000000\.0, expected at least"):
        list(read_snapshots(tmp_path / "bad"))
    assert run(capsys, "replay", "--snapshots", past / "absent", *reference)[0] == 3
    for persistence in ("2", "3/2", "a/b", "-1/2"):
        more = [*reference, f"--persistence={persistence}"]
        assert run(capsys, "replay", "--snapshots", past / "snapshots", *more)[0] == 3
