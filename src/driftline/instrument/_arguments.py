"""Extractors of features, ids and the like from the arguments of a call, chosen when a function is decorated."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from driftline._capture.tables import is_table
from driftline.errors import ConfigurationError
from driftline.reference import Reference

__all__ = ["Extractor", "FirstArgument", "feature_extractor", "parameters_of", "span_id", "user_text", "without_self"]

Extractor: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Any]
"""A function of (args, kwargs) of a call that returns its features, an id, or the like."""


def parameters_of(function: Any) -> list[inspect.Parameter]:
    """Return the parameters of a callable, or one parameter ``features`` if it has no signature."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # A builtin without a signature: its first argument holds the features.
        return [inspect.Parameter("features", inspect.Parameter.POSITIONAL_ONLY)]


def without_self(function: Callable[..., Any], skip: int) -> Extractor:
    """Return an extractor that calls *function* without the first *skip* arguments (1 for a method: its self)."""
    if skip:
        return lambda args, kwargs: function(*args[skip:], **kwargs)
    return lambda args, kwargs: function(*args, **kwargs)


def feature_extractor(
    reference: Reference | None, function: Any, parameters: list[inspect.Parameter], skip: int
) -> Extractor:
    """
    Return the extractor of the features.

    The features are the first argument, or all arguments by name if one is named like a feature.

    Raises:
        ConfigurationError: no argument can be the features.
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
        msg = f"{name} has no argument with a name: expected features=, a function that returns them from the arguments"
        raise ConfigurationError(msg)
    names = tuple(parameter.name for parameter in usable)
    defaults = {each.name: each.default for each in usable if each.default is not inspect.Parameter.empty}
    by_name = _by_name(names, defaults, skip)
    if reference is not None:
        known = set(reference.columns)
        if not usable or known & set(names):
            return by_name
        return FirstArgument(names[0], defaults.get(names[0]), skip)
    if not usable:
        return by_name
    first = FirstArgument(names[0], defaults.get(names[0]), skip)

    def by_value(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # No feature has a name before the reference is learned. A number or a string is one feature of several.
        value = first(args, kwargs)
        return by_name(args, kwargs) if _is_plain(value) else value

    return by_value


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, (str, bytes, int, float, type(None)))
        and not isinstance(value, Mapping)
        and not is_table(value)
    )


class FirstArgument:
    """
    The extractor of one argument, which holds all features.

    Args:
        name: the name of the parameter.
        default: the default of the parameter, or None if it has none.
        index: the index of the argument: 1 for a method, whose self comes first, else 0.
    """

    __slots__ = ("_default", "_name", "index")

    def __init__(self, name: str, default: Any, index: int) -> None:
        self._name = name
        self._default = default
        self.index = index

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[self.index] if len(args) > self.index else kwargs.get(self._name, self._default)


def _by_name(names: tuple[str, ...], defaults: dict[str, Any], skip: int) -> Extractor:
    def extract(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) <= skip and not defaults:
            return kwargs  # captured before the function runs, which may change it
        return {**defaults, **dict(zip(names, args[skip:], strict=False)), **kwargs}

    return extract


def user_text(user_id: object) -> str | None:
    """Return the id of a user, which may be a number or a UUID, as a string. None stays None."""
    return None if user_id is None else str(user_id)


def span_id(prediction_id: object) -> str:
    """Return the id of a span: a string as it is, a new id for None, else at most 200 characters of ``str(id)``."""
    if prediction_id is None:
        return uuid.uuid4().hex
    return prediction_id if isinstance(prediction_id, str) else str(prediction_id)[:200]
