"""Features of all kinds in one monitor: independent, slow, rare categories, missing in runs, in lumps by user."""

from __future__ import annotations

from typing import Any

import lumpy_streams as lumpy
import numpy as np
from numpy.typing import NDArray
from streams import Columns

__all__ = [
    "AR95",
    "INDEPENDENT",
    "KINDS",
    "OFTEN",
    "STATES",
    "USERS",
    "YES",
    "categories_of",
    "kinds_from",
    "mixed",
]

INDEPENDENT, AR95, AR99, YES, MANY, OFTEN, SELDOM, USERS, STATES, SKEWED = KINDS = (
    "independent",
    "AR(1) 0.95",
    "AR(1) 0.99",
    "yes in 1.5 %",
    "100 categories",
    "5 % missing",
    "0.5 % missing",
    "users",
    "two states",
    "lognormal",
)
"""
The kinds of features. Independent from row to row are the first, the lognormal one and the two of categories. Values
are missing in runs of 50 and of 500 rows. Users have 1 to 200 rows, states 3,000 on average, and half of the variance
is between them.
"""


def kinds_from(first: str) -> tuple[str, ...]:
    """Return the kinds of the features f0, f1 and so on, *first* before the others."""
    return (first, *(kind for kind in KINDS if kind != first))


def categories_of(first: str) -> tuple[str, ...]:
    """Return the names of the features that are categories."""
    return tuple(f"f{index}" for index, kind in enumerate(kinds_from(first)) if kind in (YES, MANY))


def mixed(first: str = INDEPENDENT) -> lumpy.Draw:
    """Return a feature of each kind, beginning with the kind *first*. Only one depends on the user."""

    def draw(random: np.random.Generator, rows: int) -> Columns:
        by_user = lumpy.users(200)(random, rows)
        values: dict[str, NDArray[Any]] = {
            INDEPENDENT: random.normal(size=rows),
            AR95: lumpy.ar(0.95, 1)(random, rows)["f0"],
            AR99: lumpy.ar(0.99, 1)(random, rows)["f0"],
            YES: (random.random(rows) < 0.015).astype(np.int64),
            MANY: lumpy.categories(100)(random, rows)["f0"],
            OFTEN: lumpy.outages(0.05, 50)(random, rows)["f0"],
            SELDOM: lumpy.outages(0.005, 500)(random, rows)["f0"],
            USERS: by_user["f0"],
            STATES: lumpy.states(3_000, fixed=False)(random, rows)["f0"],
            SKEWED: np.exp(random.normal(size=rows)),
        }
        return {
            **{f"f{index}": values[kind] for index, kind in enumerate(kinds_from(first))},
            lumpy.USER: by_user[lumpy.USER],
        }

    return draw
