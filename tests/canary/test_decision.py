"""Decisions from evidence: each criterion, how criteria combine, the split, the end of a canary."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import CanaryPolicy, Guardrail, Margin, ThresholdPolicy
from driftline.canary import CanaryEvidence, Moments, judge_canary


def criterion_of(verdict, name):
    """Return a criterion by name."""
    return next(criterion for criterion in verdict.criteria if criterion.name == name)


def lognormal(seed, n, factor=1.0):
    return factor * np.random.default_rng(seed).lognormal(-4, 0.5, n)


@pytest.fixture
def healthy(variant):
    """Make a variant of 40,000 calls, 2 % errors, 90 % accuracy."""

    def make(seed, calls=40_000, failed=800, correct=0.9, factor=1.0, predictions=(5_000, 5_000, 0)):
        return variant(
            calls,
            failed,
            calls,
            round(correct * calls),
            lognormal(seed, calls - failed, factor),
            predictions=predictions,
        )

    return make


def test_a_healthy_candidate_is_promoted(healthy, evidence_of):
    """Every criterion excludes harm, and the reason has the bounds."""
    verdict = judge_canary(evidence_of(healthy(1), healthy(2)), CanaryPolicy())
    assert verdict.state == "promote"
    assert [criterion.name for criterion in verdict.criteria] == [
        "error_rate",
        "accuracy",
        "latency_p95",
        "latency_p99",
        "prediction_drift",
    ]
    assert verdict.reason.startswith(
        "canary healthy on 40,000 predictions: error rate 2.00% against 2.00%: worse by at most"
    )
    for criterion in verdict.criteria:
        assert criterion.state == "promote"
        assert criterion.e_safe >= criterion.e_safe_needed == 20.0
        assert criterion.lower <= criterion.value <= criterion.upper <= criterion.limit


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"failed": 1_600}, "error_rate", "error rate 4.00% against 2.00%: worse by at least"),
        ({"correct": 0.8}, "accuracy", "accuracy 80.00% against 90.00%: worse by at least"),
        ({"factor": 4.0}, "latency_p95", "p95 latency .* ms against .* ms: worse by at least .* ms, allowed .* ms"),
        (
            {"predictions": (9_000, 1_000, 0)},
            "prediction_drift",
            "shares of the predictions differ by up to 40 points: a difference of at least",
        ),
    ],
)
def test_a_single_certain_harm_rolls_back(healthy, evidence_of, change, name, words):
    """The other criteria do not matter, and the reason has only this one."""
    verdict = judge_canary(evidence_of(healthy(1), healthy(2, **change)), CanaryPolicy())
    assert verdict.state == "rollback"
    criterion = criterion_of(verdict, name)
    assert criterion.state == "rollback"
    assert criterion.e_harm >= criterion.e_harm_needed
    assert np.array([word in verdict.reason for word in words.split(" .* ")]).all()


def test_empty_evidence_is_inconclusive():
    verdict = judge_canary(CanaryEvidence(), CanaryPolicy(alpha=0.01))
    assert (verdict.state, verdict.criteria) == ("inconclusive", ())


def test_criteria_share_alpha_by_weight(healthy, evidence_of):
    """The parts add up to alpha; errors have four sevenths by default."""
    verdict = judge_canary(evidence_of(healthy(1), healthy(2)), CanaryPolicy(alpha=0.01))
    parts = [1.0 / criterion.e_harm_needed for criterion in verdict.criteria]
    assert sum(parts) == pytest.approx(0.01)
    assert parts[0] == pytest.approx(0.01 * 4 / 7)


def test_an_early_verdict_estimates_the_calls_still_needed(variant, evidence_of, quick):
    """With the estimated number at the same rates there is a decision, with a third of it there is none."""
    policy = quick(allowed_error_increase=0.02)
    early = judge_canary(evidence_of(variant(300, 6), variant(300, 6)), policy)
    (criterion,) = early.criteria
    assert early.state == criterion.state == "inconclusive"
    assert early.reason.startswith("too early to say: error rate 2.00% against 2.00%, worse by -")
    assert f"about {criterion.more_rows:,} more calls of the smaller variant needed" in early.reason
    enough = 300 + criterion.more_rows
    later = judge_canary(evidence_of(variant(enough, enough // 50), variant(enough, enough // 50)), policy)
    assert later.state == "promote"
    part = 300 + criterion.more_rows // 3
    between = judge_canary(evidence_of(variant(part, part // 50), variant(part, part // 50)), policy)
    assert between.state == "inconclusive"


def test_at_the_margin_there_is_no_end_in_sight(variant, evidence_of, quick):
    """Only chance decides about a candidate exactly at the margin."""
    verdict = judge_canary(
        evidence_of(variant(1_000, 20), variant(1_000, 40)), quick(allowed_error_increase=Margin(0.02))
    )
    assert verdict.criteria[0].more_rows is None
    assert "no end in sight" in verdict.reason


def test_reasons_name_missing_trials(variant, evidence_of):
    verdict = judge_canary(evidence_of(variant(100), variant(0)), CanaryPolicy())
    assert "error_rate: no calls of both variants yet" in verdict.reason
    assert criterion_of(verdict, "accuracy").reason == "accuracy: no outcomes of both variants yet"
    assert criterion_of(verdict, "latency_p95").value is None


def test_harm_within_the_margin_rolls_back_only_with_any_harm(variant, evidence_of, quick):
    """One more point of errors where two are allowed."""
    evidence = evidence_of(variant(20_000, 400), variant(20_000, 600))
    assert judge_canary(evidence, quick(allowed_error_increase=Margin(0.02))).state == "promote"
    strict = judge_canary(evidence, quick(allowed_error_increase=Margin(0.02, any_harm=True)))
    assert strict.state == "rollback"
    assert strict.reason.endswith("none allowed, on 20,000 calls")


def test_relative_margins_scale_with_the_baseline(variant, evidence_of, quick):
    """For the errors and for the accuracy."""
    evidence = evidence_of(variant(50_000, 10_000), variant(50_000, 10_500))
    assert judge_canary(evidence, quick(allowed_error_increase=Margin(relative=0.1))).state == "promote"
    assert judge_canary(evidence, quick(allowed_error_increase=Margin(relative=0.001))).state == "rollback"
    outcomes = evidence_of(variant(10, 0, 50_000, 40_000), variant(10, 0, 50_000, 38_000))
    for relative, state in ((0.1, "promote"), (0.01, "rollback")):
        policy = quick(allowed_error_increase=None, allowed_accuracy_drop=Margin(relative=relative))
        assert judge_canary(outcomes, policy).state == state


def test_several_quantiles_share_a_part_of_alpha(healthy, evidence_of):
    """Each of two criteria has half of the part of latency."""
    policy = CanaryPolicy(latency_quantile=(0.5, 0.99))
    verdict = judge_canary(evidence_of(healthy(1), healthy(2)), policy)
    both = [criterion_of(verdict, name) for name in ("latency_p50", "latency_p99")]
    assert [1 / criterion.e_harm_needed for criterion in both] == pytest.approx([0.05 / 14] * 2)


def test_rates_of_outcomes_are_criteria(variant, evidence_of, quick):
    """High or low may be better; a rate without trials is inconclusive."""
    evidence = evidence_of(
        variant(10, rates={"recall": (9_000, 10_000)}), variant(10, rates={"recall": (8_000, 10_000)})
    )
    policy = quick(allowed_error_increase=None, rates={"recall": 0.02})
    assert judge_canary(evidence, policy).state == "rollback"
    policy = quick(allowed_error_increase=None, rates={"recall": Guardrail(0.02, "lower", "rate")})
    assert judge_canary(evidence, policy).state == "promote"
    policy = quick(allowed_error_increase=None, rates={"f1": 0.02})
    assert judge_canary(evidence, policy).reason == "too early to say: f1: no trials of both variants yet"


@pytest.mark.parametrize(("better", "state"), [("higher", "rollback"), ("lower", "promote")])
def test_guardrails_of_means_are_criteria(variant, evidence_of, quick, better, state):
    """High or low may be better."""
    random = np.random.default_rng(9)
    pair = Moments.of(random.normal(10, 2, 4_000)), Moments.of(random.normal(9, 2, 4_000))
    evidence = evidence_of(variant(10), variant(10), guardrails={"revenue": pair})
    policy = quick(allowed_error_increase=None, guardrails={"revenue": Guardrail(Margin(relative=0.02), better)})
    verdict = judge_canary(evidence, policy)
    assert verdict.state == state
    assert verdict.criteria[0].limit == pytest.approx(0.2, rel=0.01)
    assert "revenue 9" in verdict.reason


def test_a_relative_margin_of_a_negative_mean_is_positive(variant, evidence_of, quick):
    """At five per cent, a loss of ten may become a loss of ten and a half."""
    random = np.random.default_rng(10)
    for level, state in ((-10.1, "promote"), (-12.0, "rollback")):
        pair = Moments.of(random.normal(-10, 1, 5_000)), Moments.of(random.normal(level, 1, 5_000))
        evidence = evidence_of(variant(10), variant(10), guardrails={"profit": pair})
        policy = quick(allowed_error_increase=None, guardrails={"profit": Guardrail(Margin(relative=0.05))})
        assert judge_canary(evidence, policy).state == state


def test_guardrails_of_rates_are_criteria(variant, evidence_of, quick):
    pair = Moments.of([1.0] * 900 + [0.0] * 100), Moments.of([1.0] * 700 + [0.0] * 300)
    evidence = evidence_of(variant(10), variant(10), guardrails={"converted": pair})
    policy = quick(allowed_error_increase=None, guardrails={"converted": Guardrail(0.02, kind="rate")})
    verdict = judge_canary(evidence, policy)
    assert verdict.state == "rollback"
    assert "converted 70.00% against 90.00%" in verdict.reason


@pytest.mark.parametrize(("agreed", "state"), [(9_950, "promote"), (9_000, "rollback"), (9_800, "inconclusive")])
def test_disagreement_of_a_shadow_is_a_criterion(variant, evidence_of, quick, agreed, state):
    """Here at most two per cent of the rows may differ."""
    policy = quick(allowed_error_increase=None, allowed_disagreement=0.02)
    verdict = judge_canary(evidence_of(variant(10), variant(10), compared=10_000, agreed=agreed), policy)
    assert verdict.state == state
    assert f"the shadow disagrees on {1 - agreed / 10_000:.2%}" in verdict.reason


def test_a_design_effect_weakens_the_evidence(variant, evidence_of, quick):
    evidence = evidence_of(variant(2_000, 40), variant(2_000, 80))
    assert judge_canary(evidence, quick()).state == "rollback"
    assert judge_canary(evidence, quick(design_effect=4.0)).state == "inconclusive"


# --- the split -------------------------------------------------------------------------------------------------------


def test_too_few_calls_of_the_candidate_break_the_split(healthy, evidence_of):
    """Half of the calls are expected, a tenth less arrive: nothing is promoted."""
    verdict = judge_canary(evidence_of(healthy(1), healthy(2, calls=36_000, failed=720), 0.5), CanaryPolicy())
    assert verdict.state == "inconclusive"
    assert "the split is broken: 47.37% of 76,000 calls went to the candidate, 50.00% expected" in verdict.reason
    assert criterion_of(verdict, "error_rate").state == "promote"


def test_a_split_by_a_load_balancer_is_checked_by_the_share_of_the_policy(healthy, evidence_of):
    """Without a share, and with keys, the split is not checked."""
    variants = (healthy(1), healthy(2, calls=36_000, failed=720))
    assert judge_canary(evidence_of(*variants), CanaryPolicy(share=0.5)).state == "inconclusive"
    assert judge_canary(evidence_of(*variants), CanaryPolicy()).state == "promote"
    assert judge_canary(evidence_of(*variants, 0.5, sticky=True), CanaryPolicy()).state == "promote"


def test_harm_rolls_back_despite_a_broken_split(healthy, evidence_of):
    verdict = judge_canary(evidence_of(healthy(1), healthy(2, calls=36_000, failed=4_000), 0.5), CanaryPolicy())
    assert verdict.state == "rollback"


@pytest.mark.parametrize("unordered", [frozenset(), frozenset({"age"})])
def test_different_traffic_breaks_the_split(variant, evidence_of, quick, unordered):
    """The features of the two variants must have the same distribution."""
    features = [{"age": np.array(counts), "x": np.array([500, 500])} for counts in ([700, 300, 0], [300, 700, 0])]
    evidence = evidence_of(*(variant(5_000, 0, features=counts, unordered=unordered) for counts in features))
    verdict = judge_canary(evidence, quick(allowed_feature_drift=0.1))
    assert verdict.state == "inconclusive"
    assert "the split is broken: features of the two variants differ most in age, by 40 points" in verdict.reason
    assert judge_canary(evidence, quick()).state == "promote"


def test_equal_traffic_does_not_break_the_split(variant, evidence_of, quick):
    """A feature that only one variant has is skipped."""
    a, b = (
        variant(5_000, features={"age": np.array([9, 9])}),
        variant(5_000, features={"age": np.array([8, 8]), "y": np.array([1])}),
    )
    assert judge_canary(evidence_of(a, b), quick(allowed_feature_drift=0.1)).state == "promote"


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("otherwise", ["rollback", "promote", "inconclusive"])
@pytest.mark.parametrize(
    ("end", "words"), [({"max_rows": 300}, "300 rows of the candidate"), ({"max_time": "1min"}, "61 s")]
)
def test_an_undecided_canary_ends_with_otherwise(variant, evidence_of, quick, otherwise, end, words):
    """At `max_rows`, or after `max_time`; not before."""
    evidence = evidence_of(variant(300, 6), variant(300, 6), seconds=61.0)
    verdict = judge_canary(evidence, quick(allowed_error_increase=0.02, otherwise=otherwise, **end))
    assert verdict.state == otherwise
    assert verdict.reason.startswith(f"undecided after {words}, so {otherwise}: too early to say")
    before = evidence_of(variant(299, 6), variant(299, 6), seconds=59.0)
    assert judge_canary(before, quick(allowed_error_increase=0.02, otherwise=otherwise, **end)).state == "inconclusive"


def test_a_broken_split_is_not_promoted_by_its_end(healthy, evidence_of):
    """Even with `otherwise="promote"`."""
    evidence = evidence_of(healthy(1), healthy(2, calls=36_000, failed=720), 0.5)
    assert judge_canary(evidence, CanaryPolicy(max_rows=100, otherwise="promote")).state == "inconclusive"
    assert judge_canary(evidence, CanaryPolicy(max_rows=100)).state == "rollback"


def test_a_threshold_policy_decides_by_the_pooled_counts(variant, evidence_of):
    policy = ThresholdPolicy(min_accuracy=None)
    total = evidence_of(variant(600), variant(300), 0.1) + evidence_of(variant(600), variant(300), 0.2)
    assert judge_canary(total, policy).state == "promote"
    assert judge_canary(evidence_of(variant(600), variant(300), 0.1), policy).state == "inconclusive"


def test_merged_evidence_decides_like_the_whole(variant, evidence_of):
    """Ten processes with a tenth of the calls each decide like a single process."""
    part = evidence_of(variant(400, 8, 300, 270), variant(400, 12, 300, 265))
    whole = evidence_of(variant(4_000, 80, 3_000, 2_700), variant(4_000, 120, 3_000, 2_650))
    merged = judge_canary(sum([part] * 10, start=CanaryEvidence()), CanaryPolicy())
    assert merged == judge_canary(whole, CanaryPolicy())
