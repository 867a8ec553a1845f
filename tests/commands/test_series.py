"""`driftline series` counts the series that a real reader collects after real serving."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

import driftline as dl
from driftline.cli import main

ERROR = 3
HAPPENED = {"ml.monitor.errors", "ml.monitor.rows.dropped"}
"""Metrics of errors, which the plan does not count."""


@pytest.fixture(scope="module")
def columns():
    """Rows of every kind of bin: numbers, few values, categories, booleans."""
    random = np.random.default_rng(5)
    return {
        "amount": random.normal(size=2_000),
        "count": random.integers(0, 4, 2_000),
        "carrier": random.choice(["UA", "AA", "B6"], 2_000),
        "airport": np.array([f"airport {number}" for number in random.geometric(0.02, 2_000)]),
        "new": random.choice([True, False], 2_000),
    }


@pytest.fixture(scope="module")
def reference(columns):
    """A reference with predictions and outcomes."""
    random = np.random.default_rng(6)
    predictions = random.random(2_000)
    return dl.Reference.fit(columns, predictions=predictions, outcomes=random.random(2_000) < predictions)


def rows_of_all_bins(feature):
    """Values that fill every bin of a feature."""
    bins = feature.bins
    if hasattr(bins, "cuts"):
        cuts = np.asarray(bins.cuts, dtype=float)
        inner = (cuts[:-1] + cuts[1:]) / 2
        return [*inner, *cuts, *np.nextafter(cuts, -np.inf), -1e9, 1e9, np.nan]
    return [*bins.categories, *bins.others[:1], 99 if isinstance(bins.categories[0], (int, float)) else "new", None]


def serve(reference, columns, telemetry, **options):
    """Serve rows until every series is there, and count them by metric."""
    monitor = dl.Monitor(
        "m",
        reference=reference,
        window=dl.Window(rows=500),
        synchronous=True,
        enabled=True,
        meter_provider=telemetry.meter_provider,
        **options,
    )
    predict = monitor.instrument(lambda features: 0.25)
    for row in range(10):
        predict({name: values[row] for name, values in columns.items()})
    outputs = np.linspace(0.01, 0.99, 2_000)
    for _ in range(16):  # windows of 16
        monitor.observe(columns, outputs)
    special = {feature.name: rows_of_all_bins(feature) for feature in reference.watched}
    for name, values in special.items():
        if name != "prediction":
            for value in values:
                predict({**{other: column[0] for other, column in columns.items()}, name: value})
    for value in special.get("prediction", ()):
        monitor.instrument(lambda features, value=value: value)({name: column[0] for name, column in columns.items()})
    monitor.flush()
    series = Counter()
    for name, metric in telemetry.metrics().items():
        for point in metric.data.data_points:
            series[name] += len(point.bucket_counts) + 2 if hasattr(point, "bucket_counts") else 1
    monitor.shutdown()
    return {name: number for name, number in series.items() if name not in HAPPENED}


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, []),
        ({"distances": ("psi",), "rule": dl.FalseAlarms(lengths=(1,))}, ["--distances", "psi", "--lengths", "1"]),
        ({"export_bins": True}, ["--export-bins"]),
        ({"rule": dl.FalseAlarms(scope="fleet")}, ["--scope", "fleet"]),
        (
            {"distances": ("ks", "mean"), "rule": dl.FalseAlarms(lengths=(1, 4)), "export_duration": False},
            ["--distances", "ks,mean", "--lengths", "1,4", "--no-duration"],
        ),
    ],
    ids=["default", "lean", "bins", "fleet", "no durations"],
)
def test_the_plan_equals_what_a_reader_collects(reference, columns, telemetry, tmp_path, capsys, options, arguments):
    served = serve(reference, columns, telemetry, **options)
    path = tmp_path / "reference.json"
    reference.save(path)
    assert main(["series", str(path), "--json", "--instances", "40", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["metrics"] == served
    assert report["total"] == sum(served.values())
    assert (report["instances"], report["total_of_instances"]) == (40, 40 * report["total"])


def test_a_monitor_logs_the_same_numbers_when_it_is_made(reference, telemetry, tmp_path, capsys, caplog):
    caplog.set_level("INFO", "driftline")
    dl.Monitor("m", reference=reference, enabled=True, meter_provider=telemetry.meter_provider, synchronous=True)
    (line,) = [record.getMessage() for record in caplog.records if "series" in record.getMessage()]
    reference.save(tmp_path / "reference.json")
    main(["series", str(tmp_path / "reference.json"), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert f"at most {report['total']} series in this process" in line
    assert ", ".join(f"{name} {number}" for name, number in report["metrics"].items()) in line


def test_the_table_ends_with_the_totals(reference, tmp_path, capsys):
    reference.save(tmp_path / "reference.json")
    assert main(["series", str(tmp_path / "reference.json"), "--instances", "1000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["ml.feature.drift.score", "48"]
    total = int(lines[-2].split()[-1])
    assert lines[-2].startswith("in each process")
    assert lines[-1].split() == ["in", "1000", "processes", f"{total * 1000:,}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--distances", "psy"], "distances: 'psy' is unknown, expected one of"),
        (["--lengths", "4"], "lengths=(4,): expected ascending numbers of windows"),
        (["--lengths", "1,x"], "--lengths='x': expected an integer of at least 1"),
        (["--instances", "0"], "--instances=0: expected an integer"),
        (["--instances", "many"], "--instances='many': expected an integer of at least 1"),
        (["--detectors", "-1"], "--detectors=-1: expected an integer"),
    ],
)
def test_bad_arguments_are_refused(reference, tmp_path, capsys, arguments, message):
    reference.save(tmp_path / "reference.json")
    assert main(["series", str(tmp_path / "reference.json"), *arguments]) == ERROR
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"[1, 2]", b"\x00\xff"])
def test_a_file_that_is_no_reference_is_an_error(tmp_path, capsys, content):
    path = tmp_path / "reference.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["series", str(path)]) == ERROR
    assert "driftline series:" in capsys.readouterr().err
