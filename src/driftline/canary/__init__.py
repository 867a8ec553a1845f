"""Compare two variants of a model, and decide: promote the candidate, roll it back, or go on observing."""

from __future__ import annotations

from driftline.canary._canary import Canary, Variant
from driftline.canary._decision import judge_canary
from driftline.canary._evalues.means import Moments
from driftline.canary._evidence import CanaryEvidence, Stratum
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._policy import CanaryPolicy
from driftline.canary._thresholds import ThresholdPolicy, judge_thresholds
from driftline.canary._variant_evidence import VariantEvidence
from driftline.canary._verdict import Criterion, Verdict

__all__ = [
    "Canary",
    "CanaryEvidence",
    "CanaryPolicy",
    "Criterion",
    "Guardrail",
    "Margin",
    "Moments",
    "Stratum",
    "ThresholdPolicy",
    "Variant",
    "VariantEvidence",
    "Verdict",
    "judge_canary",
    "judge_thresholds",
]
