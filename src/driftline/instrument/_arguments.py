"""Where the features are among the arguments of a call: decided once, when a function is decorated."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from driftline._capture.tables import is_table
from driftline.errors import ConfigurationError
from driftline.reference import Reference

__all__ = ["First", "Pick", "parameters_of", "picker", "taken_by"]

Pick: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Any]
"""(args, kwargs) of a call to what is wanted of it."""


def parameters_of(function: Any) -> list[inspect.Parameter]:
    """The parameters of a callable, one named ``features`` where it has no signature."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # A builtin without a signature: its first argument is taken.
        return [inspect.Parameter("features", inspect.Parameter.POSITIONAL_ONLY)]


def taken_by(function: Callable[..., Any], skip: int) -> Pick:
    """The user's function of the call's arguments, without the self of a method."""
    if skip:
        return lambda args, kwargs: function(*args[skip:], **kwargs)
    return lambda args, kwargs: function(*args, **kwargs)


def picker(reference: Reference | None, function: Any, parameters: list[inspect.Parameter], skip: int) -> Pick:
    """
    The features of a call: its first argument, unless the parameters themselves are named like features.

    Raises:
        ConfigurationError: no argument that could be the features.
    """
    usable = [
        parameter
        for parameter in parameters[skip:]
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL
        and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    keywords = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    if not usable and not keywords:
        name = getattr(function, "__qualname__", repr(function))
        msg = f"{name} takes no argument by name: expected features=, a function that takes them from the call"
        raise ConfigurationError(msg)
    names = tuple(parameter.name for parameter in usable)
    defaults = {one.name: one.default for one in usable if one.default is not inspect.Parameter.empty}
    by_name = _by_name(names, defaults, skip)
    if reference is not None:
        known = set(reference.columns)
        if not usable or known & set(names):
            return by_name
        return First(names[0], defaults.get(names[0]), skip)
    if not usable:
        return by_name
    first = First(names[0], defaults.get(names[0]), skip)

    def undecided(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # The reference is yet to be learnt, so only the values can tell: a plain number or text is one feature of many.
        value = first(args, kwargs)
        return by_name(args, kwargs) if _is_plain(value) else value

    return undecided


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, (str, bytes, int, float, type(None)))
        and not isinstance(value, Mapping)
        and not is_table(value)
    )


class First:
    """
    The features are one argument.

    Attributes:
        place: how many arguments come before it.
    """

    __slots__ = ("_default", "_name", "place")

    def __init__(self, name: str, default: Any, place: int) -> None:
        self._name = name
        self._default = default
        self.place = place

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[self.place] if len(args) > self.place else kwargs.get(self._name, self._default)


def _by_name(names: tuple[str, ...], defaults: dict[str, Any], skip: int) -> Pick:
    def pick(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) <= skip and not defaults:
            return kwargs  # read at once, before anybody could change it
        return {**defaults, **dict(zip(names, args[skip:], strict=False)), **kwargs}

    return pick
