"""The page: valid, safe, and of a bounded size."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from views import HOSTILE, hostile_view, view

from driftline._live.page import draw_live_page, draw_parts
from driftline._live.style import POLICY, SCRIPT
from driftline._live.values import LiveView

VOID = {"meta", "link", "rect", "path", "circle", "line", "use", "input", "br"}


class Outline(HTMLParser):
    """The tags and attributes of a page, and whether all are closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.ids, self.text = [], [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("value", [view(), hostile_view(), LiveView("t", "s", 0.0, hint="wait")])
def test_a_page_is_closed_and_asks_for_nothing(value):
    page = draw_live_page(value, "tag", 1.0)
    outline = Outline(page)
    assert outline.open == []
    assert outline.tags.count("script") == 1
    assert "img" not in outline.tags
    assert not [name for name in outline.attributes if name.startswith("on") or name in {"src", "style"}]
    assert len(outline.ids) == len(set(outline.ids))


def test_everything_is_said():
    text = Outline(draw_parts(view())).text
    for part in ("12,350", "1,234/s", "1.2 ms / 250 ms", "90.0% of all 1,000", "median 30 to 40", "capture"):
        assert part in text
    assert "1 of 2 features drifts." in text
    assert "compare the features with the reference" in text


def test_hostile_names_are_text():
    page = draw_live_page(hostile_view(), "tag", 1.0)
    assert "<script>document" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "x" * 500 not in page
    assert f"<bdi>{HOSTILE[2]}" in page


def test_500_features_stay_small():
    parts = draw_parts(hostile_view())
    assert len(parts.encode()) < 300_000
    assert "440 more features" in parts


def test_the_policy_admits_this_style_and_script_only():
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "innerHTML" not in SCRIPT
    assert "eval" not in SCRIPT


def test_equal_views_have_equal_parts():
    """Browsers replace what has changed only, and the time that is shown is not in the parts."""
    assert draw_parts(view(time=1.0)) == draw_parts(view(time=2.0))
