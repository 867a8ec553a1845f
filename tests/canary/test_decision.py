"""Evidence to verdicts: each criterion, how they come together, how a canary ends."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import CanaryPolicy, Guardrail, Margin, ThresholdPolicy
from driftline.canary import CanaryEvidence, Moments, judge_canary


def found(verdict, name):
    return next(one for one in verdict.criteria if one.name == name)


def lognormal(seed, n, factor=1.0):
    return factor * np.random.default_rng(seed).lognormal(-4, 0.5, n)


@pytest.fixture
def healthy(made):
    """A variant as good as the other: 20,000 calls, 2 % errors, 90 % accuracy."""

    def make(seed, calls=20_000, failed=400, correct=0.9, factor=1.0, predictions=(5_000, 5_000, 0)):
        return made(
            calls,
            failed,
            calls,
            round(correct * calls),
            lognormal(seed, calls - failed, factor),
            predictions=predictions,
        )

    return make


def test_a_healthy_candidate_is_promoted(healthy, evidence_of):
    """Every criterion excludes harm, and the reason says within what."""
    verdict = judge_canary(evidence_of(healthy(1), healthy(2)), CanaryPolicy())
    assert verdict.state == "promote"
    assert [one.name for one in verdict.criteria] == ["error_rate", "accuracy", "latency_p95", "prediction_drift"]
    assert verdict.reason.startswith(
        "canary healthy on 20000 predictions: error rate 2.00% against 2.00%: worse by at most"
    )
    for one in verdict.criteria:
        assert one.state == "promote"
        assert one.e_safe >= one.e_safe_needed == 20.0
        assert one.lower <= one.value <= one.upper <= one.limit


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"failed": 800}, "error_rate", "error rate 4.00% against 2.00%: worse by at least"),
        ({"correct": 0.8}, "accuracy", "accuracy 80.00% against 90.00%: worse by at least"),
        ({"factor": 4.0}, "latency_p95", "p95 latency .* ms against .* ms: worse by at least .* ms, allowed 50 ms"),
        (
            {"predictions": (9_000, 1_000, 0)},
            "prediction_drift",
            "shares of the predictions differ by up to 40 points: a difference of at least",
        ),
    ],
)
def test_one_certain_harm_rolls_back(healthy, evidence_of, change, name, words):
    """Whatever the others say, and the reason is that one."""
    verdict = judge_canary(evidence_of(healthy(1), healthy(2, **change)), CanaryPolicy())
    assert verdict.state == "rollback"
    one = found(verdict, name)
    assert one.state == "rollback"
    assert one.e_harm >= one.e_harm_needed
    assert np.array([word in verdict.reason for word in words.split(" .* ")]).all()


def test_alpha_is_shared_by_weight():
    """What a criterion must reach is the inverse of its part; to promote it is alpha undivided."""
    policy = CanaryPolicy(alpha=0.01)
    verdict = judge_canary(CanaryEvidence(), policy)
    assert (verdict.state, verdict.criteria) == ("inconclusive", ())


def test_parts_of_alpha_add_up_to_it(healthy, evidence_of):
    """Errors have four sevenths of it by default."""
    verdict = judge_canary(evidence_of(healthy(1), healthy(2)), CanaryPolicy(alpha=0.01))
    parts = [1.0 / one.e_harm_needed for one in verdict.criteria]
    assert sum(parts) == pytest.approx(0.01)
    assert parts[0] == pytest.approx(0.01 * 4 / 7)


def test_too_early_says_how_many_more(made, evidence_of, quick):
    """About as many as it takes: with so many at the same rates there is a verdict."""
    policy = quick(allowed_error_increase=0.02)
    early = judge_canary(evidence_of(made(300, 6), made(300, 6)), policy)
    (one,) = early.criteria
    assert early.state == one.state == "inconclusive"
    assert early.reason.startswith("too early to say: error rate 2.00% against 2.00%, worse by -")
    assert f"about {one.more_rows:,} more calls of the smaller variant needed" in early.reason
    enough = 300 + one.more_rows
    later = judge_canary(evidence_of(made(enough, enough // 50), made(enough, enough // 50)), policy)
    assert later.state == "promote"
    half = 300 + one.more_rows // 3
    assert judge_canary(evidence_of(made(half, half // 50), made(half, half // 50)), policy).state == "inconclusive"


def test_at_the_margin_there_is_no_end_in_sight(made, evidence_of, quick):
    """A candidate exactly as bad as is allowed is decided by chance alone."""
    verdict = judge_canary(evidence_of(made(1_000, 20), made(1_000, 40)), quick(allowed_error_increase=Margin(0.02)))
    assert verdict.criteria[0].more_rows is None
    assert "no end in sight" in verdict.reason


def test_nothing_seen_says_so(made, evidence_of):
    """No calls of one variant."""
    verdict = judge_canary(evidence_of(made(100), made(0)), CanaryPolicy())
    assert "error_rate: no calls of both variants yet" in verdict.reason
    assert found(verdict, "accuracy").reason == "accuracy: no outcomes of both variants yet"
    assert found(verdict, "latency_p95").value is None


def test_harm_within_the_margin_rolls_back_only_when_any_is_too_much(made, evidence_of, quick):
    """One point more errors where two are allowed: safe, or with any_harm certain harm."""
    seen = evidence_of(made(20_000, 400), made(20_000, 600))
    assert judge_canary(seen, quick(allowed_error_increase=Margin(0.02))).state == "promote"
    strict = judge_canary(seen, quick(allowed_error_increase=Margin(0.02, any_harm=True)))
    assert strict.state == "rollback"
    assert strict.reason.endswith("none allowed, on 20,000 calls")


def test_relative_margins(made, evidence_of, quick):
    """A tenth of the baseline's errors, and of its accuracy."""
    seen = evidence_of(made(50_000, 10_000), made(50_000, 10_500))
    assert judge_canary(seen, quick(allowed_error_increase=Margin(relative=0.1))).state == "promote"
    assert judge_canary(seen, quick(allowed_error_increase=Margin(relative=0.001))).state == "rollback"
    outcomes = evidence_of(made(10, 0, 50_000, 40_000), made(10, 0, 50_000, 38_000))
    for relative, state in ((0.1, "promote"), (0.01, "rollback")):
        policy = quick(allowed_error_increase=None, allowed_accuracy_drop=Margin(relative=relative))
        assert judge_canary(outcomes, policy).state == state


def test_several_quantiles_are_criteria_that_share_one_part(healthy, evidence_of):
    """Each with half of it."""
    policy = CanaryPolicy(latency_quantile=(0.5, 0.99))
    verdict = judge_canary(evidence_of(healthy(1), healthy(2)), policy)
    both = [found(verdict, name) for name in ("latency_p50", "latency_p99")]
    assert [1 / one.e_harm_needed for one in both] == pytest.approx([0.05 / 14] * 2)


def test_rates_of_outcomes(made, evidence_of, quick):
    """Any rate that the evidence has, better high or low; one that it has not is waited for."""
    seen = evidence_of(made(10, rates={"recall": (9_000, 10_000)}), made(10, rates={"recall": (8_000, 10_000)}))
    policy = quick(allowed_error_increase=None, rates={"recall": 0.02})
    assert judge_canary(seen, policy).state == "rollback"
    policy = quick(allowed_error_increase=None, rates={"recall": Guardrail(0.02, "lower", "rate")})
    assert judge_canary(seen, policy).state == "promote"
    policy = quick(allowed_error_increase=None, rates={"f1": 0.02})
    assert judge_canary(seen, policy).reason == "too early to say: f1: no trials of both variants yet"


@pytest.mark.parametrize(("better", "state"), [("higher", "rollback"), ("lower", "promote")])
def test_guardrails_of_means(made, evidence_of, quick, better, state):
    """Revenue, better high or low."""
    random = np.random.default_rng(9)
    pair = Moments.of(random.normal(10, 2, 4_000)), Moments.of(random.normal(9, 2, 4_000))
    seen = evidence_of(made(10), made(10), guardrails={"revenue": pair})
    policy = quick(allowed_error_increase=None, guardrails={"revenue": Guardrail(Margin(relative=0.02), better)})
    verdict = judge_canary(seen, policy)
    assert verdict.state == state
    assert verdict.criteria[0].limit == pytest.approx(0.2, rel=0.01)
    assert "revenue 9" in verdict.reason


def test_a_relative_margin_of_a_negative_mean_is_a_margin(made, evidence_of, quick):
    """A loss of ten may become one of ten and a half, at five per cent."""
    random = np.random.default_rng(10)
    for level, state in ((-10.1, "promote"), (-12.0, "rollback")):
        pair = Moments.of(random.normal(-10, 1, 5_000)), Moments.of(random.normal(level, 1, 5_000))
        seen = evidence_of(made(10), made(10), guardrails={"profit": pair})
        policy = quick(allowed_error_increase=None, guardrails={"profit": Guardrail(Margin(relative=0.05))})
        assert judge_canary(seen, policy).state == state


def test_guardrails_of_rates(made, evidence_of, quick):
    """True and false are judged as rates, exactly."""
    pair = Moments.of([1.0] * 900 + [0.0] * 100), Moments.of([1.0] * 700 + [0.0] * 300)
    seen = evidence_of(made(10), made(10), guardrails={"converted": pair})
    policy = quick(allowed_error_increase=None, guardrails={"converted": Guardrail(0.02, kind="rate")})
    verdict = judge_canary(seen, policy)
    assert verdict.state == "rollback"
    assert "converted 70.00% against 90.00%" in verdict.reason


@pytest.mark.parametrize(("agreed", "state"), [(9_950, "promote"), (9_000, "rollback"), (9_800, "inconclusive")])
def test_shadows_must_agree(made, evidence_of, quick, agreed, state):
    """At most two per cent of the rows may differ."""
    policy = quick(allowed_error_increase=None, allowed_disagreement=0.02)
    verdict = judge_canary(evidence_of(made(10), made(10), compared=10_000, agreed=agreed), policy)
    assert verdict.state == state
    assert f"the shadow disagrees on {1 - agreed / 10_000:.2%}" in verdict.reason


def test_dependent_calls_count_for_less(made, evidence_of, quick):
    """With a design effect of four, what was certain is not."""
    seen = evidence_of(made(2_000, 40), made(2_000, 80))
    assert judge_canary(seen, quick()).state == "rollback"
    assert judge_canary(seen, quick(design_effect=4.0)).state == "inconclusive"


# --- the split -------------------------------------------------------------------------------------------------------


def test_too_few_calls_of_the_candidate_break_the_split(healthy, evidence_of):
    """Half were to go there, a tenth less have: nothing is promoted, and the reason says why."""
    verdict = judge_canary(evidence_of(healthy(1), healthy(2, calls=18_000, failed=360), 0.5), CanaryPolicy())
    assert verdict.state == "inconclusive"
    assert "the split is broken: 47.37% of 38,000 calls went to the candidate, 50.00% expected" in verdict.reason
    assert found(verdict, "error_rate").state == "promote"


def test_a_split_that_somebody_else_makes_is_checked_against_the_policy(healthy, evidence_of):
    """And not at all when its share is not known, or keys decide."""
    seen = (healthy(1), healthy(2, calls=18_000, failed=360))
    assert judge_canary(evidence_of(*seen), CanaryPolicy(share=0.5)).state == "inconclusive"
    assert judge_canary(evidence_of(*seen), CanaryPolicy()).state == "promote"
    assert judge_canary(evidence_of(*seen, 0.5, sticky=True), CanaryPolicy()).state == "promote"


def test_harm_rolls_back_through_a_broken_split(healthy, evidence_of):
    """What is certainly worse must go, whoever sent it the calls."""
    verdict = judge_canary(evidence_of(healthy(1), healthy(2, calls=18_000, failed=2_000), 0.5), CanaryPolicy())
    assert verdict.state == "rollback"


@pytest.mark.parametrize("unordered", [frozenset(), frozenset({"age"})])
def test_different_traffic_breaks_the_split(made, evidence_of, quick, unordered):
    """Features of the two variants must be alike."""
    features = [{"age": np.array(counts), "x": np.array([500, 500])} for counts in ([700, 300, 0], [300, 700, 0])]
    seen = evidence_of(*(made(5_000, 0, features=one, unordered=unordered) for one in features))
    verdict = judge_canary(seen, quick(allowed_feature_drift=0.1))
    assert verdict.state == "inconclusive"
    assert "the split is broken: features of the two variants differ most in age, by 40 points" in verdict.reason
    assert judge_canary(seen, quick()).state == "promote"


def test_equal_traffic_does_not(made, evidence_of, quick):
    """And features that only one of them has are left out."""
    a, b = (
        made(5_000, features={"age": np.array([9, 9])}),
        made(5_000, features={"age": np.array([8, 8]), "y": np.array([1])}),
    )
    assert judge_canary(evidence_of(a, b), quick(allowed_feature_drift=0.1)).state == "promote"


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("otherwise", ["rollback", "promote", "inconclusive"])
@pytest.mark.parametrize(
    ("end", "words"), [({"max_rows": 300}, "300 rows of the candidate"), ({"max_time": "1min"}, "61 s")]
)
def test_an_undecided_canary_ends_as_was_agreed(made, evidence_of, quick, otherwise, end, words):
    """After so many rows, or so long; before that it goes on."""
    seen = evidence_of(made(300, 6), made(300, 6), seconds=61.0)
    verdict = judge_canary(seen, quick(allowed_error_increase=0.02, otherwise=otherwise, **end))
    assert verdict.state == otherwise
    assert verdict.reason.startswith(f"undecided after {words}, so {otherwise}: too early to say")
    before = evidence_of(made(299, 6), made(299, 6), seconds=59.0)
    assert judge_canary(before, quick(allowed_error_increase=0.02, otherwise=otherwise, **end)).state == "inconclusive"


def test_a_broken_split_is_not_promoted_by_its_end(healthy, evidence_of):
    """Even where promotion was agreed on."""
    seen = evidence_of(healthy(1), healthy(2, calls=18_000, failed=360), 0.5)
    assert judge_canary(seen, CanaryPolicy(max_rows=100, otherwise="promote")).state == "inconclusive"
    assert judge_canary(seen, CanaryPolicy(max_rows=100)).state == "rollback"


def test_a_threshold_policy_judges_the_pooled_counts(made, evidence_of):
    """The same evidence, the rules of the lesson."""
    policy = ThresholdPolicy(min_accuracy=None)
    total = evidence_of(made(600), made(300), 0.1) + evidence_of(made(600), made(300), 0.2)
    assert judge_canary(total, policy).state == "promote"
    assert judge_canary(evidence_of(made(600), made(300), 0.1), policy).state == "inconclusive"


def test_merged_evidence_is_judged_like_the_whole(made, evidence_of):
    """Ten processes of a tenth each say what one would."""
    part = evidence_of(made(400, 8, 300, 270), made(400, 12, 300, 265))
    whole = evidence_of(made(4_000, 80, 3_000, 2_700), made(4_000, 120, 3_000, 2_650))
    merged = judge_canary(sum([part] * 10, start=CanaryEvidence()), CanaryPolicy())
    assert merged == judge_canary(whole, CanaryPolicy())
