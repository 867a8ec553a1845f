"""Draws how good the reference is as a yardstick."""

from __future__ import annotations

from driftline._drawing.text import count, escape, escape_sentence, figure, isolated, number, percent
from driftline._report.values import ReferenceValues

__all__ = ["draw_reference"]


def draw_reference(reference: ReferenceValues) -> str:
    """Return the section about the reference."""
    check = (
        "It has not been checked: it was merged or read from an old file."
        if reference.check is None
        else reference.check
    )
    parts = f"<p>{escape_sentence(check[:1].upper() + check[1:], 900)}.</p>"
    if reference.warning:
        parts = f'<p class="warn">{escape_sentence(reference.warning[:1].upper() + reference.warning[1:], 600)}.</p>'
    rows = [
        ("Rows", count(reference.rows)),
        ("Features", count(reference.features)),
        ("Fingerprint of the bins", f"<code>{escape(reference.fingerprint)}</code>"),
    ]
    if reference.blocks is not None and reference.independent is not None:
        rows += [
            ("Blocks of the self-check", f"{count(reference.blocks)} of {count(reference.block_rows or 0)} rows"),
            ("Alarms if rows were independent", figure(reference.independent, percent(reference.independent))),
            ("Alarms with their dependence", figure(reference.corrected, percent(reference.corrected))),
        ]
    if reference.effective is not None and reference.worst is not None:
        rows.append(
            (
                f"Effective rows in {isolated(reference.worst, 40)}",
                figure(reference.effective, number(reference.effective, 4)),
            )
        )
    if reference.seasons:
        rows.append(("Seasons", escape(", ".join(reference.seasons))))
    rows += [(f"Missing in {isolated(name, 40)}", figure(share, percent(share))) for name, share in reference.missing]
    table = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in rows)
    return (
        '<section aria-labelledby="reference"><h2 id="reference">Reference</h2>'
        '<p class="lead">What the current rows are compared with, and how good it is as a yardstick.</p>'
        f'<div class="columns"><div>{parts}</div><table><tbody>{table}</tbody></table></div></section>'
    )
