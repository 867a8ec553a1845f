"""What takes requests to a pipeline: the protocol `RetrainingSink`, and the error that asks for another attempt."""

from __future__ import annotations

import hashlib
from typing import Protocol, runtime_checkable

from driftline.retraining._request import RetrainingRequest

__all__ = ["DeliveryError", "RetrainingSink", "label_of"]

LABEL_DIGITS = 8
"""Hexadecimal digits of the hash that tells sinks of one host or program apart."""


def label_of(text: str) -> str:
    """Return a short hash of what identifies a sink, for its name."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:LABEL_DIGITS]


class DeliveryError(Exception):
    """
    A request was not delivered. It is delivered again later, as after every other exception of a sink.

    Args:
        message: what went wrong.
        retry_after: seconds after which the receiver wants the next attempt. If None, the delivery decides.
        refused: whether the receiver refuses the request as it is. The next attempt is then late, because a person has
            to act first.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, refused: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.refused = refused


@runtime_checkable
class RetrainingSink(Protocol):
    """
    Takes a request to a pipeline, such as an orchestrator or a registry.

    A request may be delivered more than once, for example if the process ends before it is recorded. The receiver
    recognises it by its id.
    """

    @property
    def name(self) -> str:
        """The name under which the queue records deliveries. A sink of another name gets each open request again."""
        ...

    def deliver(self, request: RetrainingRequest) -> None:
        """
        Deliver a request. It is delivered if this returns, and is delivered again later if this raises.

        Args:
            request: the request.
        """
        ...
