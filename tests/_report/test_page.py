"""The page: it stands alone, names no category unless it may, holds no row, and survives any name."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading

import numpy as np
import pytest

import driftline as dl


def test_the_page_needs_nothing_else(monitor, canary, page):
    """No script, no address, no style but the one that the policy names."""
    html = dl.report(None, monitor, canary=canary).html
    shown = page(html)
    (policy,) = [each["content"] for tag, each in shown.tags if each.get("http-equiv") == "Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "unsafe" not in policy
    assert "url(" not in style
    assert "@import" not in style
    for tag, attributes in shown.tags:
        assert tag not in {"script", "img", "iframe", "object", "embed", "form", "input"}
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#") or attributes["href"] == "data:,"
    assert "://" not in html


def test_each_link_has_its_target(monitor, canary, page):
    """Ids are unique, and every link leads somewhere."""
    shown = page(dl.report(None, monitor, canary=canary).html)
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {each["href"][1:] for _, each in shown.tags if each.get("href", "").startswith("#")}
    links |= {each["aria-labelledby"] for _, each in shown.tags if "aria-labelledby" in each}
    assert links <= set(ids)


def test_categories_have_numbers_unless_they_may_be_named(monitor):
    """Neither the page nor the JSON names a city, unless it may."""
    report, named = dl.report(None, monitor), dl.report(None, monitor, labels=True)
    for city in ("berlin", "paris", "rome"):
        assert city not in report.html
        assert city not in report.json()
        assert city in named.html
    assert "atlantis" not in named.html
    assert "category 0" in report.html
    assert "labels=True" in report.html


def test_categories_of_snapshots_and_data_have_numbers_too(reference):
    """The same for what no monitor has seen."""
    data = {"amount": [9.0] * 500, "age": [30.0] * 500, "city": ["rome"] * 500}
    monitor = dl.Monitor("m", reference=reference, synchronous=True)
    monitor.observe(data)
    for current in (data, monitor.snapshot()):
        report = dl.report(reference, current)
        assert "rome" not in report.html + report.json()
        assert "rome" in dl.report(reference, current, labels=True).html


def test_classes_of_outcomes_have_numbers(page):
    """Precision and recall of a class that is not to be named."""
    labels = np.array(["ham", "spam", "eggs"] * 400)
    reference = dl.Reference.fit({"x": np.arange(1_200.0)}, predictions=labels, outcomes=labels)
    report = dl.report(reference, {"x": np.arange(1_200.0)}, predictions=labels, outcomes=labels)
    assert not {"ham", "spam", "eggs"} & set(re.findall(r"\w+", page(report.html).text + report.json()))


def test_no_row_is_in_a_report(reference):
    """A value that occurs in the data only, and lies within a bin."""
    data = {"amount": np.full(500, 1.2345678912), "age": np.full(500, 31.0), "city": ["rome"] * 500}
    report = dl.report(reference, data, labels=True)
    assert "1.2345678" not in report.html + report.json()


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "&amp;&#0;",
    "\u202eright to left\u202c",
    "\u2067isolate",
    "עברית וערבית",
    "x" * 10_000,
    "nul\x00 bell\x07",
    "lone \ud800 surrogate",
    "line\nbreak\tand\u2028more",
    "</style><style>*{display:none}</style>",
    "-->",
    "",
    "   ",
    "z̸̢̛͎" * 200,
    "🧨" * 40,
]


def hostile_report(**arguments):
    """A report on features, categories, a model and a title of hostile names."""
    random = np.random.default_rng(5)
    size = 600
    # A column whose name has half of a surrogate pair is refused when the reference is fitted.
    names = [f"{name}{index}" if name else " " for index, name in enumerate(HOSTILE) if "\ud800" not in name]
    table = {name: random.normal(size=size) for name in names}
    table["kind"] = random.choice(np.array(HOSTILE, dtype=object), size)
    reference = dl.Reference.fit(table, predictions=random.choice(np.array(HOSTILE, dtype=object), size))
    current = {**table, "kind": np.array(["<b>new</b>\ud800"] * size, dtype=object)}
    return dl.report(reference, current, title=HOSTILE[0] + HOSTILE[3], **arguments)


@pytest.mark.parametrize("labels", [False, True])
def test_hostile_names_do_no_harm(labels, page, tmp_path):
    """They are text, in characters that can be written, and stay short."""
    report = hostile_report(labels=labels)
    report.save(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    shown = page(html)
    assert {tag for tag, _ in shown.tags if tag in {"script", "img"}} == set()
    assert html.count("<style>") == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\u2028\u2029\u202a-\u202e\u2066-\u2069]", html)
    assert max(map(len, shown.texts)) < 700
    assert "x" * 200 not in html
    assert "<script>" in shown.text
    values = json.loads(report.json())
    assert {feature["name"] for feature in values["features"]} > {HOSTILE[0] + "0"}


def test_names_that_look_the_same_have_separate_parts(page):
    """Two names of ten thousand characters that differ in the middle."""
    names = ["a" * 5_000 + each + "a" * 5_000 for each in "bc"]
    reference = dl.Reference.fit({name: np.arange(300.0) for name in names})
    shown = page(dl.report(reference, {name: np.arange(300.0) for name in names}).html)
    assert sum(tag == "details" and "id" in attributes for tag, attributes in shown.tags) == 2


def wide(features, categories, size, shift=0.0):
    """Many features, of which some have hundreds of categories."""
    random = np.random.default_rng(6)
    names = np.array([f"category-{index:03d}" for index in range(300)])
    weights = 1 / np.arange(1, 301)
    weights /= weights.sum()
    table = {f"number_{index:03d}": random.normal(shift * (index % 40 == 0), 1, size) for index in range(features)}
    for index in range(categories):
        table[f"code_{index:02d}"] = random.choice(names, size, p=weights[::-1] if shift and not index % 5 else weights)
    return table


@pytest.mark.parametrize(("features", "categories", "limit"), [(45, 5, 300_000), (485, 15, 2_000_000)])
@pytest.mark.slow
def test_many_features_and_categories_stay_readable(features, categories, limit, page):
    """The page is small, each feature is on it, and no table of categories is long."""
    reference = dl.Reference.fit(wide(features, categories, 2_000), max_categories=300)
    report = dl.report(reference, wide(features, categories, 1_500, 0.8), labels=True)
    assert len(report.html.encode()) < limit
    shown = page(report.html)
    parts = [attributes for tag, attributes in shown.tags if tag == "details" and "id" in attributes]
    assert len(parts) == features + categories
    assert sum("open" in each for each in parts) <= 8
    tables = re.findall(r"<table>(?:(?!</table>).)*Category(?:(?!</table>).)*</table>", report.html)
    assert len(tables) == categories
    assert max(table.count("<tr>") for table in tables) <= 18
    assert "further categories" in report.html


@pytest.mark.slow
def test_fifty_features_that_all_drift_have_a_small_page():
    """With many windows, several lengths and courses, which is the most that a page holds."""
    random = np.random.default_rng(9)

    def table(size, shift):
        return {f"feature {index}": random.lognormal(shift, 1, size) for index in range(50)}

    reference = dl.Reference.fit(table(2_000, 0.0))
    monitor = dl.Monitor("m", reference=reference, window=dl.Window(rows=300), synchronous=True)
    for _ in range(40):
        monitor.observe(table(300, 1.0))
    report = dl.report(None, monitor)
    assert report.headline == "All 50 features drift."
    assert len(report.html.encode()) < 300_000
    assert "over time" in report.html


def test_every_plot_is_described(monitor, canary, page):
    """A plot has words for those who do not see it; a small copy of it is hidden from them."""
    shown = page(dl.report(None, monitor, canary=canary).html)
    for tag, attributes in shown.tags:
        if tag == "svg" and "viewbox" not in attributes:
            assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label"), attributes


def test_a_notebook_shows_the_page_in_a_frame(monitor):
    """Its style does not reach the notebook, and it runs no script."""
    report = dl.report(None, monitor)
    frame = report._repr_html_()
    assert frame.startswith("<iframe srcdoc=")
    assert 'sandbox=""' in frame
    assert repr(report) == f"Report({report.headline!r})"


@pytest.mark.slow
def test_a_report_may_be_made_while_the_model_serves(reference):
    """Counts of one window at a time, from another thread, without an error."""
    monitor = dl.Monitor("m", reference=reference, window=dl.Window(rows=200))
    ended = threading.Event()

    def serve():
        random = np.random.default_rng(7)
        while not ended.is_set():
            monitor.observe({"amount": random.lognormal(size=50), "age": np.full(50, 40.0), "city": ["rome"] * 50})

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for _ in range(5):
            for feature in dl.report(None, monitor).content.features:
                shares = [each.current for each in feature.bins if each.current is not None]
                assert not shares or sum(shares) == pytest.approx(1.0)
    finally:
        ended.set()
        thread.join()
        monitor.shutdown()


def test_a_path_that_cannot_be_written_raises(monitor, tmp_path):
    """The error of the system."""
    with pytest.raises(OSError, match="absent"):
        dl.report(None, monitor).save(tmp_path / "absent" / "report.html")
