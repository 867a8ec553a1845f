"""A request for retraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "RetrainingRequest",
]


@dataclass(frozen=True, slots=True)
class RetrainingRequest:
    """A request to train anew: an id, since when (UNIX seconds), and why."""

    id: str
    model: str
    version: str | None
    reason: Literal["drift", "accuracy", "latency"]
    detail: str
    features: tuple[str, ...]
    created: float
