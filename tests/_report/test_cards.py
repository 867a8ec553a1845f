"""Cards of values in notebooks, and their representations of a single line."""

from __future__ import annotations

import re

import numpy as np
import pytest

import driftline as dl

VALUES = {
    "reference": lambda reference, monitor, canary: reference,
    "monitor": lambda reference, monitor, canary: monitor,
    "status": lambda reference, monitor, canary: monitor.status()["amount"],
    "verdict": lambda reference, monitor, canary: canary.verdict(),
    "outcomes": lambda reference, monitor, canary: monitor.outcome_counts(),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_card_is_well_formed_and_asks_for_nothing(name, reference, monitor, canary, page):
    """No script and no address; the style names its own classes only."""
    html = VALUES[name](reference, monitor, canary)._repr_html_()
    shown = page(html)
    assert len(html) < 20_000
    assert "://" not in html
    assert not {"script", "img", "link"} & {tag for tag, _ in shown.tags}
    (style,) = re.findall(r"<style>(.*?)</style>", html)
    plain = re.sub(r"@media\(?[^{]*\{((?:[^{}]*\{[^}]*\})*)\}", r"\1", style)
    for selector in re.findall(r"([^{}]+)\{", plain):
        assert all(re.search(r"\.driftline|\.dl-", each) for each in re.split(r",(?![^(]*\))", selector)), selector


@pytest.mark.parametrize("name", VALUES)
def test_a_representation_is_a_short_line(name, reference, monitor, canary):
    """Without counts of bins and without components."""
    shown = repr(VALUES[name](reference, monitor, canary))
    assert "\n" not in shown
    assert len(shown) < 600
    assert shown.startswith(type(VALUES[name](reference, monitor, canary)).__name__ + "(")


def test_a_card_shows_the_figures_of_its_value(reference, monitor, canary, page):
    """State, reason, effect, and the parts of the difference."""
    status = monitor.status()["amount"]
    text = page(status._repr_html_()).text
    assert "drifting" in text
    assert f"PSI {status.effect:.3g}" in text
    assert all(part.words in text for part in status.components)
    assert "roll back" in page(canary.verdict()._repr_html_()).text
    counts = monitor.outcome_counts()
    assert f"{counts.accuracy:.1%} of {counts.known:,}" in page(counts._repr_html_()).text
    assert f"{reference.rows:,} rows" in page(reference._repr_html_()).text


def test_cards_of_references_and_monitors_name_no_category(reference, monitor):
    """A notebook is often shared."""
    for value in (reference, monitor):
        assert not re.search("berlin|paris|rome", value._repr_html_())


def test_cards_of_many_features_stay_short(page):
    """Thirty rows, and the number of the others."""
    reference = dl.Reference.fit({f"x{index}": np.arange(300.0) for index in range(200)})
    assert "and 170 more" in page(reference._repr_html_()).text
    monitor = dl.Monitor("m", reference=reference, synchronous=True)
    assert "and 170 more" in page(monitor._repr_html_()).text


@pytest.mark.parametrize("name", ["<b>x</b>", "\u202ereversed", "nul\x00", "y" * 10_000])
def test_hostile_names_do_no_harm(name, page):
    """They are text, and short."""
    reference = dl.Reference.fit({name: np.arange(300.0), "c": [name, "b"] * 150}, predictions=[name, "b"] * 150)
    monitor = dl.Monitor("m", reference=reference, synchronous=True)
    monitor.observe({name: np.arange(300.0), "c": [name] * 300}, [name] * 300, prediction_ids=range(300))
    monitor.outcomes(range(300), [name] * 300)
    monitor.flush()
    for value in (reference, monitor, monitor.status()["c"], monitor.outcome_counts()):
        html = value._repr_html_()
        assert "b" not in {tag for tag, _ in page(html).tags if tag == "b" and "<b>x" in html}
        assert "<b>x" not in html
        assert "\u202e" not in html
        assert "\x00" not in html
        assert "y" * 600 not in html


def test_a_monitor_that_learns_or_is_switched_off_has_a_card():
    """Nothing is claimed."""
    learning = dl.Monitor("m", reference=dl.Reference.learn(rows=100), synchronous=True)
    assert "driftline card" in learning._repr_html_()
    disabled = dl.Monitor("m", reference=dl.Reference.fit({"x": [1.0, 2.0]}), enabled=False)
    assert "driftline card" in disabled._repr_html_()
