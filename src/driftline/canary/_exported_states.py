"""Reads one verdict from the states that processes export, each of which has observed a part of the traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, get_args

from driftline import semconv as sc
from driftline._backends.counts import CountSource
from driftline._backends.prometheus import IncompleteError
from driftline.canary._verdict import Verdict
from driftline.results import CanaryState

__all__ = ["ExportedStates", "read_states"]

STATES = frozenset(get_args(CanaryState))


class ExportedStates(NamedTuple):
    """
    The states that processes export.

    Attributes:
        verdict: the verdict of all processes together.
        states: number of processes by the state that they export.
    """

    verdict: Verdict
    states: Mapping[str, int]


def read_states(source: CountSource, match: Mapping[str, str], now: float, recent: float) -> ExportedStates:
    """
    Return one verdict from the states that all processes export as ``ml.canary.status``.

    It is a rollback if any process exports a rollback. It is a promotion if all processes export a promotion. In all
    other cases, also without any process, it is inconclusive.

    Args:
        source: the store.
        match: attributes that select the series, such as ``ml.model.name``.
        now: Unix time in seconds.
        recent: seconds before *now* in which a process has exported that has not ended.

    Raises:
        OSError: the store cannot be reached, or its response is cut off, late, or known to be incomplete.
        ValueError: the response has no states.
    """
    incomplete = None
    try:
        samples = source.latest(sc.METRIC_CANARY_STATUS, match, at=now, within=recent)
    except IncompleteError as error:
        samples, incomplete = error.samples, error
    states = [sample.attributes.get(sc.ML_CANARY_STATE, "") for sample in samples if sample.value]
    unknown = set(states) - STATES
    if unknown or any(sample.value not in {0.0, 1.0} for sample in samples):
        msg = f"expected states of a canary, not {sorted(unknown) or 'other values than 0 and 1'}"
        raise ValueError(msg)
    # A rollback in a part of the response is one of the whole.
    if incomplete is not None and "rollback" not in states:
        raise incomplete
    if not states:
        selector = ", ".join(f"{name}={value}" for name, value in match.items())
        return ExportedStates(Verdict("inconclusive", f"no state of a canary of {selector} is exported"), {})
    reason = f"{len(states)} process{'es' * (len(states) > 1)}: " + ", ".join(sorted(set(states)))
    if "rollback" in states:
        verdict = Verdict("rollback", reason)
    else:
        verdict = Verdict("promote" if set(states) == {"promote"} else "inconclusive", reason)
    return ExportedStates(verdict, Counter(states))
