"""E-values for rates of trials that depend on each other within keys and within moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftline.canary._evalues.design_effect import (
    MIN_KEYS,
    KeyedCounts,
    fold_blocks,
    key_design_effect,
    keys_in_effect,
    lasting_design_effect,
)
from driftline.canary._evalues.rates import log_e_two_rates
from driftline.typing import Floats

__all__ = ["log_e_two_clustered_rates", "rate_design_effect"]


def rate_design_effect(
    bad: Floats, trials: Floats, keys: KeyedCounts | None = None, *, grows: bool = False
) -> tuple[Floats, Any]:
    """
    Return the design effect of keys and time on a difference of rates, and whether it is known well enough.

    It is the larger of both. Their sum less 1 would be right if they had different causes (`combine_design_effects`).
    But the calls of a key come close to each other, so each of the two contains much of the other. In simulations of
    sticky users with outages, the larger keeps wrong rollbacks at 1.5 % or less; the sum needs up to 1.5 times the
    rows.

    Args:
        bad: bad events by block of time, shape (..., 2, blocks); the axis before the last has baseline and candidate.
        trials: trials, same shape.
        keys: the same trials by bucket of their key; None if no trial has a key.
        grows: see `lasting_design_effect`.

    Returns:
        (design effect, at least 1, shape (...); True where each variant has at least `MIN_KEYS` keys in effect).
    """
    time = lasting_design_effect(bad, trials, grows=grows)
    if keys is None:
        return time, np.ones_like(time, dtype=bool)
    enough = (keys_in_effect(keys) >= MIN_KEYS).all(axis=-1)
    return np.maximum(key_design_effect(keys), time), enough


def log_e_two_clustered_rates(
    bad: Floats,
    trials: Floats,
    keys: KeyedCounts | None = None,
    *,
    slope: float = 1.0,
    offset: float = 0.0,
    side: int = 1,
) -> Any:
    """
    Return the log e-value of `log_e_two_rates` with counts divided by their design effect.

    The strata are blocks of time, at most half as many as those from which the design effect is estimated.

    Args:
        bad: bad events by block of time, shape (..., 2, blocks); the axis before the last has baseline and candidate.
        trials: trials, same shape.
        keys: the same trials by bucket of their key; None if no trial has a key.
        slope: factor on the baseline's rate.
        offset: number that is added to slope · the baseline's rate.
        side: 1 for evidence that the candidate's rate is higher (harm), -1 for lower (safety).

    Returns:
        The natural logarithm, shape (...); -inf where a variant has fewer than `MIN_KEYS` keys in effect. The
        expectation of the e-value is asymptotically at most 1, because the design effect is estimated.
    """
    effect, enough = rate_design_effect(bad, trials, keys)
    strata_bad, strata = (fold_blocks(np.asarray(counts)) / effect[..., None, None] for counts in (bad, trials))
    log_e = log_e_two_rates(
        strata_bad[..., 0, :],
        strata[..., 0, :],
        strata_bad[..., 1, :],
        strata[..., 1, :],
        slope=slope,
        offset=offset,
        side=side,
    )
    return np.where(enough, log_e, -np.inf)
