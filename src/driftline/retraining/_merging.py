"""What a further trigger adds to an open request."""

from __future__ import annotations

from dataclasses import replace

from driftline.retraining._request import RetrainingEvidence, RetrainingRequest

__all__ = ["details_of", "merge"]


def merge(request: RetrainingRequest, trigger: RetrainingRequest) -> RetrainingRequest:
    """
    Return an open request with the evidence of a further trigger.

    Evidence of the same reason and name is replaced if the new one is at least as bad. *count*, *last_seen* and the end
    of the data advance.

    Args:
        request: the open request.
        trigger: the request that would be made if there were none.
    """
    known = {(each.reason, each.name): each for each in request.evidence}
    for each in trigger.evidence:
        before = known.get((each.reason, each.name))
        if before is None or _is_as_bad(each, before):
            known[each.reason, each.name] = each
    evidence = tuple(known.values())
    seen = trigger.created if trigger.last_seen is None else trigger.last_seen
    return replace(
        request,
        evidence=evidence,
        detail=details_of(evidence) or request.detail,
        features=tuple(dict.fromkeys((*request.features, *trigger.features))),
        count=request.count + 1,
        last_seen=max(seen, request.last_seen or request.created),
        data_until=max(filter(None, (request.data_until, trigger.data_until)), default=None),
    )


def details_of(evidence: tuple[RetrainingEvidence, ...]) -> str:
    """Return the words of all evidence."""
    return "; ".join(each.words for each in evidence)


def _is_as_bad(evidence: RetrainingEvidence, before: RetrainingEvidence) -> bool:
    """Return whether evidence is at least as bad as earlier evidence of the same reason and name."""
    if evidence.value is None or before.value is None:
        return True
    return evidence.value <= before.value if evidence.reason == "accuracy" else evidence.value >= before.value
