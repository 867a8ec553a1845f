"""`driftline report`: a page and JSON about a file, and exit codes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import driftline as dl
from driftline.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A reference, and files of rows that do and do not drift."""
    random = np.random.default_rng(1)

    def frame(shift, size=1_500):
        kinds = random.choice(["crimson", "azure"], size)
        return pd.DataFrame(
            {"x": random.normal(shift, 1, size), "kind": kinds, "score": 0.9, "late": kinds == "crimson"}
        )

    training = frame(0, 6_000)
    outcomes = training["late"]
    reference = dl.Reference.fit(training[["x", "kind"]], predictions=training["score"], outcomes=outcomes)
    reference.save(tmp_path / "reference.json")
    frame(0).to_csv(tmp_path / "same.csv", index=False)
    frame(1).to_parquet(tmp_path / "shifted.parquet")
    frame(0, 30).to_csv(tmp_path / "few.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("file", "code"), [("same.csv", 0), ("shifted.parquet", 1), ("few.csv", 2)])
def test_the_page_and_the_exit_code_agree(folder, capsys, file, code):
    """The page has the name of the file, unless another is asked for."""
    assert main(["report", "reference.json", file]) == code
    printed = capsys.readouterr().out
    page = (folder / f"{file}.html").read_text(encoding="utf-8")
    assert printed.startswith(f"{file}.html: ")
    assert printed.split(": ", 1)[1].strip() in page
    assert file in page
    assert "crimson" not in page


def test_json_is_that_of_the_report(folder, capsys):
    """Without -o nothing is written."""
    arguments = ["--predictions", "score", "--outcomes", "late", "--labels", "--title", "T"]
    assert main(["report", "reference.json", "shifted.parquet", "--json", *arguments]) == 1
    values = json.loads(capsys.readouterr().out)
    assert values["title"] == "T"
    assert {feature["name"] for feature in values["features"]} == {"x", "kind", "prediction"}
    assert values["outcomes"]["known"] == 1_500
    assert not list(folder.glob("*.html"))
    data = pd.read_parquet("shifted.parquet")
    report = dl.report(
        "reference.json", data[["x", "kind"]], predictions=data["score"], outcomes=data["late"], title="T", labels=True
    )
    expected = json.loads(report.json())
    assert {**values, "created": ""} == {**expected, "created": ""}


def test_without_predictions_the_output_is_no_feature(folder, capsys):
    """Nothing is said of what is not known."""
    assert main(["report", "reference.json", "same.csv", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert {feature["name"] for feature in values["features"]} == {"x", "kind"}
    assert values["states"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.json", "same.csv"], "absent.json"),
        (["reference.json", "absent.csv"], "absent.csv"),
        (["reference.json", "other.csv"], "expected at least one of"),
        (["reference.json", "same.csv", "--predictions", "nothing"], "nothing"),
        (["reference.json", "same.csv", "-o", "no/such/folder.html"], "no/such"),
    ],
)
def test_errors_name_what_is_wrong(folder, capsys, arguments, message):
    """The exit code is 3."""
    (folder / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert main(["report", *arguments]) == 3
    assert message in capsys.readouterr().err


def test_shuffled_training_data_change_the_page_as_they_change_the_check(tmp_path, monkeypatch, capsys):
    """Rows of narrower values may be a part of training data that were shuffled."""
    random = np.random.default_rng(6)
    dl.Reference.fit({"x": random.random(6_000)}).save(tmp_path / "reference.json")
    pd.DataFrame({"x": 0.5 + 0.5 * random.random(500)}).to_csv(tmp_path / "part.csv", index=False)
    monkeypatch.chdir(tmp_path)
    for arguments, code, word in ((), 1, "drifts"), (("--shuffled",), 2, "Too little"):
        assert main(["check", "reference.json", "part.csv", "--html", "check.html", *arguments]) == code
        assert main(["report", "reference.json", "part.csv", "-o", "report.html", *arguments]) == code
        headline = capsys.readouterr().out.rpartition("report.html: ")[2].strip()
        assert word in headline
        for name in "check.html", "report.html":
            assert headline in (tmp_path / name).read_text(encoding="utf-8")
    with pytest.raises(dl.ConfigurationError, match="shuffled"):
        dl.report("reference.json", {"x": [1.0]}, shuffled="no")
