"""Text that is safe to show: names of any origin, and numbers with as many digits as a reader needs."""

from __future__ import annotations

import html
import math
import unicodedata

__all__ = [
    "DASH",
    "MINUS",
    "attribute",
    "clean",
    "count",
    "escape",
    "escape_sentence",
    "figure",
    "isolated",
    "number",
    "percent",
    "plural",
    "probability",
    "sentence",
    "tick",
]

MOST = 60
"""Characters of a name that are shown, unless the caller states another number."""

DASH = "–"
"""Stands for a number that is not known."""

MINUS = "−"
"""The minus sign, which is as wide as the plus sign."""

REPLACEMENT = "\ufffd"
"""Stands for a character that has no glyph, or that would reorder or hide the text around it."""

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of such characters: controls, formats (right-to-left overrides), surrogates, unassigned."""

JOINERS = frozenset("\u200c\u200d")
"""Format characters that words of some languages need."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def clean(value: object, most: int = MOST) -> str:
    r"""
    Return a name as a string that can be shown and encoded, in at most *most* characters.

    A longer name keeps its start and its end, because names of columns often differ there.

    >>> clean("a" * 30 + "b", 11), clean("nul\x00"), clean("")
    ('aaaaaaa…aab', 'nul�', '(empty)')
    """
    text = str(value)
    if len(text) > most:
        tail = (most - 1) // 3
        text = f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"
    shown = "".join(
        REPLACEMENT if unicodedata.category(each) in HIDDEN and each not in JOINERS else each for each in text
    )
    return shown if shown.strip() else "(empty)"


def sentence(value: object, most: int) -> str:
    """Return a sentence that can be shown. A longer one keeps its start."""
    text = str(value)
    return clean(text if len(text) <= most else f"{text[: most - 1].rstrip()}…", most)


def escape_sentence(value: object, most: int) -> str:
    """Return a sentence with the characters escaped that HTML reads."""
    return html.escape(sentence(value, most))


def escape(value: object, most: int = MOST) -> str:
    """Return a cleaned name with the characters escaped that HTML reads."""
    return html.escape(clean(value, most))


def isolated(value: object, most: int = MOST) -> str:
    """Return a name as HTML that cannot reorder the text around it, whatever the direction of its script."""
    return f"<bdi>{escape(value, most)}</bdi>"


def attribute(name: str, value: object, most: int = 300) -> str:
    """Return an attribute of HTML with a space before it."""
    return f' {name}="{html.escape(clean(value, most))}"'


def number(value: float | None, digits: int = 3) -> str:
    """
    Write a number with a number of significant digits.

    >>> number(0.012345), number(-12345.6), number(None), number(1.0)
    ('0.0123', '−12,346', '–', '1')
    """
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    size = abs(value)
    if size and (size >= 1e9 or size < 1e-4):  # noqa: PLR2004 - longer than the power of ten
        return _power(value, digits)
    if size >= 10.0**digits:
        return f"{value:,.0f}".replace("-", MINUS)
    return f"{value:.{digits}g}".replace("-", MINUS)


def _power(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}×10{str(int(exponent)).translate(SUPERSCRIPTS)}".replace("-", MINUS)


def probability(value: float | None) -> str:
    """
    Write a p-value.

    >>> probability(0.0432), probability(1.2e-9), probability(0.0), probability(0.97)
    ('0.043', '1.2×10⁻⁹', '< 10⁻³⁰⁰', '0.97')
    """
    if value is None or math.isnan(value):
        return DASH
    if value < 1e-300:  # noqa: PLR2004 - nearly the smallest float
        return "< 10⁻³⁰⁰"
    return _power(value, 2) if value < 0.001 else f"{value:.2g}"  # noqa: PLR2004 - three zeros are easy to read


def percent(share: float | None) -> str:
    """
    Write a share as a percentage.

    >>> percent(0.0424), percent(0.00031), percent(0.0), percent(0.99996), percent(1.0)
    ('4.2%', '0.031%', '0%', '99.9960%', '100%')
    """
    if share is None or math.isnan(share):
        return DASH
    rest = min(share, 1.0 - share)
    if abs(rest) < 1e-12:  # noqa: PLR2004 - the rounding of a sum of shares
        return f"{share:.0%}"
    if 0.0 < rest < 0.001:  # noqa: PLR2004 - a rare event is not written as 0.0%
        return f"{100.0 * share:.{min(9, 1 - math.floor(math.log10(100.0 * rest)))}f}%"
    return f"{share:.1%}".replace("-", MINUS)


def count(value: int) -> str:
    """Write a whole number."""
    return f"{value:,}".replace("-", MINUS)


def plural(value: int, singular: str, more: str = "") -> str:
    """Write a number of things, such as ``"1 feature"`` and ``"3 features"``."""
    return f"{count(value)} {singular if value == 1 else more or singular + 's'}"


def tick(value: float) -> str:
    """Write a number below an axis."""
    if abs(value) >= 1e7 or 0.0 < abs(value) < 1e-4:  # noqa: PLR2004 - longer than the space between two ticks
        return _power(value, 2)
    return f"{value:,.10g}".replace("-", MINUS)


def figure(value: float | None, text: str) -> str:
    """Return a number as HTML that shows *text* and carries its exact value, so that a program can read the page."""
    if value is None or not math.isfinite(value):
        return text
    return f'<data value="{value!r}">{html.escape(text)}</data>'
