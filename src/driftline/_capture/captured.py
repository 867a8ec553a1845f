"""What a reader returns for the features of one call: `Captured`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from driftline._capture.columns import Row
from driftline.typing import Column

__all__ = ["Batch", "Captured", "Unread"]


class Batch:
    """
    The captured columns of a batch.

    Attributes:
        columns: one column per name, in the order of the reference; None for a column that the call does not have.
        rows: number of rows.
    """

    __slots__ = ("columns", "rows")

    def __init__(self, columns: Sequence[Column | None], rows: int) -> None:
        self.columns = columns
        self.rows = rows

    def __len__(self) -> int:
        return self.rows


class Unread:
    """
    The features of a call that could not be read. The recorder counts their rows as dropped.

    Attributes:
        reason: a value of ``ml.monitor.reason``.
        rows: number of rows; None if it is not known, so that the outputs decide.
    """

    __slots__ = ("reason", "rows")

    def __init__(self, reason: str, rows: int | None) -> None:
        self.reason = reason
        self.rows = rows


Captured: TypeAlias = "Row | dict[str, object] | list[Row] | Batch | Unread"
"""
What a reader returns for one call.

A row (a dict is put in order later), a list of rows for a small batch, a `Batch`, or `Unread`.
"""
