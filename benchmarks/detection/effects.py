"""What a least effect means: the corrected PSI of known changes, in windows so large that chance is no part of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rules_ours import DEFAULT_EFFECT, Watch, fit
from streams import generator

__all__ = ["effects"]

ROWS = 1_000_000
MEANS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0)
"""Shifts of the mean, in standard deviations."""

SPREADS = (1.1, 1.2, 1.5, 2.0)
"""Factors of the variance."""

MOVES = (0.01, 0.02, 0.05, 0.1, 0.15)
"""Shares of all rows that leave the most frequent of five categories for the third."""

GONE = (0.005, 0.01, 0.02, 0.05)
"""Shares of rows whose value is missing, with none in the reference."""

SHARES = np.array([60, 30, 20, 15, 12]) / 137
"""Of five categories, as 1, 1/2, ... 1/5."""


def effects(rows: int = ROWS) -> list[dict[str, Any]]:
    """The corrected PSI of each change, largest reference first that a user would fit: 100,000 rows."""
    random = generator("effects")
    normal, skewed = random.normal(size=rows // 10), random.lognormal(size=rows // 10)
    codes = random.choice(5, size=rows // 10, p=SHARES)
    reference = fit({"normal": normal, "lognormal": skewed, "five categories": codes}, ("five categories",))
    found = []
    latent = random.normal(size=rows)
    for by in MEANS:
        found.append(_row(reference, f"mean +{by:g} σ", "normal", latent + by))
        # A shift of a lognormal value by so many of its own standard deviations.
        moved = np.exp(latent) + by * float(np.sqrt((np.e - 1.0) * np.e))
        found.append(_row(reference, f"mean +{by:g} σ", "lognormal", moved))
    found += [_row(reference, f"variance ×{by:g}", "normal", latent * np.sqrt(by)) for by in SPREADS]
    drawn, chance = random.choice(5, size=rows, p=SHARES), random.random(rows)
    found += [
        _row(
            reference,
            f"{100 * by:g} points from the 1st category to the 3rd",
            "five categories",
            np.where((drawn == 0) & (chance < by / SHARES[0]), 2, drawn),
        )
        for by in MOVES
    ]
    found += [
        _row(reference, f"missing 0 to {100 * by:g} %", "normal", np.where(chance < by, np.nan, latent)) for by in GONE
    ]
    return found


def _row(reference: Any, change: str, feature: str, values: NDArray[Any]) -> dict[str, Any]:
    watch = Watch(reference, len(values), 0.0)
    watch.feed({feature: values})
    effect = watch.effect(feature)
    watch.close()
    return {
        "change": change,
        "feature": feature,
        "corrected PSI": round(effect, 4),
        "at least the default": effect >= DEFAULT_EFFECT,
    }
