"""Effect sizes: the corrected PSI of known changes, in windows so large that chance does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rules_driftline import Watch, fit
from streams import generator

__all__ = ["effects"]

ROWS = 1_000_000
"""Rows of a window. The reference has a tenth of them."""

MEANS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0)
"""Shifts of the mean, in standard deviations."""

SPREADS = (1.1, 1.2, 1.5, 2.0)
"""Factors of the variance."""

MOVES = (0.01, 0.02, 0.05, 0.1, 0.15)
"""Shares of all rows that change from the most frequent of five categories to the third."""

MISSING = (0.005, 0.01, 0.02, 0.05)
"""Shares of missing values. The reference has none."""

SHARES = np.array([60, 30, 20, 15, 12]) / 137
"""Shares of the five categories, as 1, 1/2, ... 1/5."""


def effects(rows: int = ROWS) -> list[dict[str, Any]]:
    """Return the corrected PSI of each change, against a reference of 100,000 rows, a large one for a user."""
    random = generator("effects")
    normal, skewed = random.normal(size=rows // 10), random.lognormal(size=rows // 10)
    codes = random.choice(5, size=rows // 10, p=SHARES)
    reference = fit({"normal": normal, "lognormal": skewed, "five categories": codes}, ("five categories",))
    table = []
    latent = random.normal(size=rows)
    for by in MEANS:
        table.append(_row(reference, f"mean +{by:g} σ", "normal", latent + by))
        # Shift the lognormal values by this number of their standard deviations.
        moved = np.exp(latent) + by * float(np.sqrt((np.e - 1.0) * np.e))
        table.append(_row(reference, f"mean +{by:g} σ", "lognormal", moved))
    table += [_row(reference, f"variance ×{by:g}", "normal", latent * np.sqrt(by)) for by in SPREADS]
    drawn, chance = random.choice(5, size=rows, p=SHARES), random.random(rows)
    table += [
        _row(
            reference,
            f"{100 * by:g} points from the 1st category to the 3rd",
            "five categories",
            np.where((drawn == 0) & (chance < by / SHARES[0]), 2, drawn),
        )
        for by in MOVES
    ]
    table += [
        _row(reference, f"missing 0 to {100 * by:g} %", "normal", np.where(chance < by, np.nan, latent))
        for by in MISSING
    ]
    return table


def _row(reference: Any, change: str, feature: str, values: NDArray[Any]) -> dict[str, Any]:
    watch = Watch(reference, len(values), None)
    drifts = feature in watch.feed({feature: values}).drifting
    effect = watch.effect(feature)
    watch.close()
    return {
        "change": change,
        "feature": feature,
        "corrected PSI": round(effect, 4),
        "at least the default": drifts,
    }
