"""Simulated outcomes that come late, at speeds of their own, and the looks at which driftline decides about them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from lumpy_rates import ALPHA, Decisions, Z
from numpy.typing import NDArray

from driftline._windows.blocks import MAX_BLOCKS, BlockCounts
from driftline._windows.outcome_tables import AGE_EDGES, OutcomeTables
from driftline._windows.totals import DURATION_EDGES
from driftline.canary._evidence import CanaryEvidence, Stratum, VariantEvidence
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._outcome_tests import OutcomeTests

DAY = 86_400.0
START = 1_700_000_000
"""Unix time at which the canaries begin."""

LOOK_DAYS = (0.5, 1.0, 2.0, 4.0, 7.0, 10.0, 13.0, 16.0, 20.0, 25.0)
HISTORY_DAYS, HISTORY_PER_DAY = 15.0, 400
"""Days that the baseline has served before the canary begins, and its predictions per day then."""

WRONG = 0.33
"""The share of the baseline's predictions that is wrong."""

MARGIN = 0.02
"""The default margin of accuracy."""

Floats = NDArray[np.float64]
Delays = Callable[[np.random.Generator, int], Floats]


def same_day(random: np.random.Generator, number: int) -> Floats:
    """Return delays of up to a day."""
    return random.uniform(0.0, DAY, number)


def ten_days(random: np.random.Generator, number: int) -> Floats:
    """Return delays of 10 days, such as those of silence that counts as right."""
    return np.full(number, 10.0 * DAY) + 0.0 * random.random(number)


def lognormal(random: np.random.Generator, number: int) -> Floats:
    """Return lognormal delays with a median of 3 days."""
    return 3.0 * DAY * np.exp(0.8 * random.standard_normal(number))


def exponential(random: np.random.Generator, number: int) -> Floats:
    """Return exponential delays with a mean of 5 days."""
    return random.exponential(5.0 * DAY, number)


SHAPES: dict[str, tuple[Delays, Delays]] = {
    "wrong same day, right after 10 days": (same_day, ten_days),
    "right same day, wrong after 10 days": (ten_days, same_day),
    "wrong lognormal of 3 days, right exponential of 5 days": (lognormal, exponential),
}
"""Delays of wrong outcomes and of right ones."""


@dataclass(frozen=True)
class OutcomeTraffic:
    """
    Predictions of two variants, of which all get an outcome.

    Attributes:
        shape: key of `SHAPES`.
        share: the candidate's share of the predictions.
        per_day: predictions of both variants per day.
        wrong: share of the candidate's predictions that is wrong.
    """

    shape: str
    share: float
    per_day: int
    wrong: float = WRONG


@dataclass(frozen=True)
class Predictions:
    """Predictions of one variant: seconds since the start, seconds until the outcome, and whether it is wrong."""

    seconds: Floats
    delay: Floats
    is_wrong: NDArray[np.bool_]


FIELDS = tuple(field.name for field in fields(Predictions))


def _predictions(
    shape: str, wrong: float, per_day: float, days: tuple[float, float], random: np.random.Generator
) -> Predictions:
    number = int(random.poisson(per_day * (days[1] - days[0])))
    seconds, is_wrong = np.sort(random.uniform(days[0] * DAY, days[1] * DAY, number)), random.random(number) < wrong
    of_wrong, of_right = SHAPES[shape]
    return Predictions(seconds, np.where(is_wrong, of_wrong(random, number), of_right(random, number)), is_wrong)


def _level(seconds: float) -> int:
    """Return the level of the shortest blocks of which `MAX_BLOCKS` cover the time from the start on."""
    level = 0
    while (int(START + seconds) >> level) - (START >> level) >= MAX_BLOCKS:
        level += 1
    return level


def _tables(drawn: Predictions, at: float) -> OutcomeTables:
    """Return the counts that the canary has some seconds after its start."""
    known_at = drawn.seconds + drawn.delay
    known, since = (known_at <= at) & (known_at >= 0.0), (drawn.seconds >= 0.0) & (drawn.seconds <= at)
    level, delay_level = _level(at), _level(at + HISTORY_DAYS * DAY)
    predictions = _by_block(
        drawn.seconds, level, [since, since & known & drawn.is_wrong, since & known & ~drawn.is_wrong]
    )
    ages = np.searchsorted(AGE_EDGES, drawn.delay, side="right")
    block = (START + drawn.seconds[known]).astype(np.int64) >> delay_level
    first = int(block.min()) if len(block) else 0
    blocks = int(block.max()) - first + 1 if len(block) else 0
    columns = len(AGE_EDGES) + 1
    delays = np.bincount((block - first) * columns + ages[known], minlength=blocks * columns).reshape(blocks, columns)
    return replace(OutcomeTables.none(), predictions=predictions, delays=BlockCounts(delay_level, first, delays))


def _by_block(seconds: Floats, level: int, flags: list[NDArray[np.bool_]]) -> BlockCounts:
    first = START >> level
    blocks = [(START + seconds[flag]).astype(np.int64) >> level for flag in flags]
    last = int(blocks[0].max()) if len(blocks[0]) else first
    counts = [np.bincount(block - first, minlength=last - first + 1) for block in blocks]
    return BlockCounts(level, first, np.stack(counts, axis=1))


def _variant(tables: OutcomeTables) -> VariantEvidence:
    predicted, wrong, right = tables.predictions.total().tolist()
    none = np.zeros(len(DURATION_EDGES) + 1, dtype=np.int64)
    edges = tuple(DURATION_EDGES.tolist())
    return VariantEvidence(predicted, 0, none, edges, wrong + right, right, None, outcome_tables=tables)


def decisions(traffic: OutcomeTraffic, margin: float, side: int, runs: range, seed: int) -> Decisions:
    """
    Simulate runs, and return what was decided at each look.

    Args:
        traffic: the predictions.
        margin: the allowed loss of accuracy, a share.
        side: 1 for a rollback, -1 for a promotion.
        runs: numbers of the runs.
        seed: seed of all runs.
    """
    shape = len(runs), len(LOOK_DAYS)
    decided, fixed, calls = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.int64)
    guardrail = Guardrail(Margin(margin), "higher", "rate")
    for run, number in enumerate(runs):
        random = np.random.default_rng([seed, number])
        days, shape_of = (0.0, LOOK_DAYS[-1]), traffic.shape
        of_candidate = traffic.per_day * traffic.share
        old = _predictions(shape_of, WRONG, HISTORY_PER_DAY, (-HISTORY_DAYS, 0.0), random)
        new = _predictions(shape_of, WRONG, traffic.per_day - of_candidate, days, random)
        baseline = Predictions(*(np.concatenate([getattr(old, name), getattr(new, name)]) for name in FIELDS))
        candidate = _predictions(shape_of, traffic.wrong, of_candidate, days, random)
        for look, day in enumerate(LOOK_DAYS):
            tables = _tables(baseline, day * DAY), _tables(candidate, day * DAY)
            calls[run, look] = tables[1].predictions.total()[0]
            if not decided[run, look]:
                stratum = Stratum(None, False, *(_variant(table) for table in tables))  # noqa: FBT003 - not sticky
                evidence = CanaryEvidence((stratum,), seconds=day * DAY, at=START + day * DAY)
                tests = OutcomeTests.of(evidence, None, 1.0)
                if tests is not None:
                    test = tests.accuracy(guardrail)
                    log_e = test.log_e_harm(1.0, ALPHA) if side > 0 else test.log_e_safe(1.0, ALPHA)
                    decided[run, look:] |= log_e >= -math.log(ALPHA)
            totals = np.array([table.predictions.total() for table in tables], dtype=np.float64)
            n, wrong = np.maximum(totals[:, 0], 1.0), totals[:, 1]
            rates = wrong / n
            error = math.sqrt(float((rates * (1.0 - rates) / n).sum()))
            fixed[run, look] = rates[1] - rates[0] - margin > Z * error
    return Decisions(decided, fixed, calls)
