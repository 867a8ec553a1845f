"""Ids of processes in exported counts."""

from __future__ import annotations

import uuid

__all__ = ["new_process_id"]

ID_DIGITS = 16
"""Hexadecimal digits of an id. Two of a million ids are equal with a probability of 1 in 37 million."""


def new_process_id() -> str:
    """
    Return a random id for the series that a process exports from now on.

    Counts under one id only grow, so a store needs no detection of resets: a restarted process, and the child of a
    fork, begin new series under a new id. Series of ended processes stay right for ever.
    """
    return uuid.uuid4().hex[:ID_DIGITS]
