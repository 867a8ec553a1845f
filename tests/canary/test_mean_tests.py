"""Guardrails with heavy tails in a verdict: states, words, margins, and rates by time and key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from driftline import CanaryPolicy, Guardrail, Margin
from driftline.canary import CanaryEvidence, Moments, VariantEvidence, judge_canary
from driftline.canary._value_tables import ValueRecorder
from driftline.typing import Floats


def revenue(seed: int, visits: int, factor: float = 1.0) -> Floats:
    random = np.random.default_rng(seed)
    values: Floats = factor * random.lognormal(3.0, 1.0, visits) * (random.random(visits) < 0.1)
    return values


@pytest.fixture(name="criterion")
def _criterion(
    variant: Callable[..., VariantEvidence],
    evidence_of: Callable[..., CanaryEvidence],
    quick: Callable[..., CanaryPolicy],
) -> Callable[..., Any]:
    """Return the criterion of a guardrail whose numbers come every second."""

    def make(
        baseline: Floats, candidate: Floats, guardrail: Guardrail, keys: tuple[Any, Any] | None = None, **policy: Any
    ) -> Any:
        recorders = ValueRecorder(), ValueRecorder()
        for side, (recorder, values) in enumerate(zip(recorders, (baseline, candidate), strict=True)):
            for index, value in enumerate(values.tolist()):
                recorder.add(value, 1_700_000_000.0 + index, None if keys is None else int(keys[side][index]))
        evidence = evidence_of(
            variant(10),
            variant(10),
            guardrails={"r": (Moments.of(baseline), Moments.of(candidate))},
            values={"r": (recorders[0].read(), recorders[1].read())},
        )
        return judge_canary(
            evidence, quick(allowed_error_increase=None, guardrails={"r": guardrail}, **policy)
        ).criteria[0]

    return make


@pytest.mark.parametrize(
    ("factor", "better", "state"),
    [(0.7, "higher", "rollback"), (1.0, "higher", "promote"), (1.4, "lower", "rollback"), (0.9, "lower", "promote")],
)
def test_heavy_tails_decide(criterion: Any, factor: float, better: Any, state: str) -> None:
    """Higher or lower numbers may be better; the state agrees with the bounds."""
    result = criterion(revenue(1, 50_000), revenue(2, 50_000, factor), Guardrail(Margin(relative=0.12), better))
    assert result.state == state
    assert result.lower <= result.value <= result.upper
    assert result.lower > result.limit if state == "rollback" else result.upper < result.limit


def test_the_reason_names_the_cap_and_what_is_beyond(criterion: Any) -> None:
    result = criterion(revenue(1, 20_000), revenue(2, 20_000), Guardrail(Margin(relative=0.02)))
    assert result.reason.startswith("r 3.")
    assert " (capped at 181, 2." in result.reason
    assert "% of the baseline's total is beyond), worse by" in result.reason


def test_a_margin_shrinks_by_what_the_caps_hide(criterion: Any) -> None:
    """If all orders are 10 % smaller, the capped mean is less than 10 % smaller."""
    values = revenue(1, 20_000)
    capped = np.minimum(values, 181.02)
    result = criterion(values, revenue(2, 20_000), Guardrail(Margin(relative=0.1)))
    within = values[values < 181.02].sum()
    assert result.limit == pytest.approx(0.1 * within / capped.sum() * capped.mean(), rel=1e-3)
    absolute = criterion(values, revenue(2, 20_000), Guardrail(Margin(0.3)))
    assert absolute.limit == pytest.approx(0.3 * within / values.sum(), rel=1e-3)
    larger = criterion(values, revenue(2, 20_000), Guardrail(Margin(0.3, relative=0.2, combine="larger")))
    assert larger.limit == pytest.approx(2.0 * result.limit)


def test_a_loss_of_the_margin_is_not_promoted(criterion: Any) -> None:
    """Values of exactly the margin less: the caps do not hide it."""
    result = criterion(revenue(1, 50_000), revenue(2, 50_000, 0.88), Guardrail(Margin(relative=0.12)))
    assert result.state == "inconclusive"


@pytest.mark.parametrize(("level", "state"), [(-10.1, "promote"), (-12.0, "rollback")])
def test_a_relative_margin_of_a_negative_mean_is_positive(criterion: Any, level: float, state: str) -> None:
    """At five per cent, a loss of ten may become a loss of ten and a half."""
    random = np.random.default_rng(10)
    result = criterion(random.normal(-10, 1, 5_000), random.normal(level, 1, 5_000), Guardrail(Margin(relative=0.05)))
    assert result.state == state


@pytest.mark.parametrize(
    ("visits", "keys", "words"),
    [
        (50, None, "a variant needs 100 observations of numbers as skewed as these, has 50"),
        (5_000, np.arange(5_000) % 10, "10 keys in effect, a variant needs 20"),
    ],
)
def test_a_reason_names_what_a_mean_still_needs(criterion: Any, visits: int, keys: Any, words: str) -> None:
    values = np.random.default_rng(3).normal(10.0, 1.0, visits)
    result = criterion(values, 0.5 * values, Guardrail(0.1), None if keys is None else (keys, keys))
    assert result.state == "inconclusive"
    assert result.reason.endswith(words)


def test_a_guardrail_without_numbers_is_inconclusive(criterion: Any) -> None:
    result = criterion(np.zeros(0), np.zeros(0), Guardrail(0.1))
    assert result.reason == "r: no observations of both variants yet"


def test_a_rate_knows_its_keys(criterion: Any) -> None:
    """A customer who converts once converts at every visit, so a hundred customers are a hundred trials."""
    random = np.random.default_rng(5)
    guardrail = Guardrail(0.02, kind="rate")
    values = [np.repeat((random.random(100) < rate).astype(float), 50) for rate in (0.5, 0.4)]
    keys = [np.repeat(random.integers(0, 128, 100), 50) for _ in range(2)]
    order = random.permutation(5_000)
    values, keys = [side[order] for side in values], [side[order] for side in keys]
    assert criterion(*values, guardrail).state == "rollback"
    result = criterion(*values, guardrail, tuple(keys))
    assert result.state == "inconclusive"
    assert result.rows == 5_000
