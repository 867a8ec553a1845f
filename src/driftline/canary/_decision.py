"""`judge_canary`: computes the verdict on a candidate from evidence and a policy."""

from __future__ import annotations

from dataclasses import replace

from driftline._runtime.floats import without_float_errors
from driftline.canary._criteria import criterion_tests
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._policy import CanaryPolicy
from driftline.canary._sample_ratio import check_split
from driftline.canary._tests import decide_criterion
from driftline.canary._thresholds import ThresholdPolicy, judge_thresholds
from driftline.canary._verdict import Verdict, combine_criteria

__all__ = ["judge_canary"]

NOTHING_TO_DECIDE = "nothing to decide: no calls yet, or the predictions are not watched"


@without_float_errors
def judge_canary(evidence: CanaryEvidence, policy: CanaryPolicy | ThresholdPolicy) -> Verdict:
    """
    Return the verdict on a candidate, as a pure function of evidence and policy.

    With a `CanaryPolicy`, the traffic split is checked in addition to the policy's criteria. A broken split prevents a
    promotion, but not a rollback. If no criterion has a test, the verdict is inconclusive. Any other inconclusive
    verdict becomes the policy's `otherwise` after `max_rows` or `max_time`.

    Args:
        evidence: the counts of both variants.
        policy: the allowed harm. For a `ThresholdPolicy`, return the verdict of `judge_thresholds`.
    """
    pooled = evidence.pooled()
    if pooled is None:
        return Verdict("inconclusive", NOTHING_TO_DECIDE, ())
    if isinstance(policy, ThresholdPolicy):
        return judge_thresholds(*pooled, policy)
    tests = tuple(criterion_tests(evidence, policy))
    total_weight = sum(test.weight for test in tests)
    split = check_split(evidence, policy)
    criteria = tuple(decide_criterion(test, policy.alpha * test.weight / total_weight, policy.alpha) for test in tests)
    if not criteria:
        return Verdict("inconclusive", NOTHING_TO_DECIDE, ())
    rows = pooled[1].rows
    verdict = combine_criteria((*split, *criteria), rows, NOTHING_TO_DECIDE)
    broken = any(check.state != "promote" for check in split)
    if verdict.state != "inconclusive" or (broken and policy.otherwise == "promote"):
        return verdict
    return _end_undecided(verdict, policy, rows, evidence.seconds)


def _end_undecided(verdict: Verdict, policy: CanaryPolicy, rows: int, seconds: float) -> Verdict:
    """
    Return *verdict* with the state `otherwise` if the canary has reached `max_rows` or `max_time`, else unchanged.

    Args:
        verdict: an inconclusive verdict.
        policy: has *otherwise*, *max_rows* and *max_time*.
        rows: rows of the candidate so far.
        seconds: seconds since the canary began.
    """
    if policy.max_rows is not None and rows >= policy.max_rows:
        end = f"{rows:,} rows of the candidate"
    elif isinstance(policy.max_time, (int, float)) and seconds >= policy.max_time:
        end = f"{seconds:,.0f} s"
    else:
        return verdict
    return replace(
        verdict, state=policy.otherwise, reason=f"undecided after {end}, so {policy.otherwise}: {verdict.reason}"
    )
