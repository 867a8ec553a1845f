"""`CallbackSink`: a Python function that takes requests."""

from __future__ import annotations

from collections.abc import Callable

from driftline._runtime import validation as check
from driftline.retraining._request import RetrainingRequest

__all__ = ["CallbackSink"]


class CallbackSink:
    """
    Calls a function with each request, in the thread of the delivery.

    Args:
        function: the function. If it raises, it is called again later. It may be called twice with the same id.
        name: the name under which the queue records deliveries. If None, the name of the function.

    Attributes:
        name: that name.

    Raises:
        ConfigurationError: an argument has a wrong value.

    >>> CallbackSink(print).name
    'callback:print'
    """

    def __init__(self, function: Callable[[RetrainingRequest], object], *, name: str | None = None) -> None:
        self._function = check.function("function", function)
        label = getattr(function, "__qualname__", type(function).__name__)
        self.name = check.string("name", f"callback:{label}" if name is None else name, at_least=1)

    def deliver(self, request: RetrainingRequest) -> None:
        """Call the function."""
        self._function(request)
