"""Numbers to text and SVG."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline._drawing.axis import nice_ticks, position
from driftline._drawing.course import Course, draw_course
from driftline._drawing.histogram import Density, Marks, draw_density, draw_values, trim
from driftline._drawing.intervals import Interval, draw_intervals
from driftline._drawing.text import clean, escape, isolated, number, percent, probability


def heights(svg, name):
    """The heights of the bars of a path, from 0 to 100, with their ends."""
    (data,) = re.findall(rf'class="{name}" d="([^"]*)"', svg)
    start = float(re.match(r"M([\d.]+)", data)[1])
    steps = [(float(y), float(x)) for y, x in re.findall(r"V([\d.]+)H([\d.]+)", data)]
    edges = [start, *(x for _, x in steps)]
    return [100 - y for y, _ in steps], edges


def test_the_area_of_a_bin_is_its_share():
    """On both sides with the same scale, whatever the widths of the bins."""
    density = Density([0.0, 1.0, 3.0, 7.0, 10.0], [0.1, 0.2, 0.4, 0.3], [0.4, 0.3, 0.2, 0.1])
    svg, cut = draw_density(density, Marks(), "x")
    assert cut == 0
    areas = []
    for name, shares in (("dl-ref", density.reference), ("dl-cur", density.current)):
        tops, edges = heights(svg, name)
        sizes = [top * (b - a) for top, a, b in zip(tops, edges, edges[1:], strict=False)]
        areas += [area / share for area, share in zip(sizes, shares, strict=True)]
    assert areas == pytest.approx([areas[0]] * 8, rel=0.02)


def test_a_spike_is_cut_off_and_counted():
    """A narrow bin with most rows does not flatten the others."""
    density = Density([0.0, 0.001, 50.0, 100.0], [0.5, 0.25, 0.25], [0.5, 0.25, 0.25])
    svg, cut = draw_density(density, Marks(), "x")
    assert cut == 1
    assert heights(svg, "dl-ref")[0][1] > 20


def test_a_long_tail_is_not_drawn():
    """It is the caller's to list it."""
    density = Density([0.0, 1.0, 2.0, 3.0, 1_000.0], [0.3, 0.3, 0.39, 0.01], [0.3, 0.3, 0.3, 0.1])
    shown, start, end = trim(density)
    assert (start, end) == (0, 1)
    assert list(shown.edges) == [0.0, 1.0, 2.0, 3.0]
    assert trim(Density([0.0, 1.0, 100.0], [0.5, 0.5], [0.5, 0.5]))[1:] == (0, 0)


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers(2, 9))
def test_ticks_lie_between_the_ends(a, b, most):
    """And are few."""
    low, high = min(a, b), max(a, b)
    ticks = nice_ticks(low, high, most)
    assert len(ticks) <= most
    spare = (high - low) * 1e-6
    assert all(low - spare <= tick <= high + spare for tick in ticks)
    if high > low and math.isfinite(high - low):
        assert all(0 <= position(tick, low, high) <= 1_000 for tick in ticks)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.integers(5, 80))
def test_any_string_can_be_shown(text, most):
    """It is short, can be encoded, and is well-formed in HTML."""
    shown = clean(text, most)
    assert 1 <= len(shown) <= max(most, 7)
    shown.encode("utf-8")
    assert ET.fromstring(f"<p>{escape(text, most)}</p>").text == shown  # noqa: S314 - our own text
    assert isolated(text).startswith("<bdi>")


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (math.nan, "–"), (math.inf, "∞"), (-1e-9, "−1×10⁻⁹"), (1e12, "1×10¹²"), (0.0, "0")]
)
def test_numbers_of_any_size_have_few_characters(value, text):
    """Including those that are not numbers."""
    assert number(value) == text


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1))
def test_shares_and_probabilities_have_few_characters(value):
    """However small."""
    assert len(percent(value)) <= 14
    assert len(probability(value)) <= 12
    assert (percent(value) == "0%") == (value < 1e-12)


def test_bars_show_single_values():
    """One label in several if there are many."""
    svg = draw_values([str(each) for each in range(30)], [1 / 30] * 30, [0.0] * 30, "x")
    assert svg.count("<text") == 10


def test_a_course_has_gaps_where_nothing_is_known():
    """The line starts again after them."""
    unknown = [math.nan] * 4
    svg = draw_course(Course([1.0, math.nan, 2.0, 3.0], unknown, unknown, (0.5, 2.5), 1.5, "a", "b"), "x")
    (line,) = re.findall(r'class="line" d="([^"]*)"', svg)
    assert line.count("M") == 2
    assert "nan" not in svg


def test_a_course_of_nothing_is_drawn():
    """With an empty axis."""
    assert "nan" not in draw_course(Course([math.nan], [math.nan], [math.nan]), "x")


def test_intervals_may_be_open():
    """An end that is not known reaches the end of the axis."""
    svg = draw_intervals([Interval("harm", 0.5, None, 1.0, "0.5")], limit=2.0)
    assert 'x1="0%"' in svg
    assert draw_intervals([Interval("harm", None, None, None, "–")]) == ""
