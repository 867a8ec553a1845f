"""The page of results of ``make bench``: its tables come from a run, its summary stays."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results" / "performance.md"
CALL = {"p50": 1_000.0, "p99": 2_000.0, "p99.9": 3_000.0, "cpu": 4_000.0, "max": 5_000.0, "rate": 6_000.0}
RUN = {
    "machine": {"cpus": 2, "machine": "x", "python": "3", "sdk": "1", "numpy": "2", "rounds": 2},
    "peers": {"whylogs": "did not install"},
    "calls": {
        f"{width} | {name}": [{key: value * factor for key, value in CALL.items()}] * 2
        for width in (20, 200)
        for name, factor in {
            "bare": 1,
            "driftline": 2,
            "driftline, no duration histogram": 2,
            "driftline, disabled": 1,
            "driftline, no SDK": 2,
            "Counter.add + Histogram.record": 11,
            "prometheus_client pair": 3,
        }.items()
    },
    "kinds": {"bare": [CALL], "dict": [CALL]},
    "drainers": {"waiting, 1 thread | thread": [CALL]},
    "batches": {f"10000 | {name}": [1e6, 2e6] for name in ("observe", "count", "floor", "nannyml")},
    "columns": {"pandas float64": [1e7, 1e7]},
    "kernels": {"searchsorted + bincount | SIMD | 256": [32.0]},
    "imports": {"driftline": [0.03], "numpy and the OpenTelemetry API": [0.3]},
    "sizes": {"driftline": [1e6]},
    "memory": {"driftline": [{"0": 0.0, "10000": 2.0**20, "1000000": 2.0**21}]},
}
"""A small run with every part."""


@pytest.fixture(scope="module")
def report():
    """The module of the reports."""
    spec = importlib.util.spec_from_file_location("performance_report", ROOT / "benchmarks" / "report.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_run_writes_its_tables_and_keeps_the_summary(report, tmp_path):
    """Every section has a table of the run, and the summary is that of the old page."""
    page = tmp_path / "performance.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    report.write(RUN, page)
    old, new = PAGE.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")
    assert new.split(report.SUMMARY[1])[0] == old.split(report.SUMMARY[1])[0]
    assert [section.heading for section in report.SECTIONS] == [line[3:] for line in new.splitlines() if "## " in line]
    assert "| 20 | driftline | 1.00 (1 – 1) | 2.0 | 3 | 4.00 (4 – 4) | 0.100 | 0.100 |" in new
    assert "Not measured: whylogs: did not install." in new
    assert "| 1,000,000 | 2.0 |" in new


def test_the_committed_page_has_the_present_sections(report):
    """Its text around the tables is what a run would write."""
    text = PAGE.read_text(encoding="utf-8")
    tables = {}
    for section in report.SECTIONS:
        body = text.split(f"\n## {section.heading}\n")[1].split("\n## ")[0]
        tables[section.heading] = body[body.index("\n|") :].strip()
    machine = text.split("but for the summary. ")[1].split("\n")[0]
    summary = text.split(report.SUMMARY[0])[1].split(report.SUMMARY[1])[0]
    assert report.page([machine], tables, summary) == text
