"""Evidence and a policy to a verdict: a pure function of counts."""

from __future__ import annotations

from dataclasses import replace

from driftline.canary._criteria import questions
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._policy import CanaryPolicy
from driftline.canary._sample_ratio import split_criteria
from driftline.canary._tests import answer
from driftline.canary._thresholds import ThresholdPolicy, judge_thresholds
from driftline.canary._verdict import Verdict, combined

__all__ = ["judge_canary"]

NOTHING = "nothing to judge: no calls yet, or the predictions are not watched"


def judge_canary(evidence: CanaryEvidence, policy: CanaryPolicy | ThresholdPolicy) -> Verdict:
    """
    Judge a candidate.

    The criteria are those of the policy, then the checks of the split. A broken split keeps a candidate from being
    promoted; what is certain harm all the same rolls it back.
    """
    pooled = evidence.pooled()
    if pooled is None:
        return Verdict("inconclusive", NOTHING, ())
    if isinstance(policy, ThresholdPolicy):
        return judge_thresholds(*pooled, policy)
    asked = tuple(questions(evidence, policy))
    whole = sum(one.weight for one in asked)
    split = split_criteria(evidence, policy)
    criteria = tuple(answer(one, policy.alpha * one.weight / whole, policy.alpha) for one in asked)
    if not criteria:
        return Verdict("inconclusive", NOTHING, ())
    rows = pooled[1].rows
    verdict = combined((*split, *criteria), rows, NOTHING)
    broken = any(one.state != "promote" for one in split)
    if verdict.state != "inconclusive" or (broken and policy.otherwise == "promote"):
        return verdict
    return _ended(verdict, policy, rows, evidence.seconds)


def _ended(verdict: Verdict, policy: CanaryPolicy, rows: int, seconds: float) -> Verdict:
    """An undecided canary beyond its rows or its time: the verdict that was agreed on."""
    if policy.max_rows is not None and rows >= policy.max_rows:
        end = f"{rows:,} rows of the candidate"
    elif isinstance(policy.max_time, (int, float)) and seconds >= policy.max_time:
        end = f"{seconds:,.0f} s"
    else:
        return verdict
    return replace(
        verdict, state=policy.otherwise, reason=f"undecided after {end}, so {policy.otherwise}: {verdict.reason}"
    )
