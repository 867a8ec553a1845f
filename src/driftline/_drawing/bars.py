"""Draws shares as horizontal bars: those of the reference, and the current ones before them."""

from __future__ import annotations

from driftline._drawing.text import percent

__all__ = ["draw_bars", "share_row"]


def draw_bars(reference: float, current: float, top: float) -> str:
    """Return two bars as SVG. *top* is the share that fills the width."""
    scale = 100.0 / top if top > 0.0 else 0.0
    return (
        '<svg class="bars" aria-hidden="true" width="100%" height="16">'
        f'<rect class="dl-ref" width="{min(scale * reference, 100.0):.4g}%" height="16"/>'
        f'<rect class="dl-cur bar" y="5" width="{min(scale * current, 100.0):.4g}%" height="6"/></svg>'
    )


def share_row(name: str, reference: float, current: float, top: float) -> str:
    """Return a row of a table: a name, which is HTML, the bars, and both shares."""
    return (
        f'<tr><th scope="row">{name}</th><td class="wide">{draw_bars(reference, current, top)}</td>'
        f"<td>{percent(reference)}</td><td>{percent(current)}</td></tr>"
    )
