"""Makes the shadow of a canary from its variants and settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from driftline._binning.bins import Feature
from driftline._binning.label_scheme import LabelScheme
from driftline._binning.prediction_kind import kind_of
from driftline._runtime import validation as check
from driftline._runtime.shadow_watch import ShadowRecorder
from driftline.canary._shadows.agreement import Agree, Agreement
from driftline.canary._shadows.calls import Limits
from driftline.canary._shadows.candidate import Candidate
from driftline.canary._shadows.shadow import Copy, Hooks, Shadow
from driftline.canary._variant_evidence import VariantEvidence

__all__ = ["in_thread", "shadow_of"]

_T = TypeVar("_T")


class Variant(Protocol):
    """The part of a `driftline.canary.Variant` that a shadow uses."""

    @property
    def prediction_feature(self) -> Feature | None:
        """Bins and kind of the prediction, from the reference; None if the reference has no prediction."""
        ...

    def evidence(self) -> VariantEvidence:
        """Return the counts of the variant."""
        ...

    def caught(self, place: str, error: BaseException) -> None:
        """Count an error."""
        ...

    def shadow_recorder(self) -> ShadowRecorder:
        """Return the object that records what a shadow does with this variant."""
        ...


def shadow_of(
    owner: Variant,
    variant: Variant | None,
    function: Callable[..., Any],
    agree: Agree | None,
    limits: Limits,
    copy: Copy,
    on_compared: Callable[[int, int], None],
) -> Shadow:
    """
    Return the shadow of a candidate.

    Args:
        owner: the variant that counts what is dropped and what fails.
        variant: the candidate's variant; None if it is in another process.
        function: the predict function of the candidate.
        agree: compares outputs. If None, an `Agreement` with the threshold of the outcomes. An agreement without a kind
            gets that of the outcomes, or else of the predictions.
        limits: what the candidate may take.
        copy: how inputs and outputs are copied.
        on_compared: called with (rows compared, rows that agreed) for each compared call.
    """
    labels: LabelScheme = getattr(owner, "prediction_labels", LabelScheme())
    agree = check.optional(check.function, "agree", agree) or Agreement(threshold=labels.threshold)
    if isinstance(agree, Agreement) and agree.kind is None:
        # Predictions from 0 to 1 may be quantities, which the outcomes say.
        agree = replace(agree, kind=labels.kind or kind_of(owner.prediction_feature))
    owners = owner.shadow_recorder()
    candidate = Candidate(
        function,
        agree,
        None if variant is None else owners,
        lambda: owner.evidence().calls,
        on_compared,
        owner.caught,
    )
    return Shadow(candidate, limits, copy, Hooks(owner.caught, owners.drop, owners.report))


async def in_thread(function: Callable[[float], _T], seconds: float) -> _T:
    """Call a function that blocks, in a thread of the event loop's executor."""
    import asyncio  # noqa: PLC0415 - it takes a sixth of the time of importing numpy

    return await asyncio.to_thread(function, seconds)
