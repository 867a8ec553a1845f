"""A request for retraining, `RetrainingRequest`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "RetrainingRequest",
]


@dataclass(frozen=True, slots=True)
class RetrainingRequest:
    """
    A request to train a model again.

    Attributes:
        id: a UUID.
        model: the model's name.
        version: the model's version, if it has one.
        reason: the kind of limit that was crossed: ``"drift"``, ``"accuracy"`` or ``"latency"``.
        detail: the numbers that crossed the limit, as a string.
        features: the drifting features; empty for other reasons.
        created: the time of the request, in UNIX seconds.
    """

    id: str
    model: str
    version: str | None
    reason: Literal["drift", "accuracy", "latency"]
    detail: str
    features: tuple[str, ...]
    created: float
