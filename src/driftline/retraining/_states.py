"""The states of a request, and which one may follow which."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

__all__ = ["CLOSED", "KINDS", "OPEN", "RequestKind", "RequestState", "may_follow"]

RequestKind: TypeAlias = Literal["retrain", "fix_pipeline"]

RequestState: TypeAlias = Literal[
    "requested", "acknowledged", "running", "succeeded", "failed", "rejected", "expired", "superseded"
]

KINDS: tuple[RequestKind, ...] = get_args(RequestKind)

OPEN: tuple[RequestState, ...] = ("requested", "acknowledged", "running")
"""The states of a request that is not finished, in their order. A request may skip some."""

CLOSED: tuple[RequestState, ...] = ("succeeded", "failed", "rejected", "expired", "superseded")
"""The states in which a request ends. None follows them."""


def may_follow(state: RequestState, after: RequestState) -> bool:
    """
    Return whether a request may go from the state *after* to *state*.

    >>> may_follow("running", after="requested"), may_follow("acknowledged", after="running")
    (True, False)
    """
    if after in CLOSED:
        return False
    return state in CLOSED or OPEN.index(state) > OPEN.index(after)
