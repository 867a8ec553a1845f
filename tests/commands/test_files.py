"""The commands for files: fit, show, diff and check, with their exit codes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import driftline as dl
from driftline.cli import main


def table(seed, rows=4_000, shift=0.0, missing=0.0):
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "number": pa.array(random.normal(shift, size=rows), mask=random.random(rows) < missing),
            "word": np.array(["ruby", "jade"])[random.integers(0, 2, rows)],
            "p": random.random(rows),
        }
    )


@pytest.fixture
def files(tmp_path):
    """A folder with training data, their reference, equal data and shifted data."""
    pyarrow.parquet.write_table(table(1), tmp_path / "train.parquet")
    pyarrow.csv.write_csv(table(2), tmp_path / "same.csv")
    pyarrow.csv.write_csv(table(3, shift=0.5), tmp_path / "moved.csv")
    assert main(["fit", str(tmp_path / "train.parquet"), "-o", str(tmp_path / "ref.json"), "--predictions", "p"]) == 0
    return tmp_path


def test_fit_writes_the_reference_of_the_file(files, capsys):
    assert main(["fit", str(files / "train.parquet"), "-o", str(files / "ref.json"), "--predictions", "p"]) == 0
    features = table(1).select(["number", "word"])
    expected = dl.Reference.fit(features, predictions=table(1)["p"])
    assert (files / "ref.json").read_text() == expected.to_json()
    assert "4,000 rows, 2 features" in capsys.readouterr().out


def test_show_prints_the_features_and_names_categories_only_on_request(files, capsys):
    capsys.readouterr()
    assert main(["show", str(files / "ref.json")]) == 0
    shown = capsys.readouterr().out
    assert "4,000 rows, 2 features" in shown
    assert "2 categories" in shown
    assert "ruby" not in shown
    assert main(["show", str(files / "ref.json"), "--labels"]) == 0
    assert "ruby" in capsys.readouterr().out
    assert main(["show", str(files / "ref.json"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rows"] == 4_000
    number, word, _ = document["features"]
    assert sum(each["rows"] for each in number["bins"]) == 4_000
    assert [each["label"] for each in word["bins"]][:2] == ["category 0", "category 1"]


@pytest.mark.parametrize(("name", "code", "state"), [("same.csv", 0, "stable"), ("moved.csv", 1, "drifting")])
def test_check_has_the_exit_code_of_the_state(files, capsys, name, code, state):
    assert main(["check", str(files / "ref.json"), str(files / name), "--predictions", "p"]) == code
    assert f"{name}: {state}" in capsys.readouterr().out
    assert main(["check", str(files / "ref.json"), str(files / name), "--predictions", "p", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["state"] == state
    assert {each["name"] for each in document["features"]} == {"number", "word", "prediction"}


def test_check_is_undecided_on_few_rows(files, capsys):
    pyarrow.csv.write_csv(table(4, rows=20), files / "few.csv")
    assert main(["check", str(files / "ref.json"), str(files / "few.csv")]) == 2
    output = capsys.readouterr()
    assert "20 rows, needs 200" in output.out
    assert "not compared without --predictions" in output.err


def test_check_writes_tests_for_ci(files):
    report = files / "report.xml"
    assert main(["check", str(files / "ref.json"), str(files / "moved.csv"), "--junit", str(report)]) == 1
    suite = ET.parse(report).getroot()  # noqa: S314 - written above
    assert suite.attrib["tests"] == "2"
    assert suite.attrib["failures"] == "1"
    (failed,) = [case for case in suite if case.find("failure") is not None]
    assert failed.attrib["name"] == "number"
    assert "location up" in failed.find("failure").attrib["message"]


def test_check_writes_the_page_of_the_report(files):
    page = files / "page.html"
    assert (
        main(["check", str(files / "ref.json"), str(files / "moved.csv"), "--html", str(page), "--alpha", "0.001"]) == 1
    )
    text = page.read_text(encoding="utf-8")
    assert "drift" in text.split("</h1>")[0]
    assert "location up" in text


def test_check_says_which_columns_are_absent(files, capsys):
    pyarrow.csv.write_csv(table(5).select(["word"]), files / "narrow.csv")
    assert main(["check", str(files / "ref.json"), str(files / "narrow.csv")]) == 1
    assert "columns ['number'] are absent, and count as missing values" in capsys.readouterr().err


def test_diff_names_what_differs(files, capsys):
    pyarrow.parquet.write_table(table(6, shift=0.5, missing=0.1), files / "later.parquet")
    assert main(["fit", str(files / "later.parquet"), "-o", str(files / "later.json")]) == 0
    capsys.readouterr()
    assert main(["diff", str(files / "ref.json"), str(files / "ref.json")]) == 0
    assert "0 of 3 features differ" in capsys.readouterr().out
    assert main(["diff", str(files / "ref.json"), str(files / "later.json")]) == 1
    shown = capsys.readouterr().out
    assert "2 of 4 features differ" in shown or "3 of 4 features differ" in shown
    assert "standard deviations" in shown
    assert "missing 0.00% to" in shown
    assert main(["diff", str(files / "ref.json"), str(files / "later.json"), "--json"]) == 1
    by_name = {each["name"]: each for each in json.loads(capsys.readouterr().out)["features"]}
    assert by_name["number"]["figures"]["shift"] == pytest.approx(0.5, abs=0.1)
    assert by_name["prediction"]["difference"] == "removed"
    assert by_name["word"]["changed"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "ref.json", "absent.csv"], "absent.csv: no such file"),
        (["check", "ref.json", "same.csv", "--alpha", "0.9"], "alpha=0.9: expected a number above 0"),
        (["check", "ref.json", "same.csv", "--predictions", "q"], r"columns ['q'] are absent"),
        (["check", "ref.json", "other.csv"], "expected at least one of ['number', 'word']"),
        (["fit", "train.parquet", "-o", "x.json", "--outcomes", "y"], "columns ['y'] are absent"),
        (["fit", "dates.csv", "-o", "x.json"], "name the column in --without or --time)"),
        (["fit", "dates.csv", "-o", "x.json", "--time", "at"], "--time='at': no such column"),
        (["fit", "train.parquet", "-o", "x.json", "--seasons", "hour"], "--seasons=('hour',) without --time: expected"),
        (["show", "same.csv"], "same.csv"),
        (["diff", "ref.json", "absent.json"], "absent.json: cannot be read"),
    ],
)
def test_errors_have_the_exit_code_3_and_a_message(files, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(files)
    (files / "other.csv").write_text("age\n1\n")
    (files / "dates.csv").write_text("day,x\n2026-01-01,1\n2026-01-02,2\n")
    assert main(arguments) == 3
    assert message in capsys.readouterr().err


def test_hostile_names_are_escaped(tmp_path, capsys):
    names = ["<script>&\"'", "\x1b[31m", "ש" * 5, "x" * 5_000]
    random = np.random.default_rng(0)
    reference = dl.Reference.fit({name: random.normal(size=1_000) for name in names})
    reference.save(tmp_path / "ref.json")
    pyarrow.parquet.write_table(
        pa.table({name: random.normal(3.0, size=500) for name in names}), tmp_path / "d.parquet"
    )
    report = tmp_path / "report.xml"
    assert main(["check", str(tmp_path / "ref.json"), str(tmp_path / "d.parquet"), "--junit", str(report)]) == 1
    assert "\x1b" not in capsys.readouterr().out
    assert len(ET.parse(report).getroot().findall("testcase/failure")) == 4  # noqa: S314 - written above
