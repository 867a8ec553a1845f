"""`Performance`: a metric of a model with its interval."""

from __future__ import annotations

from dataclasses import dataclass

from driftline.typing import Label

__all__ = ["Performance"]


@dataclass(frozen=True, slots=True)
class Performance:
    """
    A metric of a model with its 95 % interval.

    Attributes:
        metric: the name of the metric, such as ``"accuracy"``, ``"recall"`` or ``"rmse"``.
        value: the value of the metric.
        lower: the lower end of the interval.
        upper: the upper end of the interval.
        rows: the number of outcomes from which the value is computed.
        label: the class of precision, recall and F1; None for other metrics.
    """

    metric: str
    value: float
    lower: float
    upper: float
    rows: int
    label: Label | None = None
