"""Compare two variants of a model, and decide: promote the candidate, roll it back, or go on observing."""

from __future__ import annotations

from driftline._runtime.shadow_watch import ShadowRecorder
from driftline._windows.blocks import BlockCounts
from driftline._windows.call_tables import CallTables
from driftline._windows.outcome_tables import OutcomeTables
from driftline.canary._canary import Canary
from driftline.canary._decision import judge_canary
from driftline.canary._evalues.means import Moments
from driftline.canary._evidence import CanaryEvidence, Stratum
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._policy import CanaryPolicy
from driftline.canary._shadows.agreement import Agreement
from driftline.canary._thresholds import ThresholdPolicy, judge_thresholds
from driftline.canary._variant import Variant
from driftline.canary._variant_evidence import VariantEvidence
from driftline.canary._verdict import Criterion, Verdict

__all__ = [
    "Agreement",
    "BlockCounts",
    "CallTables",
    "Canary",
    "CanaryEvidence",
    "CanaryPolicy",
    "Criterion",
    "Guardrail",
    "Margin",
    "Moments",
    "OutcomeTables",
    "ShadowRecorder",
    "Stratum",
    "ThresholdPolicy",
    "Variant",
    "VariantEvidence",
    "Verdict",
    "judge_canary",
    "judge_thresholds",
]
