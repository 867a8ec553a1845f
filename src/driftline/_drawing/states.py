"""Draws states: a word, a sign for those who see no colours, and bars of how many there are."""

from __future__ import annotations

from collections.abc import Mapping

from driftline._drawing.text import count

__all__ = ["WORDS", "draw_state", "draw_states"]

SIGNS = {
    "drifting": "▲",
    "stable": "●",
    "insufficient_data": "◌",
    "promote": "●",
    "rollback": "▲",
    "inconclusive": "◌",
}

WORDS = {
    "drifting": "drifting",
    "stable": "stable",
    "insufficient_data": "too little data",
    "promote": "promote",
    "rollback": "roll back",
    "inconclusive": "inconclusive",
}
"""The words for each state of a feature and of a canary."""


def draw_state(state: str) -> str:
    """Return a state as HTML."""
    return f'<span class="state {state}"><span aria-hidden="true">{SIGNS[state]}</span> {WORDS[state]}</span>'


def draw_states(numbers: Mapping[str, int]) -> str:
    """Return how many things are in each state, as a bar and a legend."""
    total, x = sum(numbers.values()) or 1, 0.0
    bars, legend = "", ""
    for state, number in numbers.items():
        if number:
            width = 100.0 * number / total
            bars += f'<rect class="{state}" x="{x:.3g}%" width="{width:.3g}%" height="10"/>'
            legend += (
                f'<li class="{state}"><span aria-hidden="true">{SIGNS[state]}</span> <b>{count(number)}</b> '
                f"{WORDS[state]}</li>"
            )
            x += width
    return (
        f'<svg class="shares" aria-hidden="true" width="100%" height="10">{bars}</svg><ul class="legend">{legend}</ul>'
    )
