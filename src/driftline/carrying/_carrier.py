"""The Protocol of the kinds of model that can carry a reference, and how a kind is recognised without its library."""

from __future__ import annotations

from typing import Any, Protocol

from driftline.carrying._signature import Signature

__all__ = ["Carrier", "is_instance"]


class Carrier(Protocol):
    """A kind of model. Its methods may raise whatever the model's library raises."""

    def matches(self, model: Any) -> bool:
        """Return whether the model is of this kind."""
        ...

    def read(self, model: Any) -> Any:
        """Return the text that the model carries, of unknown content, or None."""
        ...

    def write(self, model: Any, text: str) -> None:
        """
        Make the model carry a text, instead of an earlier one.

        Raises:
            ConfigurationError: the model cannot carry it in its present state.
        """
        ...

    def signature(self, model: Any) -> Signature:
        """Return the features that the model expects."""
        ...


def is_instance(model: Any, library: str, *names: str) -> bool:
    """Return whether a class of the model, or one that it inherits from, has one of these names in this library."""
    return any(kind.__name__ in names and kind.__module__.partition(".")[0] == library for kind in type(model).__mro__)
