"""The part of the benchmark of detection that serves public streams."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "detection"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a stream of 40 days, in which a numeric and a text column change after day 30."""
    random = np.random.default_rng(0)
    days = np.sort(random.uniform(0.0, 40.0, 8_000))
    late = days > 30.0
    table = {
        "price": random.normal(size=8_000) + 3.0 * late,
        "shop": np.where(late & (random.random(8_000) < 0.5), "new", random.choice(["a", "b"], 8_000)),
        "customer": random.integers(10_000, size=8_000),
        "day": days,
    }
    pd.DataFrame(table).to_csv(tmp_path / "sales.csv", index=False)
    return tmp_path


def test_a_public_stream_gives_its_alarms_by_date(part, folder):
    """Each alarm has its date and its reason, and each month the states of the features."""
    public = part("public")
    stream = public.Stream("sales", "sales", "1970-01-21", 500, "3d", "customer")
    served = public.serve(stream, folder)
    assert {alarm["feature"] for alarm in served["alarms"]} == {"price", "shop"}
    assert all("1970-01-31" <= alarm["seen at"] < "1970-02-10" for alarm in served["alarms"])
    assert all(alarm["reason"].startswith(alarm["feature"]) for alarm in served["alarms"])
    assert {month["feature"] for month in served["months"]} == {"price", "shop"}
    assert served["training rows"] == (pd.read_csv(folder / "sales.csv")["day"] < 20).sum()


def test_a_stream_without_times_counts_its_rows(part, folder):
    """The training data end at a number of rows, and an alarm says after which row it was seen."""
    public = part("public")
    served = public.serve(public.Stream("sales", "sales", 4_000, 500, "1h", "customer"), folder)
    assert served["training rows"] == 4_000
    assert served["alarms"][0]["seen at"].startswith("row  6,")


def test_every_stream_says_what_is_known(part):
    """There is a list of known changes for each stream, and no other."""
    public = part("public")
    assert {stream.name for stream in public.STREAMS} == set(public.KNOWN)
    known = [change for changes in public.KNOWN.values() for change in changes]
    assert all(change.source.startswith("http") or change.source == "computed from the rows" for change in known)


def test_the_page_lists_alarms_by_stream(part, folder, monkeypatch):
    """Each stream has its known changes, its features and its alarms."""
    public, report, page_of_streams = part("public"), part("lumpy_report"), part("public_page")
    stream = public.Stream("sales", "what a shop sold", "1970-01-21", 500, "3d", "customer")
    monkeypatch.setattr(page_of_streams, "STREAMS", (stream,))
    monkeypatch.setitem(page_of_streams.KNOWN, "sales", (("day 30", "price", "a new supplier", "a letter"),))
    page = folder / "page.md"
    page.write_text("<!-- summary -->\nby hand\n<!-- /summary -->", encoding="utf-8")
    report.write_lumpy_page({"public": [public.serve(stream, folder)]}, page, folder, "a machine")
    text = page.read_text(encoding="utf-8")
    assert "<!-- summary -->\nby hand\n<!-- /summary -->" in text
    assert "### sales: what a shop sold" in text
    assert "- day 30, price: a new supplier (a letter)" in text
    assert re.search(r"\| price *\| `\.?[dD]+` *\|", text)


def test_reasons_are_compared_with_the_raw_rows(part):
    """A claimed move of the median that raw rows refute counts, and so does a wrong leading word."""
    words = part("lumpy_words")
    right = words.alarm("normal", "+1 σ", 0)
    assert right is not None
    assert right.leads
    assert not right.refuted
    wrong = words.Alarm("normal", "+1 σ", "x: spread wider", leads=False, refuted=True, median_error=0.3)
    row = words.rows_of([right, wrong], {"+1 σ": 3})[0]
    assert (row["tried"], row["alarms"], row["medians refuted"]) == (3, 2, 1)
    assert row["a wrong one"] == "normal: x: spread wider"
    assert {change for _, change, _ in words.pairs(1)} == set(words.CHANGES)


@pytest.mark.parametrize(
    ("claim", "error", "side", "true", "refuted"),
    [
        ("0.29", "0.24", None, 0.5, False),
        ("0.29", "0.24", None, 0.54, True),
        ("20", None, None, 20.4, False),
        ("20", None, None, 21.0, True),
        ("1.2e-5", None, None, 1.22e-5, False),
        ("3.3", None, "above ", 3.4, False),
        ("3.3", None, "above ", 3.2, True),
    ],
)
def test_a_median_is_refuted_outside_of_its_error(part, claim, error, side, true, refuted):
    """The error of the reason and the rounding of its last digit count."""
    words = part("lumpy_words")
    text = f"x: median 0 to {side or ''}{claim}" + (f" (±{error})" if error else "")
    assert words.MEDIANS.search(text).groups()[2:] == (side, claim, error)
    assert words.is_refuted(claim, error, side, true) == refuted
