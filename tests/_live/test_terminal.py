"""The view in a terminal: what it says, what fits, and names that are hostile."""

from __future__ import annotations

import io

import pytest
from views import drifting, hostile_view, view

from driftline._live.values import FeatureView, LiveView

rich_console = pytest.importorskip("rich.console", reason="the extra cli")
terminal = pytest.importorskip("driftline._live.terminal")


def shown(value, width=140, height=50):
    """Return the lines of a drawing."""
    console = rich_console.Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(terminal.draw(value, console))
    return console.file.getvalue().splitlines()


def test_everything_is_said():
    text = "\n".join(shown(view()))
    for part in (
        "12,350 predictions, 1,234/s",
        "flight-delay · version 1 · baseline",
        "1.2 ms / 250 ms",
        "90.3% (89.0% to 91.0%) of the latest outcomes, 90.0%",
        "of all 1,000; 89.6% estimated without them; auc 0.84",
        "canary      promote",
        "wrong so far 9% against 9%",
        "retraining  requested: 1 for drift; in the queue 1 requested",
        "errors      3 at capture: compare the features with the reference",
        "age drifts: location up, median 30 to 40",
    ):
        assert part in text


def test_the_effect_of_the_state_stands_before_the_raw_score():
    """A raw PSI that is larger than that of a drifting feature is not called an effect."""
    lines = shown(view())
    (drift,) = (line for line in lines if "drifting " in line and "age" in line)
    (stable,) = (line for line in lines if "height" in line)
    assert drift.split()[1:6] == ["age", "drifting", "0.29", "1×10⁻⁹", "0.3"]
    assert stable.split()[1:6] == ["height", "stable", "–", "–", "0.4"]
    assert lines.index(drift) < lines.index(stable)


@pytest.mark.parametrize(("width", "height"), [(140, 40), (100, 30), (80, 24), (40, 12), (20, 5)])
def test_it_fits_into_the_terminal(width, height):
    """No line is wider, and what matters most is there with 300 features."""
    features = [drifting(), *(FeatureView(f"f{index}", "stable", {"stable": 1}) for index in range(299))]
    lines = shown(view(*features), width, height)
    assert max(map(len, lines)) <= width
    if width >= 80:
        assert len(lines) <= height
        assert any("drifting" in line for line in lines)
        assert any(" more features: " in line for line in lines)


def test_events_come_in_the_order_of_their_times():
    lines = [line for line in shown(view()) if "canary: " in line or "age drifts: " in line or "because of" in line]
    assert ["canary: inc" in lines[0], "age drifts: loc" in lines[1], "because of drift" in lines[2]] == [True] * 3


@pytest.mark.parametrize("width", [140, 60])
def test_hostile_names_do_no_harm(width):
    text = "\n".join(shown(hostile_view(), width))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x00" not in text
    assert "x" * 200 not in text
    assert "[bold red]" in text  # not read as markup


def test_it_says_what_to_do_before_telemetry_arrives():
    lines = shown(LiveView("driftline live", "OTLP", 0.0, hint="Start the service with X=1", trouble="refused"))
    assert any("Start the service with X=1" in line for line in lines)
    assert any("OTLP cannot be read: refused" in line for line in lines)


def test_blocks_show_every_number_that_is_not_zero():
    assert terminal.blocks([1, 1000, 0]) == "▁█ "
    assert terminal.blocks([0, 0]) == "  "
