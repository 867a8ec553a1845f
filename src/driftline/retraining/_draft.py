"""A request from the evidence of a window, before the queue gives it an id."""

from __future__ import annotations

from driftline.retraining._merging import details_of
from driftline.retraining._request import RetrainingEvidence, RetrainingRequest
from driftline.retraining._situation import RetrainingSituation
from driftline.retraining._states import RequestKind

__all__ = ["draft"]


def draft(
    model: str,
    version: str | None,
    kind: RequestKind,
    evidence: tuple[RetrainingEvidence, ...],
    situation: RetrainingSituation,
    data_from: float | None = None,
) -> RetrainingRequest:
    """
    Return a request without an id, which the queue assigns.

    Args:
        model: the model's name.
        version: its version, or None.
        kind: the kind of request.
        evidence: the limits that were crossed, at least one.
        situation: what is known of the model.
        data_from: the start of the data to train with, in UNIX seconds, or None.
    """
    drifting = (each.name for each in evidence if each.reason in {"drift", "broken_data"} and each.name)
    return RetrainingRequest(
        "",
        model,
        version,
        evidence[0].reason,
        details_of(evidence),
        tuple(dict.fromkeys(drifting)),
        situation.at,
        kind,
        ordinal=0,
        evidence=evidence,
        reference=situation.reference,
        window=situation.window,
        data_from=data_from,
        data_until=situation.at,
    )
