"""Latency of a verdict, from calls that are counted by block of time: words, warm-up, and when it is decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from driftline import CanaryPolicy
from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._windows.totals import DURATION_EDGES, count_key_seconds
from driftline.canary import BlockCounts, CallTables, CanaryEvidence, VariantEvidence, judge_canary
from driftline.typing import Counts, Floats

START = 1_700_000_000 >> 2
"""Index of the first block of four seconds."""

Variant = Callable[..., VariantEvidence]


def binned(seconds: Floats) -> Counts:
    indices = np.searchsorted(DURATION_EDGES, seconds, side="right")
    return np.bincount(indices, minlength=len(DURATION_EDGES) + 1)


@pytest.fixture(name="timed")
def _timed(variant: Variant) -> Variant:
    """Return the counts of a variant whose calls are spread evenly over blocks of four seconds, in their order."""

    def make(seconds: Floats, blocks: int = 64, warm_up: Floats | None = None) -> VariantEvidence:
        first = np.zeros(0) if warm_up is None else warm_up
        table = np.array([binned(part) for part in np.array_split(seconds, blocks)])
        tables = replace(CallTables.none(), durations=BlockCounts(2, START, table), warm_up=binned(first))
        return replace(variant(len(seconds) + len(first), seconds=[*first, *seconds]), call_tables=tables)

    return make


@pytest.fixture(name="decide")
def _decide(evidence_of: Callable[..., CanaryEvidence]) -> Callable[..., Any]:
    """Return the criterion of the 95th percentile."""

    def decide(baseline: VariantEvidence, candidate: VariantEvidence, **policy: Any) -> Any:
        nothing = dict.fromkeys(("allowed_error_increase", "allowed_accuracy_drop", "allowed_prediction_drift"))
        arguments: dict[str, Any] = {**nothing, "latency_quantile": 0.95, **policy}
        return judge_canary(evidence_of(baseline, candidate), CanaryPolicy(**arguments)).criteria[0]

    return decide


def lognormal(seed: int, calls: int = 20_000, factor: float = 1.0) -> Floats:
    return factor * np.random.default_rng(seed).lognormal(-4, 0.5, calls)


def test_a_slower_candidate_is_rolled_back_and_an_equal_one_promoted(timed: Variant, decide: Any) -> None:
    """Half as slow again is beyond a tenth."""
    assert decide(timed(lognormal(1)), timed(lognormal(2, factor=1.5))).state == "rollback"
    assert decide(timed(lognormal(1)), timed(lognormal(2))).state == "promote"


def test_a_slow_warm_up_is_a_note(timed: Variant, decide: Any) -> None:
    """Thirty calls of 1.5 s: the values of the verdict do not contain them."""
    criterion = decide(timed(lognormal(1)), timed(lognormal(2), warm_up=np.full(30, 1.5)))
    assert criterion.state == "promote"
    assert criterion.rows == 20_000
    assert criterion.reason.startswith("p95 latency 41")
    assert " ms (warm-up of 30 calls not counted, p95 1,496 ms): worse by at most" in criterion.reason


def test_calls_of_the_warm_up_alone_are_no_comparison(timed: Variant, decide: Any) -> None:
    criterion = decide(timed(lognormal(1)), timed(np.zeros(0), warm_up=np.full(12, 1.5)))
    assert (criterion.state, criterion.value) == ("inconclusive", None)
    assert criterion.reason == "latency_p95: no calls of both variants after the warm-up yet"


@pytest.mark.parametrize(
    ("calls", "blocks", "words"),
    [
        (150, 64, "needs 200 calls of both variants, has 150"),
        (1_000, 9, "needs calls of both variants in 16 blocks of 4 s, has about 9"),
    ],
)
def test_a_reason_names_what_a_comparison_still_needs(
    timed: Variant, decide: Any, calls: int, blocks: int, words: str
) -> None:
    """However slow the candidate is, until then it may be a slow start."""
    criterion = decide(timed(lognormal(1, calls), blocks), timed(lognormal(2, calls, 20.0), blocks))
    assert criterion.state == "inconclusive"
    assert criterion.reason.endswith(words)
    assert criterion.value > 0.3


def test_evidence_without_tables_compares_all_calls(timed: Variant, variant: Variant, decide: Any) -> None:
    """A file of an older version has no tables."""
    old = variant(20_000, seconds=lognormal(1))
    assert decide(old, timed(lognormal(2, factor=1.5))).state == "rollback"
    assert decide(old, variant(20_000, seconds=lognormal(2))).state == "promote"


# --- calls with keys -------------------------------------------------------------------------------------------------


@pytest.fixture(name="sticky")
def _sticky(timed: Variant) -> Callable[..., VariantEvidence]:
    """Return the counts of a variant that serves customers of equally many calls, which take differently long."""

    def make(
        seed: int, customers: int = 100, factor: float = 1.0, spread: float = 0.7, calls: int = 50
    ) -> VariantEvidence:
        random = np.random.default_rng(seed)
        customer = random.permutation(np.repeat(np.arange(customers), calls))
        each = factor * random.lognormal(-4.0, spread, customers)
        seconds = each[customer] * random.lognormal(0.0, 0.5, len(customer))
        keys = count_key_seconds(random.integers(0, KEY_BUCKETS, customers)[customer], seconds)
        evidence = timed(seconds)
        tables = replace(evidence.call_tables or CallTables.none(), keys=keys[:, :2], key_durations=keys[:, 2:])
        return replace(evidence, call_tables=tables)

    return make


def test_customers_with_slow_calls_do_not_roll_an_equal_candidate_back(
    sticky: Callable[..., VariantEvidence], decide: Any
) -> None:
    """Without a design effect of keys, 8 of these 40 canaries are rolled back."""

    def make(seed: int) -> VariantEvidence:
        return sticky(seed, customers=60, spread=1.0, calls=200)

    states = [decide(make(seed), make(1_000 + seed)).state for seed in range(40)]
    assert states.count("rollback") == 0


def test_a_candidate_that_is_slow_for_all_customers_is_rolled_back(
    sticky: Callable[..., VariantEvidence], decide: Any
) -> None:
    assert decide(sticky(1, spread=0.0), sticky(2, factor=1.5, spread=0.0)).state == "rollback"
    assert decide(sticky(1, customers=400), sticky(2, customers=400, factor=3.0)).state == "rollback"


def test_few_customers_are_too_few_for_a_verdict(sticky: Callable[..., VariantEvidence], decide: Any) -> None:
    criterion = decide(sticky(1, customers=12), sticky(2, customers=12, factor=3.0))
    assert criterion.state == "inconclusive"
    assert criterion.reason.endswith(" keys in effect, a variant needs 20")


def test_calls_of_a_key_are_one_where_durations_are_not_counted_by_key(
    sticky: Callable[..., VariantEvidence], decide: Any
) -> None:
    """So it is with exported evidence, and with files that were written before."""

    def without(evidence: VariantEvidence) -> VariantEvidence:
        tables = evidence.call_tables or CallTables.none()
        return replace(evidence, call_tables=replace(tables, key_durations=CallTables.none().key_durations))

    def make(seed: int) -> VariantEvidence:
        return without(sticky(seed, customers=60, spread=1.0, calls=200))

    states = [decide(make(seed), make(1_000 + seed)).state for seed in range(40)]
    assert states.count("rollback") == 0
    slow = without(sticky(2, customers=400, factor=4.0))
    assert decide(without(sticky(1, customers=400)), slow).state == "rollback"
